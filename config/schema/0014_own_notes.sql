-- A watch that vanished is forgotten only by who owns its table, and is shown to servers.
--
-- The note of a watch (0013_kept_watches.sql) could be taken away by everybody who may watch, for any table, once the
-- watch had lost its triggers. So the warning vanished, too.

set local search_path = pg_catalog, pg_temp;

-- The notes of tables whose owner is, or may be, the one who asks: of the table that was watched, or of the one that
-- has its name now. The owner of schema leat sees all of them. A view asks this of its caller, as a function that runs
-- as the owner could not.
create view leat_internal.own_note with (security_barrier) as
  select w.schema_name, w.table_name, w.watch, w.template, w.relation
    from leat_internal.noted_watch w
   where exists (
     select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where (c.oid = w.relation or (n.nspname, c.relname) = (w.schema_name, w.table_name)
             or c.oid = 'leat_internal.noted_watch'::regclass)
        and pg_has_role(c.relowner, 'usage'));

-- As in 0013_kept_watches.sql, but with the caller's rights.
create or replace function leat_internal.forget_watch(relation oid, watch name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from leat_internal.own_note w
   using pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = forget_watch.relation and w.watch = forget_watch.watch
     and (w.relation = c.oid or (w.schema_name, w.table_name) = (n.nspname, c.relname))
     and leat_internal.watched_relation(c.oid, w.watch) is distinct from c.oid;
  if exists (select from leat.watched w
              where w."table" = forget_watch.relation and w.watch = forget_watch.watch
                and leat_internal.watched_relation(w."table", w.watch) is distinct from w."table") then
    raise exception 'must be owner of table %', relation::regclass using errcode = 'insufficient_privilege';
  end if;
end $$;

-- Returns the watches that were noted and have no trigger. A server's role may see these, and not all of leat.watched.
create function leat_internal.vanished_watches() returns table ("table" regclass, topic_template text)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select w."table", w.topic_template from leat.watched w
   where leat_internal.watched_relation(w."table", w.watch) is distinct from w."table"
$$;

-- As in 0013_kept_watches.sql, with one view more.
create or replace function leat_internal.foreign_relations() returns table (relation regclass, schema regnamespace)
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid::regclass, c.relnamespace::regnamespace from pg_class c
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
     and (c.relnamespace = 'leat'::regnamespace and c.relname not in ('topic', 'event', 'watched', 'allowed')
       or c.relnamespace = 'leat_internal'::regnamespace
          and c.relname not in ('migration', 'installation', 'secret', 'rule', 'pending', 'trimming', 'noted_watch',
                                'own_note'))
$$;

-- Rights. ------------------------------------------------------------------------------------------

revoke execute on function leat_internal.vanished_watches() from public;

-- As in 0013_kept_watches.sql, with a view more.
create or replace function leat_internal.grant_watcher(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  function regprocedure;
begin
  execute format('grant usage on schema leat, leat_internal to %I', role);
  execute format('grant select on leat.watched to %I', role);
  execute format('grant select, delete on leat_internal.own_note to %I', role);
  execute format('grant execute on function leat.watch(regclass, text), leat.unwatch(regclass, text) to %I', role);
  for function in
    select p.oid from pg_proc p
     where p.pronamespace = 'leat_internal'::regnamespace
       and p.proname in ('on_change', 'after_statement', 'on_truncate', 'enable_triggers',
                         'check_relation', 'check_template', 'check_partitions', 'may_be_in_topic', 'is_topic',
                         'refuse_relation', 'refuse_template', 'parse_template', 'render_template',
                         'template_columns', 'rename_columns', 'watch_name', 'watch_triggers', 'watched_relation',
                         'watched_columns', 'watched_parts', 'first_argument', 'second_argument', 'storage',
                         'put_watch', 'put_row_trigger', 'put_truncate_trigger', 'drop_watch', 'note_watch',
                         'forget_watch')
  loop
    execute format('grant execute on function %s to %I', function, role);
  end loop;
end $$;

-- As in 0008_rights.sql, with one function more.
create or replace function leat_internal.grant_server(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.grant_publisher(role);
  execute format('grant usage on schema leat_internal to %I', role);
  execute format('grant select on leat.topic, leat.event, leat_internal.installation, leat_internal.migration,'
                 || ' leat_internal.trimming to %I', role);
  execute format('grant execute on function leat_internal.attend(text, text, jsonb),'
                 || ' leat_internal.first_revoked(timestamptz), leat_internal.is_confirmed(timestamptz, oid, oid),'
                 || ' leat_internal.position(text), leat_internal.problems(), leat_internal.refuse_position(text),'
                 || ' leat_internal.trim(interval, bigint, integer), leat_internal.vanished_watches() to %I', role);
end $$;

-- Who could watch, or see the problems, goes on.
do $$
declare
  one record;
begin
  for one in
    select r.rolname, p.proname
      from pg_proc p
     cross join aclexplode(p.proacl) a
      join pg_roles r on r.oid = a.grantee
     where p.oid in ('leat.watch(regclass, text)'::regprocedure, 'leat_internal.problems()'::regprocedure)
       and a.privilege_type = 'EXECUTE' and r.oid <> p.proowner
  loop
    execute case one.proname
      when 'watch' then format('grant select, delete on leat_internal.own_note to %I', one.rolname)
      else format('grant execute on function leat_internal.vanished_watches() to %I', one.rolname)
    end;
  end loop;
end $$;
