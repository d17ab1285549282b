/* watchdog.h - a thread that stops a Lua run which computes for too long.
 *
 * Ownership  the watchdog owns its thread; the Lua state belongs to the sandbox and outlives it.
 * Threads    all functions are called on the thread of the sandbox's owner. The watchdog's own
 *            thread calls lua_sethook and no other function of Lua.
 * Units      milliseconds of processor time of the thread that runs the script, so that a busy
 *            machine does not count.
 * Errors     _new: UV_EAGAIN if no thread can be started.
 *
 * A run costs two atomic stores if it stays within its budget. Lua allows lua_sethook to be called
 * from another thread, but it walks the call stack, whose records the running thread may free
 * meanwhile. So the allocator of the Lua state calls leat_watchdog_gate before it frees anything.
 * There it waits while the watchdog is setting the hook, which is rare.
 */
#ifndef LEAT_SCRIPT_SANDBOX_WATCHDOG_H
#define LEAT_SCRIPT_SANDBOX_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"

typedef struct leat_watchdog leat_watchdog;

/* When a budget is used up, hook is set on the running coroutine, for every instruction. It stays
 * set until it clears itself, which it does if leat_watchdog_fired is false. */
LEAT_MUST_CHECK int leat_watchdog_new(leat_watchdog **out, uint64_t budget_ms, lua_Hook hook);
void leat_watchdog_free(leat_watchdog *w); /* NULL is allowed */

/* Called around a run. Runs do not nest. */
void leat_watchdog_begin(leat_watchdog *w, lua_State *co);
void leat_watchdog_end(leat_watchdog *w);
bool leat_watchdog_running(const leat_watchdog *w);

/* Called within a run: from here on, co is the running coroutine. */
void leat_watchdog_switch(leat_watchdog *w, lua_State *co);

/* True if the present run has used up its budget. */
bool leat_watchdog_fired(const leat_watchdog *w);

void leat_watchdog_gate(leat_watchdog *w);

#endif
