/* split.h - ways to cut an input into pieces.
 *
 * A codec that takes bytes as they come must not care how they come. Plan 0 is the whole input at
 * once, plan 1 byte by byte, the others random pieces; the same plan always cuts the same way.
 */
#ifndef LEAT_SPEC_WIRE_SPLIT_H
#define LEAT_SPEC_WIRE_SPLIT_H

#include <stddef.h>
#include <stdint.h>

enum {
    SPLIT_PLANS = 40,
};

typedef struct split {
    unsigned plan;
    uint64_t random;
} split;

static inline split split_plan(unsigned plan)
{
    return (split){plan, 0x9e3779b97f4a7c15u * (plan + 1)};
}

/* The length of the next piece, of `left` bytes that remain (left > 0). */
static inline size_t split_next(split *s, size_t left)
{
    if (s->plan == 0)
        return left;
    if (s->plan == 1)
        return 1;
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    /* Small pieces mostly, and now and then one that goes far. */
    size_t most = s->random % 8 == 0 ? left : left < 9 ? left : 9;
    return 1 + (size_t)(s->random >> 8) % most;
}

#endif
