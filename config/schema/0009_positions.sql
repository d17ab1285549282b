-- Positions of writes: where the topics of a transaction stand after its commit.
--
-- The trigger that numbers the entries writes the positions to leat.positions, a setting of the session:
--
--   the transaction's id
--   EPOCH SEQ TOPIC        a line for each topic; the epoch is that of announcements, without the timeline
--
-- The setting is not one of the transaction only, and still a rollback takes it back, as it does with every setting,
-- also a rollback to a savepoint. So it holds the positions of the last transaction that published and was committed.
--
-- A session that sets leat.report to on gets them in a message, too, before the answer to its COMMIT. So a server
-- knows them without asking. The message has severity INFO, which no setting of a client hides, and SQLSTATE LEAT0.
-- A message cannot be taken back. So none is sent where the trigger runs within a savepoint or an exception block (after
-- SET CONSTRAINTS ... IMMEDIATE), which may still be undone: only the setting has these positions, and the next message
-- of the transaction, if there is one.

set local search_path = pg_catalog, pg_temp;

-- At most so many topics of one transaction are noted; of several runs of the trigger the last ones.
create function leat_internal.max_positions() returns integer
  language sql immutable parallel safe
  return 32;

create function leat_internal.position_line(epoch text, seq bigint, topic text) returns text
  language sql stable parallel safe
  return epoch || ' ' || seq || ' ' || topic;

create function leat_internal.topic_of_line(line text) returns text
  language sql immutable parallel safe
  return regexp_replace(line, '^[^ ]* [^ ]* ', '');

-- Returns the note, and the lines that are new. A new line replaces an old one of the same topic. This is for
-- transactions that make the trigger run more than once (SET CONSTRAINTS).
create function leat_internal.merged_note(note text, lines text) returns text
  language sql stable set search_path = pg_catalog, pg_temp as $$
  with known as (
    select distinct on (leat_internal.topic_of_line(l.line)) l.line, l.n
      from string_to_table(note || E'\n' || lines, E'\n') with ordinality l (line, n)
     where l.n > 1
     order by leat_internal.topic_of_line(l.line), l.n desc
  ), newest as (
    select line, n from known order by n desc limit leat_internal.max_positions()
  )
  select split_part(note, E'\n', 1) || E'\n' || string_agg(line, E'\n' order by n) from newest
$$;

create function leat_internal.noted(tx xid8, lines text) returns text
  language sql volatile
  return case
    when starts_with(current_setting('leat.positions', true), tx::text || E'\n')
    then leat_internal.merged_note(current_setting('leat.positions', true), lines)
    else tx::text || E'\n' || lines
  end;

create function leat_internal.lines_of_note(note text) returns text
  language sql immutable parallel safe
  return substr(note, strpos(note, E'\n') + 1);

-- writer: the xmin of a row that the trigger has written. It is the transaction's own id, unless a savepoint or an
-- exception block is open.
create function leat_internal.is_reporting(tx xid8, writer xid) returns boolean
  language sql stable
  return current_setting('leat.report', true) = 'on' and writer = xid(tx);

create function leat_internal.report(note text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise info using errcode = 'LEAT0',
    message = (select i.timeline from leat_internal.installation i) || E'\n' || leat_internal.lines_of_note(note);
end $$;

-- Returns where the topic stands after the last transaction of this session that published to any topic, as clients
-- see it: {"topic", "epoch", "seq"}. NULL: that transaction did not publish to this topic.
create function leat.last_position(topic text) returns jsonb
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('topic', last_position.topic,
                            'epoch', i.timeline || '-' || split_part(l.line, ' ', 1),
                            'seq', split_part(l.line, ' ', 2)::bigint)
    from string_to_table(leat_internal.lines_of_note(current_setting('leat.positions', true)), E'\n') l (line)
   cross join leat_internal.installation i
   where leat_internal.topic_of_line(l.line) = last_position.topic
$$;

-- As in 0004_publishing.sql, but it returns the lines of the topics' positions.
drop function leat_internal.sequence_many(xid8);

create function leat_internal.sequence_many(me xid8) returns text
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  secret leat_internal.secret;
  new_topic text;
  revoked_topics text[];
  revoked_seqs bigint[];
  lines text[];
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
                                    s.data) as message,
           case when s.seq = t.seq
                then leat_internal.position_line(leat_internal.full_epoch(secret.history, t.epoch), s.seq, s.topic)
           end as line
      from stored s join leat.topic t on t.name = s.topic
     order by s.topic, s.seq
  )
  select array_agg(x.topic) filter (where x.kind = 'revoke'), array_agg(x.seq) filter (where x.kind = 'revoke'),
         array_agg(x.line) filter (where x.line is not null)
    into revoked_topics, revoked_seqs, lines
    from (select t.topic, t.seq, t.kind, t.line, pg_notify('leat', leat_internal.sign(t.message, secret.pads)) as sent
            from told t offset 0) x
   where x.sent is not null;

  if revoked_topics is not null then
    update leat.topic t set revoked = r.seq
      from (select u.topic, max(u.seq) as seq from unnest(revoked_topics, revoked_seqs) u (topic, seq)
             group by u.topic) r
     where t.name = r.topic;
  end if;
  return array_to_string(lines[1:leat_internal.max_positions()], E'\n');
