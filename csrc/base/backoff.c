/* backoff.c - the delay is a pure function of the number of failures and of the random number. */
#include "base/backoff.h"

void leat_backoff_init(leat_backoff *b, uint64_t first_ms, uint64_t max_ms)
{
    *b = (leat_backoff){.first_ms_ = first_ms, .max_ms_ = max_ms};
}

uint64_t leat_backoff_next(leat_backoff *b, leat_random *random)
{
    return leat_backoff_ms(b->first_ms_, b->max_ms_, ++b->failures_, random);
}

void leat_backoff_reset(leat_backoff *b)
{
    b->failures_ = 0;
}

uint64_t leat_backoff_ms(uint64_t first_ms, uint64_t max_ms, unsigned failures, leat_random *random)
{
    uint64_t ms = first_ms;
    for (unsigned i = 1; i < failures && ms < max_ms; i++)
        ms *= 2;
    if (ms > max_ms)
        ms = max_ms;
    return ms / 2 + leat_random_below(random, ms / 2 + 1);
}
