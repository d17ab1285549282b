/* api_app.h - the app: what a script registers while it loads, and app:signal, app:resync.
 *
 * Ownership  the app belongs to the Lua state; what is registered, to the leat_lua.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     misuse is a script error, which at load stops the load.
 */
#ifndef LEAT_SCRIPT_API_API_APP_H
#define LEAT_SCRIPT_API_API_APP_H

#include <stdbool.h>

#include <lua.h>

#include "script/task/vm.h"

void leat_api_app_open(lua_State *L, leat_lua *lua);
void leat_api_app_push(lua_State *L);

/* Whether the value at index is the app. Needs no memory. */
bool leat_api_app_is(lua_State *L, int index);

#endif
