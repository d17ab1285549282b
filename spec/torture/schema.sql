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

-- Kinds event and revoke: what was in the outbox. Kind reset: the topic was deleted, and is numbered by epoch.
-- Kind epoch, without a topic: what topics without a row are numbered by from now on. Each id is taken under a lock
-- that lasts until the commit (a topic's row, or the table of topics), so that those of a topic are in commit order.
create table torture.log (
  id bigint generated always as identity primary key,
  topic text collate "C",
  timeline text not null,
  epoch text not null,
  seq bigint not null,
  kind text not null,
  uid bigint,
  h bigint,
  tx text not null,
  unique (topic, epoch, seq, kind)
);

-- Names a transaction: a promoted standby gives the ids of those that were lost to others.
create function torture.tx() returns text
  language sql volatile
  return leat.timeline() || '.' || pg_current_xact_id()::text;

create function torture.keep() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, timeline, epoch, seq, kind, uid, h, tx)
    select new.topic, leat.timeline(), t.epoch, new.seq, new.kind, (new.data->>'uid')::bigint,
           (new.data->>'h')::bigint, torture.tx()
      from leat.topic t where t.name = new.topic;
  return null;
end $$;

-- Of a revocation, data is its subject.
create function torture.keep_revoke() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, timeline, epoch, seq, kind, tx)
    select new.topic, leat.timeline(), t.epoch, new.seq, new.kind, torture.tx()
      from leat.topic t where t.name = new.topic;
  return null;
end $$;

create function torture.keep_reset() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, timeline, epoch, seq, kind, tx)
    select old.name, leat.timeline(), i.epoch, 0, 'reset', torture.tx() from leat.installation i;
  return null;
end $$;

create function torture.keep_epoch() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (timeline, epoch, seq, kind, tx)
    values (leat.timeline(), new.epoch, 0, 'epoch', torture.tx());
  return null;
end $$;

create trigger keep after insert on leat.event
  for each row when (new.kind <> 'revoke') execute function torture.keep();
create trigger keep_revoke after insert on leat.event
  for each row when (new.kind = 'revoke') execute function torture.keep_revoke();
create trigger keep_reset after delete on leat.topic
  for each row execute function torture.keep_reset();
create trigger keep_epoch after update on leat.installation
  for each row execute function torture.keep_epoch();

insert into torture.log (timeline, epoch, seq, kind, tx)
  select leat.timeline(), i.epoch, 0, 'epoch', torture.tx() from leat.installation i;

create function torture.may_fail(percent int) returns void
  language plpgsql volatile as $$
begin
  if random() * 100 < percent then
    raise exception 'fails by chance';
  end if;
end $$;

-- One change: a row, and the event that tells of it. The body is checkable by itself.
create function torture.post(topic text, uid bigint, h bigint, repeats int) returns void
  language sql as $$
  insert into torture.item (uid, topic, h) values (uid, topic, h);
  select leat.publish(topic,
    jsonb_build_object('uid', uid, 'h', h, 'body', repeat(uid::text || '.', repeats)));
$$;
