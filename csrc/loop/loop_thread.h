/* loop_thread.h - a thread that runs a loop for as long as somebody has handles there.
 *
 * Ownership  whoever made the thread ends it. What lives on the loop belongs to others, who close
 *            it there.
 * Threads    all functions: the owner's. begin runs on the new thread.
 * Units      none.
 * Errors     _new and _start return UV_E*; then nothing runs.
 */
#ifndef LEAT_LOOP_LOOP_THREAD_H
#define LEAT_LOOP_LOOP_THREAD_H

#include "base/log.h"
#include "loop/loop.h"

typedef struct leat_loop_thread leat_loop_thread;

/* What scripts may use of the C stack (script/sandbox) must not depend on the process's limit
 * (ulimit -s), so the thread has this much at least. */
enum { LEAT_LOOP_THREAD_STACK_BYTES = 8 * 1024 * 1024 };

/* Makes the loop. The owner may use it until it starts the thread, and the thread alone afterwards.
 */
LEAT_MUST_CHECK int leat_loop_thread_new(leat_loop_thread **out);
leat_loop *leat_loop_thread_loop(leat_loop_thread *t);

/* Starts the thread, which calls begin (it may be NULL) and then runs the loop. */
LEAT_MUST_CHECK int leat_loop_thread_start(leat_loop_thread *t, const char *name, leat_log *log,
                                           void (*begin)(void *arg), void *arg);

/* Waits until nobody has a handle on the loop, and frees t. If the thread was never started, runs
 * the loop itself until then. */
void leat_loop_thread_end(leat_loop_thread *t);

#endif
