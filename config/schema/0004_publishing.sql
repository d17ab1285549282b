-- Publishing: what happens when an application calls leat.publish, and when its transaction commits.
--
-- leat.publish only adds an entry to the queue of its transaction. At COMMIT a deferred trigger takes the topics of
-- the transaction in sorted order. For each topic it raises seq, writes the outbox and sends the announcements. It
-- holds the topic's row lock until the end of the commit, so the order of seq is the order of commits. All
-- transactions lock topics in the same order, so they do not deadlock.

set local search_path = pg_catalog, pg_temp;

-- The publications of all transactions that have not committed yet. id grows within a session, so it is the order of
-- a transaction's publications. A rollback to a savepoint removes rows here as in every table, and no setting of a
-- session has an influence on that. Each row queues the trigger. The first one that fires commits all rows of the
-- transaction, and the others find nothing left to do.
--
-- No other transaction sees these rows, and after a crash they are worth nothing, so the table is unlogged. It is
-- never truncated, since that would lock out publishers.
create sequence leat_internal.publication cache 1024;

create unlogged table leat_internal.pending (
  tx xid8 not null,
  id bigint not null,
  topic text collate "C" not null,
  kind text not null,
  data jsonb not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off, fillfactor = 50);

create index pending_tx on leat_internal.pending (tx);

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

-- Returns true if topic and data are surely right, and no role is limited. NULL or false: check_event finds out.
create function leat_internal.is_publishable(topic text, data jsonb) returns boolean
  language sql stable
  return leat_internal.is_topic(topic) and leat_internal.is_small(data) and not leat_internal.has_rules();

