-- Topics, their numbering, and the outbox.
--
-- A topic's row holds seq, the number of the topic's last entry. A commit raises seq and holds the row's lock until
-- it ends. So the order of seq is the order of commits (0004_publishing.sql).
--
-- Schema leat holds what applications use: the functions publish, revoke, resync, signal, watch, unwatch, allow,
-- disallow and renew_epochs, the tables topic and event, and the views watched and allowed. All else is in schema
-- leat_internal.
--
-- Needs PostgreSQL 14 or later, in a database with encoding UTF8.

set local search_path = pg_catalog, pg_temp;

create schema if not exists leat;
create schema if not exists leat_internal;

do $$
begin
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception 'leat needs a database with encoding UTF8, not %',
      current_setting('server_encoding') using errcode = 'feature_not_supported';
  end if;
end $$;

-- The migrations that were applied. leat migrate adds a row for each.
create table leat_internal.migration (
  version int primary key,
  name text not null,
  applied_at timestamptz not null default now()
);

-- Facts about all topics. The table has exactly one row.
create table leat_internal.installation (
  only_row boolean primary key default true check (only_row),
  -- The epoch of new topics, and of topics without a row.
  epoch text not null,
  -- The time of the last deletion of topics.
  reset_at timestamptz not null default '-infinity',
  -- The history, and the start of Postgres for which a server last confirmed it (0002_history.sql).
  history text not null,
  timeline text not null,
  started_at timestamptz not null,
  relation oid not null,
  fingerprint text not null,
  -- The limit of an event's data, as text. Data of less than 8,192 bytes is published without reading this limit.
  max_event_bytes integer not null default 2097152 check (max_event_bytes >= 8192)
);

-- One row for each topic that ever had an entry. Names compare by bytes: that is cheap, and it gives all sessions one
-- order in which they lock topics. No index contains seq, so its updates are HOT.
create table leat.topic (
  name text collate "C" primary key,
  epoch text not null,
  seq bigint not null default 0,
  -- The seq of the last revocation. -1: there was none. 0: the topic was deleted, and there may have been a
  -- revocation before that, which a handshake that is under way has not seen.
  revoked bigint not null default -1
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

-- The outbox. Rows are never updated. The rows of a topic are deleted in the order of seq.
create table leat.event (
  topic text collate "C" not null,
  seq bigint not null,
  kind text not null,          -- event, revoke, resync
  data jsonb not null,         -- for a revoke: the subject, or JSON null for everybody
  created_at timestamptz not null default clock_timestamp(),
  primary key (topic, seq)
) with (autovacuum_vacuum_scale_factor = 0.05);

create index event_created_at on leat.event (created_at);

-- Epochs ------------------------------------------------------------------------------------------

create function leat_internal.new_epoch() returns text
  language sql volatile
  return left(replace(gen_random_uuid()::text, '-', ''), 12);

-- Returns the value of revoked that a new numbering begins with. A deletion of topics is remembered for one hour. The
-- server does not assume that a handler which started more than 30 minutes ago has seen the deletion.
create function leat_internal.first_revoked(reset_at timestamptz) returns bigint
  language sql stable
  return case when reset_at > now() - interval '1 hour' then 0 else -1 end;

-- Raises an error if a trigger function of Leat runs for another table than its own. A role that attached it to a
-- table of its own could otherwise use the rights of Leat's owner.
create function leat_internal.check_place(relation oid, place regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if relation <> place then
    raise exception 'this trigger function belongs to %', place using errcode = 'insufficient_privilege';
  end if;
end $$;

-- Deleting topics ends their numbering: their next entries need another epoch, and their events are deleted, too. The
-- table lock keeps out a transaction that has read the old epoch and is about to create a topic with it.
create function leat_internal.before_topics_deleted() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.check_place(tg_relid, 'leat.topic');
  lock table leat.topic in share row exclusive mode;
  update leat_internal.installation set epoch = leat_internal.new_epoch(), reset_at = clock_timestamp();
  return null;
end $$;

create function leat_internal.after_topics_deleted() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.check_place(tg_relid, 'leat.topic');
  if tg_op = 'DELETE' then
    delete from leat.event e using gone where e.topic = gone.name;
  elsif exists (select from leat.event) then  -- otherwise a TRUNCATE of both has emptied it
    truncate leat.event;
  end if;
  return null;
end $$;

-- TRUNCATE of the outbox resets all topics, since nobody can tell which events were lost.
create function leat_internal.after_events_truncated() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.check_place(tg_relid, 'leat.event');
  if exists (select from leat.topic) then
    truncate leat.topic;
  end if;
  return null;
end $$;

create trigger before_deleted before delete or truncate on leat.topic
  for each statement execute function leat_internal.before_topics_deleted();
create trigger after_deleted after delete on leat.topic referencing old table as gone
  for each statement execute function leat_internal.after_topics_deleted();
create trigger after_truncated after truncate on leat.topic
  for each statement execute function leat_internal.after_topics_deleted();
create trigger after_truncated after truncate on leat.event
  for each statement execute function leat_internal.after_events_truncated();

-- Test suites empty all tables between tests. They must not empty the tables that have this trigger.
create function leat_internal.refuse_emptying() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '% of %.% is refused: Leat does not work without its rows', tg_op, tg_table_schema, tg_table_name
    using errcode = 'object_not_in_prerequisite_state',
          hint = 'To reset all topics, TRUNCATE leat.topic. '
              || 'Leave leat_internal.installation, leat_internal.secret and leat_internal.migration out.';
end $$;

create trigger refuse_emptying before delete or truncate on leat_internal.installation
  for each statement execute function leat_internal.refuse_emptying();
create trigger refuse_emptying before delete or truncate on leat_internal.migration
  for each statement execute function leat_internal.refuse_emptying();
