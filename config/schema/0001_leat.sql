-- Schema leat: topics, their numbering, the outbox, and the functions that publish.
--
-- How a publication goes. leat.publish only queues, in the caller's transaction. At COMMIT a deferred
-- trigger takes the transaction's topics in sorted order, raises each one's seq, writes the outbox and
-- sends the announcement. The row lock of a topic is held from there to the end of the commit, so seq
-- order is commit order; and since everybody takes the locks sorted, nobody deadlocks on them.
--
-- Who may do what. USAGE on schema leat lets a role publish, revoke, signal and resync. The role that a server
-- connects as reads topics and the outbox too, and trims:
--
--   grant usage on schema leat to app, leat_server;
--   grant select on all tables in schema leat to leat_server;
--   grant execute on function leat.trim(interval, bigint, integer) to leat_server;
--
-- Needs PostgreSQL 14 or later, in a database with encoding UTF8.

create schema if not exists leat;

do $$
begin
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception 'leat needs a database with encoding UTF8, not %',
      current_setting('server_encoding') using errcode = 'feature_not_supported';
  end if;
end $$;

-- Tables ------------------------------------------------------------------------------------------

-- One row. Its epoch is what new topics get, and what a topic without a row is numbered by.
create table leat.installation (
  only_row boolean primary key default true check (only_row),
  epoch text not null
);

