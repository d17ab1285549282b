/* api_app.h - the app: what a script registers while it loads, and app:signal and app:resync.
 *
 * Ownership  the app belongs to the Lua state, and what it registers to the catalog of the
 *            leat_lua.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     misuse is a script error. While the app loads, such an error stops the load.
 */
#ifndef LEAT_SCRIPT_API_API_APP_H
#define LEAT_SCRIPT_API_API_APP_H

#include <stdbool.h>

#include <lua.h>

#include "script/task/vm.h"

void leat_api_app_open(lua_State *L, leat_lua *lua);
void leat_api_app_push(lua_State *L);

/* Gives the app what it has not registered itself, once it has loaded: the method `ping`, with
 * which a client asks whether its connection still lives. [-0, +0, m] */
void leat_api_app_complete(lua_State *L, leat_lua *lua);

/* True if the value at index is the app. Needs no memory. */
bool leat_api_app_is(lua_State *L, int index);

#endif
