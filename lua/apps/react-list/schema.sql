-- What is on which list.
create table if not exists items (
  id uuid primary key,
  list text not null,
  body text not null,
  done boolean not null default false,
  place bigint generated always as identity
);
create index if not exists items_list on items (list, place);

-- Whatever changes the table is an event of its list: this application, another one, or psql.
select leat.watch('items', 'list:{list}')
 where not exists (select from leat.watched where topic_template = 'list:{list}');
