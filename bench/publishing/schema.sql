drop table if exists notes, plain, watched;
create table notes (id bigint generated always as identity primary key, topic text not null, body text not null);
