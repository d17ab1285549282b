-- Rules hold in REPEATABLE READ and SERIALIZABLE, too.
--
-- Such a transaction sees leat_internal.rule as it was when the transaction began. So a role that kept one open
-- published in it what leat.allow or leat.disallow had forbidden since. Now a transaction that does not see the newest
-- rules fails, as it does where it meets any other change, if it publishes and there is any rule.
--
-- And a role that was renamed keeps its rules in sessions that have it by SET ROLE. Such a session tells the role's old
-- name: when another role got that name, the session had the rules of that one.

set local search_path = pg_catalog, pg_temp;

-- Of all rows the same, and another one after each change. A function has it, too: what a function returns does not
-- depend on the snapshot of a transaction.
alter table leat_internal.rule add column version uuid;

create function leat_internal.rules_version() returns uuid
  language sql stable
  return null::uuid;

-- As in 0003_allowing.sql, and it gives the rules their version.
create or replace function leat_internal.apply_rules() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  newest constant uuid := gen_random_uuid();
begin
  update leat_internal.rule set version = newest;
  execute format('create or replace function leat_internal.rules_version() returns uuid language sql stable'
                 || ' return %L::uuid', newest);
  execute format('create or replace function leat_internal.has_rules() returns boolean language sql stable return %s',
                 case when exists (select from leat_internal.rule) then 'true' else 'false' end);
end $$;

-- As in 0003_allowing.sql, but the rules have to be the newest ones, and the session must be allowed to be the role
-- whose name it tells.
create or replace function leat_internal.check_allowed(topic text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  publisher constant name := leat_internal.session_role();
begin
  if not pg_has_role(session_user, publisher, 'member') then
    raise exception 'role % may not publish as role %: that is another one since SET ROLE', session_user, publisher
      using errcode = 'insufficient_privilege', hint = 'SET ROLE again.';
  end if;
  if leat_internal.has_one_snapshot()
     and not exists (select from leat_internal.rule r where r.version = leat_internal.rules_version())
  then
    raise exception 'could not serialize access: leat.allow or leat.disallow has changed the rules'
      using errcode = 'serialization_failure', hint = 'Repeat the transaction.';
  end if;
  if (select bool_or(check_allowed.topic ~ r.topics) from leat_internal.rule r
       where case when r.role in (select p.oid from pg_roles p) then pg_has_role(publisher, r.role, 'usage') end)
     is not false
  then
    return;
  end if;
  if exists (select from pg_roles p where p.rolname = publisher and p.rolsuper)
     or exists (select from pg_namespace n
                 where n.nspname = 'leat' and pg_has_role(publisher, n.nspowner, 'usage'))
  then
    return;
  end if;
  raise exception 'role % may not publish to topic %', publisher, to_json(left(topic, 100))
    using errcode = 'insufficient_privilege', hint = 'leat.allowed lists the patterns that leat.allow has given.';
end $$;

select leat_internal.apply_rules();

revoke execute on function leat_internal.rules_version() from public;
