/* pg_backoff.h - how long to wait before the next attempt to reach the server, and how often to say
 * in the log that the last one failed.
 *
 * Ownership  a plain value.
 * Threads    the owner's.
 * Units      milliseconds.
 * Errors     none.
 */
#ifndef LEAT_PG_PG_BACKOFF_H
#define LEAT_PG_PG_BACKOFF_H

#include <stdint.h>

typedef struct leat_pg_backoff {
    uint64_t max_ms_;
    uint64_t random_;
    unsigned failures_; /* in a row */
    uint64_t logged_ms_;
    unsigned unlogged_;
} leat_pg_backoff;

void leat_pg_backoff_init(leat_pg_backoff *b, uint64_t max_ms);

/* It failed again: how long to wait. 50 ms doubling up to the maximum, of which the second half is
 * random, so that those who lost the server together do not come back together. */
uint64_t leat_pg_backoff_next(leat_pg_backoff *b);
void leat_pg_backoff_reset(leat_pg_backoff *b);

/* Logs a warning: the first at once, then one every few seconds with the number of those between.
 */
void leat_pg_backoff_warn(leat_pg_backoff *b, uint64_t now_ms, const char *phrase,
                          const char *error);

#endif
