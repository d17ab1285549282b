/* api_cookie.h - leat.cookie: values that a client keeps and cannot change.
 *
 * Ownership  the functions belong to the Lua state.
 * Threads    the Lua state's. Nothing here yields.
 * Units      seconds since 1970.
 * Errors     raises for wrong arguments; a cookie that is not good is nil and a code.
 */
#ifndef LEAT_SCRIPT_API_API_COOKIE_H
#define LEAT_SCRIPT_API_API_COOKIE_H

#include <lua.h>

/* Pushes the table leat.cookie. [-0, +1, m] */
void leat_api_cookie_push(lua_State *L);

#endif
