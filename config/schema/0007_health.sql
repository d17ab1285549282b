-- Health: problems of the installation that can be found inside the database.

set local search_path = pg_catalog, pg_temp;

-- Returns Leat's own triggers, and how each is enabled, as leat_internal.watch_triggers does.
create function leat_internal.own_triggers() returns table (relation regclass, name name, enabled "char")
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select x.relation::regclass, x.name, t.tgenabled
    from (values
      ('leat_internal.pending', 'on_commit'),
      ('leat.topic', 'before_deleted'), ('leat.topic', 'after_deleted'), ('leat.topic', 'after_truncated'),
      ('leat.event', 'after_truncated'),
      ('leat_internal.installation', 'refuse_emptying'), ('leat_internal.secret', 'refuse_emptying'),
      ('leat_internal.migration', 'refuse_emptying')) x (relation, name)
    left join pg_trigger t on t.tgrelid = x.relation::regclass and t.tgname = x.name
$$;

-- ENABLE ALWAYS: the triggers fire also if session_replication_role is replica. Otherwise publications would be lost.
create function leat_internal.enable_triggers() returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  one record;
begin
  for one in select t.relation, t.name from leat_internal.own_triggers() t where t.enabled <> 'A' loop
    execute format('alter table %s enable always trigger %I', one.relation, one.name);
  end loop;
end $$;

select leat_internal.enable_triggers();

create function leat_internal.describe_enabled(enabled "char") returns text
  language sql immutable
  return case enabled when 'D' then 'is disabled' when 'O' then 'does not fire for replicated changes'
                      when 'R' then 'fires for replicated changes only' else 'is missing' end;

-- Returns relations in Leat's schemas that are not part of Leat.
create function leat_internal.foreign_relations() returns table (relation regclass, schema regnamespace)
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid::regclass, c.relnamespace::regnamespace from pg_class c
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
     and (c.relnamespace = 'leat'::regnamespace and c.relname not in ('topic', 'event', 'watched', 'allowed')
       or c.relnamespace = 'leat_internal'::regnamespace
          and c.relname not in ('migration', 'installation', 'secret', 'rule', 'pending', 'trimming'))
$$;

-- Returns true if a role named leat has "$user" in its search_path and may create tables in schema leat.
create function leat_internal.is_search_path_trap() returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
  return coalesce((
    select has_schema_privilege(r.oid, 'leat', 'create') and coalesce((
             select substr(c.setting, length('search_path=') + 1)
               from pg_db_role_setting s cross join unnest(s.setconfig) c (setting)
              where s.setrole in (0, r.oid) and c.setting like 'search\_path=%'
                and s.setdatabase in (0, (select d.oid from pg_database d where d.datname = current_database()))
              order by s.setrole = 0, s.setdatabase = 0 limit 1),
             (select s.boot_val from pg_settings s where s.name = 'search_path')) like '%$user%'
      from pg_roles r where r.rolname = 'leat'), false);

-- Returns problems with their remedies, or no row if there are none. severity: error (publications or changes do not
-- reach clients), warning, note. leat check, leat migrate and the server call this.
create function leat_internal.problems() returns table (severity text, problem text, remedy text)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select 'error', format('trigger %I of %s %s', t.name, t.relation, leat_internal.describe_enabled(t.enabled)),
         case when t.enabled is null
              then 'restore schemas leat and leat_internal from a dump, or drop them and run leat migrate'
              else format('alter table %s enable always trigger %I', t.relation, t.name) end
    from leat_internal.own_triggers() t where t.enabled is distinct from 'A'
  union all
  select 'error', format('the watch of %s by %s does not publish every change: trigger %I of %s %s', w."table",
                         quote_literal(w.topic_template), t.name, t.relation::regclass,
                         leat_internal.describe_enabled(t.enabled)),
         format('select leat.watch(%L, %L)', w."table", w.topic_template)
    from leat.watched w cross join lateral leat_internal.watch_triggers(w."table", w.watch) t
   where t.enabled is distinct from 'A' and t.name = w.watch
  union all
  select 'warning', format('the watch of %s by %s is not complete: trigger %I of %s %s', w."table",
                           quote_literal(w.topic_template), t.name, t.relation::regclass,
                           leat_internal.describe_enabled(t.enabled)),
         format('select leat.watch(%L, %L)', w."table", w.topic_template)
    from leat.watched w cross join lateral leat_internal.watch_triggers(w."table", w.watch) t
   where t.enabled is distinct from 'A' and t.name <> w.watch
  union all
  select 'note', format('the watch of %s by %s is slower than it could be, since a column was renamed or a dump loaded',
                        w."table", quote_literal(w.topic_template)),
         format('select leat.watch(%L, %L)', w."table", w.topic_template)
    from leat.watched w
   where not w.is_fresh and not exists (
     select from leat_internal.watch_triggers(w."table", w.watch) t where t.enabled is distinct from 'A')
  union all
  select 'error', format('a part of a watch is left on %s: trigger %I', t.tgrelid::regclass, t.tgname),
         format('select leat.watch the table again, or leat.unwatch(%L)', t.tgrelid::regclass)
    from pg_trigger t
   where t.tgfoid in ('leat_internal.after_statement'::regproc, 'leat_internal.on_truncate'::regproc)
     and leat_internal.watched_relation(t.tgrelid, regexp_replace(t.tgname, '_(statement|truncate)$', '')::name) is null
  union all
  select 'error', format('%s publications were committed while trigger on_commit of leat_internal.pending was off:'
                         || ' they are lost', p.n),
         'select leat.resync their topics, then delete from leat_internal.pending'
    from (select count(*) as n from leat_internal.pending) p where p.n > 0
  union all
  select 'warning', format('%s stands in schema %s, and is not a part of it', r.relation, r.schema),
         format('alter table %s set schema public', r.relation)
    from leat_internal.foreign_relations() r
  union all
  select 'warning', 'tables that role leat makes without naming a schema land in schema leat',
         'alter role leat set search_path = public'
   where leat_internal.is_search_path_trap()
  union all
  select 'note', 'Postgres was started, or restored, since a server last confirmed the history',
         'start a server; if an older state was put in place that it cannot tell, select leat.renew_epochs()'
    from leat_internal.installation i
   where i.fingerprint <> leat_internal.fingerprint(leat_internal.timeline()) and not pg_is_in_recovery()
$$;
