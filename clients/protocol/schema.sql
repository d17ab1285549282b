create table item (id bigint generated always as identity primary key, list text not null, body text not null);
create table banned (list text not null, name text not null);
create table follow (name text not null, list text not null);
create table stranger (name text primary key);
insert into stranger values ('nobody');

-- Adds a text to a list, and says so.
create function add_item(list text, body text) returns void language sql as $$
  insert into item (list, body) values (list, body);
  select leat.publish('list:' || list, jsonb_build_object('body', body));
$$;

-- Adds a text to a list that is read with a ticket, and says so.
create function add_ticketed(list text, body text) returns void language sql as $$
  insert into item (list, body) values (list, body);
  select leat.publish('ticket:' || list, jsonb_build_object('body', body));
$$;

-- Takes a right away, and ends the subscriptions that rest on it.
create function ban(list text, name text) returns void language sql as $$
  insert into banned values (list, name);
  select leat.revoke('list:' || list, name);
$$;
