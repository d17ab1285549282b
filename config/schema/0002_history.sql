-- The history: the line of states that the database has gone through. A restore puts an earlier state in place, and
-- the later states, which clients have seen, are gone. A position contains the history's id, so that a position of
-- another history is refused.
--
-- The database itself cannot tell that it was restored: a copy of its files is like the original. A server can tell.
-- It has seen the newest entries, and before it delivers anything, it asks leat_internal.attend whether they are
-- still there. After a start of Postgres, leat_internal.position gives no positions until a server has confirmed the
-- history.

set local search_path = pg_catalog, pg_temp;

-- The key that signs announcements. pads holds the two blocks that HMAC-SHA256 makes of the key: the key is filled up
-- with zeros to 64 bytes, and each byte is xor 0x36 in the first block and xor 0x5c in the second one. The table has
-- row security without a policy, so that a grant on all tables does not make the key readable. history is a copy of
-- leat_internal.installation.history: a publisher needs both, and reads one row. relation is the oid that this table
-- had when the history was confirmed. A dump that is loaded makes a table with another oid. Until a server has
-- confirmed the history, publications are then announced without a signature. So a server that listens at that time
-- does not deliver them, but calls leat_internal.attend.
create table leat_internal.secret (
  only_row boolean primary key default true check (only_row),
  key bytea not null check (octet_length(key) = 32),
  pads bytea not null check (octet_length(pads) = 128),
  history text not null,
  relation oid not null
);
alter table leat_internal.secret enable row level security;

create trigger refuse_emptying before delete or truncate on leat_internal.secret
  for each statement execute function leat_internal.refuse_emptying();

create function leat_internal.pad(key bytea, mask integer) returns bytea
  language sql immutable
  return (
    select decode(string_agg(lpad(to_hex(case when n < length(key) then get_byte(key, n) else 0 end # mask), 2, '0'),
                             '' order by n), 'hex')
      from generate_series(0, 63) n);

create function leat_internal.new_key() returns bytea
  language sql volatile
  return sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), 'UTF8'));

-- What is this database? ---------------------------------------------------------------------------

create function leat_internal.new_history() returns text
  language sql volatile
  return left(replace(gen_random_uuid()::text, '-', ''), 8);

-- Returns the cluster's timeline as 8 hexadecimal digits. Standbys and some hosting services refuse the first
-- function, and some of them refuse the second one, too.
create function leat_internal.timeline() returns text
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  begin
    return left(pg_walfile_name(pg_current_wal_lsn()), 8);
  exception when others then
    return lpad(to_hex(c.timeline_id), 8, '0') from pg_control_checkpoint() c;
  end;
exception when others then
  return '00000000';
end $$;

create function leat_internal.system_identifier() returns text
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return c.system_identifier::text from pg_control_system() c;
exception when others then
  return '-';
end $$;

-- Identifies this start of this database. Another cluster, a copy, a loaded dump and a restart have other
-- fingerprints.
create function leat_internal.fingerprint(timeline text) returns text
  language sql volatile
  return (
    select concat_ws(' ', leat_internal.system_identifier(), d.oid, 'leat_internal.installation'::regclass::oid,
                     (date_part('epoch', pg_postmaster_start_time()) * 1000000)::bigint, timeline)
      from pg_database d where d.datname = current_database());

-- Announcements -------------------------------------------------------------------------------------

-- The content of an announcement: six fields, separated by newlines. Only the last one may contain newlines.
create function leat_internal.message(kind text, epoch text, seq bigint, at bigint, topic text, data text) returns text
  language sql stable parallel safe
  return concat_ws(E'\n', kind, epoch, seq, at, topic, data);

-- Returns an announcement: the first 16 bytes of the HMAC of sender and message, as hexadecimal digits, then the
-- message. Postgres tells the receiver the sender's pid. So a copy that another session sends is not accepted.
create function leat_internal.sign(message text, pads bytea) returns text
  language sql stable
  return left(encode(sha256(substr(pads, 65) || sha256(substr(pads, 1, 64) ||
           convert_to(pg_backend_pid() || E'\n' || message, 'UTF8'))), 'hex'), 32) || E'\n' || message;

-- NOTIFY takes 7,999 bytes. The signature needs 33 of them.
create function leat_internal.fits(message text) returns boolean
  language sql immutable parallel safe
  return octet_length(message) <= 7966;