-- One row for each topic that ever had an event. Names compare by bytes: cheap, and the same in
-- every session, which the sorted locking rests on. seq is never indexed, so that its updates stay HOT.
create table leat.topic (
  name text collate "C" primary key,
  epoch text not null,
  seq bigint not null default 0
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

-- The outbox. Rows are never updated, and leave in seq order.
create table leat.event (
  topic text collate "C" not null,
  seq bigint not null,
  kind text not null,          -- event, revoke
  data jsonb not null,         -- of a revoke: the subject, or null for everybody
  created_at timestamptz not null default clock_timestamp(),
  primary key (topic, seq)
) with (autovacuum_vacuum_scale_factor = 0.05);

create index event_created_at on leat.event (created_at);

-- What a transaction has published and not yet committed: its first publication in pending, whose
-- insert queues the trigger, the others in pending_more. So the common transaction, with one
-- publication, pays for no index, and one with thousands still fires one trigger. No other transaction
-- ever sees a row here; a crash leaves nothing worth keeping: unlogged. Truncating would lock publishers out.
create unlogged table leat.pending (
  topic text collate "C" not null,
  kind text not null,
  data jsonb not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

create unlogged table leat.pending_more (
  tx xid8 not null,
  id bigint not null generated always as identity (cache 32),  -- a session's own order
  topic text collate "C" not null,
  kind text not null,
  data jsonb not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

create index pending_more_order on leat.pending_more (tx, topic, id);

-- How far leat.trim has looked for topics that have grown. Unlogged: without its row it looks at all.
create unlogged table leat.trimming (
  only_row boolean primary key default true check (only_row),
  max_events bigint,
  seen timestamptz not null
);

-- Epochs ------------------------------------------------------------------------------------------

create function leat.new_epoch() returns text
  language sql volatile
  return left(replace(gen_random_uuid()::text, '-', ''), 12);

insert into leat.installation (epoch) values (leat.new_epoch());

-- Deleting topics resets their numbering: what they are numbered by next must be another epoch, and their
-- events go with them. The table lock keeps out whoever is about to create a topic and has read the
-- old epoch.
create function leat.before_topics_deleted() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  lock table leat.topic in share row exclusive mode;
  update leat.installation set epoch = leat.new_epoch();
  return null;
end $$;

create function leat.after_topics_deleted() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'TRUNCATE' then
    truncate leat.event;
  else
    delete from leat.event e using gone where e.topic = gone.name;
  end if;
  return null;
end $$;

create trigger before_deleted before delete or truncate on leat.topic
  for each statement execute function leat.before_topics_deleted();
create trigger after_deleted after delete on leat.topic referencing old table as gone
  for each statement execute function leat.after_topics_deleted();
create trigger after_truncated after truncate on leat.topic
  for each statement execute function leat.after_topics_deleted();

-- New epochs for everything: for an operator who has loaded a dump that is older than what clients
-- have seen. (A promotion or a restore of the cluster shows in its timeline by itself.)
create function leat.renew_epochs() returns void
  language plpgsql as $$
begin
  lock table leat.topic in share row exclusive mode;
  update leat.installation set epoch = leat.new_epoch();
  update leat.topic set epoch = (select i.epoch from leat.installation i);
end $$;

-- The cluster's timeline, as 8 hexadecimal digits.
create function leat.timeline() returns text
  language sql stable
  return left(pg_walfile_name(pg_current_wal_lsn()), 8);

-- A topic's position as clients see it. Always one row. Inlined into the calling query. Asking for the
-- first name from the topic on, not for the topic, keeps the plan on the index whatever the table's size.
create function leat.position(topic text) returns table (epoch text, seq bigint)
  language sql stable as $$
  select leat.timeline() || '-' || coalesce(t.epoch, i.epoch), coalesce(t.seq, 0)
    from leat.installation i
    left join lateral (
      select n.name, n.epoch, n.seq from leat.topic n
       where n.name >= position.topic order by n.name limit 1) t on t.name = position.topic
$$;

-- Publishing --------------------------------------------------------------------------------------

-- publish and on_commit run for every publication. They are security definers without a search_path of
-- their own, since to set one costs a tenth of the whole; they are safe because nothing in them is
-- looked up by it: functions, types and operators are qualified, or stand in one of the functions with a
-- bare RETURN, which were bound when they were created (and are inlined). Keep it so. Their calls are
-- assignments where PERFORM would start the executor for nothing.

-- 1 to 255 bytes and no control characters (C0, DEL, C1).
create function leat.is_topic(topic text) returns boolean
  language sql immutable parallel safe
  return octet_length(topic) <= 255 and topic ~ '^[^\u0001-\u001f\u007f-\u009f]+$';

create function leat.refuse_topic(topic text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'malformed topic: %', coalesce(to_json(left(topic, 100))::text, 'NULL')
    using errcode = 'invalid_parameter_value',
          detail = 'A topic is 1 to 255 bytes of UTF-8 without control characters.';
end $$;

-- What NOTIFY carries: five fields, the first four ended by newlines.
create function leat.payload(kind text, epoch text, seq bigint, topic text, data text) returns text
  language sql stable parallel safe
  return concat_ws(E'\n', kind, epoch, seq, topic, data);

-- NOTIFY takes no more.
create function leat.fits(payload text) returns boolean
  language sql immutable parallel safe
  return octet_length(payload) <= 7999;

-- False if the data cannot fit: text is never shorter than a sixth of jsonb's own form. So what is far
-- too large need not be converted to find out.
create function leat.may_fit(data jsonb) returns boolean
  language sql stable parallel safe
  return pg_column_size(data) < 50000;

-- The announcement of an outbox row. Data that does not fit stays behind, and kind E says so.
create function leat.announcement(kind text, epoch text, seq bigint, topic text, data jsonb)
  returns text
  language sql stable parallel safe
  return case
    when leat.may_fit(data) and leat.fits(leat.payload('e', epoch, seq, topic, data::text))
    then leat.payload(case kind when 'revoke' then 'r' else 'e' end, epoch, seq, topic, data::text)
    else leat.payload('E', epoch, seq, topic, '')
  end;

-- The setting leat.publishing holds the transaction's id once it has published an event, and a '+' after it if
-- there is more. A setting that is local to the transaction follows its savepoints exactly as the
-- pending rows do.
create function leat.has_published(me text) returns boolean
  language sql stable
  return rtrim(current_setting('leat.publishing', true), '+') = me;

create function leat.has_one_event() returns boolean
  language sql volatile
  return current_setting('leat.publishing', true) = pg_current_xact_id()::text;

-- Queues anything. publish does the same, faster, for a transaction's first event.
create function leat.enqueue(topic text, kind text, data jsonb) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  me constant text := pg_current_xact_id();
  published constant boolean := leat.has_published(me);
begin
  perform set_config('leat.publishing', me || '+', true);
  if published then
    insert into leat.pending_more (tx, topic, kind, data) values (me::xid8, topic, kind, data);
  else
    insert into leat.pending (topic, kind, data) values (topic, kind, data);
  end if;
end $$;

revoke execute on function leat.enqueue(text, text, jsonb) from public;

-- Publishes an event on the topic when the transaction commits. Data may be any JSON value, null included,
-- but not SQL's NULL.
create function leat.publish(topic text, data jsonb) returns void
  language plpgsql security definer as $$
declare
  me pg_catalog.text := pg_catalog.pg_current_xact_id();
begin
  if leat.is_topic(topic) is not true then
    perform leat.refuse_topic(topic);
  end if;
  if data is null then
    raise exception 'data of an event must not be NULL' using errcode = 'null_value_not_allowed',
      hint = 'For JSON null, write ''null''::jsonb.';
  end if;
  if leat.has_published(me) then
    perform leat.enqueue(topic, 'event', data);
  else
    -- First the mark: under SET CONSTRAINTS IMMEDIATE the trigger runs in the insert, and clears it.
    me := pg_catalog.set_config('leat.publishing', me, true);
    insert into leat.pending (topic, kind, data) values (topic, 'event', data);
  end if;
end $$;

-- Ends the right to the topic, of the subject (a user's id as text) or of everybody, until the subscribe handler
-- has decided anew: exactly between the events before it and those after it.
create function leat.revoke(topic text, subject text default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if leat.is_topic(topic) is not true then
    perform leat.refuse_topic(topic);
  end if;
  if octet_length(subject) > 1024 then
    raise exception 'subject of % bytes is too long', octet_length(subject)
      using errcode = 'invalid_parameter_value', detail = 'A subject is at most 1,024 bytes.';
  end if;
  perform leat.enqueue(topic, 'revoke', coalesce(to_jsonb(subject), 'null'));
end $$;

-- Sends data to the topic's subscribers of the moment, at commit. It is stored nowhere, so it must fit the
-- announcement. Equal signals of one transaction count once.
create function leat.signal(topic text, data jsonb) returns void
  language plpgsql as $$
declare
  payload constant text := leat.payload('s', '', 0, topic, data::text);
begin
  if leat.is_topic(topic) is not true then
    perform leat.refuse_topic(topic);
  end if;
  if data is null then
    raise exception 'data of a signal must not be NULL' using errcode = 'null_value_not_allowed',
      hint = 'For JSON null, write ''null''::jsonb.';
  end if;
  if not leat.fits(payload) then
    raise exception 'signal of % bytes is too large', octet_length(payload)
      using errcode = 'invalid_parameter_value',
            detail = 'A signal and its topic take at most 7,999 bytes.',
            hint = 'Publish an event instead, or send a reference to the data.';
  end if;
  perform pg_notify('leat', payload);
end $$;

-- Asks every server for a fresh snapshot to each of the topic's subscribers.
create function leat.resync(topic text) returns void
  language plpgsql as $$
begin
  if leat.is_topic(topic) is not true then
    perform leat.refuse_topic(topic);
  end if;
  perform pg_notify('leat', leat.payload('y', '', 0, topic, ''));
end $$;

-- At commit ---------------------------------------------------------------------------------------

-- Gives a topic that was just created its epoch. FOR SHARE: if topics are being deleted, wait and
-- take the epoch that comes after.
create function leat.adopt_epoch(topic text) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  adopted text;
begin
  select i.epoch into strict adopted from leat.installation i where i.only_row for share;
  update leat.topic t set epoch = adopted where t.name = adopt_epoch.topic;
  return adopted;
end $$;

revoke execute on function leat.adopt_epoch(text) from public;

-- The publications of a transaction that has more than one: the row first_at of pending, and its rows of
-- pending_more. Without enable_seqscan, since plans are kept and those tables are mostly empty when
-- they are made.
create function leat.sequence_many(first_at tid) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  me constant xid8 := pg_current_xact_id();
  name text;
  n bigint;
  adopted text;
  last bigint;
begin
  for name, n in
    select p.topic, count(*)
      from (select topic from leat.pending where ctid = first_at
            union all select topic from leat.pending_more where tx = me) p
     group by p.topic order by p.topic
  loop
    insert into leat.topic as t (name, epoch, seq) values (name, '', n)
      on conflict on constraint topic_pkey do update set seq = t.seq + n
      returning t.epoch, t.seq into adopted, last;
    if adopted = '' then
      adopted := leat.adopt_epoch(name);
    end if;

    with queued as (
      select 0 as id, kind, data from leat.pending where ctid = first_at and topic = name
      union all
      select id, kind, data from leat.pending_more where tx = me and topic = name
    ), stored as (
      insert into leat.event (topic, seq, kind, data)
        select name, last - n + row_number() over (order by id), kind, data
          from queued order by id
        returning seq, kind, data
    )
    select count(pg_notify('leat', leat.announcement(kind, adopted, seq, name, data)))
      into n from stored;
  end loop;

  delete from leat.pending where ctid = first_at;
  delete from leat.pending_more where tx = me;
end $$;

revoke execute on function leat.sequence_many(tid) from public;

-- A transaction that publishes commits synchronously, or a crash could take back an event that a client has
-- seen and give its number to another. leat.synchronous_commit = off opts out.
create function leat.is_asynchronous() returns boolean
  language sql stable
  return current_setting('synchronous_commit') = 'off';

create function leat.synchronize() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(current_setting('leat.synchronous_commit', true), '') not in ('off', 'false', 'no', '0') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end $$;

create function leat.on_commit() returns trigger
  language plpgsql security definer as $$
declare
  adopted pg_catalog.text;
  n pg_catalog.int8;
  payload pg_catalog.text;
  _ pg_catalog.text;
begin
  if leat.has_one_event() then
    -- An upsert, not an update, for its plan: it always goes by the index, whatever statistics say.
    insert into leat.topic as t (name, epoch, seq) values (new.topic, '', 1)
      on conflict (name) do update set seq = t.seq operator(pg_catalog.+) 1
      returning t.epoch, t.seq into adopted, n;
    if adopted operator(pg_catalog.=) '' then
      adopted := leat.adopt_epoch(new.topic);
    end if;
    with done as (delete from leat.pending where ctid operator(pg_catalog.=) new.ctid)
      insert into leat.event (topic, seq, kind, data) values (new.topic, n, 'event', new.data);
    if leat.may_fit(new.data) then
      payload := leat.payload('e', adopted, n, new.topic, new.data::pg_catalog.text);
    end if;
    if leat.fits(payload) is not true then
      payload := leat.payload('E', adopted, n, new.topic, '');
    end if;
    _ := pg_catalog.pg_notify('leat', payload) is null;
  else
    perform leat.sequence_many(new.ctid);
  end if;

  -- SET CONSTRAINTS, or a deferred trigger of the application's, may come here before the last publication.
  _ := pg_catalog.set_config('leat.publishing', '', true);
  if leat.is_asynchronous() then
    perform leat.synchronize();
  end if;
  return null;
end $$;

create constraint trigger on_commit after insert on leat.pending
  deferrable initially deferred for each row execute function leat.on_commit();

-- Also where session_replication_role is replica: a publication is never silently lost.
alter table leat.pending enable always trigger on_commit;

-- Retention ---------------------------------------------------------------------------------------

-- Deletes at most batch events that are older than max_age or beyond a topic's newest max_events (NULL: no such
-- limit) and returns how many: call it again at once while that is batch. One caller at a time;
-- the others get 0. With nothing to do it looks at the ends of one index.
create function leat.trim(max_age interval, max_events bigint, batch integer) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  deleted bigint := 0;
  n bigint;
  started timestamptz;
  seen timestamptz;
  upto timestamptz;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('leat.trim', 0)) then
    return 0;
  end if;

  delete from leat.event where ctid = any (array(
    select e.ctid from leat.event e where e.created_at < clock_timestamp() - max_age
     order by e.created_at limit batch));
  get diagnostics deleted = row_count;

  -- Only topics with new events can have grown too long. They are looked at in slices, oldest first.
  select t.seen into started from leat.trimming t
   where t.max_events is not distinct from trim.max_events;
  seen := coalesce(started, '-infinity');
  while max_events is not null and deleted < batch loop
    select max(s.created_at) into upto from (
      select e.created_at from leat.event e where e.created_at > seen
       order by e.created_at limit batch) s;
    exit when upto is null;
    delete from leat.event where ctid = any (array(
      select x.ctid
        from (select distinct e.topic from leat.event e
               where e.created_at > seen and e.created_at <= upto) grown
        join leat.topic t on t.name = grown.topic
        cross join lateral (
          select e.ctid from leat.event e
           where e.topic = t.name and e.seq <= t.seq - max_events
           order by e.seq limit batch - deleted) x
       limit batch - deleted));
    get diagnostics n = row_count;
    deleted := deleted + n;
    exit when deleted >= batch;
    seen := upto;
  end loop;

  -- An event becomes visible a little after its created_at: look at the latest ones once more.
  seen := least(seen, clock_timestamp() - interval '10 seconds');
  if seen is distinct from started then
    insert into leat.trimming as t (max_events, seen) values (max_events, seen)
      on conflict (only_row) do update set max_events = excluded.max_events, seen = excluded.seen;
  end if;
  return deleted;
end $$;

revoke execute on function leat.trim(interval, bigint, integer) from public;
revoke execute on function leat.renew_epochs() from public;
