/* thread.h - threads of our own: how they start, and what they are called.
 *
 * Ownership  none.
 * Threads    any.
 * Units      none.
 * Errors     _start returns 0 or an errno.
 */
#ifndef LEAT_BASE_THREAD_H
#define LEAT_BASE_THREAD_H

#include <pthread.h>

#include "base/err.h"

/* Starts a thread that handles no signal of the process. Faults of its own (SIGSEGV, SIGSYS and
 * their kin) reach their handlers, because a fault that is blocked ends the process at once.
 * attr may be NULL. */
LEAT_MUST_CHECK int leat_thread_start(pthread_t *out, const pthread_attr_t *attr,
                                      void *(*run)(void *arg), void *arg);

/* Names the calling thread, as top -H and debuggers show it. Longer names are cut after 15 bytes.
 */
void leat_thread_name(const char *name);

#endif
