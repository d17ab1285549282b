/* histogram.h - durations, counted in buckets that are 1.6 % wide.
 *
 * Ownership  a plain struct, about 30 kB; the caller provides it, zeroed.
 * Threads    one at a time.
 * Units      nanoseconds.
 * Errors     none.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 64, /* buckets of one power of two */
    HISTOGRAM_BUCKETS = 59 * HISTOGRAM_STEPS,
};

typedef struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t max_ns;
} histogram;

void histogram_add(histogram *h, uint64_t ns);

/* The duration that `percent` of all do not exceed; 0 if there are none. */
uint64_t histogram_at(const histogram *h, double percent);

#endif
