-- Transactions with several publications: less work.
--
--   commit_queue    does what on_commit did. It sends a transaction with few entries to sequence_few: the statements of
--                   sequence_many take long to start, whatever the number of entries.
--   commit_queue    finds its row of the queue without reading the others. Postgres planned that for a queue that is
--                   nearly empty, and kept the plan: so it read all rows that another transaction had queued.
--   sequence_many   announces only the last entry of a topic that gets many of them. Servers fetch the others from the
--                   outbox (P7), those of a topic without subscribers not at all.

set local search_path = pg_catalog, pg_temp;

-- Returns at least the number of entries that this session has queued since that one. It is called after
-- is_single_event, which has taken a number of the sequence, too, if the entry is an event. So is_single_event is false
-- for all rows of pending that a row before them has committed.
create function leat_internal.entries_since(id bigint) returns bigint
  language sql volatile
  return nextval('leat_internal.publication') - id;

-- NULL: data is so large that it is not worth while to make the announcement and to see whether it fits.
create function leat_internal.message_with(kind text, epoch text, seq bigint, at bigint, topic text, data jsonb)
  returns text
  language sql stable
  return case when leat_internal.may_fit(data)
              then leat_internal.message(kind, epoch, seq, at, topic, data::text) end;

-- Commits the entries of a transaction one after the other. Returns the lines of the topics' positions; NULL if there
-- is no entry. Like commit_queue, which calls it, it has no search_path of its own, and no name in it is looked up
-- by search_path.
create function leat_internal.sequence_few(me xid8) returns text
  language plpgsql as $$
declare
  entry pg_catalog.record;
  topic pg_catalog.text;
  epoch pg_catalog.text;
  seq pg_catalog.int8;
  history pg_catalog.text;
  pads pg_catalog.bytea;
  now pg_catalog.timestamptz;
  message pg_catalog.text;
  line pg_catalog.text;
  lines pg_catalog.text;
  _ pg_catalog.text;
begin
  for entry in
    with queued as (
      delete from leat_internal.pending p where p.tx operator(pg_catalog.=) me returning p.topic, p.id, p.kind, p.data
    )
    select q.topic, q.kind, q.data from queued q order by q.topic, q.id
  loop
    if leat_internal.is_same(entry.topic, topic) is not true then -- line is the last one of the topic before
      lines := leat_internal.with_line(lines, line);
      topic := entry.topic;
    end if;
    insert into leat.topic as t (name, epoch, seq) values (entry.topic, '', 1)
      on conflict (name) do update set seq = t.seq operator(pg_catalog.+) 1
      returning t.epoch, t.seq into epoch, seq;
    -- Only now, as the statement above may have waited for another history to begin (renew_history). Without the pads
    -- the announcements have no signature (0002_history.sql).
    if history is null then
      select s.history, case when s.relation operator(pg_catalog.=) s.tableoid then s.pads end
        into strict history, pads
        from leat_internal.secret s where s.only_row;
    end if;
    if leat_internal.is_new(epoch) then
      epoch := leat_internal.adopt_epoch(topic);
    end if;
    if leat_internal.is_revoke(entry.kind) then
      update leat.topic as t set revoked = t.seq where t.name operator(pg_catalog.=) entry.topic;
    end if;
    epoch := leat_internal.full_epoch(history, epoch);
    now := pg_catalog.clock_timestamp();
    insert into leat.event (topic, seq, kind, data, created_at) values (entry.topic, seq, entry.kind, entry.data, now);
    message := leat_internal.message_with(leat_internal.letter(entry.kind), epoch, seq, leat_internal.at(now), topic,
                                          entry.data);
    if leat_internal.fits(message) is not true then
      message := leat_internal.message('E', epoch, seq, leat_internal.at(now), topic, '');
    end if;
    _ := pg_catalog.pg_notify('leat', leat_internal.sign(message, pads)) is null;
    line := leat_internal.position_line(epoch, seq, topic);
  end loop;
  if not found then
    return null;
  end if;
  return leat_internal.with_line(lines, line);
end $$;

create function leat_internal.with_line(lines text, line text) returns text
  language sql immutable parallel safe
  return case when lines is null then line else lines || E'\n' || line end;

create function leat_internal.is_revoke(kind text) returns boolean
  language sql immutable parallel safe
  return kind = 'revoke';

-- Returns the kind of the announcement of an entry.
create function leat_internal.letter(kind text) returns text
  language sql immutable parallel safe
  return case kind when 'revoke' then 'r' when 'resync' then 'y' else 'e' end;

-- Returns true if on_commit has something to do that few transactions need. One expression is faster than three.
create function leat_internal.is_unusual() returns boolean
  language sql stable
  return current_setting('leat.report', true) = 'on'
      or current_setting('transaction_isolation') in ('repeatable read', 'serializable')
      or current_setting('synchronous_commit') = 'off';

-- Returns true if so many entries are committed faster one after the other.
create function leat_internal.are_few(entries bigint) returns boolean
  language sql immutable parallel safe
  return entries <= 16;

