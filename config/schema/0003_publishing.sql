-- Publishing: what happens when an application calls leat.publish, and when its transaction commits.
--
-- leat.publish only adds an entry to the queue of its transaction. At COMMIT a deferred trigger takes the topics of
-- the transaction in sorted order. For each topic it raises seq, writes the outbox and sends the announcements. It
-- holds the topic's row lock until the end of the commit, so the order of seq is the order of commits. All
-- transactions lock topics in the same order, so they do not deadlock.

set local search_path = pg_catalog, pg_temp;

-- The queues of all transactions that have not committed yet. A transaction's first publication is in pending, the
-- others are in pending_more. Only the insert into pending queues the trigger, so that it fires once, however much is
-- published. A later publication finds the row in pending by its primary key, the transaction. No setting of a
-- session has an influence on that. A rollback to a savepoint removes rows here as in every table, and it never
-- removes the first publication of a transaction but not the later ones.
--
-- No other transaction sees these rows, and after a crash they are worth nothing, so the tables are unlogged. They
-- are never truncated, since that would lock out publishers.
create unlogged table leat_internal.pending (
  tx xid8 primary key,
  topic text collate "C" not null,
  kind text not null,
  data jsonb not null,
  more boolean not null default false -- there are others in pending_more
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off, fillfactor = 50);

