/* api_leat.h - module `leat`.
 *
 * Ownership  the module belongs to the Lua state.
 * Threads    the Lua state's.
 * Units      none.
 * Errors     may raise: called protected.
 */
#ifndef LEAT_SCRIPT_API_API_LEAT_H
#define LEAT_SCRIPT_API_API_LEAT_H

#include <lua.h>

#include "script/task/vm.h"

/* Makes `require "leat"` find it. [-0, +0, m] */
void leat_api_leat_open(lua_State *L, leat_lua *lua);

#endif