-- Returns true if an entry of a topic is announced. count: how many entries of the topic the transaction has. last: the
-- seq of the last one. A revocation is always announced, so that a server needs no fetch to end a right.
create function leat_internal.is_announced(kind text, seq bigint, last bigint, count bigint) returns boolean
  language sql immutable parallel safe
  return count <= 32 or seq = last or kind = 'revoke';

-- As in 0009_positions.sql, with fewer announcements. The topics' epochs, numbers and counts are kept in arrays, so that
-- the second statement does not look up a topic for each entry. It computes an announcement without calling a function
-- that Postgres cannot inline.
create or replace function leat_internal.sequence_many(me xid8) returns text
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_nestloop = off set jit = off as $$
declare
  history text;
  pads bytea;
  topics text[];
  epochs text[];
  counts bigint[];
  lasts bigint[];
  revoked_topics text[];
  revoked_seqs bigint[];
  lines text;
  _ boolean;
begin
  with counted as (
    select p.topic, count(*) as n
      from leat_internal.pending p where p.tx = me
     group by p.topic
  ), raised as (
    insert into leat.topic as t (name, epoch, seq) select c.topic, '', c.n from counted c order by c.topic
      on conflict on constraint topic_pkey do update set seq = t.seq + excluded.seq
      returning t.name, t.epoch, t.seq
  )
  select array_agg(r.name), array_agg(nullif(r.epoch, '')), array_agg(r.seq), array_agg(r.n)
    into topics, epochs, lasts, counts
    from (select r.*, c.n from raised r join counted c on c.topic = r.name order by r.name) r;
  -- As in sequence_few, only now.
  select s.history, case when s.relation = s.tableoid then s.pads end into strict history, pads
    from leat_internal.secret s where s.only_row;
  for i in 1 .. cardinality(topics) loop
    epochs[i] := leat_internal.full_epoch(history, coalesce(epochs[i], leat_internal.adopt_epoch(topics[i])));
    if i <= leat_internal.max_positions() then
      lines := concat_ws(E'\n', lines, leat_internal.position_line(epochs[i], lasts[i], topics[i]));
    end if;
  end loop;

  with queued as (
    delete from leat_internal.pending where tx = me returning id, topic, kind, data
  ), numbered as (
    select q.topic, q.kind, q.data, t.epoch, t.last, t.count,
           t.last - t.count + row_number() over (partition by q.topic order by q.id) as seq
      from queued q
      join unnest(topics, epochs, lasts, counts) t (name, epoch, last, count) on t.name = q.topic
     order by q.topic, q.id
  ), timed as materialized (
    select n.topic, n.kind, n.data, n.epoch, n.seq, clock_timestamp() as created_at,
           leat_internal.is_announced(n.kind, n.seq, n.last, n.count) as is_announced
      from numbered n
  ), stored as (
    insert into leat.event (topic, seq, kind, data, created_at)
      select t.topic, t.seq, t.kind, t.data, t.created_at from timed t
  ), written as ( -- OFFSET 0 keeps the text from being computed twice
    select t.topic, t.seq, t.kind, t.epoch, leat_internal.at(t.created_at) as at,
           case when leat_internal.may_fit(t.data) then t.data::text end as data
      from timed t where t.is_announced offset 0
  ), told as ( -- likewise for the message
    select w.topic, w.seq, w.kind,
           case when w.data is not null
                 and leat_internal.fits(leat_internal.message('e', w.epoch, w.seq, w.at, w.topic, w.data))
                then leat_internal.message(leat_internal.letter(w.kind), w.epoch, w.seq, w.at, w.topic, w.data)
                else leat_internal.message('E', w.epoch, w.seq, w.at, w.topic, '') end as message
      from written w offset 0
  )
  select array_agg(t.topic) filter (where t.kind = 'revoke'), array_agg(t.seq) filter (where t.kind = 'revoke'),
         bool_and(pg_notify('leat', leat_internal.sign(t.message, pads)) is null)
    into revoked_topics, revoked_seqs, _
    from told t;

  if revoked_topics is not null then
    update leat.topic t set revoked = r.seq
      from (select u.topic, max(u.seq) as seq from unnest(revoked_topics, revoked_seqs) u (topic, seq)
             group by u.topic) r
     where t.name = r.topic;
  end if;
  return lines;
end $$;

