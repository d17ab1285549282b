create table plain (id bigint generated always as identity primary key, chat_id int, body text);
create table watched (id bigint generated always as identity primary key, chat_id int, body text);
select leat.watch('watched', 'chat:{chat_id}');
