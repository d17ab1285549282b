-- The key of announcements is in no plan of a statement.
--
-- Every role may set debug_print_plan, and client_min_messages so that it sees the plans. Postgres plans a statement
-- for the values of its parameters at first, and they are constants of such a plan. sequence_many passed the key as one:
-- so whoever published more than 16 entries in a transaction, or wrote so many rows of a watched table, could read it,
-- and announce what nobody has published. Now it is a column there. In commit_queue and sequence_few it is a parameter
-- of an expression without a table, which PL/pgSQL plans without the values.

set local search_path = pg_catalog, pg_temp;

-- As in 0012_fewer_steps.sql, but the key is read where it is needed.
create or replace function leat_internal.sequence_many(me xid8) returns text
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_nestloop = off set jit = off as $$
declare
  history text;
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
  select s.history into strict history from leat_internal.secret s where s.only_row;
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
         bool_and(pg_notify('leat', leat_internal.sign(t.message, k.pads)) is null)
    into revoked_topics, revoked_seqs, _
    from told t
   cross join (select case when s.relation = s.tableoid then s.pads end as pads
                 from leat_internal.secret s where s.only_row) k;

  if revoked_topics is not null then
    update leat.topic t set revoked = r.seq
      from (select u.topic, max(u.seq) as seq from unnest(revoked_topics, revoked_seqs) u (topic, seq)
             group by u.topic) r
     where t.name = r.topic;
  end if;
  return lines;
end $$;

-- Nobody knows who has read the old key. Servers that run learn the new one from the next announcement.
update leat_internal.secret s
   set key = k.key, pads = leat_internal.pad(k.key, 54) || leat_internal.pad(k.key, 92)
  from (select leat_internal.new_key() as key) k;