-- As in 0009_positions.sql.
create or replace function leat_internal.report(note text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise info using errcode = 'LEAT0',
    message = (select i.timeline from leat_internal.installation i where i.only_row)
           || E'\n' || leat_internal.lines_of_note(note);
end $$;

-- As in 0004_publishing.sql.
create or replace function leat_internal.check_snapshot() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform from leat_internal.secret s where s.only_row for share;
end $$;

-- Commits the queue of a transaction. The arguments are a row of it, and the row's place. Like on_commit, which calls
-- it, it has no search_path of its own: every change must keep the rule that no name in it is looked up by search_path.
--
-- Its plans are kept, and the table of pending rows is mostly empty when they are made: so sequential scans are off.
-- Where nothing but such a scan is possible, Postgres takes the plan for so costly that it compiles it. So every
-- statement here, and in the functions that are called, names what an index finds.
create function leat_internal.commit_queue(tx xid8, id bigint, topic text, kind text, data jsonb, place tid)
  returns void
  language plpgsql set enable_seqscan = off as $$
declare
  epoch pg_catalog.text;
  seq pg_catalog.int8;
  secret pg_catalog.bytea[]; -- the history and the pads, which are one read so
  now pg_catalog.timestamptz;
  message pg_catalog.text;
  lines pg_catalog.text;
  writer pg_catalog.xid;
  _ pg_catalog.text;
begin
  if leat_internal.is_single_event(id, kind) then
    -- An upsert always uses the index. An UPDATE could get a sequential scan, depending on statistics.
    insert into leat.topic as t (name, epoch, seq) values (topic, '', 1)
      on conflict (name) do update set seq = t.seq operator(pg_catalog.+) 1
      returning t.epoch, t.seq, t.xmin, (
        select array[pg_catalog.convert_to(s.history, 'UTF8'),
                     case when s.relation operator(pg_catalog.=) s.tableoid then s.pads end]
          from leat_internal.secret s where s.only_row)
           into epoch, seq, writer, secret;
    if leat_internal.is_new(epoch) then
      epoch := leat_internal.adopt_epoch(topic);
    end if;
    epoch := leat_internal.full_epoch(pg_catalog.convert_from(secret[1], 'UTF8'), epoch);
    now := pg_catalog.clock_timestamp();
    with done as (delete from leat_internal.pending p where p.ctid operator(pg_catalog.=) place)
      insert into leat.event (topic, seq, kind, data, created_at) values (topic, seq, 'event', data, now);
    message := leat_internal.message_with('e', epoch, seq, leat_internal.at(now), topic, data);
    if leat_internal.fits(message) is not true then
      message := leat_internal.message('E', epoch, seq, leat_internal.at(now), topic, '');
    end if;
    _ := pg_catalog.pg_notify('leat', leat_internal.sign(message, secret[2])) is null;
    lines := leat_internal.position_line(epoch, seq, topic);
  else
    if leat_internal.are_few(leat_internal.entries_since(id)) then
      lines := leat_internal.sequence_few(tx);
    else
      perform from leat_internal.pending p where p.ctid operator(pg_catalog.=) place;
      if found then
        lines := leat_internal.sequence_many(tx);
      end if;
    end if;
    if lines is null then
      return; -- within a savepoint, an earlier row of the transaction has committed this one, too
    end if;
    if leat_internal.is_unusual() then
      select t.xmin into writer from leat.topic t where t.name operator(pg_catalog.=) topic;
    end if;
  end if;

  _ := pg_catalog.set_config('leat.positions', leat_internal.noted(tx, lines), false);
  if leat_internal.is_unusual() then
    if leat_internal.is_reporting(tx, writer) then
      _ := leat_internal.report(pg_catalog.current_setting('leat.positions'));
    end if;
    if leat_internal.has_one_snapshot() then
      perform leat_internal.check_snapshot();
    end if;
    if leat_internal.is_asynchronous() then
      perform leat_internal.synchronize();
    end if;
  end if;
end $$;

-- Returns true if the top level of the transaction has deleted the row with this xmax, so that nothing can take the
-- deletion back. NULL or false: it may have been deleted within a savepoint, or not at all.
create function leat_internal.is_deleted(tx xid8, deleter xid) returns boolean
  language sql immutable
  return deleter = xid(tx);

-- As in 0009_positions.sql, but it sees in the row itself that an earlier call has committed it: only for the first row
-- it calls commit_queue, whose setting takes time.
create or replace function leat_internal.on_commit() returns trigger
  language plpgsql security definer as $$
declare
  _ pg_catalog.bool;
begin
  if not leat_internal.is_pending(tg_relid) then
    perform leat_internal.check_place(tg_relid, 'leat_internal.pending');
  end if;
  if not leat_internal.is_deleted(new.tx, new.xmax) then -- otherwise an earlier row has committed this one, too
    _ := leat_internal.commit_queue(new.tx, new.id, new.topic, new.kind, new.data, new.ctid) is null;
  end if;
  return null;
end $$;

revoke execute on function leat_internal.is_deleted(xid8, xid),
  leat_internal.entries_since(bigint), leat_internal.sequence_few(xid8),
  leat_internal.message_with(text, text, bigint, bigint, text, jsonb),
  leat_internal.with_line(text, text), leat_internal.is_revoke(text), leat_internal.letter(text),
  leat_internal.are_few(bigint), leat_internal.is_unusual(),
  leat_internal.is_announced(text, bigint, bigint, bigint),
  leat_internal.commit_queue(xid8, bigint, text, text, jsonb, tid) from public;
