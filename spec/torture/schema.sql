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

create table torture.log (
  topic text collate "C" not null,
  seq bigint not null,
  kind text not null,
  uid bigint,
  h bigint,
  tx text not null,
  primary key (topic, seq)
);

create function torture.keep() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, seq, kind, uid, h, tx)
    values (new.topic, new.seq, new.kind, (new.data->>'uid')::bigint, (new.data->>'h')::bigint,
            pg_current_xact_id()::text);
  return null;
end $$;

-- Of a revocation, data is its subject.
create function torture.keep_revoke() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into torture.log (topic, seq, kind, tx)
    values (new.topic, new.seq, new.kind, pg_current_xact_id()::text);
  return null;
end $$;

create trigger keep after insert on leat.event
  for each row when (new.kind <> 'revoke') execute function torture.keep();
create trigger keep_revoke after insert on leat.event
  for each row when (new.kind = 'revoke') execute function torture.keep_revoke();

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
