/* random.h - random numbers for jitter, and random bytes from the system.
 *
 * Ownership  a generator is a plain value of its owner.
 * Threads    a generator: the owner's. leat_random_bytes: any.
 * Units      none.
 * Errors     none: without the system's randomness the process aborts.
 *
 * A generator's numbers are not secret: somebody who sees some of them can tell the next ones.
 */
#ifndef LEAT_BASE_RANDOM_H
#define LEAT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct leat_random {
    uint64_t state_;
} leat_random;

/* Seeds the generator from the system, so that the processes of a fleet draw different numbers. */
void leat_random_init(leat_random *r);
/* Seeds it with a given number: tests then draw the same numbers in each run. */
void leat_random_seed(leat_random *r, uint64_t seed);

/* A number from 0 to n - 1. n is above 0. */
uint64_t leat_random_below(leat_random *r, uint64_t n);

/* Fills out with bytes from the system, which nobody can predict. At most 256. */
void leat_random_bytes(void *out, size_t size);

#endif