create unlogged table leat_internal.pending_more (
  tx xid8 not null,
  id bigint not null generated always as identity (cache 32),  -- a session's own order
  topic text collate "C" not null,
  kind text not null,
  data jsonb not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

create index pending_more_order on leat_internal.pending_more (tx, topic, id);

-- Publishing --------------------------------------------------------------------------------------

-- publish and on_commit run for every publication. They are security definers, but they do not set a search_path:
-- that would take a tenth of their time. They are safe because no name in them is looked up by search_path.
-- Functions, types and operators are qualified, or they are in a function with a bare RETURN, whose names were bound
-- when it was created (Postgres inlines such a function). Every change must keep this rule. A function is called by
-- an assignment, since PERFORM would start the executor.

-- 1 to 255 bytes and no control characters (C0, DEL, C1).
create function leat_internal.is_topic(topic text) returns boolean
  language sql immutable parallel safe
  return octet_length(topic) <= 255 and topic ~ '^[^\u0001-\u001f\u007f-\u009f]+$';

create function leat_internal.refuse_topic(topic text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'malformed topic: %', coalesce(to_json(left(topic, 100))::text, 'NULL')
    using errcode = 'invalid_parameter_value',
          detail = 'A topic is 1 to 255 bytes of UTF-8 without control characters.';
end $$;

-- Returns false if the data surely does not fit: its text has at least a sixth of the bytes that jsonb has. So data
-- that is far too large is not converted.
create function leat_internal.may_fit(data jsonb) returns boolean
  language sql stable parallel safe
  return pg_column_size(data) < 50000;

-- Returns the announcement of an outbox row. If the data does not fit, it is left out, and the kind is E.
create function leat_internal.message_of(kind text, epoch text, seq bigint, at bigint, topic text, data jsonb)
  returns text
  language sql stable parallel safe
  return case
    when leat_internal.may_fit(data)
     and leat_internal.fits(leat_internal.message('e', epoch, seq, at, topic, data::text))
    then leat_internal.message(case kind when 'revoke' then 'r' when 'resync' then 'y' else 'e' end,
                      epoch, seq, at, topic, data::text)
    else leat_internal.message('E', epoch, seq, at, topic, '')
  end;

-- Returns true if data is within every limit that max_event_bytes can be. The size of its jsonb does not tell: the
-- number 1e131071 has 12 bytes there, and 131,072 as text. So data that is small as jsonb is converted to text.
create function leat_internal.is_small(data jsonb) returns boolean
  language sql stable parallel safe
  return pg_column_size(data) <= 4000 and octet_length(data::text) <= 8192;

-- Returns true if data is over the limit, or cannot be converted to text. The text has at least a sixth of the bytes
-- that jsonb has.
create function leat_internal.is_too_large(data jsonb) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := (select i.max_event_bytes from leat_internal.installation i);
begin
  return pg_column_size(data) > most * 6 or octet_length(data::text) > most;
exception when program_limit_exceeded or out_of_memory or internal_error then
  return true;
end $$;

-- Returns true if topic and data are surely right. NULL or false: check_event finds out.
create function leat_internal.is_publishable(topic text, data jsonb) returns boolean
  language sql stable parallel safe
  return leat_internal.is_topic(topic) and leat_internal.is_small(data);

create function leat_internal.check_event(topic text, data jsonb) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if leat_internal.is_topic(topic) is not true then
    perform leat_internal.refuse_topic(topic);
  end if;
  if data is null then
    raise exception 'data of an event must not be NULL' using errcode = 'null_value_not_allowed',
      hint = 'For JSON null, write ''null''::jsonb.';
  end if;
  if leat_internal.is_too_large(data) then
    raise exception 'data of the event is larger than % bytes',
      (select i.max_event_bytes from leat_internal.installation i) using errcode = 'program_limit_exceeded',
      hint = 'Publish a reference to it, '
             || 'or raise max_event_bytes in leat_internal.installation and in the server''s configuration.';
  end if;
end $$;

-- Adds an entry of any kind to the queue. It has no search_path of its own, like publish.
create function leat_internal.enqueue(topic text, kind text, data jsonb) returns void
  language plpgsql as $$
declare
  me constant pg_catalog.xid8 := pg_catalog.pg_current_xact_id();
  there_is_more pg_catalog.bool;
begin
  -- False after the transaction's first publication, true after its second, NULL after a later one.
  insert into leat_internal.pending as p (tx, topic, kind, data) values (me, topic, kind, data)
    on conflict (tx) do update set more = true where not p.more
    returning p.more into there_is_more;
  if there_is_more is not false then
    insert into leat_internal.pending_more (tx, topic, kind, data) values (me, topic, kind, data);
  end if;
end $$;

-- Publishes an event on the topic when the transaction commits. Data may be any JSON value, also JSON null, but not
-- SQL's NULL. The statements of enqueue are repeated here, since a call takes time.
create function leat.publish(topic text, data jsonb) returns void
  language plpgsql security definer as $$
declare
  me pg_catalog.xid8 := pg_catalog.pg_current_xact_id();
  there_is_more pg_catalog.bool;
begin
  if leat_internal.is_publishable(topic, data) is not true then
    perform leat_internal.check_event(topic, data);
  end if;
  insert into leat_internal.pending as p (tx, topic, kind, data) values (me, topic, 'event', data)
    on conflict (tx) do update set more = true where not p.more
    returning p.more into there_is_more;
  if there_is_more is not false then
    insert into leat_internal.pending_more (tx, topic, kind, data) values (me, topic, 'event', data);
  end if;
end $$;

-- Takes the right to the topic away from the subject (a user's id as text), or from everybody, until the subscribe
-- handler has decided again. It takes effect at its place in the log: after the events before it, before those after
-- it.
create function leat.revoke(topic text, subject text default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if leat_internal.is_topic(topic) is not true then
    perform leat_internal.refuse_topic(topic);
  end if;
  if octet_length(subject) > 1024 then
    raise exception 'subject of % bytes is too long', octet_length(subject)
      using errcode = 'invalid_parameter_value', detail = 'A subject is at most 1,024 bytes.';
  end if;
  perform leat_internal.enqueue(topic, 'revoke', coalesce(to_jsonb(subject), 'null'));
end $$;

-- Every subscriber of the topic gets a fresh snapshot, and so does a client that resumes from an earlier position.
create function leat.resync(topic text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if leat_internal.is_topic(topic) is not true then
    perform leat_internal.refuse_topic(topic);
  end if;
  perform leat_internal.enqueue(topic, 'resync', 'null');
end $$;

-- Sends data at commit to clients that are subscribed at that time. It is not stored, so it must fit into the
-- announcement. Equal signals of one transaction are sent once.
create function leat.signal(topic text, data jsonb) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  message constant text := leat_internal.message('s', '', 0, 0, topic, data::text);
begin
  if leat_internal.is_topic(topic) is not true then
    perform leat_internal.refuse_topic(topic);
  end if;
  if data is null then
    raise exception 'data of a signal must not be NULL' using errcode = 'null_value_not_allowed',
      hint = 'For JSON null, write ''null''::jsonb.';
  end if;
  if not leat_internal.fits(message) then
    raise exception 'signal of % bytes is too large', octet_length(message)
      using errcode = 'invalid_parameter_value',
            detail = 'A signal and its topic take at most 7,958 bytes.',
            hint = 'Publish an event instead, or send a reference to the data.';
  end if;
  perform leat_internal.announce(message);
end $$;

-- At commit ---------------------------------------------------------------------------------------

-- Gives a new topic its epoch, and returns it. FOR SHARE waits for a transaction that is deleting topics, so that the
-- new topic gets the epoch of after the deletion.
create function leat_internal.adopt_epoch(topic text) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  adopted text;
  first bigint;
begin
  select i.epoch, leat_internal.first_revoked(i.reset_at) into strict adopted, first
    from leat_internal.installation i where i.only_row for share;
  update leat.topic t set epoch = adopted, revoked = first where t.name = adopt_epoch.topic;
  return adopted;
end $$;

-- Commits the queue of a transaction that has several entries, or one that is not an event. Plans are kept, and the
-- tables of pending rows are mostly empty when they are made: so sequential scans are off.
create function leat_internal.sequence_many(me xid8) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  of_topic text;
  n bigint;
  adopted text;
  last bigint;
  last_revoked bigint;
  secret leat_internal.secret;
begin
  select * into strict secret from leat_internal.secret;
  if not exists (select from leat_internal.secret s where s.relation = s.tableoid) then
    secret.pads := null; -- the announcements have no signature then (0002_history.sql)
  end if;
  for of_topic, n in
    select p.topic, count(*)
      from (select topic from leat_internal.pending where tx = me
            union all select topic from leat_internal.pending_more where tx = me) p
     group by p.topic order by p.topic
  loop
    insert into leat.topic as t (name, epoch, seq) values (of_topic, '', n)
      on conflict on constraint topic_pkey do update set seq = t.seq + n
      returning t.epoch, t.seq into adopted, last;
    if adopted = '' then
      adopted := leat_internal.adopt_epoch(of_topic);
    end if;

    with queued as (
      select 0 as id, kind, data from leat_internal.pending where tx = me and topic = of_topic
      union all
      select id, kind, data from leat_internal.pending_more where tx = me and topic = of_topic
    ), stored as (
      insert into leat.event (topic, seq, kind, data)
        select of_topic, last - n + row_number() over (order by id), kind, data
          from queued order by id
        returning seq, kind, data, leat_internal.at(created_at) as at
    ), told as materialized ( -- otherwise message would be computed twice
      select seq, kind, leat_internal.message_of(kind, leat_internal.full_epoch(secret.history, adopted), seq, at,
                                                 of_topic, data) as message
        from stored
    )
    select count(pg_notify('leat', leat_internal.sign(message, secret.pads))), max(seq) filter (where kind = 'revoke')
      into n, last_revoked from told;
    if last_revoked is not null then
      update leat.topic t set revoked = last_revoked where t.name = of_topic;
    end if;
  end loop;

  delete from leat_internal.pending where tx = me;
  delete from leat_internal.pending_more where tx = me;
end $$;

-- A transaction that publishes commits synchronously. Otherwise an event that a client has seen could be lost in a
-- crash, and another event could get its number. The setting leat.synchronous_commit = off allows that.
create function leat_internal.is_asynchronous() returns boolean
  language sql stable
  return current_setting('synchronous_commit') = 'off';

create function leat_internal.synchronize() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(current_setting('leat.synchronous_commit', true), '') not in ('off', 'false', 'no', '0') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end $$;

-- A transaction in REPEATABLE READ or SERIALIZABLE reads the history in its snapshot. If there is a newer history, it
-- must fail like every such transaction that meets a change. The topic's row does not show that, so check_snapshot
-- does.
create function leat_internal.has_one_snapshot() returns boolean
  language sql stable
  return current_setting('transaction_isolation') in ('repeatable read', 'serializable');

create function leat_internal.check_snapshot() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform from leat_internal.secret for share;
end $$;

create function leat_internal.is_pending(relation oid) returns boolean
  language sql stable
  return relation = 'leat_internal.pending'::regclass;

create function leat_internal.is_event(kind text) returns boolean
  language sql immutable parallel safe
  return kind = 'event';

create function leat_internal.is_new(epoch text) returns boolean
  language sql immutable parallel safe
  return epoch = '';

create function leat_internal.on_commit() returns trigger
  language plpgsql security definer as $$
declare
  epoch pg_catalog.text;
  seq pg_catalog.int8;
  history pg_catalog.text;
  pads pg_catalog.bytea;
  now pg_catalog.timestamptz;
  message pg_catalog.text;
  _ pg_catalog.text;
begin
  if not leat_internal.is_pending(tg_relid) then
    perform leat_internal.check_place(tg_relid, 'leat_internal.pending');
  end if;
  -- If there was a second publication, it has updated the row of the first one, and new.ctid finds nothing. An upsert
  -- always uses the index. An UPDATE could get a sequential scan, depending on statistics.
  insert into leat.topic as t (name, epoch, seq)
    select p.topic, '', 1 from leat_internal.pending p
     where p.ctid operator(pg_catalog.=) new.ctid and leat_internal.is_event(p.kind)
    on conflict (name) do update set seq = t.seq operator(pg_catalog.+) 1
    returning t.epoch, t.seq, (select s.history from leat_internal.secret s),
              (select s.pads from leat_internal.secret s where s.relation operator(pg_catalog.=) s.tableoid)
         into epoch, seq, history, pads;
  if found then
    if leat_internal.is_new(epoch) then
      epoch := leat_internal.adopt_epoch(new.topic);
    end if;
    now := pg_catalog.clock_timestamp();
    with done as (delete from leat_internal.pending where ctid operator(pg_catalog.=) new.ctid)
      insert into leat.event (topic, seq, kind, data, created_at) values (new.topic, seq, 'event', new.data, now);
    if leat_internal.may_fit(new.data) then
      message := leat_internal.message('e', leat_internal.full_epoch(history, epoch), seq, leat_internal.at(now),
                                       new.topic, new.data::pg_catalog.text);
    end if;
    if leat_internal.fits(message) is not true then
      message := leat_internal.message('E', leat_internal.full_epoch(history, epoch), seq, leat_internal.at(now),
                                       new.topic, '');
    end if;
    _ := pg_catalog.pg_notify('leat', leat_internal.sign(message, pads)) is null;
  else
    perform leat_internal.sequence_many(new.tx);
  end if;

  if leat_internal.has_one_snapshot() then
    perform leat_internal.check_snapshot();
  end if;
  if leat_internal.is_asynchronous() then
    perform leat_internal.synchronize();
  end if;
  return null;
end $$;

create constraint trigger on_commit after insert on leat_internal.pending
  deferrable initially deferred for each row execute function leat_internal.on_commit();
