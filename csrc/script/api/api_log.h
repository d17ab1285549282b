/* api_log.h - ctx.log: what scripts write into the server's log.
 *
 * Ownership  one object a Lua state.
 * Threads    the Lua state's.
 * Units      none.
 * Errors     pushing raises for lack of memory only.
 */
#ifndef LEAT_SCRIPT_API_API_LOG_H
#define LEAT_SCRIPT_API_API_LOG_H

#include <lua.h>

void leat_api_log_open(lua_State *L);
void leat_api_log_push(lua_State *L);

#endif
