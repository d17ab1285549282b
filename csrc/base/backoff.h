/* backoff.h - how long to wait before the next attempt.
 *
 * Ownership  a plain value of its owner.
 * Threads    the owner's.
 * Units      milliseconds; failures in a row.
 * Errors     none.
 *
 * The delay doubles with each failure, from first_ms up to max_ms. Its second half is random, so
 * that processes which failed together do not try again together.
 */
#ifndef LEAT_BASE_BACKOFF_H
#define LEAT_BASE_BACKOFF_H

#include <stdint.h>

#include "base/random.h"

typedef struct leat_backoff {
    uint64_t first_ms_;
    uint64_t max_ms_;
    unsigned failures_;
} leat_backoff;

/* first_ms counts as max_ms if it is above it. */
void leat_backoff_init(leat_backoff *b, uint64_t first_ms, uint64_t max_ms);

/* Counts a failure, and returns how long to wait now. */
uint64_t leat_backoff_next(leat_backoff *b, leat_random *random);
/* An attempt has succeeded: the next failure is the first one again. */
void leat_backoff_reset(leat_backoff *b);

/* The delay after so many failures (at least one), for owners that count themselves. */
uint64_t leat_backoff_ms(uint64_t first_ms, uint64_t max_ms, unsigned failures,
                         leat_random *random);

#endif