create function leat_internal.check_topic(topic text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if leat_internal.is_topic(topic) is not true then
    perform leat_internal.refuse_topic(topic);
  end if;
  if leat_internal.has_rules() then
    perform leat_internal.check_allowed(topic);
  end if;
end $$;

create function leat_internal.check_event(topic text, data jsonb) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.check_topic(topic);
  if data is null then
    raise exception 'data of an event must not be NULL' using errcode = 'null_value_not_allowed',
      hint = 'For JSON null, write ''null''::jsonb.';
  end if;
  if not leat_internal.is_small(data) and leat_internal.is_too_large(data) then
    raise exception 'data of the event is larger than % bytes',
      (select i.max_event_bytes from leat_internal.installation i) using errcode = 'program_limit_exceeded',
      hint = 'Publish a reference to it, '
             || 'or raise max_event_bytes in leat_internal.installation and in the server''s configuration.';
  end if;
end $$;

create function leat_internal.next_publication() returns bigint
  language sql volatile
  return nextval('leat_internal.publication');

-- Adds an entry of any kind to the queue. It has no search_path of its own, like publish.
create function leat_internal.enqueue(topic text, kind text, data jsonb) returns void
  language plpgsql as $$
begin
  insert into leat_internal.pending (tx, id, topic, kind, data)
    values (pg_catalog.pg_current_xact_id(), leat_internal.next_publication(), topic, kind, data);
end $$;

-- Publishes an event on the topic when the transaction commits. Data may be any JSON value, also JSON null, but not
-- SQL's NULL. The statement of enqueue is repeated here, since a call takes time.
create function leat.publish(topic text, data jsonb) returns void
  language plpgsql security definer as $$
begin
  if leat_internal.is_publishable(topic, data) is not true then
    perform leat_internal.check_event(topic, data);
  end if;
  insert into leat_internal.pending (tx, id, topic, kind, data)
    values (pg_catalog.pg_current_xact_id(), leat_internal.next_publication(), topic, 'event', data);
end $$;

-- Takes the right to the topic away from the subject (a user's id as text), or from everybody, until the subscribe
-- handler has decided again. It takes effect at its place in the log: after the events before it, before those after
-- it.
create function leat.revoke(topic text, subject text default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.check_topic(topic);
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
  perform leat_internal.check_topic(topic);
  perform leat_internal.enqueue(topic, 'resync', 'null');
end $$;

-- Returns true for a key of conflating signals: what a topic may be, or nothing.
create function leat_internal.is_key(key text) returns boolean
  language sql immutable parallel safe
  return key = '' or leat_internal.is_topic(key);

-- Sends data at commit to clients that are subscribed at that time. It is not stored, so it must fit into the
-- announcement. Equal signals of one transaction are sent once.
--
-- With a key to conflate by, which may be empty, the signal replaces the last one of its topic and key for each client
-- that has not taken that one yet.
create function leat.signal(topic text, data jsonb, conflate text default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  message constant text := leat_internal.message(case when conflate is null then 's' else 'c' end,
                                                 coalesce(conflate, ''), 0, 0, topic, data::text);
begin
  perform leat_internal.check_topic(topic);
  if not leat_internal.is_key(conflate) then
    raise exception 'malformed key to conflate by: %', to_json(left(conflate, 100))
      using errcode = 'invalid_parameter_value',
            detail = 'It is at most 255 bytes of UTF-8 without control characters.';
  end if;
  if data is null then
    raise exception 'data of a signal must not be NULL' using errcode = 'null_value_not_allowed',
      hint = 'For JSON null, write ''null''::jsonb.';
  end if;
  if not leat_internal.fits(message) then
    raise exception 'signal of % bytes is too large', octet_length(message)
      using errcode = 'invalid_parameter_value',
            detail = 'A signal, its topic and its key take at most 7,958 bytes.',
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
-- table of pending rows is mostly empty when they are made: so sequential scans are off.
create function leat_internal.sequence_many(me xid8) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  secret leat_internal.secret;
  new_topic text;
  revoked_topics text[];
  revoked_seqs bigint[];
begin
  -- From now on is_single_event is false for the rows that are committed here.
  perform nextval('leat_internal.publication');
  select * into strict secret from leat_internal.secret;
  if not exists (select from leat_internal.secret s where s.relation = s.tableoid) then
    secret.pads := null; -- the announcements have no signature then (0002_history.sql)
  end if;

  for new_topic in
    with counted as (
      select p.topic, count(*) as n
        from leat_internal.pending p where p.tx = me
       group by p.topic
    ), raised as (
      insert into leat.topic as t (name, epoch, seq) select c.topic, '', c.n from counted c order by c.topic
        on conflict on constraint topic_pkey do update set seq = t.seq + excluded.seq
        returning t.name, t.epoch
    )
    select r.name from raised r where r.epoch = ''
  loop
    perform leat_internal.adopt_epoch(new_topic);
  end loop;

  with queued as (
    delete from leat_internal.pending where tx = me returning id, topic, kind, data
  ), stored as (
    insert into leat.event (topic, seq, kind, data)
      select q.topic,
             t.seq - count(*) over (partition by q.topic) + row_number() over (partition by q.topic order by q.id),
             q.kind, q.data
        from queued q
        join leat.topic t on t.name = q.topic
       order by 1, 2
      returning topic, seq, kind, data, leat_internal.at(created_at) as at
  ), told as materialized ( -- otherwise message would be computed twice
    select s.topic, s.seq, s.kind,
           leat_internal.message_of(s.kind, leat_internal.full_epoch(secret.history, t.epoch), s.seq, s.at, s.topic,
                                    s.data) as message
      from stored s join leat.topic t on t.name = s.topic
     order by s.topic, s.seq
  )
  select array_agg(x.topic) filter (where x.kind = 'revoke'), array_agg(x.seq) filter (where x.kind = 'revoke')
    into revoked_topics, revoked_seqs
    from (select t.topic, t.seq, t.kind, pg_notify('leat', leat_internal.sign(t.message, secret.pads)) as sent
            from told t offset 0) x
   where x.sent is not null;

  if revoked_topics is not null then
    update leat.topic t set revoked = r.seq
      from (select u.topic, max(u.seq) as seq from unnest(revoked_topics, revoked_seqs) u (topic, seq)
             group by u.topic) r
     where t.name = r.topic;
  end if;
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

-- Returns true if the row of pending is an event, and its session has published nothing after it. So it is the only
-- one that is left of its transaction, because on_commit sees the rows in the order of id. The next number of the
-- sequence shows it, whatever the session has rolled back or discarded. In doubt the answer is false.
create function leat_internal.is_single_event(id bigint, kind text) returns boolean
  language sql volatile
  return kind = 'event' and nextval('leat_internal.publication') = id + 1;

create function leat_internal.is_pending(relation oid) returns boolean
  language sql stable
  return relation = 'leat_internal.pending'::regclass;

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
  if leat_internal.is_single_event(new.id, new.kind) then
    -- An upsert always uses the index. An UPDATE could get a sequential scan, depending on statistics.
    insert into leat.topic as t (name, epoch, seq) values (new.topic, '', 1)
      on conflict (name) do update set seq = t.seq operator(pg_catalog.+) 1
      returning t.epoch, t.seq, (select s.history from leat_internal.secret s),
                (select s.pads from leat_internal.secret s where s.relation operator(pg_catalog.=) s.tableoid)
           into epoch, seq, history, pads;
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
    perform from leat_internal.pending p where p.ctid operator(pg_catalog.=) new.ctid;
    if not found then
      return null; -- an earlier row of the transaction has committed this one, too
    end if;
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
