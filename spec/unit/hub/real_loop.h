/* real_loop.h - a loop that a spec turns for as long as it wants.
 *
 * Ownership  embedded in the spec's world.
 * Threads    the spec's.
 * Units      milliseconds.
 * Errors     fail the spec.
 */
#ifndef SPEC_UNIT_HUB_REAL_LOOP_H
#define SPEC_UNIT_HUB_REAL_LOOP_H

#include "loop/loop.h"

typedef struct real_loop {
    uv_loop_t uv;
    uv_timer_t timer;
    leat_loop *loop;
} real_loop;

void real_loop_open(real_loop *l);
/* Nothing of the loop may be pending. */
void real_loop_close(real_loop *l);
/* Does what is due within ms. */
void real_loop_turn(real_loop *l, uint64_t ms);

#endif
