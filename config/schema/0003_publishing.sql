-- Publishing: what an application's transactions say, and what becomes of it when they commit.
--
-- leat.publish only queues, in the caller's transaction. At COMMIT a deferred trigger takes the transaction's topics
-- in sorted order, raises each one's seq, writes the outbox and sends the announcements. The row lock of a topic is
-- held from there to the end of the commit, so seq order is commit order; and since everybody takes the locks sorted,
-- nobody deadlocks on them.

set local search_path = pg_catalog, pg_temp;

-- What a transaction has published and not yet committed: its first publication in pending, the others in
-- pending_more. The first one's insert queues the trigger, so a transaction of any size fires one. Its row is unique by
-- the transaction, and a later publication finds it by that; nothing that a session can set or reset has a say.
-- Rolling back to a savepoint takes these rows back as it does all others, and the first one never without the rest.
--
-- No other transaction ever sees a row here, and a crash leaves nothing worth keeping: unlogged. Truncating would
-- lock publishers out.
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

-- publish and on_commit run for every publication. They are security definers without a search_path of
-- their own, since to set one costs a tenth of the whole; they are safe because nothing in them is
-- looked up by it: functions, types and operators are qualified, or stand in one of the functions with a
-- bare RETURN, which were bound when they were created (and are inlined). Keep it so. Their calls are
-- assignments where PERFORM would start the executor for nothing.

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

-- False if the data cannot fit: text is never shorter than a sixth of jsonb's own form. So what is far
-- too large need not be converted to find out.
create function leat_internal.may_fit(data jsonb) returns boolean
  language sql stable parallel safe
  return pg_column_size(data) < 50000;

-- What is said of an outbox row. Data that does not fit stays behind, and kind E says so.
create function leat_internal.message_of(kind text, epoch text, seq bigint, at bigint, topic text, data jsonb) returns text
  language sql stable parallel safe
  return case
    when leat_internal.may_fit(data) and leat_internal.fits(leat_internal.message('e', epoch, seq, at, topic, data::text))
    then leat_internal.message(case kind when 'revoke' then 'r' when 'resync' then 'y' else 'e' end,
                      epoch, seq, at, topic, data::text)
    else leat_internal.message('E', epoch, seq, at, topic, '')
  end;

-- Whether data is surely within any limit (leat.installation.max_event_bytes). The number 1e131071 takes 12 bytes in
-- jsonb, and 131,072 as text: so what is small is converted to find out, and what is not, is not converted here.
create function leat_internal.is_small(data jsonb) returns boolean
  language sql stable parallel safe
  return pg_column_size(data) <= 4000 and octet_length(data::text) <= 8192;

-- Whether data is beyond the limit, or cannot even be converted. Text is never shorter than a sixth of jsonb's own form.
create function leat_internal.is_too_large(data jsonb) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := (select i.max_event_bytes from leat_internal.installation i);
begin
  return pg_column_size(data) > most * 6 or octet_length(data::text) > most;
exception when program_limit_exceeded or out_of_memory or internal_error then
  return true;
end $$;

-- What is to be published: NULL or false if a closer look is needed.
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
      hint = 'Publish a reference to it, or raise max_event_bytes in leat_internal.installation and in the server''s configuration.';
  end if;
end $$;

-- Queues an entry of any kind. Without a search_path of its own, as publish.
create function leat_internal.enqueue(topic text, kind text, data jsonb) returns void
  language plpgsql as $$
declare
  me constant pg_catalog.xid8 := pg_catalog.pg_current_xact_id();
  there_is_more pg_catalog.bool;
begin
  -- False: this is the first one. True: the second. NULL: a later one.
  insert into leat_internal.pending as p (tx, topic, kind, data) values (me, topic, kind, data)
    on conflict (tx) do update set more = true where not p.more
    returning p.more into there_is_more;
  if there_is_more is not false then
    insert into leat_internal.pending_more (tx, topic, kind, data) values (me, topic, kind, data);
  end if;
end $$;

-- Publishes an event on the topic when the transaction commits. Data may be any JSON value, null included,
-- but not SQL's NULL. What enqueue does is written out here, since a call costs.
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

-- Ends the right to the topic, of the subject (a user's id as text) or of everybody, until the subscribe handler
-- has decided anew: exactly between the events before it and those after it.
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

-- A fresh snapshot for each of the topic's subscribers, and for whoever comes back with a position before it.
create function leat.resync(topic text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if leat_internal.is_topic(topic) is not true then
    perform leat_internal.refuse_topic(topic);
  end if;
  perform leat_internal.enqueue(topic, 'resync', 'null');
end $$;

-- Sends data to the topic's subscribers of the moment, at commit. It is stored nowhere, so it must fit the
-- announcement. Equal signals of one transaction count once.
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

-- Gives a topic that was just created its epoch. FOR SHARE: if topics are being deleted, wait and
-- take the epoch that comes after.
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

-- The publications of a transaction that has more than one, or something else than an event. Without enable_seqscan,
-- since plans are kept and the tables of pending rows are mostly empty when they are made.
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
    secret.pads := null; -- announced without a signature (0002_history.sql)
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
    ), told as materialized ( -- what stands here twice would be computed twice, or called at a high price
      select seq, kind, leat_internal.message_of(kind, leat_internal.full_epoch(secret.history, adopted), seq, at, of_topic, data) as message
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

-- A transaction that publishes commits synchronously, or a crash could take back an event that a client has
-- seen and give its number to another. leat.synchronous_commit = off opts out.
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

-- A transaction with one snapshot for all its statements publishes by the history of that snapshot. If another one
-- came after, the topic's row does not tell, so this must: it fails as any such transaction that meets a change.
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
  -- A second publication has updated the row: then there is none at this place any more. And an upsert, not an update,
  -- for its plan: it always goes by the index, whatever statistics say.
  insert into leat.topic as t (name, epoch, seq)
    select p.topic, '', 1 from leat_internal.pending p where p.ctid operator(pg_catalog.=) new.ctid and leat_internal.is_event(p.kind)
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
      message := leat_internal.message('e', leat_internal.full_epoch(history, epoch), seq, leat_internal.at(now), new.topic,
                              new.data::pg_catalog.text);
    end if;
    if leat_internal.fits(message) is not true then
      message := leat_internal.message('E', leat_internal.full_epoch(history, epoch), seq, leat_internal.at(now), new.topic, '');
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
