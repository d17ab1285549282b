-- Retention: the outbox is kept short.

set local search_path = pg_catalog, pg_temp;

-- The time up to which leat_internal.trim has looked for topics that have more than max_events. The table is
-- unlogged: if the row is lost, trim looks at all events again.
create unlogged table leat_internal.trimming (
  max_events bigint primary key,
  seen timestamptz not null
);

-- Deletes at most batch events that are older than max_age, or that are not among their topic's newest max_events
-- (NULL: there is no such limit). Returns the number of deleted events. The caller repeats the call at once while it
-- returns batch. Only one caller works at a time; the others get 0. If nothing has to be done, it reads the ends of
-- one index.
--
-- A call that is cancelled deletes nothing. So a call ends by itself after 50,000 new events or one second (or a
-- quarter of statement_timeout, if that is less), and the next call continues there. After a crash, or with another
-- limit, a call may therefore return less than batch, or 0, before everything is done. leat_internal.trimming shows
-- its progress.
create function leat_internal.trim(max_age interval, max_events bigint, batch integer) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  slice constant integer := greatest(batch, 1000);
  began constant timestamptz := clock_timestamp();
  oldest constant timestamptz := began - max_age; -- clock_timestamp() in a condition would prevent an index scan
  most constant interval := least(interval '1 second',
                                  nullif(current_setting('statement_timeout')::interval, interval '0') / 4);
  deleted bigint := 0;
  n bigint;
  started timestamptz;
  seen timestamptz;
  upto timestamptz;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('leat_internal.trim', 0)) then
    return 0;
  end if;
  lock table leat.topic in access share mode; -- before leat.event, as TRUNCATE of leat.topic does

  delete from leat.event where ctid = any (array(
    select e.ctid from leat.event e where e.created_at < oldest
     order by e.created_at limit batch));
  get diagnostics deleted = row_count;
  if max_events is null then
    return deleted;
  end if;

  -- Only a topic with new events can have too many. New events are examined in slices, the oldest first.
  select t.seen into started from leat_internal.trimming t where t.max_events = trim.max_events;
  seen := coalesce(started, '-infinity');
  for i in 1 .. 50 loop
    exit when deleted >= batch or i > 1 and clock_timestamp() > began + most;
    select max(s.created_at) into upto from (
      select e.created_at from leat.event e where e.created_at > seen
       order by e.created_at limit slice) s;
    exit when upto is null;
    delete from leat.event where ctid = any (array(
      select x.ctid
        from (select distinct e.topic from leat.event e
               where e.created_at > seen and e.created_at <= upto) grown
        join leat.topic t on t.name = grown.topic and t.seq > max_events
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

  -- An event becomes visible a little after its created_at, so the next call examines the latest events again.
  seen := least(seen, clock_timestamp() - interval '10 seconds');
  if seen is distinct from started then
    insert into leat_internal.trimming as t (max_events, seen) values (max_events, seen)
      on conflict on constraint trimming_pkey do update set seen = excluded.seen;
  end if;
  return deleted;
end $$;
