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

/* Services a millisecond since the first one. What came before it (a connection that was made, say)
 * tells nothing about the pace. */
static double measured(const leat_pg_pace *p)
{
    uint64_t ms = p->last_ms_ - p->since_ms_;
    return (double)(p->served_ - 1) / (double)(ms > 0 ? ms : 1);
}

static void learn(leat_pg_pace *p)
{
    double per_ms = measured(p);
    p->per_ms_ = p->per_ms_ > 0 ? (p->per_ms_ + per_ms) / 2 : per_ms;
    p->since_ms_ = p->last_ms_; /* the last service is the first one of the next measurement */
    p->served_ = 1;
}

void leat_pg_pace_served(leat_pg_pace *p, uint64_t now_ms, bool others_wait)
{
    if (p->since_ms_ == 0 || p->served_ == 0)
        p->since_ms_ = now_ms;
    p->last_ms_ = now_ms;
    p->served_++;
    bool is_long = now_ms - p->since_ms_ >= WINDOW_MS && p->served_ > SOME;
    if (is_long || (!others_wait && p->served_ > ENOUGH))
        learn(p);
    if (!others_wait)
        leat_pg_pace_nobody_waits(p);
}

void leat_pg_pace_nobody_waits(leat_pg_pace *p)
{
    p->since_ms_ = 0;
    p->served_ = 0;
}

/* A measurement of some that were served counts before it ends, if it says that the pool has become
 * slower. */
static double present_per_ms(const leat_pg_pace *p)
{
    if (p->since_ms_ == 0 || p->served_ <= SOME || p->last_ms_ - p->since_ms_ < WINDOW_MS)
        return p->per_ms_;
    double lately = measured(p);
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
