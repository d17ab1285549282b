-- A trigger of one's own on the outbox is not compiled.
--
-- It runs within commit_queue, where sequential scans are off. Postgres takes one in such a trigger, of whatever size,
-- for so costly that a session with jit compiles the statement: some 250 ms for each publication. Servers have jit off;
-- the applications that publish seldom have.

set local search_path = pg_catalog, pg_temp;

alter function leat_internal.commit_queue(xid8, bigint, text, text, jsonb, tid) set jit = off;
