-- Which topics a role may publish to.
--
-- Without a rule, a role that may execute leat.publish publishes to every topic. leat.allow limits a role to topics of
-- a pattern. A role with several patterns may publish to the topics of each.
--
-- The rules are for the session's role: the one of SET ROLE, else the one that logged in. leat.publish runs with its
-- owner's rights, so it cannot see a function with other rights between the session and itself. Rules of a role are
-- also rules of its members that inherit its rights. Superusers and the owner of schema leat are never limited. A watch
-- publishes for everybody who may write to the table, whatever the rules are.

set local search_path = pg_catalog, pg_temp;

-- A rule follows when its role is renamed, and a dump has the role by its name. topics is the pattern as a regular
-- expression.
create table leat_internal.rule (
  role regrole not null,
  topic_pattern text collate "C" not null,
  topics text not null,
  primary key (role, topic_pattern)
);

-- True if there is any rule. leat.allow and leat.disallow replace the function. Postgres inlines it into the
-- publishing functions, so they pay nothing while it is false. It is stable, since a cached plan would not follow
-- when an immutable function is replaced.
create function leat_internal.has_rules() returns boolean
  language sql stable
  return false;

-- The rules -----------------------------------------------------------------------------------------

create function leat_internal.refuse_pattern(pattern text, detail text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'malformed topic pattern: %', coalesce(to_json(left(pattern, 300))::text, 'NULL')
    using errcode = 'invalid_parameter_value', detail = detail,
          hint = 'A pattern is a topic with holes: chat:{id:int}, as in app:topic. A hole has a name, '
              || 'and one of the types int, uuid and str.';
end $$;

create function leat_internal.literal_regex(literal text) returns text
  language sql immutable parallel safe
  return regexp_replace(literal, '[][\\(){}.*+?^$|]', '\\\&', 'g');

-- Returns a regular expression for a pattern of app:topic, so that both mean the same. A hole without a type is str: up
-- to the next literal, and without ':' except in the last hole.
create function leat_internal.pattern_regex(pattern text) returns text
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  tokens constant text[] := array(
    select t[1] from regexp_matches(pattern, '\{[^{}]*\}|[^{}]+|.', 'g') t);
  hole text[];
  names text[] := '{}';
  was_hole boolean := false;
  regex text := '';
begin
  for i in 1 .. cardinality(tokens) loop
    if tokens[i] !~ '^[{}]' then
      regex := regex || leat_internal.literal_regex(tokens[i]);
      was_hole := false;
      continue;
    end if;
    hole := regexp_match(tokens[i], '^\{([A-Za-z_][A-Za-z0-9_]*)(?::(int|uuid|str))?\}$');
    if hole is null then
      perform leat_internal.refuse_pattern(pattern, format('%s is no hole.', tokens[i]));
    elsif was_hole then
      perform leat_internal.refuse_pattern(pattern, 'There is nothing between two holes.');
    elsif hole[1] = any (names) then
      perform leat_internal.refuse_pattern(pattern, format('The hole %s is there twice.', hole[1]));
    end if;
    names := names || hole[1];
    was_hole := true;
    regex := regex || case
      when hole[2] = 'int' then '(?:0|-?[1-9][0-9]{0,18})'
      when hole[2] = 'uuid' then '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
      when exists (select from unnest(tokens[i + 1:]) t where t like '{%')
        then '(?:(?!' || leat_internal.literal_regex(tokens[i + 1]) || ')[^:])+'
      else '.+' end;
  end loop;
  if octet_length(pattern) > 1024 or pattern ~ '[\u0001-\u001f\u007f-\u009f]' or regex = '' then
    perform leat_internal.refuse_pattern(pattern, 'It is empty, longer than 1,024 bytes, or has control characters.');
  end if;
  return '^(?:' || regex || ')$';
end $$;

-- The lock keeps two calls from replacing the function at the same time.
create function leat_internal.apply_rules() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('create or replace function leat_internal.has_rules() returns boolean language sql stable return %s',
                 case when exists (select from leat_internal.rule) then 'true' else 'false' end);
end $$;

-- From now on the role may publish only to topics of this pattern, and of the others that it was allowed.
create function leat.allow(role regrole, topic_pattern text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if role is null or topic_pattern is null then
    raise exception 'role and topic pattern must not be NULL' using errcode = 'null_value_not_allowed';
  end if;
  lock table leat_internal.rule in share row exclusive mode;
  insert into leat_internal.rule (role, topic_pattern, topics)
    values (allow.role, allow.topic_pattern, leat_internal.pattern_regex(allow.topic_pattern))
    on conflict on constraint rule_pkey do nothing;
  perform leat_internal.apply_rules();
end $$;

-- Takes the pattern back, or all patterns of the role. A role without a pattern is not limited any more. To keep it
-- from publishing, take EXECUTE from it.
create function leat.disallow(role regrole, topic_pattern text default null) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  lock table leat_internal.rule in share row exclusive mode;
  delete from leat_internal.rule r
   where r.role = disallow.role and (disallow.topic_pattern is null or r.topic_pattern = disallow.topic_pattern);
  if not found then
    raise notice '% has no such pattern', role;
  end if;
  perform leat_internal.apply_rules();
end $$;

create view leat.allowed as
  select r.role, r.topic_pattern from leat_internal.rule r;

-- When a role publishes -----------------------------------------------------------------------------

-- The session's role. A security definer changes neither of the two settings that it is made of.
create function leat_internal.session_role() returns name
  language sql stable
  return case current_setting('role') when 'none' then session_user else current_setting('role')::name end;

-- Raises an error if the session's role has rules, of its own or of a role whose rights it inherits, and none of them
-- allows the topic.
create function leat_internal.check_allowed(topic text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  publisher constant name := leat_internal.session_role();
begin
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
