-- Transactions that change many rows of watched tables: less work for each entry.
--
-- The functions do what they did before (0006_watching.sql). What is cheaper:
--
--   after_statement  sets the settings for the JSON of rows once for a statement, and not for each row.
--   on_change        adds the entry itself: the calls of other functions took as long as the entry.

set local search_path = pg_catalog, pg_temp;

-- Runs after each statement. Argument: the watch. The trigger that it makes run finds the settings that the JSON of
-- rows needs (0006_watching.sql, has_plain_settings).
create or replace function leat_internal.after_statement() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set "TimeZone" = 'UTC' set "DateStyle" = 'ISO' set "IntervalStyle" = 'postgres' set bytea_output = 'hex'
  set extra_float_digits = 1 set lc_monetary = 'C' as $$
begin
  execute format('set constraints %1$I.%2$I immediate; set constraints %1$I.%2$I deferred',
                 tg_table_schema, tg_argv[0]);
  return null;
end $$;

-- As in 0006_watching.sql, but declared STABLE, as jsonb_build_object is. Postgres does not inline an IMMUTABLE function
-- with a STABLE one in it.
create or replace function leat_internal.change(action text, "table" text, "row" jsonb) returns jsonb
  language sql stable parallel safe
  return jsonb_build_object('action', action, 'table', "table",
                            case action when 'delete' then 'old' else 'row' end, "row");

create or replace function leat_internal.change("table" text, "row" jsonb, old jsonb) returns jsonb
  language sql stable parallel safe
  return jsonb_build_object('action', 'update', 'table', "table", 'row', "row", 'old', old);

-- As in 0006_watching.sql. The entry that nearly every change makes is added here, with the statement of enqueue,
-- since a call takes time.
create or replace function leat_internal.on_change() returns trigger
  language plpgsql security definer as $$
declare
  watched pg_catalog.oid := tg_relid;
  table_name pg_catalog.text;
  column_name pg_catalog.text;
  old_row pg_catalog.jsonb;
  new_row pg_catalog.jsonb;
  old_topic pg_catalog.text := tg_argv[2];
  new_topic pg_catalog.text := tg_argv[2];
  topic pg_catalog.text;
  data pg_catalog.jsonb;
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
    topic := new_topic;
    data := leat_internal.change(table_name, new_row, old_row);
  elsif old_topic is null and new_topic is null then
    return null;
  elsif old_topic is null then
    topic := new_topic;
    data := leat_internal.change('insert', table_name, new_row);
  else
    if new_topic is not null then -- it is a deletion in one topic, and after that an insertion in another one
      _ := leat_internal.publish_change(old_topic, leat_internal.change('delete', table_name, old_row)) is null;
      topic := new_topic;
      data := leat_internal.change('insert', table_name, new_row);
    else
      topic := old_topic;
      data := leat_internal.change('delete', table_name, old_row);
    end if;
  end if;
  if leat_internal.is_small(data) then
    insert into leat_internal.pending (tx, id, topic, kind, data)
      values (pg_catalog.pg_current_xact_id(), leat_internal.next_publication(), topic, 'event', data);
  else
    _ := leat_internal.publish_change(topic, data) is null;
  end if;
  return null;
end $$;
