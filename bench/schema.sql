create table if not exists rooms (id bigint primary key, title text not null);
create table if not exists notes (id bigint primary key, room_id bigint not null references rooms, body text not null);
create index if not exists notes_room on notes (room_id, id);
insert into rooms select i, 'room ' || i from generate_series(1, 100) i on conflict do nothing;
insert into notes select i, 1 + i % 100, repeat('x', 80) from generate_series(1, 2000) i on conflict do nothing;
