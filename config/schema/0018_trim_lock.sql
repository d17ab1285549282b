-- Trimming is not stopped from outside.
--
-- The lock that keeps a second caller out was an advisory lock, and every role that may connect can take that, and keep
-- it: then nothing was deleted any more. Now it is a lock on a table of ours, which needs a right to write there.
-- Autovacuum takes it, too, and trim gives way.

set local search_path = pg_catalog, pg_temp;

-- As in 0005_retention.sql, with another lock.
create or replace function leat_internal.trim(max_age interval, max_events bigint, batch integer) returns bigint
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
  begin
    lock table leat_internal.trimming in share update exclusive mode nowait;
  exception when lock_not_available then
    return 0;
  end;
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
