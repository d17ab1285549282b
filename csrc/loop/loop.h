/* loop.h - one uv loop with a clock that is read once a turn and a sweep at its end.
 *
 * Ownership  wraps a uv loop that its thread owns; leat_loop_close frees what it added.
 * Threads    loop thread only.
 * Units      milliseconds of the loop's monotonic clock.
 * Errors     negative UV_E*.
 */
#ifndef LEAT_LOOP_LOOP_H
#define LEAT_LOOP_LOOP_H

#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/random.h"
#include "loop/deadline.h"

typedef struct leat_loop leat_loop;

/* Work to be done at the end of this turn: embedded in its owner. */
typedef struct leat_sweep leat_sweep;
typedef void (*leat_sweep_cb)(leat_sweep *s);
struct leat_sweep {
    leat_list link_;
    leat_sweep_cb cb_;
};

LEAT_MUST_CHECK int leat_loop_new(leat_loop **out, uv_loop_t *uv);

/* Closes the loop's own handles; done runs when they are gone, and frees l. No deadline or sweep
 * may be pending. */
void leat_loop_close(leat_loop *l, void (*done)(void *arg), void *arg);

uv_loop_t *leat_loop_uv(leat_loop *l);
uint64_t leat_loop_now(const leat_loop *l);
/* For tests that move the clock; everybody else arms with the two functions below. */
leat_deadline_queue *leat_loop_deadlines(leat_loop *l);

/* Arms d (leat_deadline_arm) for a time of the loop's clock, or for ms milliseconds from now. */
void leat_loop_at(leat_loop *l, leat_deadline *d, uint64_t at_ms, leat_deadline_cb cb);
void leat_loop_after(leat_loop *l, leat_deadline *d, uint64_t ms, leat_deadline_cb cb);

/* For jitter: the loop's own generator, seeded from the system when the loop was made. */
leat_random *leat_loop_random(leat_loop *l);

void leat_sweep_init(leat_sweep *s, leat_sweep_cb cb);

/* Runs s once at the end of this turn, before the loop waits again; scheduling it twice in a turn
 * is once. A sweep scheduled from a sweep still runs in the same turn. */
void leat_sweep_schedule(leat_loop *l, leat_sweep *s);
void leat_sweep_cancel(leat_sweep *s);

#endif
