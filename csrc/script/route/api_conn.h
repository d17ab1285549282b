/* api_conn.h - conn: a raw WebSocket as the handlers of app:websocket see it.
 *
 * Ownership  the Lua object points at its leat_raw until that goes away.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     sending returns nil and a reason.
 */
#ifndef LEAT_SCRIPT_ROUTE_API_CONN_H
#define LEAT_SCRIPT_ROUTE_API_CONN_H

#include <lua.h>

#include "script/route/raw_conn.h"

void leat_api_conn_open(lua_State *L);

/* Pushes the connection's one object. [-0, +1, m] */
void leat_api_conn_push(lua_State *L, leat_raw *r);

#endif
