-- leat.watch: the changes of an existing table as events, without a change to the application.
--
-- A watch consists of three triggers on the table.
--
-- The first trigger publishes each row that was inserted, updated or deleted. It is deferred, because deferred
-- triggers run in the order in which rows were changed. Other triggers would run too late for a row that a trigger or
-- a cascade changes again in the same statement.
--
-- The second trigger makes the first one run at the end of each statement. Otherwise Postgres would refuse TRUNCATE
-- and ALTER TABLE to a transaction that has changed rows.
--
-- The third trigger handles TRUNCATE. It also stores the template's columns: it is declared for UPDATE OF them, so
-- that Postgres follows when they are renamed, and refuses to drop them or to change their types.
--
-- A watch is stored nowhere else. It is dropped with its table, and it is part of dumps.
--
-- A role that writes to the table needs no right on Leat's schemas: the triggers run with the rights of their owner,
-- and so does a cast to json that a column's type has. Therefore only a role that is trusted like that owner may
-- watch.

set local search_path = pg_catalog, pg_temp;

-- Templates ---------------------------------------------------------------------------------------

create function leat_internal.refuse_template(template text, detail text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'malformed topic template: %', coalesce(to_json(left(template, 300))::text, 'NULL')
    using errcode = 'invalid_parameter_value', detail = detail,
          hint = 'A template is a topic with columns in braces: chat:{chat_id}. '
              || 'A brace that is meant as one is written twice.';
end $$;

-- Returns array['a:', 'b', ':', 'c', ''] for 'a:{b}:{c}': texts, and columns between them.
create function leat_internal.parse_template(template text) returns text[]
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  parts text[] := array[''];
  token text;
begin
  for token in
    select t[1] from regexp_matches(template, '\{\{|\}\}|\{[^{}]+\}|[^{}]+|.', 'g') t
  loop
    if token in ('{', '}') then
      perform leat_internal.refuse_template(template, 'A brace is alone, or there is nothing between two.');
    elsif token ~ '^\{[^{]' then
      parts := parts || array[substr(token, 2, length(token) - 2), ''];
    else
      parts[cardinality(parts)] := parts[cardinality(parts)]
        || case token when '{{' then '{' when '}}' then '}' else token end;
    end if;
  end loop;
  return parts;
end $$;

-- Returns the columns in parts, each once, in their order.
create function leat_internal.template_columns(parts text[]) returns text[]
  language sql immutable set search_path = pg_catalog, pg_temp
  return array(
    select p.part from unnest(parts) with ordinality p (part, at)
     where p.at % 2 = 0 group by p.part order by min(p.at));

-- Returns parts with other names for the columns.
create function leat_internal.rename_columns(parts text[], names text[]) returns text[]
  language sql immutable set search_path = pg_catalog, pg_temp
  return array(
    select case when p.at % 2 = 1 then p.part
                else names[array_position(leat_internal.template_columns(parts), p.part)] end
      from unnest(parts) with ordinality p (part, at) order by p.at);

create function leat_internal.render_template(parts text[]) returns text
  language sql immutable set search_path = pg_catalog, pg_temp
  return (
    select string_agg(case when p.at % 2 = 1 then replace(replace(p.part, '{', '{{'), '}', '}}')
                           else '{' || p.part || '}' end, '' order by p.at)
      from unnest(parts) with ordinality p (part, at));

-- What is watched ---------------------------------------------------------------------------------

-- Returns the table that is watched, for a relation that has a trigger of the watch: relation itself, or the table
-- that it is a partition of.
create function leat_internal.watched_relation(relation oid, watch name) returns oid
  language sql stable set search_path = pg_catalog, pg_temp
  return (
    select t.tgrelid from pg_trigger t
     where t.tgname = watch and t.tgparentid = 0
       and (t.tgrelid = relation
         or t.tgrelid in (select a.relid from pg_partition_ancestors(relation) a)));

-- Returns the columns of a watch's template by their present names.
create function leat_internal.watched_columns(relation oid, watch name) returns text[]
  language sql stable set search_path = pg_catalog, pg_temp
  return array(
    select a.attname::text
      from pg_trigger t
     cross join unnest(t.tgattr::int2[]) with ordinality k (attnum, at)
      join pg_attribute a on a.attrelid = t.tgrelid and a.attnum = k.attnum
     where t.tgrelid = relation and t.tgname = watch || '_truncate'
     order by k.at);

-- Returns the parts of a template with the present names of its columns.
create function leat_internal.watched_parts(relation oid, watch name, template text) returns text[]
  language sql stable set search_path = pg_catalog, pg_temp
  return leat_internal.rename_columns(leat_internal.parse_template(template),
                                      leat_internal.watched_columns(relation, watch));

-- The first argument in pg_trigger.tgargs.
create function leat_internal.first_argument(arguments bytea) returns text
  language sql immutable set search_path = pg_catalog, pg_temp
  return convert_from(substr(arguments, 1, position('\x00'::bytea in arguments) - 1), 'UTF8');

create function leat_internal.second_argument(arguments bytea) returns text
  language sql immutable set search_path = pg_catalog, pg_temp
  return leat_internal.first_argument(substr(arguments, position('\x00'::bytea in arguments) + 1));

-- Returns the triggers that a watch needs, and how each is enabled. A is right: it fires in sessions of replication,
-- too. O does not fire there, R fires only there, D never fires. NULL: the trigger is missing. A partition has a copy
-- of the first trigger, and a TRUNCATE trigger of its own.
create function leat_internal.watch_triggers(relation oid, watch name)
  returns table (relation oid, name name, enabled "char")
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select x.relation, x.name, g.tgenabled
    from (
      select watch_triggers.relation, watch || n.suffix
        from (values (''), ('_statement'), ('_truncate')) n (suffix)
      union all
      select p.relid, watch || n.suffix
        from pg_partition_tree(watch_triggers.relation) p
        join pg_class c on c.oid = p.relid
        join (values ('', null), ('_truncate', 'r')) n (suffix, kind) on n.kind is null or n.kind = c.relkind::text
       where p.relid <> watch_triggers.relation) x (relation, name)
    left join pg_trigger g on g.tgrelid = x.relation and g.tgname = x.name
$$;

-- The watches of all tables, with the present names of columns. fires: each change is published. is_fresh: it fires,
-- and leat.watch would change nothing.
create view leat.watched as
  select w."table", w.topic_template, w.watch,
         w.made_for = w."table"::oid::text and w.made_as = w.topic_template and not f.incomplete as is_fresh,
         not f.silent as fires
    from (
      select t.tgrelid::regclass as "table",
             leat_internal.render_template(
               leat_internal.watched_parts(t.tgrelid, t.tgname,
                                           leat_internal.second_argument(t.tgargs))) as topic_template,
             t.tgname as watch,
             leat_internal.first_argument(t.tgargs) as made_for,
             leat_internal.second_argument(t.tgargs) as made_as
        from pg_trigger t
       where t.tgfoid = to_regproc('leat_internal.on_change') and t.tgparentid = 0) w
   cross join lateral (
      select bool_or(x.enabled is distinct from 'A') as incomplete,
             bool_or(x.enabled is distinct from 'A' and x.name = w.watch) as silent
        from leat_internal.watch_triggers(w."table", w.watch) x) f;

-- The triggers' work ------------------------------------------------------------------------------

-- on_change runs for every row. Like leat.publish it is a security definer without a search_path, and it is safe for
-- the same reason: every name in it is qualified, or was bound when a function was created.

create function leat_internal.is_relation(relation oid, number text) returns boolean
  language sql immutable parallel safe
  return relation = number::oid;

-- Returns true if the relation's column of that number has that name.
create function leat_internal.is_column(relation oid, attnum text, name text) returns boolean
  language sql stable
  return (pg_identify_object_as_address('pg_class'::regclass, relation, attnum::integer)).object_names[3]
         is not distinct from name;

create function leat_internal.qualified_name(schema name, "table" name) returns text
  language sql immutable parallel safe
  return quote_ident(schema) || '.' || quote_ident("table");

create function leat_internal.qualified_name(relation oid) returns text
  language sql stable
  return (pg_identify_object('pg_class'::regclass, relation, 0)).identity;

create function leat_internal.watched_column(relation oid, watch name, template text, name text) returns text
  language sql stable set search_path = pg_catalog, pg_temp
  return (leat_internal.watched_columns(relation, watch))[
    array_position(leat_internal.template_columns(leat_internal.parse_template(template)), name)];

create function leat_internal.last_of(count integer) returns integer
  language sql immutable parallel safe
  return count - 1;

-- NULL stays NULL.
create function leat_internal.lengthen(topic text, fields jsonb, name text, part text) returns text
  language sql immutable parallel safe
  return topic || (fields ->> name) || part;

-- Returns NULL for a malformed topic. Nobody can subscribe to it, so its event is not missed.
create function leat_internal.topic_or_null(topic text) returns text
  language sql immutable parallel safe
  return case when leat_internal.is_topic(topic) then topic end;

create function leat_internal.is_same(a text, b text) returns boolean
  language sql immutable parallel safe
  return a = b;

create function leat_internal.change(action text, "table" text, "row" jsonb) returns jsonb
  language sql immutable parallel safe
  return jsonb_build_object('action', action, 'table', "table",
                            case action when 'delete' then 'old' else 'row' end, "row");

create function leat_internal.change("table" text, "row" jsonb, old jsonb) returns jsonb
  language sql immutable parallel safe
  return jsonb_build_object('action', 'update', 'table', "table", 'row', "row", 'old', old);

-- A resync takes the place of an event that is too large, so that the application's write does not fail.
create function leat_internal.publish_change(topic text, data jsonb) returns void
  language plpgsql as $$
begin
  if leat_internal.is_small(data) or not leat_internal.is_too_large(data) then
    perform leat_internal.enqueue(topic, 'event', data);
  else
    perform leat_internal.enqueue(topic, 'resync', 'null');
  end if;
end $$;

-- The JSON of a row must not depend on the settings of the session that writes it. The server reads rows with the
-- settings below. A session that has them already calls to_jsonb without changing any setting.
create function leat_internal.has_plain_settings() returns boolean
  language sql stable parallel safe
  return current_setting('TimeZone') in ('UTC', 'Etc/UTC') and current_setting('DateStyle') like 'ISO%'
     and current_setting('IntervalStyle') = 'postgres' and current_setting('bytea_output') = 'hex'
     and current_setting('extra_float_digits') in ('1', '2', '3') and current_setting('lc_monetary') = 'C';

create function leat_internal.plain_jsonb(r record) returns jsonb
  language plpgsql stable strict
  set "TimeZone" = 'UTC' set "DateStyle" = 'ISO' set "IntervalStyle" = 'postgres' set bytea_output = 'hex'
  set extra_float_digits = 1 set lc_monetary = 'C' as $$
begin
  return pg_catalog.to_jsonb(r);
end $$;

-- Arguments: the oid of the watched table, the template, and its parts, with each column's number after its name. Oid
-- and numbers show quickly that the names are still right. They are wrong after a column was renamed or a dump was
-- loaded. Then the catalog is read.
create function leat_internal.on_change() returns trigger
  language plpgsql security definer as $$
declare
  watched pg_catalog.oid := tg_relid;
  table_name pg_catalog.text;
  column_name pg_catalog.text;
  old_row pg_catalog.jsonb;
  new_row pg_catalog.jsonb;
  old_topic pg_catalog.text := tg_argv[2];
  new_topic pg_catalog.text := tg_argv[2];
  _ pg_catalog.bool;
begin
  if leat_internal.is_same(tg_op, 'UPDATE') and old operator(pg_catalog.*=) new then
    return null;
  end if;
  if leat_internal.is_relation(tg_relid, tg_argv[0]) then
    table_name := leat_internal.qualified_name(tg_table_schema, tg_table_name);
  else
    watched := leat_internal.watched_relation(tg_relid, tg_name);
    table_name := leat_internal.qualified_name(watched);
  end if;

  if leat_internal.has_plain_settings() then
    old_row := pg_catalog.to_jsonb(old);
    new_row := pg_catalog.to_jsonb(new);
  else
    old_row := leat_internal.plain_jsonb(old);
    new_row := leat_internal.plain_jsonb(new);
  end if;
  for i in 3 .. leat_internal.last_of(tg_nargs) by 3 loop
    column_name := tg_argv[i];
    if not (leat_internal.is_relation(watched, tg_argv[0])
            and leat_internal.is_column(watched, tg_argv[i operator(pg_catalog.+) 1], column_name)) then
      column_name := leat_internal.watched_column(watched, tg_name, tg_argv[1], column_name);
    end if;
    old_topic := leat_internal.lengthen(old_topic, old_row, column_name, tg_argv[i operator(pg_catalog.+) 2]);
    new_topic := leat_internal.lengthen(new_topic, new_row, column_name, tg_argv[i operator(pg_catalog.+) 2]);
  end loop;
  old_topic := case when old_row is not null then leat_internal.topic_or_null(old_topic) end;
  new_topic := case when new_row is not null then leat_internal.topic_or_null(new_topic) end;

  if leat_internal.is_same(old_topic, new_topic) then
    _ := leat_internal.publish_change(new_topic, leat_internal.change(table_name, new_row, old_row)) is null;
    return null;
  end if;
  if old_topic is not null then
    _ := leat_internal.publish_change(old_topic, leat_internal.change('delete', table_name, old_row)) is null;
  end if;
  if new_topic is not null then
    _ := leat_internal.publish_change(new_topic, leat_internal.change('insert', table_name, new_row)) is null;
  end if;
  return null;
end $$;

-- Runs after each statement. Argument: the watch.
create function leat_internal.after_statement() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  execute format('set constraints %1$I.%2$I immediate; set constraints %1$I.%2$I deferred',
                 tg_table_schema, tg_argv[0]);
  return null;
end $$;

-- Returns the topics of all rows that are stored in the relation itself.
create function leat_internal.topics_in(relation oid, parts text[]) returns text[]
  language plpgsql set search_path = pg_catalog, pg_temp
  set "TimeZone" = 'UTC' set "DateStyle" = 'ISO' set "IntervalStyle" = 'postgres' set bytea_output = 'hex'
  set extra_float_digits = 1 set lc_monetary = 'C' as $$
declare
  topic text;
  topics text[];
begin
  -- on_change uses to_jsonb, too, so the same value has the same text here.
  select string_agg(case when p.at % 2 = 1 then quote_literal(p.part)
                         else format('(to_jsonb(t.%I) #>> ''{}'')', p.part) end, ' || ' order by p.at)
    into topic from unnest(parts) with ordinality p (part, at);
  execute format('select array_agg(distinct x.topic) from (select %s from only %s t) x (topic)'
                 || ' where leat_internal.is_topic(x.topic)', topic, relation::regclass) into topics;
  return topics;
end $$;

-- Runs before TRUNCATE. It publishes a resync of each topic that has rows in the table, in order with the changes
-- before and after it. Arguments: the template, the watch. Partitions have such a trigger of their own, except
-- partitions that were attached after the watch was made.
create function leat_internal.on_truncate() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  watched oid;
  parts text[];
begin
  if tg_op <> 'TRUNCATE' then
    return null;
  end if;
  watched := leat_internal.watched_relation(tg_relid, tg_argv[1]);
  if watched is null then
    return null;  -- the relation is no partition any more
  end if;
  parts := leat_internal.watched_parts(watched, tg_argv[1], tg_argv[0]);
  perform leat_internal.enqueue(x.topic, 'resync', 'null')
     from (select distinct i.topic
             from leat_internal.storage(tg_relid) s (relation)
            cross join unnest(leat_internal.topics_in(s.relation, parts)) i (topic)
            where s.relation = tg_relid or not exists (
              select from pg_trigger t where t.tgrelid = s.relation and t.tgname = tg_name)) x;
  return null;
end $$;

-- Returns the relations that store the table's rows: the table, or the partitions that have no partitions themselves.
create function leat_internal.storage(relation oid) returns setof oid
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select relation from pg_class c where c.oid = relation and c.relkind <> 'p'
  union
  select t.relid from pg_partition_tree(relation) t where t.isleaf and t.relid <> relation
$$;

-- Watching ----------------------------------------------------------------------------------------

-- Returns true for a type whose text is the same in every session: a topic must not depend on settings.
create function leat_internal.may_be_in_topic(type oid) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
  return (
    with recursive base (oid, kind, category, next) as (
      select t.oid, t.typtype, t.typcategory, t.typbasetype from pg_type t where t.oid = type
      union all
      select t.oid, t.typtype, t.typcategory, t.typbasetype from base join pg_type t on t.oid = base.next)
    select b.category in ('S', 'E', 'B') or b.oid in ('smallint'::regtype, 'integer'::regtype,
             'bigint'::regtype, 'numeric'::regtype, 'oid'::regtype, 'uuid'::regtype, 'date'::regtype)
      from base b where b.kind <> 'd');

create function leat_internal.refuse_relation(relation regclass, reason text, hint text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'cannot watch %: %', relation, reason
    using errcode = 'wrong_object_type', hint = hint;
end $$;

create function leat_internal.check_relation(relation regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  c pg_class;
  owner regrole;
begin
  select * into strict c from pg_class where oid = relation;
  if c.relkind in ('v', 'm') then
    perform leat_internal.refuse_relation(relation, 'it is a view', 'Watch the tables that it reads.');
  elsif c.relkind = 'f' then
    perform leat_internal.refuse_relation(relation, 'it is a foreign table', 'Watch the table where it is stored.');
  elsif c.relkind not in ('r', 'p') then
    perform leat_internal.refuse_relation(relation, 'it is not a table', 'Watch the table that it belongs to.');
  elsif c.relpersistence <> 'p' then
    perform leat_internal.refuse_relation(relation, 'it is temporary or unlogged',
                                          'Its rows can vanish without a change.');
  elsif c.relnamespace in ('leat'::regnamespace, 'leat_internal'::regnamespace) then
    perform leat_internal.refuse_relation(relation, 'it is one of Leat''s own tables',
                                          'Watch tables of the application.');
  end if;

  select p.proowner into owner from pg_proc p where p.oid = 'leat_internal.on_truncate'::regproc;
  if not (has_table_privilege(owner, relation, 'select')
          and has_schema_privilege(owner, c.relnamespace, 'usage')) then
    raise exception 'cannot watch %: the owner of schema leat, %, may not read it', relation, owner
      using errcode = 'insufficient_privilege', hint = format('Grant it SELECT on the table and USAGE on schema %I.',
                                                                 c.relnamespace::regnamespace);
  end if;
  if c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = relation) then
    raise warning 'tables inherit from %: only its own rows are watched', relation
      using hint = 'Watch them too.';
  end if;
end $$;

-- Checks a template against a relation, and returns its parts.
create function leat_internal.check_template(relation regclass, template text) returns text[]
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parts constant text[] := leat_internal.parse_template(template);
  fixed text := '';
  type oid;
begin
  for i in 1 .. coalesce(cardinality(parts), 0) loop
    if i % 2 = 1 then
      fixed := fixed || parts[i];
      continue;
    end if;
    select a.atttypid into type from pg_attribute a
     where a.attrelid = relation and a.attname = parts[i] and a.attnum > 0 and not a.attisdropped;
    if type is null then
      raise exception 'table % has no column "%"', relation, parts[i]
        using errcode = 'undefined_column', detail = format('The topic template is %s.', template),
              hint = 'Between the braces stands the name of a column as it is, without quotes.';
    elsif not leat_internal.may_be_in_topic(type) then
      raise exception 'column "%" of type % cannot be in a topic', parts[i], format_type(type, null)
        using errcode = 'datatype_mismatch',
              hint = 'Integers, numeric, text, uuid, boolean, date and enums can.';
    end if;
  end loop;
  if leat_internal.is_topic(case when fixed = '' and cardinality(parts) > 1 then 'x' else fixed end) is not true then
    perform leat_internal.refuse_template(template,
      'A topic is 1 to 255 bytes of UTF-8 without control characters.');
  end if;
  return parts;
end $$;

create function leat_internal.watch_name(template text) returns name
  language sql immutable set search_path = pg_catalog, pg_temp
  return 'leat_watch_' || left(md5(template), 12);

create function leat_internal.put_truncate_trigger(relation oid, template text, columns text[]) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  watch constant name := leat_internal.watch_name(template);
  list text;
begin
  select ' or update of ' || string_agg(quote_ident(c.name), ', ' order by c.at)
    into list from unnest(columns) with ordinality c (name, at);
  execute format('create trigger %I before truncate%s on %s for each statement'
                 || ' execute function leat_internal.on_truncate(%L, %L)',
                 watch || '_truncate', list, relation::regclass, template, watch);
end $$;

create function leat_internal.put_row_trigger(relation oid, template text, parts text[]) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  arguments text;
begin
  select concat_ws(', ', quote_literal(relation::text), quote_literal(template),
                   string_agg(concat_ws(', ', quote_literal(p.part), quote_literal(a.attnum::text)),
                              ', ' order by p.at))
    into arguments
    from unnest(parts) with ordinality p (part, at)
    left join pg_attribute a
      on p.at % 2 = 0 and a.attrelid = relation and a.attname = p.part and a.attnum > 0;
  execute format('create constraint trigger %I after insert or update or delete on %s'
                 || ' deferrable initially deferred for each row execute function leat_internal.on_change(%s)',
                 leat_internal.watch_name(template), relation::regclass, arguments);
end $$;

-- Makes the triggers of the watch that are missing, and enables those that are not. ENABLE ALWAYS, since a change
-- that logical replication applies is published, too.
create function leat_internal.put_watch(relation regclass, template text, parts text[]) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  watch constant name := leat_internal.watch_name(template);
  part record;
begin
  for part in
    select t.relation, t.name from leat_internal.watch_triggers(relation, watch) t where t.enabled is null
  loop
    if part.name like '%\_truncate' then
      perform leat_internal.put_truncate_trigger(part.relation, template, leat_internal.template_columns(parts));
    elsif part.name like '%\_statement' then
      execute format('create trigger %I after insert or update or delete on %s'
                     || ' for each statement execute function leat_internal.after_statement(%L)',
                     part.name, part.relation::regclass, watch);
    elsif part.relation = relation then -- partitions get it with their table
      perform leat_internal.put_row_trigger(part.relation, template, parts);
    end if;
  end loop;
  for part in
    select t.relation, t.name from leat_internal.watch_triggers(relation, watch) t where t.enabled <> 'A'
  loop
    execute format('alter table %s enable always trigger %I', part.relation::regclass, part.name);
  end loop;
end $$;

create function leat_internal.drop_watch(relation regclass, watch name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  member oid;
begin
  execute format('drop trigger if exists %I on %s', watch, relation);
  execute format('drop trigger if exists %I on %s', watch || '_statement', relation);
  for member in
    select s.relation from leat_internal.storage(relation) s (relation) union select relation
  loop
    execute format('drop trigger if exists %I on %s', watch || '_truncate', member::regclass);
  end loop;
end $$;

-- A row must not be published twice to one topic, by a partition and by its parent.
create function leat_internal.check_partitions(relation regclass, watch name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  partition regclass;
begin
  select t.relid into partition
    from pg_partition_tree(relation) t
    join pg_trigger g on g.tgrelid = t.relid and g.tgname = watch and g.tgparentid = 0
   where t.relid <> relation;
  if found then
    raise exception 'cannot watch %: its partition % is watched by itself', relation, partition
      using errcode = 'duplicate_object', hint = 'leat.unwatch the partition first.';
  end if;
end $$;

-- From now on each change of the table is published, to the topic that the template and the row's columns make.
-- Another call does no harm: it repairs the watch, and it adds partitions that were attached since.
create function leat.watch("table" regclass, topic_template text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parts text[];
  by_parent oid;
  renamed record;
begin
  if "table" is null or topic_template is null then
    raise exception 'table and topic template must not be NULL' using errcode = 'null_value_not_allowed';
  end if;
  perform leat_internal.check_relation("table");
  parts := leat_internal.check_template("table", topic_template);
  by_parent := leat_internal.watched_relation("table", leat_internal.watch_name(topic_template));
  if by_parent <> "table" then
    raise notice '% is watched already, as a partition of %', "table", by_parent::regclass;
    return;
  end if;

  perform leat_internal.enable_triggers();
  if exists (select from leat.watched w
              where w."table" = watch."table" and w.topic_template = watch.topic_template and w.is_fresh) then
    return;  -- an application may call this at each start, so it takes no lock
  end if;

  execute format('lock table %s in share row exclusive mode', "table");
  for renamed in
    select w.watch, w.topic_template as template from leat.watched w
     where w."table" = watch."table" and not w.is_fresh
  loop
    perform leat_internal.drop_watch("table", renamed.watch);
    perform leat_internal.put_watch("table", renamed.template, leat_internal.parse_template(renamed.template));
  end loop;
  perform leat_internal.check_partitions("table", leat_internal.watch_name(topic_template));
  perform leat_internal.put_watch("table", topic_template, parts);
end $$;

-- Ends the watch of the table that has the template, or all watches of the table.
create function leat.unwatch("table" regclass, topic_template text default null) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  found_one boolean := false;
  watch name;
begin
  for watch in
    select w.watch from leat.watched w
     where w."table" = unwatch."table"
       and (unwatch.topic_template is null or w.topic_template = unwatch.topic_template)
    union
    -- A partition keeps this trigger when it is detached.
    select left(t.tgname, -length('_truncate'))::name from pg_trigger t
     where t.tgrelid = "table" and t.tgfoid = 'leat_internal.on_truncate'::regproc and unwatch.topic_template is null
       and leat_internal.watched_relation("table", left(t.tgname, -length('_truncate'))::name) is null
  loop
    found_one := true;
    perform leat_internal.drop_watch("table", watch);
  end loop;
  if not found_one then
    raise notice '% is not watched%', "table", coalesce(' by the template ' || topic_template, '');
  end if;
end $$;
