/* api_log.h - ctx.log and print: scripts write into the log of the server.
 *
 * Ownership  one object for each Lua state.
 * Threads    that of the Lua state.
 * Units      none.
 * Errors     pushing raises only if memory is out.
 */
#ifndef LEAT_SCRIPT_API_API_LOG_H
#define LEAT_SCRIPT_API_API_LOG_H

#include <lua.h>

#include "script/task/vm.h"

/* Makes the object, and the global print. */
void leat_api_log_open(lua_State *L, leat_lua *lua);
void leat_api_log_push(lua_State *L);

#endif
