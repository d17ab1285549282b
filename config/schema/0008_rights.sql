-- Rights. A role may do what is named here. Only the owner may do anything else.

set local search_path = pg_catalog, pg_temp;

revoke execute on all functions in schema leat, leat_internal from public;

-- For a role of an application that publishes. leat.allow limits it to some topics. These functions run with the
-- owner's rights.
create function leat_internal.grant_publisher(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('grant usage on schema leat to %I', role);
  execute format('grant execute on function leat.publish(text, jsonb), leat.revoke(text, text), leat.resync(text),'
                 || ' leat.signal(text, jsonb, text) to %I', role);
end $$;

-- For the role that a server connects as. Its handlers publish. It reads positions, topics and the outbox, deletes old
-- events, and confirms the history. leat_internal.position and the functions in it read tables with the rights of
-- this role.
create function leat_internal.grant_server(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.grant_publisher(role);
  execute format('grant usage on schema leat_internal to %I', role);
  execute format('grant select on leat.topic, leat.event, leat_internal.installation, leat_internal.migration,'
                 || ' leat_internal.trimming to %I', role);
  execute format('grant execute on function leat_internal.attend(text, text, jsonb),'
                 || ' leat_internal.first_revoked(timestamptz), leat_internal.is_confirmed(timestamptz, oid, oid),'
                 || ' leat_internal.position(text), leat_internal.problems(), leat_internal.refuse_position(text),'
                 || ' leat_internal.trim(interval, bigint, integer) to %I', role);
end $$;

-- For a role that calls leat.watch for tables of its own. Grant it only to a role that you trust with the owner's
-- rights: the triggers of a watch run with them, and so does a cast to json that a column's type has.
create function leat_internal.grant_watcher(role name) returns void
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
                         'put_watch', 'put_row_trigger', 'put_truncate_trigger', 'drop_watch')
  loop
    execute format('grant execute on function %s to %I', function, role);
  end loop;
end $$;

revoke execute on function leat_internal.grant_publisher(name), leat_internal.grant_server(name),
  leat_internal.grant_watcher(name) from public;
