-- Rights. Nobody but the owner may do anything that is not named here.

set local search_path = pg_catalog, pg_temp;

revoke execute on all functions in schema leat from public;

-- With USAGE on the schema these are what a publisher has. They run as the owner, and need no other right.
grant execute on function leat.publish(text, jsonb), leat.revoke(text, text), leat.resync(text),
  leat.signal(text, jsonb) to public;

-- leat.position, and what it is made of, read tables with the caller's own rights: who has none gets nothing.
grant execute on function leat.position(text), leat.refuse_position(text), leat.first_revoked(timestamptz),
  leat.is_confirmed(timestamptz, oid, oid) to public;

-- The role of an application that publishes.
create function leat.grant_publisher(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('grant usage on schema leat to %I', role);
end $$;

-- The role that a server connects as: it reads topics and the outbox, trims, and confirms the history.
create function leat.grant_server(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('grant usage on schema leat to %I', role);
  execute format('grant select on leat.topic, leat.event, leat.installation, leat.migration, leat.trimming to %I',
                 role);
  execute format('grant execute on function leat.attend(text, text, jsonb), leat.problems(),'
                 || ' leat.trim(interval, bigint, integer) to %I', role);
end $$;

-- A role that watches tables of its own. Only for one that is trusted as much as the owner: what a cast to json of a
-- column's type does, it does with the owner's rights.
create function leat.grant_watcher(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  function regprocedure;
begin
  execute format('grant usage on schema leat to %I', role);
  execute format('grant select on leat.watched to %I', role);
  for function in
    select p.oid from pg_proc p
     where p.pronamespace = 'leat'::regnamespace
       and p.proname in ('watch', 'unwatch', 'on_change', 'after_statement', 'on_truncate', 'enable_triggers',
                         'check_relation', 'check_template', 'check_partitions', 'may_be_in_topic', 'is_topic',
                         'refuse_relation', 'refuse_template', 'parse_template', 'render_template',
                         'template_columns', 'rename_columns', 'watch_name', 'watch_triggers', 'watched_relation',
                         'watched_columns', 'watched_parts', 'first_argument', 'second_argument', 'storage',
                         'put_watch', 'put_row_trigger', 'put_truncate_trigger', 'drop_watch')
  loop
    execute format('grant execute on function %s to %I', function, role);
  end loop;
end $$;

revoke execute on function leat.grant_publisher(name), leat.grant_server(name), leat.grant_watcher(name) from public;
