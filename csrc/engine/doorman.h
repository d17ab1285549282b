/* doorman.h - accepts connections at sockets that somebody else has opened and keeps: the service
 * manager, which holds them while the server is restarted. Each connection goes to a worker.
 *
 * Ownership  the host owns the sockets and outlives the doorman, which outlives the workers.
 * Threads    the engine's.
 * Units      none.
 * Errors     opening returns UV_E*. If no worker takes connections, the sockets rest, and what
 *            comes waits in the kernel's queue.
 *
 * The workers cannot share one socket as they share a port (SO_REUSEPORT): each of them would be
 * woken for every connection, and the one that wakes first would get most of them. So one thread
 * accepts. It gives a connection to the worker that has the fewest left to take; workers with
 * equally few take turns.
 */
#ifndef LEAT_ENGINE_DOORMAN_H
#define LEAT_ENGINE_DOORMAN_H

#include <uv.h>

#include "engine/host.h"
#include "engine/worker.h"

typedef struct leat_doorman leat_doorman;

/* Begins to accept. The workers have started; the array is borrowed. */
LEAT_MUST_CHECK int leat_doorman_open(leat_doorman **out, uv_loop_t *uv,
                                      const leat_engine_sockets *sockets, leat_worker **workers,
                                      size_t n_workers);
/* Accepts no more. What was accepted is with the workers before this returns. */
void leat_doorman_close(leat_doorman *d);
/* After its loop and the workers have ended. NULL is allowed. */
void leat_doorman_free(leat_doorman *d);

#endif
