/* bucket.h - a token bucket: so much a second in the long run, and so much at once.
 *
 * Ownership  a bucket is a plain value of its owner. All zeros: full.
 * Threads    the owner's.
 * Units      milliseconds of a monotonic clock; what a unit is, the owner decides: bytes, messages.
 * Errors     none. If the clock or the rate has changed so that the bucket makes no sense, it is
 *            full.
 *
 * A bucket is one number: the time at which it will be full again. Nothing refills it. */
#ifndef LEAT_BASE_BUCKET_H
#define LEAT_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

typedef struct leat_rate {
    uint64_t per_s; /* 0: no bound, which only tests use */
    uint64_t burst; /* what a full bucket holds */
} leat_rate;

typedef struct leat_bucket {
    uint64_t full_at_ns_;
} leat_bucket;

/* Takes n units. Returns false, and takes nothing, if there are less. */
bool leat_bucket_take(leat_bucket *b, const leat_rate *rate, uint64_t n, uint64_t now_ms);

/* Takes n units, even if there are less: the bucket then owes the rest, but no more than a burst.
 */
void leat_bucket_charge(leat_bucket *b, const leat_rate *rate, uint64_t n, uint64_t now_ms);

/* Milliseconds until there is a whole unit again; 0: there is one. */
uint64_t leat_bucket_wait_ms(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms);

/* Milliseconds until the bucket is full again. */
uint64_t leat_bucket_missing_ms(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms);

/* True if less than half of the burst is there. */
bool leat_bucket_is_low(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms);

/* True if units are owed; or so many, or as many as the bucket can owe. */
bool leat_bucket_owes(const leat_bucket *b, const leat_rate *rate, uint64_t now_ms);
bool leat_bucket_owes_many(const leat_bucket *b, const leat_rate *rate, uint64_t n,
                           uint64_t now_ms);

bool leat_bucket_is_full(const leat_bucket *b, uint64_t now_ms);

#endif
