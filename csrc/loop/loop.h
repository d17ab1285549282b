/* loop.h - a uv loop, whose clock is read once a turn, with work at the end of a turn.
 *
 * Ownership  the thread owns the uv loop; leat_loop_close frees what leat_loop_new added. By then
 *            all objects of its pool have been given back.
 * Threads    loop thread only.
 * Units      milliseconds of the loop's monotonic clock.
 * Errors     negative UV_E*.
 */
#ifndef LEAT_LOOP_LOOP_H
#define LEAT_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/random.h"
#include "loop/deadline.h"
#include "loop/watch.h"

typedef struct leat_loop leat_loop;

/* Work for the end of a turn. Embedded in its owner. */
typedef struct leat_sweep leat_sweep;
typedef void (*leat_sweep_cb)(leat_sweep *s);
struct leat_sweep {
    leat_list link_;
    leat_sweep_cb cb_;
};

LEAT_MUST_CHECK int leat_loop_new(leat_loop **out, uv_loop_t *uv);

/* Closes the loop's own handles and frees l; then done runs. No deadline and no sweep may be
 * pending. */
void leat_loop_close(leat_loop *l, void (*done)(void *arg), void *arg);

uv_loop_t *leat_loop_uv(leat_loop *l);
uint64_t leat_loop_now(const leat_loop *l);
/* For tests that move the clock. Other code arms with the two functions below. */
leat_deadline_queue *leat_loop_deadlines(leat_loop *l);
/* Another number in each turn. */
uint64_t leat_loop_turn(const leat_loop *l);
leat_watches *leat_loop_watches(leat_loop *l);

/* Arm d, as leat_deadline_arm does, for a time of the loop's clock, or for ms milliseconds from
 * now. */
void leat_loop_at(leat_loop *l, leat_deadline *d, uint64_t at_ms, leat_deadline_cb cb);
void leat_loop_after(leat_loop *l, leat_deadline *d, uint64_t ms, leat_deadline_cb cb);

/* For objects of which the loop's thread has very many. */
leat_pool *leat_loop_pool(leat_loop *l);

/* For jitter: the loop's own generator, seeded from the system when the loop was made. */
leat_random *leat_loop_random(leat_loop *l);

void leat_sweep_init(leat_sweep *s, leat_sweep_cb cb);

/* Runs s once at the end of this turn, before the loop waits again, even if it is scheduled twice.
 * A sweep that another sweep schedules runs in the same turn. */
void leat_sweep_schedule(leat_loop *l, leat_sweep *s);
/* The same, but s runs after all sweeps of the turn that are no output. For what writes: everything
 * of one turn leaves in one system call. */
void leat_sweep_schedule_output(leat_loop *l, leat_sweep *s);
/* Runs s once in a later turn, after all others that wait like this. For work that one peer makes,
 * and for which the others should not wait: a turn does so much of it as takes half a millisecond,
 * at least one, and the loop does not sleep while some is left. */
void leat_sweep_schedule_later(leat_loop *l, leat_sweep *s);
/* Runs s once at the end of the next turn, which begins without waiting. For the rest of work that
 * has had its share of this turn: what has come for others meanwhile is handled first. */
void leat_sweep_schedule_next(leat_loop *l, leat_sweep *s);
static inline bool leat_sweep_is_scheduled(const leat_sweep *s)
{
    return !leat_list_empty(&s->link_);
}
void leat_sweep_cancel(leat_sweep *s);

#endif
