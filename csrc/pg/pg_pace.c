/* pg_pace.c - a measurement lasts WINDOW_MS, or until nobody waits any more. Half of what is known
 * comes from the last one. */
#include "pg/pg_pace.h"

enum {
    WINDOW_MS = 200,
    ENOUGH = 20, /* served; a shorter measurement of so many counts, too */
};

void leat_pg_pace_waits(leat_pg_pace *p, uint64_t now_ms)
{
    if (p->since_ms_ != 0)
        return;
    p->since_ms_ = now_ms;
    p->served_ = 0;
}

static void learn(leat_pg_pace *p, uint64_t ms)
{
    double per_ms = (double)p->served_ / (double)(ms > 0 ? ms : 1);
    p->per_ms_ = p->per_ms_ > 0 ? (p->per_ms_ + per_ms) / 2 : per_ms;
    p->since_ms_ = 0;
}

void leat_pg_pace_served(leat_pg_pace *p, uint64_t now_ms, bool others_wait)
{
    if (p->since_ms_ != 0) {
        uint64_t ms = now_ms - p->since_ms_;
        p->served_++;
        if (ms >= WINDOW_MS || (!others_wait && p->served_ >= ENOUGH))
            learn(p, ms);
    }
    if (others_wait)
        leat_pg_pace_waits(p, now_ms);
    else
        p->since_ms_ = 0;
}

void leat_pg_pace_nobody_waits(leat_pg_pace *p)
{
    p->since_ms_ = 0;
}

/* A measurement that has lasted long enough counts before it ends, if it says that the pool is
 * slower: the database may have stopped answering. */
static double present_per_ms(const leat_pg_pace *p, uint64_t now_ms)
{
    uint64_t ms = p->since_ms_ == 0 ? 0 : now_ms - p->since_ms_;
    if (ms < WINDOW_MS)
        return p->per_ms_;
    double lately = (double)(p->served_ + 1) / (double)ms;
    return p->per_ms_ == 0 || lately < p->per_ms_ ? lately : p->per_ms_;
}

uint64_t leat_pg_pace_estimate_ms(const leat_pg_pace *p, size_t waiters, uint64_t now_ms)
{
    double per_ms = present_per_ms(p, now_ms);
    if (per_ms <= 0)
        return 0;
    double ms = (double)waiters / per_ms;
    return ms < LEAT_PG_PACE_MAX_MS ? (uint64_t)ms : LEAT_PG_PACE_MAX_MS;
}
