-- The arena's own tables, and the one function that writes a score. The host calls it (host/arena.c).
--
-- Can be loaded again at any time: nothing that exists is changed.

create table if not exists arena_players (
  id     bigint primary key,
  name   text not null,
  token  text not null unique,  -- readable, because this is a demo: keep hashes of your own
  colour text not null
);

create table if not exists arena_rooms (
  id    bigint primary key,
  title text not null
);

create table if not exists arena_scores (
  room_id   bigint not null references arena_rooms on delete cascade,
  player_id bigint not null references arena_players on delete cascade,
  points    bigint not null,
  primary key (room_id, player_id)
);

-- A player has taken the gem. The points and the event that tells of them are one transaction: no page
-- shows a point that is not in the table, and none misses one.
create or replace function arena_score(room bigint, player bigint) returns void
  language plpgsql as $$
declare
  total bigint;
begin
  insert into arena_scores as s (room_id, player_id, points) values (room, player, 1)
    on conflict (room_id, player_id) do update set points = s.points + 1
    returning points into total;
  perform leat.publish('room:' || room, jsonb_build_object('type', 'score', 'player', player, 'points', total));
end $$;

insert into arena_players (id, name, token, colour) values
  (1, 'Ada', 'ada-token', '#e4572e'),
  (2, 'Bert', 'bert-token', '#2e86ab'),
  (3, 'Cleo', 'cleo-token', '#76b041'),
  (4, 'Dan', 'dan-token', '#a23b72')
on conflict do nothing;

insert into arena_rooms (id, title) values (1, 'The meadow') on conflict do nothing;
