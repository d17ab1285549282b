-- The history: one line of states of the database. A restore puts an earlier state in place, and what clients
-- have seen since then is gone. Positions carry the history's id, so a position of another history is refused.
--
-- Nothing in the database tells that it was restored: a copy of the files knows no more than the original did. A
-- server knows. It has seen the newest entries, and asks leat_internal.attend whether they are still there, before it
-- delivers anything. A start of Postgres that no server has confirmed yet gives no positions (leat_internal.position).

set local search_path = pg_catalog, pg_temp;

-- The key that announcements are signed with, and what HMAC-SHA256 makes of it: the key, filled up with zeros to 64
-- bytes, each byte xor 0x36, then each byte xor 0x5c. Row security without a policy: a grant on all tables does not
-- open it. And a second copy of the history, so that who publishes reads one row for both.
-- relation is the table's own oid when the history was confirmed. A dump that is loaded makes another table. What is
-- published then, before a server has confirmed the history, is announced without a signature: a server that listens
-- meanwhile must not take it for a continuation of what it has seen, but asks leat.attend.
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

-- The cluster's timeline, as 8 hexadecimal digits. Some services and every standby refuse the first function, some
-- the second as well.
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

-- Names this start of this database: another cluster, a copy, a dump that was loaded and a restart have another one.
create function leat_internal.fingerprint(timeline text) returns text
  language sql volatile
  return (
    select concat_ws(' ', leat_internal.system_identifier(), d.oid, 'leat_internal.installation'::regclass::oid,
                     (date_part('epoch', pg_postmaster_start_time()) * 1000000)::bigint, timeline)
      from pg_database d where d.datname = current_database());

-- Announcements -------------------------------------------------------------------------------------

-- What an announcement says: six fields, the first five ended by newlines, and a name for the last.
create function leat_internal.message(kind text, epoch text, seq bigint, at bigint, topic text, data text) returns text
  language sql stable parallel safe
  return concat_ws(E'\n', kind, epoch, seq, at, topic, data);

-- An announcement: the first 16 bytes of the HMAC of sender and message, as hexadecimal digits, then the message. The
-- receiver knows the sender's pid from Postgres, so nobody can send again what another session has sent.
create function leat_internal.sign(message text, pads bytea) returns text
  language sql stable
  return left(encode(sha256(substr(pads, 65) || sha256(substr(pads, 1, 64) ||
           convert_to(pg_backend_pid() || E'\n' || message, 'UTF8'))), 'hex'), 32) || E'\n' || message;

-- NOTIFY takes 7,999 bytes, and 33 of them are the signature's.
create function leat_internal.fits(message text) returns boolean
  language sql immutable parallel safe
  return octet_length(message) <= 7966;

-- Microseconds since 1970.
create function leat_internal.at(created_at timestamptz) returns bigint
  language sql stable parallel safe
  return (date_part('epoch', created_at) * 1000000)::bigint;

-- The epoch of announcements. Clients see it behind the timeline.
create function leat_internal.full_epoch(history text, epoch text) returns text
  language sql immutable parallel safe
  return history || '-' || epoch;

create function leat_internal.announce(message text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('leat', leat_internal.sign(message, s.pads)) from leat_internal.secret s;
end $$;

-- Another history -----------------------------------------------------------------------------------

-- Who publishes at the moment comes before it, who comes later is announced by the new history.
create function leat_internal.renew_history() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  lock table leat.topic in share row exclusive mode;
  update leat_internal.installation set history = leat_internal.new_history();
  update leat_internal.secret set history = (select i.history from leat_internal.installation i);
  perform leat_internal.announce(leat_internal.message('h', leat_internal.full_epoch(i.history, i.epoch), 0, 0, '', '')) from leat_internal.installation i;
end $$;

-- For an operator who has put an older state in place in a way that no server can notice (docs/publishing.md): no
-- position that a client has is good any more.
create function leat.renew_epochs() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform leat_internal.renew_history();
end $$;

-- What became of the entries that a server has seen: [{"topic", "epoch", "seq", "at"} ...], as they were announced.
-- holds: how many are in the outbox unchanged. broken: how many are of this history, and cannot be. The others are
-- unknown: trimmed, or of a topic that was reset. A topic that has no row was never reset if new topics still get the
-- epoch of its entries; then those entries were never committed in this history.
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

-- Says that this start of Postgres goes on with the history. Then positions are given.
create function leat_internal.confirm_history(timeline text, fingerprint text) returns void
  language sql volatile set search_path = pg_catalog, pg_temp as $$
  update leat_internal.secret s set relation = s.tableoid;
  update leat_internal.installation i
     set timeline = confirm_history.timeline, fingerprint = confirm_history.fingerprint,
         started_at = pg_postmaster_start_time(), relation = i.tableoid
$$;

-- A server begins to listen. It tells what it has seen: the fingerprint and the history that it was given the last
-- time, and entries (see test_anchors). The verdict:
--
--   known      this start of Postgres was confirmed before
--   continued  Postgres was started again, and goes on with what the server has seen. Never so in a table that a dump
--              was loaded into: what the server has heard since then stands there, too, and says nothing
--   renewed    it may not go on with what clients have seen: the history is another one from now on
--
-- With it comes what a server needs: the timeline and the history that positions carry, the key of announcements,
-- the fingerprint, and the newest entry as an anchor for the next time (NULL if there is none).
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
  -- Without a lock first: nearly always there is nothing to do, and a standby can do nothing.
  found_verdict := case when pg_is_in_recovery() then 'known'
                        else leat_internal.judge_history(now_fingerprint, seen_history, anchors) end;
  if found_verdict <> 'known' then
    lock table leat.topic in share row exclusive mode; -- before the row, as everybody does
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
        select e.topic, leat_internal.full_epoch(i.history, t.epoch) as epoch, e.seq, leat_internal.at(e.created_at) as at
          from (select * from leat.event order by created_at desc limit 1) e
          join leat.topic t on t.name = e.topic) n on true;
end $$;

-- No row while leat_internal.secret is empty: a dump is being loaded, and attending waits for it. Where the two tables name two
-- histories, one of them was loaded after the other one was renewed.
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
  select k.key, leat_internal.pad(k.key, 54) || leat_internal.pad(k.key, 92), i.history, 'leat_internal.secret'::regclass
    from (select leat_internal.new_key() as key) k cross join leat_internal.installation i;

-- Positions -----------------------------------------------------------------------------------------

-- Never returns. Not known before the row is looked at, or planning would raise it.
create function leat_internal.refuse_position(history text) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if history is null then
    raise exception 'leat_internal.installation shows no row to role %', current_user using errcode = 'cannot_connect_now',
      hint = 'It has one row. Row security, or a right that is missing, hides it; or it was deleted.';
  end if;
  raise exception 'the history of schema leat is not confirmed since Postgres was started'
    using errcode = 'cannot_connect_now',
          hint = 'A leat server confirms it when it connects (leat_internal.attend). Try again then.';
end $$;

-- A topic's position as clients see it, and its last revocation. Always one row, or an error. Inlined into the calling
-- query. Asking for the first name from the topic on, not for the topic, keeps the plan on the index whatever the
-- table's size. The condition stands in WHERE, where no caller's list of columns can leave it out.
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
