/* watchdog.h - a thread that stops a Lua run which computes for too long.
 *
 * Ownership  the watchdog owns its thread; the Lua state belongs to the sandbox and outlives it.
 * Threads    _new, _free and everything else are the sandbox owner's; inside, the watchdog's own
 *            thread calls lua_sethook and nothing else of Lua.
 * Units      milliseconds of processor time of the thread that runs the script, so that a script
 *            is not blamed for a busy machine.
 * Errors     _new: LEAT_ENOMEM if there is no thread to be had.
 *
 * A run costs two atomic stores while nothing goes wrong. lua_sethook is made for being called
 * from outside, but it walks the call stack, whose records the running thread may free meanwhile.
 * So the allocator of the Lua state passes _gate before it frees anything, and waits there in the
 * rare moment in which the watchdog is setting the hook.
 */
#ifndef LEAT_SCRIPT_SANDBOX_WATCHDOG_H
#define LEAT_SCRIPT_SANDBOX_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"

typedef struct leat_watchdog leat_watchdog;

/* hook is set, for every instruction, on the coroutine that runs when the budget is used up, and
 * stays set: it clears itself when it sees that leat_watchdog_fired is false. */
LEAT_MUST_CHECK int leat_watchdog_new(leat_watchdog **out, uint64_t budget_ms, lua_Hook hook);
void leat_watchdog_free(leat_watchdog *w); /* NULL is allowed */

/* Around a run; runs do not nest. */
void leat_watchdog_begin(leat_watchdog *w, lua_State *co);
void leat_watchdog_end(leat_watchdog *w);
bool leat_watchdog_running(const leat_watchdog *w);

/* Within a run, another coroutine goes on. */
void leat_watchdog_switch(leat_watchdog *w, lua_State *co);

/* Whether the present run has used up its budget. */
bool leat_watchdog_fired(const leat_watchdog *w);

void leat_watchdog_gate(leat_watchdog *w);

#endif
