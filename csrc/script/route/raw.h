/* raw.h - the connections of app:websocket's routes.
 *
 * Ownership  a connection that has been opened owns itself and goes away by itself.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     what the peer does wrong closes its connection with the code of RFC 6455.
 */
#ifndef LEAT_SCRIPT_ROUTE_RAW_H
#define LEAT_SCRIPT_ROUTE_RAW_H

#include <stddef.h>

#include "core/route.h"

typedef struct leat_lua leat_lua;

/* The open_socket of core/route.h's table. */
void leat_lua_raw_open(leat_script *s, int route, leat_session *session, leat_opening *opening,
                       const leat_http_request *request);

/* Open raw connections: closed with 1001 at draining. */
size_t leat_lua_raw_count(const leat_lua *lua);
void leat_lua_raw_close_all(leat_lua *lua, int code, const char *reason);

#endif
