/* fake_clock.h - deadlines on a clock that the spec moves.
 *
 * Ownership  as in loop/deadline.h.
 * Threads    the spec's.
 * Units      milliseconds.
 * Errors     none.
 */
#ifndef SPEC_UNIT_HUB_FAKE_CLOCK_H
#define SPEC_UNIT_HUB_FAKE_CLOCK_H

#include "loop/loop.h"

extern uint64_t clock_now;
extern uint64_t clock_after; /* for how long the last deadline was armed */

/* The deadline comes: the clock moves by clock_after. */
void clock_fire(leat_deadline *d);

#endif
