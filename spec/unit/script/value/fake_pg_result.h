/* fake_pg_result.h - a result made of literals, for specs of what reads results.
 *
 * Ownership  everything is borrowed from the spec.
 * Threads    any.
 * Units      rows and columns count from 0.
 * Errors     none.
 */
#ifndef SPEC_UNIT_SCRIPT_FAKE_PG_RESULT_H
#define SPEC_UNIT_SCRIPT_FAKE_PG_RESULT_H

#include "pg/pg_result.h"

struct leat_pg_result {
    int rows;
    int columns;
    const char *const *names;
    const uint32_t *types;
    const char *const *values; /* row by row; NULL is null */
};

#endif
