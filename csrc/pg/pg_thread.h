/* pg_thread.h - one blocking call on a thread of its own.
 *
 * libuv's own pool is not used: its few threads are shared by the whole process, so a stalled
 * server or name server could hold all of them; and a process cannot end while one of them is busy.
 * These threads are detached: their starter can stop waiting for them at any time.
 *
 * Ownership  the thread owns the job from a successful start on. free_job runs after the call has
 *            returned and done was called, on the loop or on the thread.
 * Threads    run runs on the new thread, everything else on the loop's.
 * Units      milliseconds.
 * Errors     negative UV_E* from start: nothing runs then, and the job stays the caller's.
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

    /* Runs once, when no handle of the thread is left on the loop. returned is false if the timeout
     * came first: the job may not be read then. */
    void (*done)(void *arg, void *job, bool returned);
} leat_pg_thread_work;

LEAT_MUST_CHECK int leat_pg_thread_start(leat_pg_thread **out, uv_loop_t *uv,
                                         const leat_pg_thread_work *work, void *job, void *arg);

/* done runs at most timeout_ms from now. May be called until done runs; the last call holds. */
void leat_pg_thread_set_timeout(leat_pg_thread *t, uint64_t timeout_ms);

#endif
