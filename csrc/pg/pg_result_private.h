/* pg_result_private.h - the inside of a result, for pg_pipeline.c, which makes results.
 *
 * Ownership  leat_pg_result_open takes the PGresult; leat_pg_result_close frees it unless the
 *            callback kept it.
 * Threads    loop thread.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_PG_PG_RESULT_PRIVATE_H
#define LEAT_PG_PG_RESULT_PRIVATE_H

#include <stdbool.h>

#include <libpq-fe.h>

/* Lives on the stack of the function that calls the callback; leat_pg_result_keep moves it to the
 * heap. */
typedef struct leat_pg_result {
    PGresult *pg;
    bool outdated; /* leat_pg_result_is_outdated */
    bool stale;    /* leat_pg_result_may_be_outdated */
} leat_pg_result;

void leat_pg_result_open(leat_pg_result *r, PGresult *pg);
void leat_pg_result_close(leat_pg_result *r);

#endif
