/* api_cookie.c - arguments of sign and verify; wire/cookie does the rest. */
#include "script/api/api_cookie.h"

#include <time.h>

#include <lauxlib.h>

#include "script/api/api_check.h"
#include "script/value/lua_shape.h"
#include "wire/cookie.h"

/* The secret at index, an argument or part of one. [-0, +0, e] */
static leat_slice check_secret(lua_State *L, int index)
{
    leat_slice secret = {NULL, 0};
    if (lua_type(L, index) == LUA_TSTRING)
        secret.at = lua_tolstring(L, index, &secret.len);
    luaL_argcheck(L, secret.len >= LEAT_COOKIE_MIN_SECRET, 2,
                  "a secret is a text of 32 bytes at least");
    return secret;
}

/* Reads the options at index 3: nil or a table. [-0, +0, e] */
static leat_slice check_name(lua_State *L, const char *const *known, const char *what)
{
    leat_slice name = leat_slice_of("");
    if (lua_isnoneornil(L, 3))
        return name;
    leat_api_check_keys(L, 3, known, what);
    int type = lua_getfield(L, 3, "name");
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TSTRING, 3, "name must be a text");
    if (type == LUA_TSTRING)
        name.at = lua_tolstring(L, -1, &name.len);
    lua_pop(L, 1); /* the options keep it */
    return name;
}

/* [-0, +0, e] */
static int64_t check_expiry(lua_State *L)
{
    int64_t expires_at = 0;
    if (lua_isnoneornil(L, 3))
        return 0;
    if (lua_getfield(L, 3, "expires_at") != LUA_TNIL) {
        int is_integer = 0;
        expires_at = lua_tointegerx(L, -1, &is_integer);
        luaL_argcheck(L, is_integer && expires_at > 0, 3,
                      "expires_at must be a whole number of seconds since 1970");
    }
    lua_pop(L, 1);
    return expires_at;
}

/* leat.cookie.sign(value, secret [, { name =, expires_at = }]) -> text        [-0, +1, arg] */
static int cookie_sign(lua_State *L)
{
    static const char *const known[] = {"name", "expires_at", NULL};
    leat_slice value;
    value.at = luaL_checklstring(L, 1, &value.len);
    leat_slice secret = check_secret(L, 2);
    leat_slice name = check_name(L, known, "leat.cookie.sign");
    int64_t expires_at = check_expiry(L);
    leat_buf *out = &leat_lua_shape_codec(L)->text;
    out->len = 0;
    if (leat_cookie_sign(out, secret, name, value, expires_at) < 0)
        return luaL_error(L, "leat.cookie.sign: a cookie cannot hold this value or name; "
                             "leat.crypto.base64url makes a text that it can hold");
    lua_pushlstring(L, out->at, out->len);
    leat_lua_shape_empty(out);
    return 1;
}

/* A secret, or a list of them. [-0, +0, e] */
static void check_secrets(lua_State *L, leat_cookie_check *check)
{
    if (!lua_istable(L, 2)) {
        check->secrets[0] = check_secret(L, 2);
        check->n_secrets = 1;
        return;
    }
    size_t n = lua_rawlen(L, 2);
    luaL_argcheck(L, n >= 1 && n <= LEAT_COOKIE_SECRETS, 2, "1 to 8 secrets");
    for (; check->n_secrets < n; check->n_secrets++) {
        lua_rawgeti(L, 2, (lua_Integer)check->n_secrets + 1);
        check->secrets[check->n_secrets] = check_secret(L, -1);
        lua_pop(L, 1); /* the list keeps it */
    }
}

/* leat.cookie.verify(text, secret | { new, old } [, { name = }]) -> value, expires_at | nil, code
 *                                                                   [-0, +2, arg] */
static int cookie_verify(lua_State *L)
{
    static const char *const known[] = {"name", NULL};
    leat_cookie_check check = {.now = (int64_t)time(NULL)};
    leat_slice value;
    int64_t expires_at = 0;
    check_secrets(L, &check);
    check.name = check_name(L, known, "leat.cookie.verify");
    leat_slice text = {NULL, 0};
    if (!lua_isnil(L, 1))
        text.at = luaL_checklstring(L, 1, &text.len);
    leat_cookie_result result = leat_cookie_verify(text, &check, &value, &expires_at);
    if (result != LEAT_COOKIE_OK) {
        luaL_pushfail(L);
        lua_pushstring(L, leat_cookie_result_name(result));
        return 2;
    }
    lua_pushlstring(L, value.at, value.len);
    if (expires_at > 0)
        lua_pushinteger(L, expires_at);
    else
        lua_pushnil(L);
    return 2;
}

void leat_api_cookie_push(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"sign", cookie_sign},
        {"verify", cookie_verify},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
}
