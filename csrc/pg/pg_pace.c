/* pg_pace.c - a measurement lasts WINDOW_MS, or until nobody waits any more. Half of what is known
 * comes from the last one. */
#include "pg/pg_pace.h"

enum {
    WINDOW_MS = 200,
    ENOUGH = 20, /* served; a shorter measurement of so many counts, too */
    SOME = 4,    /* served; fewer say nothing while the measurement goes on */
};

void leat_pg_pace_waits(leat_pg_pace *p, uint64_t now_ms)
{
    if (p->since_ms_ != 0)
        return;
    p->since_ms_ = p->last_ms_ = now_ms;
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
        p->last_ms_ = now_ms;
        p->served_++;
        if ((ms >= WINDOW_MS && p->served_ >= SOME) || (!others_wait && p->served_ >= ENOUGH))
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

/* A measurement of some that were served counts before it ends, if it says that the pool has become
 * slower. */
static double present_per_ms(const leat_pg_pace *p)
{
    uint64_t ms = p->last_ms_ - p->since_ms_;
    if (p->since_ms_ == 0 || p->served_ < SOME || ms < WINDOW_MS)
        return p->per_ms_;
    double lately = (double)p->served_ / (double)ms;
    return p->per_ms_ == 0 || lately < p->per_ms_ ? lately : p->per_ms_;
}

/* For how long nobody has been served, although somebody waits: the first connections are being
 * made, or the database does not answer. Nothing is known but that it may last as long again. */
static uint64_t stalled_ms(const leat_pg_pace *p, uint64_t now_ms)
{
    uint64_t ms = p->since_ms_ == 0 ? 0 : now_ms - p->last_ms_;
    return ms < WINDOW_MS ? 0 : ms;
}

uint64_t leat_pg_pace_estimate_ms(const leat_pg_pace *p, size_t waiters, uint64_t now_ms)
{
    double per_ms = present_per_ms(p);
    double ms = (double)stalled_ms(p, now_ms) + (per_ms > 0 ? (double)waiters / per_ms : 0);
    return ms < LEAT_PG_PACE_MAX_MS ? (uint64_t)ms : LEAT_PG_PACE_MAX_MS;
}
