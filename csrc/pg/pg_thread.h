/* pg_thread.h - one blocking call on a thread of its own.
 *
 * libuv's own pool would not do: its few threads are shared by the whole process, and a stalled
 * server or name server could hold all of them; nor can a process leave while one of them is busy.
 * These threads are detached: whoever waits can let go of them at any time.
 *
 * Ownership  the thread owns the job from a successful start on: free_job runs, on whichever side
 *            lets go last, after the call has returned and done was called.
 * Threads    run runs on the new thread; everything else on the loop's.
 * Units      milliseconds.
 * Errors     negative UV_E* from start: nothing runs then, and the job is still the caller's.
 */
#ifndef LEAT_PG_PG_THREAD_H
#define LEAT_PG_PG_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"

typedef struct leat_pg_thread leat_pg_thread;

typedef struct leat_pg_thread_work {
    void (*run)(void *job);
    void (*free_job)(void *job);

    /* Runs once. returned is false if the time limit came first: the job may not be looked at then.
     * No handle of the thread's is left on the loop. */
    void (*done)(void *arg, void *job, bool returned);
} leat_pg_thread_work;

LEAT_MUST_CHECK int leat_pg_thread_start(leat_pg_thread **out, uv_loop_t *uv,
                                         const leat_pg_thread_work *work, void *job, void *arg);

/* From now on, waits no longer than limit_ms. May be called until done runs; the last call holds.
 */
void leat_pg_thread_limit(leat_pg_thread *t, uint64_t limit_ms);

#endif
