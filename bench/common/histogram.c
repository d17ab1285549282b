/* histogram.c - below 128 ns each bucket is one nanosecond; each further power of two has 64
 * buckets. */
#include "common/histogram.h"

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 2 * HISTOGRAM_STEPS)
        return (unsigned)ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - 6;
    return shift * HISTOGRAM_STEPS + (unsigned)(ns >> shift);
}

static uint64_t low_end(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(bucket - shift * HISTOGRAM_STEPS) << shift;
}

void histogram_add(histogram *h, uint64_t ns)
{
    h->counts[bucket_of(ns)]++;
    h->total++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

uint64_t histogram_at(const histogram *h, double percent)
{
    uint64_t wanted = (uint64_t)((double)h->total * percent / 100.0), seen = 0;
    if (percent >= 100.0 || h->total == 0)
        return h->max_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > wanted)
            return low_end(i);
    }
    return h->max_ns;
}
