#include "fake_clock.h"

#include <stddef.h>

#include "base/err.h"

uint64_t clock_now;
uint64_t clock_after;

void leat_loop_after(leat_loop *l, leat_deadline *d, uint64_t ms, leat_deadline_cb cb)
{
    (void)l;
    d->cb_ = cb;
    clock_after = ms;
}

void leat_deadline_init(leat_deadline *d)
{
    d->cb_ = NULL;
}

void leat_deadline_cancel(leat_deadline *d)
{
    d->cb_ = NULL;
}

uint64_t leat_loop_now(const leat_loop *l)
{
    (void)l;
    return clock_now;
}

void clock_fire(leat_deadline *d)
{
    leat_deadline_cb cb = d->cb_;
    LEAT_ASSERT(cb != NULL);
    d->cb_ = NULL;
    clock_now += clock_after;
    cb(d);
}
