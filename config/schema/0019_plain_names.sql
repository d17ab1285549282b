-- The name of the table in an event of a watch does not depend on the session that writes.
--
-- With quote_all_identifiers, which every role may set, it was "public"."notes" for a client, instead of public.notes.

set local search_path = pg_catalog, pg_temp;

create function leat_internal.quotes_all() returns boolean
  language sql stable parallel safe
  return current_setting('quote_all_identifiers') <> 'off';

create function leat_internal.plainly_qualified_name(schema name, "table" name) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
begin
  return quote_ident(schema) || '.' || quote_ident("table");
end $$;

create function leat_internal.plainly_qualified_name(relation oid) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
begin
  return (pg_identify_object('pg_class'::regclass, relation, 0)).identity;
end $$;

-- As in 0006_watching.sql, whatever the session has set.
create or replace function leat_internal.qualified_name(schema name, "table" name) returns text
  language sql stable parallel safe
  return case when leat_internal.quotes_all() then leat_internal.plainly_qualified_name(schema, "table")
              else quote_ident(schema) || '.' || quote_ident("table") end;

create or replace function leat_internal.qualified_name(relation oid) returns text
  language sql stable
  return case when leat_internal.quotes_all() then leat_internal.plainly_qualified_name(relation)
              else (pg_identify_object('pg_class'::regclass, relation, 0)).identity end;

revoke execute on function leat_internal.quotes_all(), leat_internal.plainly_qualified_name(name, name),
  leat_internal.plainly_qualified_name(oid) from public;
