-- The program's SQL. Each statement is a transaction of its own, and has one value as its result.

local M = {}

--- Signs somebody in: name -> the token of a session.
M.SIGN_IN = [[
  with person as (
    insert into lounge_people (name) values ($1) on conflict (name) do update set name = excluded.name returning id
  )
  insert into lounge_sessions (person_id) select id from person returning token::text]]

--- The name of who has that session: token -> name.
M.WHO = [[
  select p.name from lounge_sessions s join lounge_people p on p.id = s.person_id where s.token::text = $1]]

--- -> a list of { id, title }.
M.ROOMS = "select coalesce(json_agg(r order by id), '[]')::text from lounge_rooms r"

--- What was said before a message: room, message -> a list of messages.
M.HISTORY = [[
  select coalesce(json_agg(m order by id), '[]')::text from (
    select id, author, body, sent_at from lounge_messages where room_id = $1 and id < $2 order by id desc limit 50) m]]

--- Says something: room, author, body -> the message; nothing if there is no such room. The message and its event
--- commit together. The lock lets one writer at a time into a room, so that ids grow in the order of the events.
M.SAY = [[
  with room as (
    select id from lounge_rooms where id = $1 for update
  ), message as (
    insert into lounge_messages (room_id, author, body) select id, $2, $3 from room returning id, author, body, sent_at
  )
  select to_json(message)::text, leat.publish('room:' || $1, jsonb_build_object('said', to_jsonb(message)))
    from message]]

--- Takes a message back: message -> its author; nothing if it has been taken back already.
M.TAKE_BACK = [[
  with message as (
    update lounge_messages set body = null where id = $1 and body is not null returning id, room_id, author
  )
  select author, leat.publish('room:' || room_id, jsonb_build_object('taken_back', id)) from message]]

return M
