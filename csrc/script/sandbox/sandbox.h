/* sandbox.h - a Lua state whose scripts can neither use up the memory nor keep the thread busy.
 *
 * Ownership  a sandbox owns its lua_State and its watchdog thread. It also owns the extra space of
 *            the state (lua_getextraspace).
 * Threads    the owner's. The watchdog thread only sets a debug hook (watchdog.h).
 * Units      bytes of memory; milliseconds of processor time of the owner's thread.
 * Errors     a script that needs more memory than there is gets the Lua error LUA_ERRMEM. So does
 *            one that asks for a block (a string, a part of a table) of more than 1/12 of the
 *            memory, because some operations on a block cannot be interrupted. Both happen within
 *            runs only (sandbox_run.h): what the host does between runs is never refused memory.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"

typedef struct leat_sandbox leat_sandbox;

/* Makes a state with the safe part of the standard library (sandbox_lib.h lists it). Returns
 * LEAT_ENOMEM if the libraries do not fit into memory_bytes, UV_EAGAIN if no thread can be started.
 */
LEAT_MUST_CHECK int leat_sandbox_new(leat_sandbox **out, size_t memory_bytes, uint64_t budget_ms);
void leat_sandbox_free(leat_sandbox *s); /* NULL is allowed */
lua_State *leat_sandbox_state(leat_sandbox *s);
size_t leat_sandbox_memory(const leat_sandbox *s); /* bytes in use */

/* Tells the code apart that was loaded from files so far (leat_sandbox_lib_note_code): the same
 * code from the same paths, in the same order, has the same number. No defence against forgery. */
uint64_t leat_sandbox_code(const leat_sandbox *s);

/* Called between runs. Collects all garbage, and calls finalizers, if the last run was refused
 * memory or if hardly any is left. Where only half of it is left, a collection begins that goes on
 * in short steps while scripts run. */
void leat_sandbox_collect(leat_sandbox *s, uint64_t now_ms);
/* True if less than 1/16 of the memory was free after all was collected, and is free still: the
 * scripts hold the rest. */
bool leat_sandbox_exhausted(const leat_sandbox *s);

#endif
