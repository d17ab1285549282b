/* deadline.h - one-shot timeouts.
 *
 * Ownership  an entry is embedded in its owner; the queue never frees it.
 * Threads    loop thread only.
 * Units      absolute milliseconds on the loop clock (leat_loop_now).
 * Errors     arming and cancelling cannot fail; both are O(1).
 */
#ifndef LEAT_LOOP_DEADLINE_H
#define LEAT_LOOP_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"

#define LEAT_DEADLINE_NEVER UINT64_MAX

typedef struct leat_deadline leat_deadline;
typedef struct leat_deadline_queue leat_deadline_queue;
typedef void (*leat_deadline_cb)(leat_deadline *d);

struct leat_deadline {
    leat_list link_;
    uint64_t at_ms_;
    leat_deadline_cb cb_;
};

/* The queue takes the time from uv_now. Tests that bring a clock of their own call
 * leat_deadline_queue_advance; they may pass NULL for uv. */
LEAT_MUST_CHECK int leat_deadline_queue_new(leat_deadline_queue **out, uv_loop_t *uv);
void leat_deadline_queue_close(leat_deadline_queue *q, void (*done)(void *arg), void *arg);
void leat_deadline_queue_advance(leat_deadline_queue *q, uint64_t now_ms);

void leat_deadline_init(leat_deadline *d);

/* Calls cb once, not before at_ms. Arming again replaces the time and the callback. If the time has
 * passed already, cb runs on the next turn, never from inside this call. LEAT_DEADLINE_NEVER
 * cancels. */
void leat_deadline_arm(leat_deadline_queue *q, leat_deadline *d, uint64_t at_ms,
                       leat_deadline_cb cb);

/* The callback will not run. Harmless if d is not armed. */
void leat_deadline_cancel(leat_deadline *d);
bool leat_deadline_armed(const leat_deadline *d);

/* The deadline of a control read: the caller's own, unchanged, unless it is LEAT_DEADLINE_NEVER;
 * then now + fallback. */
static inline uint64_t leat_control_deadline(uint64_t caller_ms, uint64_t now_ms,
                                             uint64_t fallback_ms)
{
    return caller_ms != LEAT_DEADLINE_NEVER ? caller_ms : now_ms + fallback_ms;
}

#endif
