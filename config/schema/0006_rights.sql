-- Rights. USAGE on schema leat lets a role publish, revoke, signal and resync. The role that a server connects as reads
-- topics and the outbox too, trims, and confirms the history:
--
--   grant usage on schema leat to app, leat_server;
--   grant select on all tables in schema leat to leat_server;
--   grant execute on function leat.trim(interval, bigint, integer), leat.attend(text, text, jsonb) to leat_server;

set local search_path = pg_catalog, pg_temp;

-- As the catalog is; who lacks USAGE on the schema sees nothing.
grant select on leat.watched to public;

revoke execute on function
  leat.enqueue(text, text, jsonb), leat.adopt_epoch(text), leat.sequence_many(tid),
  leat.trim(interval, bigint, integer), leat.renew_epochs(), leat.renew_history(),
  leat.attend(text, text, jsonb), leat.confirm_history(text, text), leat.announce(text) from public;

-- Whoever may watch must own the table too.
revoke execute on function leat.watch(regclass, text), leat.unwatch(regclass, text), leat.on_change(),
  leat.after_statement(), leat.on_truncate() from public;
