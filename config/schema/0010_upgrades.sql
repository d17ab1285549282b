-- Upgrades: which servers work with this schema.
--
-- A server works with a schema that is newer than itself if that schema says so. So a database can be migrated while
-- the servers of the version before it run, and these can be started again until the last of them is replaced.
--
-- A migration that takes away or changes what a server of an earlier version uses raises the default of
-- leat_internal.migration.oldest_server to its own version. Every other migration leaves the default as it is. The
-- row of the newest migration tells.

set local search_path = pg_catalog, pg_temp;

alter table leat_internal.migration add column oldest_server int not null default 9;
