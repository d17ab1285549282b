/* api_leat.c - what `require "leat"` returns: app, cookie, crypto, deny, jwt, subscribe_authorized,
 * subscribe, and what lua_json.h adds.
 */
#include "script/api/api_leat.h"

#include <lauxlib.h>

#include "script/api/api_app.h"
#include "script/api/api_cookie.h"
#include "script/api/api_crypto.h"
#include "script/api/api_jwt.h"
#include "script/api/api_subscribe.h"
#include "script/sandbox/sandbox_lock.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"

/* leat.app() -> app                                                 [-0, +1, -]
 * Always the same app, so that modules which the file of the app requires can register, too. */
static int app(lua_State *L)
{
    leat_api_app_push(L);
    return 1;
}

void leat_api_leat_open(lua_State *L, leat_lua *lua)
{
    lua_newtable(L);
    lua_pushcfunction(L, app);
    lua_setfield(L, -2, "app");
    lua_pushcfunction(L, leat_refusal_deny);
    lua_setfield(L, -2, "deny");
    leat_api_cookie_push(L);
    leat_sandbox_lock_guard(L, "leat.cookie");
    lua_setfield(L, -2, "cookie");
    leat_api_crypto_push(L);
    leat_sandbox_lock_guard(L, "leat.crypto");
    lua_setfield(L, -2, "crypto");
    leat_api_jwt_push(L, lua);
    leat_sandbox_lock_guard(L, "leat.jwt");
    lua_setfield(L, -2, "jwt");
    leat_api_subscribe_functions(L, lua);
    leat_lua_json_functions(L);
    leat_sandbox_lock_guard(L, "leat");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "leat");
    lua_pop(L, 2);
}
