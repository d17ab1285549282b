-- What is in a topic's log besides events: revocations, whose last one every position tells of, and resyncs.
--
-- A snapshot, or a position that a client brings, may lie behind a revocation that its handler has not seen: the
-- server compares, and runs the handler again. A resync is an entry with a seq of its own, so that no server misses it.

-- The seq of the topic's last revocation; -1: there was none. 0 stands for one of the numbering before, of which the
-- topic's deletion has left nothing: a handshake may be under way that has not seen it.
alter table leat.topic add column revoked bigint not null default -1;
alter table leat.installation add column reset_at timestamptz not null default '-infinity';

update leat.topic t set revoked = r.seq
  from (select e.topic, max(e.seq) as seq from leat.event e where e.kind = 'revoke' group by e.topic) r
 where t.name = r.topic;

-- What a numbering begins with. For so long it is remembered that topics were deleted; the server takes no handler
-- that began half as long ago for one that has seen it.
create function leat.first_revoked(reset_at timestamptz) returns bigint
  language sql stable
  return case when reset_at > now() - interval '1 hour' then 0 else -1 end;

create or replace function leat.before_topics_deleted() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  lock table leat.topic in share row exclusive mode;
  update leat.installation set epoch = leat.new_epoch(), reset_at = clock_timestamp();
  return null;
end $$;

create or replace function leat.adopt_epoch(topic text) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  adopted text;
  first bigint;
begin
  select i.epoch, leat.first_revoked(i.reset_at) into strict adopted, first
    from leat.installation i where i.only_row for share;
  update leat.topic t set epoch = adopted, revoked = first where t.name = adopt_epoch.topic;
  return adopted;
end $$;

-- A topic's position as clients see it, and its last revocation. Always one row. Inlined into the calling query.
-- Asking for the first name from the topic on, not for the topic, keeps the plan on the index whatever the table's size.
drop function leat.position(text);
create function leat.position(topic text) returns table (epoch text, seq bigint, revoked bigint)
  language sql stable as $$
  select leat.timeline() || '-' || coalesce(t.epoch, i.epoch), coalesce(t.seq, 0),
         coalesce(t.revoked, leat.first_revoked(i.reset_at))
    from leat.installation i
    left join lateral (
      select n.name, n.epoch, n.seq, n.revoked from leat.topic n
       where n.name >= position.topic order by n.name limit 1) t on t.name = position.topic
$$;

-- The announcement of an outbox row. Data that does not fit stays behind, and kind E says so.
create or replace function leat.announcement(kind text, epoch text, seq bigint, topic text, data jsonb)
  returns text
  language sql stable parallel safe
  return case
    when leat.may_fit(data) and leat.fits(leat.payload('e', epoch, seq, topic, data::text))
    then leat.payload(case kind when 'revoke' then 'r' when 'resync' then 'y' else 'e' end,
                      epoch, seq, topic, data::text)
    else leat.payload('E', epoch, seq, topic, '')
  end;

-- A fresh snapshot for each of the topic's subscribers, and for whoever comes back with a position before it.
create or replace function leat.resync(topic text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if leat.is_topic(topic) is not true then
    perform leat.refuse_topic(topic);
  end if;
  perform leat.enqueue(topic, 'resync', 'null');
end $$;

-- The publications of a transaction that has more than one, or something else than an event: the row first_at of
-- pending, and its rows of pending_more. Without enable_seqscan, since plans are kept and those tables are mostly
-- empty when they are made.
create or replace function leat.sequence_many(first_at tid) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  me constant xid8 := pg_current_xact_id();
  of_topic text;
  n bigint;
  adopted text;
  last bigint;
  last_revoked bigint;
begin
  for of_topic, n in
    select p.topic, count(*)
      from (select topic from leat.pending where ctid = first_at
            union all select topic from leat.pending_more where tx = me) p
     group by p.topic order by p.topic
  loop
    insert into leat.topic as t (name, epoch, seq) values (of_topic, '', n)
      on conflict on constraint topic_pkey do update set seq = t.seq + n
      returning t.epoch, t.seq into adopted, last;
    if adopted = '' then
      adopted := leat.adopt_epoch(of_topic);
    end if;

    with queued as (
      select 0 as id, kind, data from leat.pending where ctid = first_at and topic = of_topic
      union all
      select id, kind, data from leat.pending_more where tx = me and topic = of_topic
    ), stored as (
      insert into leat.event (topic, seq, kind, data)
        select of_topic, last - n + row_number() over (order by id), kind, data
          from queued order by id
        returning seq, kind, data
    )
    select count(pg_notify('leat', leat.announcement(kind, adopted, seq, of_topic, data))),
           max(seq) filter (where kind = 'revoke')
      into n, last_revoked from stored;
    if last_revoked is not null then
      update leat.topic t set revoked = last_revoked where t.name = of_topic;
    end if;
  end loop;

  delete from leat.pending where ctid = first_at;
  delete from leat.pending_more where tx = me;
end $$;

-- TRUNCATE of a watched table is an entry like another, at its place among the changes: no new epochs.
create or replace function leat.on_truncate() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  watched oid;
  parts text[];
begin
  if tg_op <> 'TRUNCATE' then
    return null;
  end if;
  watched := leat.watched_relation(tg_relid, tg_argv[1]);
  if watched is null then
    return null;  -- no partition any more
  end if;
  parts := leat.watched_parts(watched, tg_argv[1], tg_argv[0]);
  perform leat.resync(x.topic)
     from (select distinct i.topic
             from leat.storage(tg_relid) s (relation)
            cross join unnest(leat.topics_in(s.relation, parts)) i (topic)
            where s.relation = tg_relid or not exists (
              select from pg_trigger t where t.tgrelid = s.relation and t.tgname = tg_name)) x;
  return null;
end $$;

drop function leat.renew_epochs(text[]);

-- As it was, but it locks leat.topic before leat.event, as TRUNCATE of leat.topic does.
create or replace function leat.trim(max_age interval, max_events bigint, batch integer) returns bigint
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
  lock table leat.topic in access share mode;

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
