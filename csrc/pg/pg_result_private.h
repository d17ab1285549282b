/* pg_result_private.h - making results, for pg_conn.
 *
 * Ownership  leat_pg_result_open takes the PGresult; leat_pg_result_close frees it unless the
 *            callback kept it.
 * Threads    loop thread.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_PG_PG_RESULT_PRIVATE_H
#define LEAT_PG_PG_RESULT_PRIVATE_H

#include <libpq-fe.h>

#include "pg/pg_result.h"

/* Lives on the stack of whoever calls the callback; keeping moves `pg` to the heap. */
struct leat_pg_result {
    PGresult *pg;
    bool outdated;
};

void leat_pg_result_open(leat_pg_result *r, PGresult *pg);
void leat_pg_result_close(leat_pg_result *r);

#endif
