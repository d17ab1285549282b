/* core_life.h - the start, the drain and the stop of one worker's core.
 *
 * Ownership  as core.h says.
 * Threads    loop thread of the worker only.
 * Units      milliseconds.
 * Errors     leat_core_start returns negative errors; nothing else fails.
 */
#ifndef LEAT_CORE_CORE_LIFE_H
#define LEAT_CORE_CORE_LIFE_H

#include "core/core.h"

/* Connects to the hub. */
LEAT_MUST_CHECK int leat_core_start(leat_core *core);

/* New handshakes run on these scripts; those in flight end on the ones they began with. The caller
 * frees the old ones when their last task is done. */
void leat_core_set_script(leat_core *core, leat_script *script);

/* No new clients or subscriptions; every client gets 1001 with "retry_after_ms=N", spread over
 * limits->drain_ms; done runs when the last is gone (at once, from inside this call, if there are
 * none). */
void leat_core_drain(leat_core *core, void (*done)(void *arg), void *arg);

/* Leaves the hub and frees the topics; all clients must be gone. done runs when the hub has let go.
 */
void leat_core_stop(leat_core *core, void (*done)(void *arg), void *arg);

#endif
