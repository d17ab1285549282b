/* bucket.c - times are nanoseconds here, so that a unit of a rate of 10^9 a second still takes one.
 * What is missing from a full bucket is the time from now to `full_at_ns_`. At most two bursts are
 * missing: all that the bucket holds, and as much again that it owes. */
#include "base/bucket.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define MAX_UNITS (UINT64_C(1) << 33) /* their time still fits 64 bits */

/* How long the rate takes to give n units. */
static uint64_t time_of(const leat_rate *rate, uint64_t n)
{
    return (n < MAX_UNITS ? n : MAX_UNITS) * NS_PER_S / rate->per_s;
}

static uint64_t most(const leat_rate *rate)
{
    return 2 * time_of(rate, rate->burst);
}

/* The time of the units that are missing. */
static uint64_t missing(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms)
{
    uint64_t now_ns = now_ms * NS_PER_MS;
    if (rate->per_s == 0 || b->full_at_ns_ <= now_ns)
        return 0;
    uint64_t ns = b->full_at_ns_ - now_ns;
    return ns <= most(rate) ? ns : 0; /* more: the clock went back, or the rate is another one */
}

bool leat_bucket_take(leat_bucket *b, const leat_rate *rate, uint64_t n, uint64_t now_ms)
{
    if (rate->per_s == 0)
        return true;
    uint64_t ns = missing(b, rate, now_ms) + time_of(rate, n);
    if (n > rate->burst || ns > time_of(rate, rate->burst))
        return false;
    b->full_at_ns_ = now_ms * NS_PER_MS + ns;
    return true;
}

void leat_bucket_charge(leat_bucket *b, const leat_rate *rate, uint64_t n, uint64_t now_ms)
{
    if (rate->per_s == 0)
        return;
    uint64_t ns = missing(b, rate, now_ms) + time_of(rate, n);
    b->full_at_ns_ = now_ms * NS_PER_MS + (ns < most(rate) ? ns : most(rate));
}

uint64_t leat_bucket_wait_ms(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms)
{
    if (rate->per_s == 0)
        return 0;
    uint64_t needed = missing(b, rate, now_ms) + time_of(rate, 1);
    uint64_t room = time_of(rate, rate->burst);
    return needed <= room ? 0 : (needed - room + NS_PER_MS - 1) / NS_PER_MS;
}

uint64_t leat_bucket_missing_ms(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms)
{
    return missing(b, rate, now_ms) / NS_PER_MS;
}

bool leat_bucket_is_low(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms)
{
    return rate->per_s != 0 && missing(b, rate, now_ms) > time_of(rate, rate->burst) / 2;
}

bool leat_bucket_owes(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms)
{
    return rate->per_s != 0 && missing(b, rate, now_ms) > time_of(rate, rate->burst);
}

bool leat_bucket_owes_many(const leat_bucket *b, const leat_rate *rate, uint64_t n, uint64_t now_ms)
{
    if (rate->per_s == 0)
        return false;
    uint64_t ns = time_of(rate, rate->burst) + time_of(rate, n);
    return missing(b, rate, now_ms) >= (ns < most(rate) ? ns : most(rate));
}

bool leat_bucket_is_full(const leat_bucket *b, uint64_t now_ms)
{
    return b->full_at_ns_ <= now_ms * NS_PER_MS;
}
