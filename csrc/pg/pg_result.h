/* pg_result.h - what a query returned: rows in text format, or a server error.
 *
 * Ownership  a result is borrowed by the query callback; leat_pg_result_keep makes it the
 *            caller's, who then frees it.
 * Threads    any, one at a time.
 * Units      rows and columns count from 0.
 * Errors     accessors of an error result see no rows.
 */
#ifndef LEAT_PG_PG_RESULT_H
#define LEAT_PG_PG_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

typedef struct leat_pg_result leat_pg_result;

int leat_pg_result_rows(const leat_pg_result *r);
int leat_pg_result_columns(const leat_pg_result *r);
const char *leat_pg_result_column_name(const leat_pg_result *r, int column);
uint32_t leat_pg_result_column_type(const leat_pg_result *r, int column); /* OID */
bool leat_pg_result_is_null(const leat_pg_result *r, int row, int column);
leat_slice leat_pg_result_value(const leat_pg_result *r, int row, int column); /* text format */
int64_t leat_pg_result_affected(const leat_pg_result *r); /* rows changed by a command */

/* Of an error result: the SQLSTATE, five characters ("57014"); "" if there is none. */
const char *leat_pg_result_sqlstate(const leat_pg_result *r);
const char *leat_pg_result_message(const leat_pg_result *r); /* primary message, one line */

/* Of an error result: true if only the prepared statement was out of date (a column was added, for
 * example). The query has done nothing; when it is sent again, it is prepared anew. */
bool leat_pg_result_is_outdated(const leat_pg_result *r);
/* The same; or the failure may come from that, as the statement was prepared some time ago. */
bool leat_pg_result_may_be_outdated(const leat_pg_result *r);
/* True if a SELECT, INSERT, UPDATE, DELETE or MERGE has succeeded: its transaction goes on. */
bool leat_pg_result_is_plain(const leat_pg_result *r);

/* Within the callback that borrows r: makes the result the caller's, who frees it. */
leat_pg_result *leat_pg_result_keep(leat_pg_result *r);
void leat_pg_result_free(leat_pg_result *r); /* NULL is allowed */

#endif
