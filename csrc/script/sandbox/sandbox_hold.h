/* sandbox_hold.h - a Lua value that holds something of the host until Lua frees it.
 *
 * Ownership  a hold owns what it holds, and drops it.
 * Threads    the owner's.
 * Units      none.
 * Errors     LUA_ERRMEM.
 *
 * A finalizer (__gc) is a function that Lua calls, and so Lua may fail to: where the C stack or the
 * memory is used up, the finalizer never runs. The block of a hold is freed in any case, and
 * nothing needs to be called for it.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_HOLD_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_HOLD_H

#include "script/sandbox/sandbox_state.h"

/* Drops what was held. It must not touch the Lua state. */
typedef void leat_sandbox_drop(void *held);

/* Pushes a userdata without a metatable. Returns the place of what it holds, which is NULL at
 * first: nothing is dropped then. [-0, +1, m] */
void **leat_sandbox_hold_push(lua_State *L, leat_sandbox_drop *drop);

/* Called once, while the sandbox is made. [-0, +0, m] */
void leat_sandbox_hold_open(lua_State *L);

/* Called by the allocator with each block of hold.size bytes that is about to be freed. */
void leat_sandbox_hold_freed(const leat_sandbox *s, const void *block);

#endif
