\set topic random(1, :topics)
begin;
insert into notes (topic, body) values ('chat:' || :client_id * 1000 + :topic, 'a message as people write it, of some words');
select leat.publish('chat-one', '{"body": "a message as people write it, of some words"}');
commit;