end $$;

-- As in 0004_publishing.sql, but it notes the positions. Like there, it has no search_path of its own: every change
-- must keep the rule that no name in it is looked up by search_path.
create or replace function leat_internal.on_commit() returns trigger
  language plpgsql security definer as $$
declare
  epoch pg_catalog.text;
  seq pg_catalog.int8;
  history pg_catalog.text;
  pads pg_catalog.bytea;
  now pg_catalog.timestamptz;
  message pg_catalog.text;
  lines pg_catalog.text;
  note pg_catalog.text;
  writer pg_catalog.xid;
  _ pg_catalog.text;
begin
  if not leat_internal.is_pending(tg_relid) then
    perform leat_internal.check_place(tg_relid, 'leat_internal.pending');
  end if;
  if leat_internal.is_single_event(new.id, new.kind) then
    -- An upsert always uses the index. An UPDATE could get a sequential scan, depending on statistics.
    insert into leat.topic as t (name, epoch, seq) values (new.topic, '', 1)
      on conflict (name) do update set seq = t.seq operator(pg_catalog.+) 1
      returning t.epoch, t.seq, t.xmin, (select s.history from leat_internal.secret s),
                (select s.pads from leat_internal.secret s where s.relation operator(pg_catalog.=) s.tableoid)
           into epoch, seq, writer, history, pads;
    if leat_internal.is_new(epoch) then
      epoch := leat_internal.adopt_epoch(new.topic);
    end if;
    epoch := leat_internal.full_epoch(history, epoch);
    now := pg_catalog.clock_timestamp();
    with done as (delete from leat_internal.pending where ctid operator(pg_catalog.=) new.ctid)
      insert into leat.event (topic, seq, kind, data, created_at) values (new.topic, seq, 'event', new.data, now);
    if leat_internal.may_fit(new.data) then
      message := leat_internal.message('e', epoch, seq, leat_internal.at(now), new.topic, new.data::pg_catalog.text);
    end if;
    if leat_internal.fits(message) is not true then
      message := leat_internal.message('E', epoch, seq, leat_internal.at(now), new.topic, '');
    end if;
    _ := pg_catalog.pg_notify('leat', leat_internal.sign(message, pads)) is null;
    lines := leat_internal.position_line(epoch, seq, new.topic);
  else
    perform from leat_internal.pending p where p.ctid operator(pg_catalog.=) new.ctid;
    if not found then
      return null; -- an earlier row of the transaction has committed this one, too
    end if;
    lines := leat_internal.sequence_many(new.tx);
    select t.xmin into writer from leat.topic t where t.name operator(pg_catalog.=) new.topic;
  end if;

  note := leat_internal.noted(new.tx, lines);
  _ := pg_catalog.set_config('leat.positions', note, false);
  if leat_internal.is_reporting(new.tx, writer) then
    _ := leat_internal.report(note);
  end if;
  if leat_internal.has_one_snapshot() then
    perform leat_internal.check_snapshot();
  end if;
  if leat_internal.is_asynchronous() then
    perform leat_internal.synchronize();
  end if;
  return null;
end $$;

-- Rights: who may publish may ask for the positions. -------------------------------------------------

create or replace function leat_internal.grant_publisher(role name) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('grant usage on schema leat to %I', role);
  execute format('grant execute on function leat.publish(text, jsonb), leat.revoke(text, text), leat.resync(text),'
                 || ' leat.signal(text, jsonb, text), leat.last_position(text) to %I', role);
end $$;

revoke execute on function leat.last_position(text), leat_internal.max_positions(),
  leat_internal.position_line(text, bigint, text), leat_internal.topic_of_line(text),
  leat_internal.merged_note(text, text), leat_internal.noted(xid8, text), leat_internal.lines_of_note(text),
  leat_internal.is_reporting(xid8, xid), leat_internal.report(text), leat_internal.sequence_many(xid8) from public;

do $$
declare
  publisher name;
begin
  for publisher in
    select r.rolname
      from pg_proc p
     cross join aclexplode(p.proacl) a
      join pg_roles r on r.oid = a.grantee
     where p.oid = 'leat.publish(text, jsonb)'::regprocedure and a.privilege_type = 'EXECUTE' and r.oid <> p.proowner
  loop
    execute format('grant execute on function leat.last_position(text) to %I', publisher);
  end loop;
end $$;
