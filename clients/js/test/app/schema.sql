create table items (id bigint generated always as identity primary key, list text not null, body text not null);
create table banned (name text primary key);
