-- A watch that vanished is told of.
--
-- A watch is made of triggers (0006_watching.sql). Somebody may drop all of them, or put another table into the place of
-- a watched one, as tools for changing tables do. Nothing told of that: the changes of the table reached nobody. So
-- leat.watch now notes the watch, and leat.unwatch takes the note away. leat.watched shows a watch that was noted and
-- has no trigger as one that does not fire, and so leat_internal.problems() tells of it.

set local search_path = pg_catalog, pg_temp;

-- The table is found by its name, because a dump that is loaded gives it another oid. A table that was renamed is found
-- by its oid.
create table leat_internal.noted_watch (
  schema_name name not null,
  table_name name not null,
  watch name not null,
  template text not null,
  relation oid not null,
  primary key (schema_name, table_name, watch)
);

-- These two run as the owner of the schema, whoever watches. So they believe the triggers and not the caller: a watch is
-- noted while it has its trigger, and forgotten while it has none.

create function leat_internal.forget_watch(relation oid, watch name) returns void
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from leat_internal.noted_watch w
   using pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = forget_watch.relation and w.watch = forget_watch.watch
     and (w.relation = c.oid or (w.schema_name, w.table_name) = (n.nspname, c.relname))
     and leat_internal.watched_relation(c.oid, w.watch) is distinct from c.oid
$$;

-- A note of the table under an earlier name goes.
create function leat_internal.note_watch(relation oid, watch name, template text) returns void
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  with place as (
    select n.nspname, c.relname, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = note_watch.relation
       and leat_internal.watched_relation(c.oid, note_watch.watch) = c.oid),
  earlier as (
    delete from leat_internal.noted_watch w using place p
     where w.watch = note_watch.watch and w.relation = p.oid
       and (w.schema_name, w.table_name) <> (p.nspname, p.relname))
  insert into leat_internal.noted_watch (schema_name, table_name, watch, template, relation)
    select p.nspname, p.relname, note_watch.watch, note_watch.template, p.oid from place p
  on conflict (schema_name, table_name, watch) do update set template = excluded.template, relation = excluded.relation
$$;

select leat_internal.note_watch(w."table", w.watch, w.topic_template) from leat.watched w;

-- As in 0006_watching.sql, and the watches that vanished.
create or replace view leat.watched as
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
        from leat_internal.watch_triggers(w."table", w.watch) x) f
  union all
  select c.oid::regclass, w.template, w.watch, false, false
    from leat_internal.noted_watch w
    join pg_namespace n on n.nspname = w.schema_name
    join pg_class c on c.relnamespace = n.oid and c.relname = w.table_name and c.relkind in ('r', 'p')
   where not exists (
     select from pg_trigger t
      where t.tgrelid in (c.oid, w.relation) and t.tgname = w.watch
        and t.tgfoid = to_regproc('leat_internal.on_change'));

-- As in 0006_watching.sql, and it notes the watch. It mends watches of the table that are there, and leaves alone those
-- that vanished: their columns may be gone.
create or replace function leat.watch("table" regclass, topic_template text) returns void
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
       and exists (select from pg_trigger t where t.tgrelid = w."table" and t.tgname = w.watch)
  loop
    perform leat_internal.drop_watch("table", renamed.watch);
    perform leat_internal.forget_watch("table", renamed.watch);
    perform leat_internal.put_watch("table", renamed.template, leat_internal.parse_template(renamed.template));
    perform leat_internal.note_watch("table", leat_internal.watch_name(renamed.template), renamed.template);
  end loop;
  perform leat_internal.check_partitions("table", leat_internal.watch_name(topic_template));
  perform leat_internal.put_watch("table", topic_template, parts);
  perform leat_internal.note_watch("table", leat_internal.watch_name(topic_template), topic_template);
end $$;

-- As in 0006_watching.sql, and it takes the note away.
create or replace function leat.unwatch("table" regclass, topic_template text default null) returns void
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
    perform leat_internal.forget_watch("table", watch);
  end loop;
  if not found_one then
    raise notice '% is not watched%', "table", coalesce(' by the template ' || topic_template, '');
  end if;
end $$;

-- As in 0007_health.sql, with one table more.
create or replace function leat_internal.foreign_relations() returns table (relation regclass, schema regnamespace)
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid::regclass, c.relnamespace::regnamespace from pg_class c
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
     and (c.relnamespace = 'leat'::regnamespace and c.relname not in ('topic', 'event', 'watched', 'allowed')
       or c.relnamespace = 'leat_internal'::regnamespace
          and c.relname not in ('migration', 'installation', 'secret', 'rule', 'pending', 'trimming', 'noted_watch'))
$$;

-- Rights: who may watch may note it. ---------------------------------------------------------------

revoke execute on function leat_internal.note_watch(oid, name, text), leat_internal.forget_watch(oid, name) from public;

-- As in 0008_rights.sql, with two functions more.
create or replace function leat_internal.grant_watcher(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  function regprocedure;
begin
  execute format('grant usage on schema leat, leat_internal to %I', role);
  execute format('grant select on leat.watched to %I', role);
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

do $$
declare
  watcher name;
begin
  for watcher in
    select r.rolname
      from pg_proc p
     cross join aclexplode(p.proacl) a
      join pg_roles r on r.oid = a.grantee
     where p.oid = 'leat.watch(regclass, text)'::regprocedure and a.privilege_type = 'EXECUTE' and r.oid <> p.proowner
  loop
    perform leat_internal.grant_watcher(watcher);
  end loop;
end $$;
