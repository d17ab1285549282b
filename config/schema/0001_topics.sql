-- Topics, their numbering, and the outbox.
--
-- A topic's row holds the number of its last entry, seq. Its row lock is held from the moment a transaction
-- raises seq until the end of that commit, so seq order is commit order (0003_publishing.sql).
--
-- Schema leat holds what applications use: the functions publish, revoke, resync, signal, watch, unwatch and
-- renew_epochs, the tables topic and event, and the view watched. All else is in schema leat_internal.
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

-- One row: what belongs to all topics.
create table leat_internal.installation (
  only_row boolean primary key default true check (only_row),
  -- What new topics get, and what a topic without a row is numbered by.
  epoch text not null,
  -- When topics were last deleted.
  reset_at timestamptz not null default '-infinity',
  -- The history, and where it was last confirmed (0002_history.sql).
  history text not null,
  timeline text not null,
  started_at timestamptz not null,
  relation oid not null,
  fingerprint text not null,
  -- An event's data as text is at most this long. What is shorter than the least limit is never compared with it.
  max_event_bytes integer not null default 2097152 check (max_event_bytes >= 8192)
);

-- One row for each topic that ever had an entry. Names compare by bytes: cheap, and the same in
-- every session, which the sorted locking rests on. seq is never indexed, so that its updates stay HOT.
create table leat.topic (
  name text collate "C" primary key,
  epoch text not null,
  seq bigint not null default 0,
  -- The seq of the last revocation; -1: there was none. 0 stands for one of the numbering before, of which the
  -- topic's deletion has left nothing: a handshake may be under way that has not seen it.
  revoked bigint not null default -1
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

-- The outbox. Rows are never updated, and leave in seq order.
create table leat.event (
  topic text collate "C" not null,
  seq bigint not null,
  kind text not null,          -- event, revoke, resync
  data jsonb not null,         -- of a revoke: the subject, or null for everybody
  created_at timestamptz not null default clock_timestamp(),
  primary key (topic, seq)
) with (autovacuum_vacuum_scale_factor = 0.05);

create index event_created_at on leat.event (created_at);

-- Epochs ------------------------------------------------------------------------------------------

create function leat_internal.new_epoch() returns text
  language sql volatile
  return left(replace(gen_random_uuid()::text, '-', ''), 12);

-- What a numbering's `revoked` begins with. For so long it is remembered that topics were deleted; the server takes
-- no handler that began half as long ago for one that has seen it.
create function leat_internal.first_revoked(reset_at timestamptz) returns bigint
  language sql stable
  return case when reset_at > now() - interval '1 hour' then 0 else -1 end;

-- Only for triggers: whether one of ours stands where it belongs. Who could attach it to another table would have its
-- work done there with the rights of our owner.
create function leat_internal.check_place(relation oid, place regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if relation <> place then
    raise exception 'this trigger function belongs to %', place using errcode = 'insufficient_privilege';
  end if;
end $$;

-- Deleting topics resets their numbering: what they are numbered by next must be another epoch, and their
-- events go with them. The table lock keeps out whoever is about to create a topic and has read the
-- old epoch.
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
  elsif exists (select from leat.event) then  -- else the same TRUNCATE has emptied it, and it cannot be named again
    truncate leat.event;
  end if;
  return null;
end $$;

-- All events gone at once are a reset of all topics: nobody could tell what was lost.
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

-- What empties all tables, as test suites do between tests, must leave these alone.
create function leat_internal.refuse_emptying() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '% of %.% is refused: Leat does not work without its rows', tg_op, tg_table_schema, tg_table_name
    using errcode = 'object_not_in_prerequisite_state',
          hint = 'To reset all topics, TRUNCATE leat.topic. Leave leat_internal.installation, leat_internal.secret and leat_internal.migration out.';
end $$;

create trigger refuse_emptying before delete or truncate on leat_internal.installation
  for each statement execute function leat_internal.refuse_emptying();
create trigger refuse_emptying before delete or truncate on leat_internal.migration
  for each statement execute function leat_internal.refuse_emptying();