-- Microseconds since 1970.
create function leat_internal.at(created_at timestamptz) returns bigint
  language sql stable parallel safe
  return (date_part('epoch', created_at) * 1000000)::bigint;

-- The epoch in announcements. Clients see the timeline before it.
create function leat_internal.full_epoch(history text, epoch text) returns text
  language sql immutable parallel safe
  return history || '-' || epoch;

create function leat_internal.announce(message text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('leat', leat_internal.sign(message, s.pads)) from leat_internal.secret s;
end $$;

-- Another history -----------------------------------------------------------------------------------

-- The lock waits for transactions that are publishing at the moment. They belong to the old history, later ones to
-- the new one.
create function leat_internal.renew_history() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  lock table leat.topic in share row exclusive mode;
  update leat_internal.installation set history = leat_internal.new_history();
  update leat_internal.secret set history = (select i.history from leat_internal.installation i);
  perform leat_internal.announce(leat_internal.message('h', leat_internal.full_epoch(i.history, i.epoch), 0, 0, '', ''))
     from leat_internal.installation i;
end $$;

-- Makes all positions invalid. For an operator who has put an older state in place in a way that no server can notice
-- (docs/publishing.md).
create function leat.renew_epochs() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.renew_history();
end $$;

-- Compares the outbox with entries that a server has seen: [{"topic", "epoch", "seq", "at"} ...], as announced. holds
-- is the number of entries that are in the outbox, unchanged. broken is the number of entries that name this history
-- but were not committed in it. All other entries are unknown: they were trimmed, or their topic was reset. If a
-- topic has no row, and new topics still get the epoch of its entries, then the topic was never reset, and its
-- entries are broken.
create function leat_internal.test_anchors(anchors jsonb, out holds bigint, out broken bigint)
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select count(*) filter (where leat_internal.at(e.created_at) = a.at),
         count(*) filter (where coalesce(t.seq, 0) < a.seq or leat_internal.at(e.created_at) <> a.at)
    from jsonb_to_recordset(jsonb_path_query_array(anchors, '$[*] ? (@.type() == "object")'))
           a (topic text, epoch text, seq bigint, at bigint)
   cross join leat_internal.installation i
    left join leat.topic t on t.name = a.topic
    left join leat.event e on e.topic = a.topic and e.seq = a.seq
   where leat_internal.full_epoch(i.history, coalesce(t.epoch, i.epoch)) = a.epoch
$$;

create function leat_internal.is_confirmed(started_at timestamptz, relation oid, now_relation oid) returns boolean
  language sql stable parallel safe
  return started_at = pg_postmaster_start_time() and relation = now_relation;

-- Records that this start of Postgres continues the history. From then on positions are given.
create function leat_internal.confirm_history(timeline text, fingerprint text) returns void
  language sql volatile set search_path = pg_catalog, pg_temp as $$
  update leat_internal.secret s set relation = s.tableoid;
  update leat_internal.installation i
     set timeline = confirm_history.timeline, fingerprint = confirm_history.fingerprint,
         started_at = pg_postmaster_start_time(), relation = i.tableoid
$$;

-- A server calls this when it begins to listen. It passes the fingerprint and the history that the last call
-- returned, and entries that it has seen (test_anchors). The verdict is one of these:
--
--   known      A server has confirmed this start of Postgres before.
--   continued  Postgres was started again, and the entries that the server has seen are there. This is never the
--              verdict after a dump was loaded: entries that the server has seen since then are no proof.
--   renewed    The entries that clients have seen may be missing. The history is another one from now on.
--
-- The other columns are the timeline and the history in positions, the key of announcements, the fingerprint, and the
-- newest entry, which the server passes as an anchor in its next call (NULL if there is none).
create function leat_internal.attend(seen_fingerprint text, seen_history text, anchors jsonb)
  returns table (verdict text, timeline text, history text, key bytea, fingerprint text,
                 anchor_topic text, anchor_epoch text, anchor_seq bigint, anchor_at bigint)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  now_timeline constant text := leat_internal.timeline();
  now_fingerprint constant text := leat_internal.fingerprint(now_timeline);
  found_verdict text;
begin
  -- First without a lock: nearly always nothing has to be done, and a standby cannot do anything.
  found_verdict := case when pg_is_in_recovery() then 'known'
                        else leat_internal.judge_history(now_fingerprint, seen_history, anchors) end;
  if found_verdict <> 'known' then
    lock table leat.topic in share row exclusive mode; -- before the row, as all others do
    perform from leat_internal.installation for update;
    found_verdict := leat_internal.judge_history(now_fingerprint, seen_history, anchors);
    if found_verdict = 'renewed' then
      perform leat_internal.renew_history();
    end if;
    if found_verdict <> 'known' then
      perform leat_internal.confirm_history(now_timeline, now_fingerprint);
    end if;
  end if;

  return query
    select found_verdict, i.timeline, i.history, s.key, i.fingerprint, n.topic, n.epoch, n.seq, n.at
      from leat_internal.installation i
     cross join leat_internal.secret s
      left join lateral (
        select e.topic, leat_internal.full_epoch(i.history, t.epoch) as epoch, e.seq,
               leat_internal.at(e.created_at) as at
          from (select * from leat.event order by created_at desc limit 1) e
          join leat.topic t on t.name = e.topic) n on true;
end $$;

-- Returns no row while leat_internal.secret is empty: a dump is being loaded, and the server tries again later. If
-- the two tables contain different histories, then a dump of one was loaded after the other was renewed.
create function leat_internal.judge_history(now_fingerprint text, seen_history text, anchors jsonb) returns text
  language sql volatile set search_path = pg_catalog, pg_temp as $$
  select case when a.broken > 0 or s.history <> i.history then 'renewed'
              when i.fingerprint = now_fingerprint and leat_internal.is_confirmed(i.started_at, i.relation, i.tableoid)
              then 'known'
              when a.holds > 0 and i.history = seen_history and i.relation = i.tableoid then 'continued'
              else 'renewed' end
    from leat_internal.installation i cross join leat_internal.secret s cross join leat_internal.test_anchors(anchors) a
$$;

insert into leat_internal.installation (epoch, history, timeline, started_at, relation, fingerprint)
  select leat_internal.new_epoch(), leat_internal.new_history(), t.timeline, pg_postmaster_start_time(),
         'leat_internal.installation'::regclass, leat_internal.fingerprint(t.timeline)
    from (select leat_internal.timeline() as timeline) t;

insert into leat_internal.secret (key, pads, history, relation)
  select k.key, leat_internal.pad(k.key, 54) || leat_internal.pad(k.key, 92), i.history,
         'leat_internal.secret'::regclass
    from (select leat_internal.new_key() as key) k cross join leat_internal.installation i;

-- Positions -----------------------------------------------------------------------------------------

-- Always raises an error. It takes the history as an argument, so that the planner cannot evaluate it beforehand.
create function leat_internal.refuse_position(history text) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if history is null then
    raise exception 'leat_internal.installation shows no row to role %', current_user
      using errcode = 'cannot_connect_now',
      hint = 'It has one row. Row security, or a right that is missing, hides it; or it was deleted.';
  end if;
  raise exception 'the history of schema leat is not confirmed since Postgres was started'
    using errcode = 'cannot_connect_now',
          hint = 'A leat server confirms it when it connects (leat_internal.attend). Try again then.';
end $$;

-- Returns a topic's position as clients see it, and its last revocation: one row, or an error. Postgres inlines the
-- function into the calling query. The search for the first name that is not less than the topic makes the planner
-- use the index, whatever the table's size. The check stands in WHERE, so that it runs whichever columns the caller
-- selects.
create function leat_internal.position(topic text) returns table (epoch text, seq bigint, revoked bigint)
  language sql stable
begin atomic
  select i.timeline || '-' || i.history || '-' || coalesce(t.epoch, i.epoch), coalesce(t.seq, 0),
         coalesce(t.revoked, leat_internal.first_revoked(i.reset_at))
    from (values (true)) one (only_row)
    left join leat_internal.installation i on i.only_row = one.only_row
    left join lateral (
      select n.name, n.epoch, n.seq, n.revoked from leat.topic n
       where n.name >= position.topic order by n.name limit 1) t on t.name = position.topic
   where case when i.history is not null
                   and (leat_internal.is_confirmed(i.started_at, i.relation, i.tableoid) or pg_is_in_recovery())
              then true else leat_internal.refuse_position(i.history) end;
end;
