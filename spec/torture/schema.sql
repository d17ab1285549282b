-- The application of the torture test: accounts, topics, members, items; and a log of everything that was
-- ever in the outbox, since the server trims that one while the test runs.
create schema torture;

create table torture.account (id bigint primary key, token text not null unique);
create table torture.topic (name text primary key);
create table torture.member (
  topic text not null references torture.topic,
  account_id bigint not null references torture.account,
  primary key (topic, account_id)
);
create table torture.item (uid bigint primary key, topic text not null, h bigint not null);
create index item_topic on torture.item (topic) include (h);

-- The watched table. A write is told by its uid; made is the one that the body is of.
create table torture.line (
  id bigint primary key,
  shelf bigint,
  uid bigint not null,
  h bigint not null,
  made bigint not null,
  body text not null
);
create index line_shelf on torture.line (shelf) include (h);
select leat.watch('torture.line', 'watch:{shelf}');

-- All that topics are made of.
create view torture.thing as
  select topic, h from torture.item
  union all select 'watch:' || shelf, h from torture.line where shelf is not null;

-- Kinds event, revoke and the like: what was in the outbox. Kind reset: the topic was deleted, and is numbered by
-- epoch. Kind renewal: it goes on by another epoch. Kind epoch, without a topic: what topics without a row are
-- numbered by from now on. Kind restore, without a topic: up to here goes a backup that was put in place. Each id is taken under a lock that lasts until the commit (a topic's row, or the table of
-- topics), so that those of a topic are in commit order.
create table torture.log (
  id bigint generated always as identity primary key,
  topic text collate "C",
  timeline text not null,
  epoch text not null,
  seq bigint not null,
  kind text not null,
  uid bigint,
  n bigint, -- what it adds up to: so many more, and
  h bigint, -- their hashes
  emptied boolean not null default false, -- a truncation: the topic's rows are gone
  tx text not null,
  unique (topic, epoch, seq, kind)
);

-- An epoch behind its timeline, as clients see it: the history, and the topic's own.
create function torture.epoch(topic_epoch text) returns text
  language sql stable
  return (select i.history || '-' || topic_epoch from leat_internal.installation i);

-- Names a transaction: a promoted standby, and a restored backup, give the ids of those that were lost to others.
create function torture.tx() returns text
  language sql volatile
  return concat_ws('.', leat_internal.timeline(), (date_part('epoch', pg_postmaster_start_time()) * 1000000)::bigint,
                   pg_current_xact_id());

-- Whether the transaction has truncated the watched table.
create function torture.has_emptied() returns boolean
  language sql volatile
  return current_setting('torture.emptied', true) is not distinct from torture.tx();

create function torture.note_truncation() returns trigger
  language plpgsql as $$
begin
  perform set_config('torture.emptied', torture.tx(), true);
  return null;
end $$;

-- By its name, before the watch's.
create trigger a_truncation before truncate on torture.line
  for each statement execute function torture.note_truncation();

-- Of an event: the write that it tells of, negative if it tells that its row is gone.
create function torture.uid_of(data jsonb) returns bigint
  language sql immutable
  return case when data ? 'action' then coalesce((data->'row'->>'uid')::bigint, -(data->'old'->>'uid')::bigint)
              else (data->>'uid')::bigint end;

create function torture.keep() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  n bigint := 1;
  h bigint := (new.data->>'h')::bigint;
begin
  if new.data ? 'action' then
    n := (new.data ? 'row')::int - (new.data ? 'old')::int;
    h := coalesce((new.data->'row'->>'h')::bigint, 0) # coalesce((new.data->'old'->>'h')::bigint, 0);
  end if;
  insert into torture.log (topic, timeline, epoch, seq, kind, uid, n, h, tx)
    select new.topic, leat_internal.timeline(), torture.epoch(t.epoch), new.seq, new.kind, torture.uid_of(new.data), n, h, torture.tx()
      from leat.topic t where t.name = new.topic;
  return null;
end $$;

-- Of a revocation, data is its subject; of whatever else is no event, something else.
create function torture.keep_other() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, timeline, epoch, seq, kind, emptied, tx)
    select new.topic, leat_internal.timeline(), torture.epoch(t.epoch), new.seq, new.kind, torture.has_emptied(), torture.tx()
      from leat.topic t where t.name = new.topic;
  return null;
end $$;

create function torture.keep_reset() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, timeline, epoch, seq, kind, tx)
    select old.name, leat_internal.timeline(), torture.epoch(i.epoch), 0, 'reset', torture.tx() from leat_internal.installation i;
  return null;
end $$;

-- Another history: every topic goes on by another epoch.
create function torture.keep_renewal() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, timeline, epoch, seq, kind, emptied, tx)
    select t.name, leat_internal.timeline(), torture.epoch(t.epoch), t.seq, 'renewal', torture.has_emptied(), torture.tx()
      from leat.topic t;
  insert into torture.log (timeline, epoch, seq, kind, tx)
    values (leat_internal.timeline(), torture.epoch(new.epoch), 0, 'epoch', torture.tx());
  return null;
end $$;

create function torture.keep_epoch() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (timeline, epoch, seq, kind, tx)
    values (leat_internal.timeline(), torture.epoch(new.epoch), 0, 'epoch', torture.tx());
  return null;
end $$;

create trigger keep after insert on leat.event
  for each row when (new.kind = 'event') execute function torture.keep();
create trigger keep_other after insert on leat.event
  for each row when (new.kind <> 'event') execute function torture.keep_other();
create trigger keep_reset after delete on leat.topic
  for each row execute function torture.keep_reset();
create trigger keep_renewal after update of history on leat_internal.installation
  for each row execute function torture.keep_renewal();
create trigger keep_epoch after update of epoch on leat_internal.installation
  for each row execute function torture.keep_epoch();

insert into torture.log (timeline, epoch, seq, kind, tx)
  select leat_internal.timeline(), torture.epoch(i.epoch), 0, 'epoch', torture.tx() from leat_internal.installation i;

create function torture.may_fail(percent int) returns void
  language plpgsql volatile as $$
begin
  if random() * 100 < percent then
    raise exception 'fails by chance' using errcode = 'lock_not_available';
  end if;
end $$;

-- One change: a row, and the event that tells of it. The body is checkable by itself.
create function torture.post(topic text, uid bigint, h bigint, repeats int) returns void
  language sql as $$
  insert into torture.item (uid, topic, h) values (uid, topic, h);
  select leat.publish(topic,
    jsonb_build_object('uid', uid, 'h', h, 'body', repeat(uid::text || '.', repeats)));
$$;

-- Rows of one writer, in one statement, in order; shelf 0 is none.
create type torture.written as (id bigint, shelf bigint, uid bigint, h bigint, repeats int);
create function torture.put_rows(rows torture.written[], keep_body boolean) returns void
  language sql as $$
  insert into torture.line as r (id, shelf, uid, h, made, body)
    select id, nullif(shelf, 0), uid, h, uid, repeat(uid::text || '.', repeats) from unnest(rows)
  on conflict (id) do update set shelf = excluded.shelf, uid = excluded.uid, h = excluded.h,
    made = case when keep_body then r.made else excluded.made end,
    body = case when keep_body then r.body else excluded.body end;
$$;
