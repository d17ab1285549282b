-- The lounge's own tables. Can be loaded again at any time: nothing that exists is changed.

create table if not exists lounge_people (
  id   bigint generated always as identity primary key,
  name text not null unique
);

create table if not exists lounge_sessions (
  token     uuid primary key default gen_random_uuid(),
  person_id bigint not null references lounge_people on delete cascade
);

create table if not exists lounge_rooms (
  id    bigint primary key,
  title text not null
);

-- A message without a body was taken back by the moderator.
create table if not exists lounge_messages (
  id      bigint generated always as identity primary key,
  room_id bigint not null references lounge_rooms on delete cascade,
  author  text not null,
  body    text,
  sent_at timestamptz not null default clock_timestamp()
);
create index if not exists lounge_messages_by_room on lounge_messages (room_id, id);

insert into lounge_rooms (id, title) values (1, 'Fireplace'), (2, 'Library') on conflict do nothing;
