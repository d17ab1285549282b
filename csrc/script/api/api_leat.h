/* api_leat.h - module `leat`.
 *
 * Ownership  the module belongs to the Lua state.
 * Threads    that of the Lua state.
 * Units      none.
 * Errors     may raise, so it is called protected.
 */
#ifndef LEAT_SCRIPT_API_API_LEAT_H
#define LEAT_SCRIPT_API_API_LEAT_H

#include <lua.h>

#include "script/task/vm.h"

/* Makes the module and registers it for `require "leat"`. [-0, +0, m] */
void leat_api_leat_open(lua_State *L, leat_lua *lua);

#endif
