-- Retention: the outbox is kept short.

set local search_path = pg_catalog, pg_temp;

-- How far leat.trim has looked for topics that have grown. Unlogged: without its row it looks at all.
create unlogged table leat.trimming (
  only_row boolean primary key default true check (only_row),
  max_events bigint,
  seen timestamptz not null
);

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
  lock table leat.topic in access share mode; -- before leat.event, as TRUNCATE of leat.topic does

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
