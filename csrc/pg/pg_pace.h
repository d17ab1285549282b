/* pg_pace.h - how fast a pool serves those who wait: estimates when a newcomer's turn comes.
 *
 * Ownership  a plain value of the pool. All zeros: nothing is known.
 * Threads    the pool's.
 * Units      milliseconds of the loop's clock.
 * Errors     none: while nothing is known, the estimate is 0.
 *
 * Only times count in which somebody waits: then the pool gives connections as fast as it can.
 */
#ifndef LEAT_PG_PG_PACE_H
#define LEAT_PG_PG_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEAT_PG_PACE_MAX_MS = 600000 /* no estimate is longer */ };

typedef struct leat_pg_pace {
    uint64_t since_ms_; /* when the present measurement began; 0: nobody waits */
    uint64_t last_ms_;  /* when somebody was last served since then, or since_ms_ */
    uint64_t served_;   /* since then */
    double per_ms_;     /* what earlier measurements say; 0: nothing */
} leat_pg_pace;

/* Somebody begins to wait, because no connection is free. */
void leat_pg_pace_waits(leat_pg_pace *p, uint64_t now_ms);
/* A waiter is given a connection; others_wait: others go on waiting. */
void leat_pg_pace_served(leat_pg_pace *p, uint64_t now_ms, bool others_wait);
/* The last waiter has given up. */
void leat_pg_pace_nobody_waits(leat_pg_pace *p);

/* How long it takes to serve so many. */
uint64_t leat_pg_pace_estimate_ms(const leat_pg_pace *p, size_t waiters, uint64_t now_ms);

#endif
