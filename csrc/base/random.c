/* random.c - the generator is splitmix64: a counter whose every value is mixed. */
#include "base/random.h"

#include <sys/random.h>

#include "base/err.h"

void leat_random_bytes(void *out, size_t size)
{
    ssize_t got = getrandom(out, size, 0);
    LEAT_ASSERT(got == (ssize_t)size);
}

void leat_random_init(leat_random *r)
{
    leat_random_bytes(&r->state_, sizeof(r->state_));
}

void leat_random_seed(leat_random *r, uint64_t seed)
{
    r->state_ = seed;
}

uint64_t leat_random_below(leat_random *r, uint64_t n)
{
    LEAT_ASSERT(n > 0);
    r->state_ += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = r->state_;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % n;
}
