/* pg_sync.h - a connection that waits: for the command line, never for a loop.
 *
 * Ownership  the connection is the caller's until _close.
 * Threads    the caller's, which blocks.
 * Units      timeouts in milliseconds; 0: wait as long as it takes.
 * Errors     LEAT_EPG_LOST (no connection), LEAT_EPG_SERVER (the server refused), LEAT_EDEADLINE;
 *            what was said about it is appended to error, without secrets.
 */
#ifndef LEAT_PG_PG_SYNC_H
#define LEAT_PG_PG_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct leat_pg_sync leat_pg_sync;

/* conninfo: URL or key=value, as libpq takes it. timeout_ms holds for each host that it names, in
 * whole seconds, two at least; a connect_timeout in conninfo wins. */
LEAT_MUST_CHECK int leat_pg_sync_open(leat_pg_sync **out, const char *conninfo,
                                      const char *application_name, uint64_t timeout_ms,
                                      leat_buf *error);
void leat_pg_sync_close(leat_pg_sync *c); /* NULL is allowed */

/* Runs one or more statements; the first that fails ends them. */
LEAT_MUST_CHECK int leat_pg_sync_exec(leat_pg_sync *c, const char *sql, uint64_t timeout_ms,
                                      leat_buf *error);

/* Runs a query and appends the first column of its first row; *is_null tells NULL, and no row, from
 * ''. */
LEAT_MUST_CHECK int leat_pg_sync_value(leat_pg_sync *c, const char *sql, uint64_t timeout_ms,
                                       leat_buf *value, bool *is_null, leat_buf *error);

/* Runs a query and calls on_row for each row. values: its columns, "" for NULL, borrowed. */
typedef void (*leat_pg_sync_row_cb)(void *arg, const char *const *values);
LEAT_MUST_CHECK int leat_pg_sync_rows(leat_pg_sync *c, const char *sql, uint64_t timeout_ms,
                                      leat_pg_sync_row_cb on_row, void *arg, leat_buf *error);

/* Prepares a statement by name, which SQL's PREPARE would hide from a pooler; and runs it, which is
 * LEAT_EPG_SERVER where the session does not know it. Neither has parameters. */
LEAT_MUST_CHECK int leat_pg_sync_prepare(leat_pg_sync *c, const char *name, const char *sql,
                                         uint64_t timeout_ms, leat_buf *error);
LEAT_MUST_CHECK int leat_pg_sync_execute(leat_pg_sync *c, const char *name, uint64_t timeout_ms,
                                         leat_buf *error);

/* Waits for a notification with that payload; others are dropped. */
LEAT_MUST_CHECK int leat_pg_sync_await(leat_pg_sync *c, const char *payload, uint64_t timeout_ms,
                                       leat_buf *error);

/* Of the last statement that the server refused; "" if there was none. */
const char *leat_pg_sync_sqlstate(const leat_pg_sync *c);

/* True within a transaction block that has not failed. */
bool leat_pg_sync_in_transaction(const leat_pg_sync *c);

#endif
