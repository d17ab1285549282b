/* refusal.c - both values have one layout and differ in the metatable. Metatables are found by
 * their address, which needs no memory. */
#include "script/value/refusal.h"

#include <string.h>

#include <lauxlib.h>

#include "base/utf8.h"

/* The addresses are the keys of the metatables in the registry. */
static const char deny_key = 'd';
static const char read_error_key = 'e';

static int index_refusal(lua_State *L);
static int describe(lua_State *L);

static void make_metatable(lua_State *L, const char *key, const char *name)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, index_refusal);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, describe);
    lua_setfield(L, -2, "__tostring");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void leat_refusal_open(lua_State *L)
{
    make_metatable(L, &deny_key, "leat.deny");
    make_metatable(L, &read_error_key, "leat.error");
}

static void push(lua_State *L, const char *key, const leat_refusal *head, leat_slice message)
{
    leat_refusal *r = lua_newuserdatauv(L, sizeof(*r) + message.len + 1, 0);
    *r = *head;
    r->message_len = message.len;
    if (message.len > 0)
        memcpy(r->message, message.at, message.len);
    r->message[message.len] = '\0';
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    lua_setmetatable(L, -2);
}

void leat_refusal_push_deny(lua_State *L, leat_code code, leat_slice message,
                            uint32_t retry_after_ms)
{
    leat_refusal head = {.code = code, .retry_after_ms = retry_after_ms};
    push(L, &deny_key, &head, message);
}

void leat_refusal_push_read_error(lua_State *L, leat_code code, const char *sqlstate,
                                  leat_slice message, uint32_t retry_after_ms)
{
    leat_refusal head = {.code = code, .retry_after_ms = retry_after_ms, .read_failed = true};
    strncpy(head.sqlstate, sqlstate, sizeof(head.sqlstate) - 1);
    push(L, &read_error_key, &head, message);
}

static bool has_metatable(lua_State *L, int index, const char *key)
{
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

const leat_refusal *leat_refusal_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA)
        return NULL;
    int at = lua_absindex(L, index);
    if (!has_metatable(L, at, &deny_key) && !has_metatable(L, at, &read_error_key))
        return NULL;
    return lua_touserdata(L, at);
}

static const leat_refusal *check(lua_State *L, int index)
{
    const leat_refusal *r = leat_refusal_at(L, index);
    luaL_argexpected(L, r != NULL, index, "leat.deny or leat.error");
    return r;
}

/* refusal.code, .message, .sqlstate, .retry_after_ms                       [-0, +1, -] */
static int index_refusal(lua_State *L)
{
    const leat_refusal *r = check(L, 1);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "code") == 0)
        lua_pushstring(L, leat_code_name(r->code));
    else if (strcmp(key, "message") == 0 && r->message_len > 0)
        lua_pushlstring(L, r->message, r->message_len);
    else if (strcmp(key, "sqlstate") == 0 && r->sqlstate[0] != '\0')
        lua_pushstring(L, r->sqlstate);
    else if (strcmp(key, "retry_after_ms") == 0 && r->retry_after_ms > 0)
        lua_pushinteger(L, r->retry_after_ms);
    else
        lua_pushnil(L);
    return 1;
}

/* tostring(refusal) -> "unavailable: message (SQLSTATE 57P01)"             [-0, +1, m] */
static int describe(lua_State *L)
{
    const leat_refusal *r = check(L, 1);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addstring(&b, leat_code_name(r->code));
    if (r->message_len > 0) {
        luaL_addstring(&b, ": ");
        luaL_addlstring(&b, r->message, r->message_len);
    }
    if (r->sqlstate[0] != '\0') {
        luaL_addstring(&b, " (SQLSTATE ");
        luaL_addstring(&b, r->sqlstate);
        luaL_addchar(&b, ')');
    }
    luaL_pushresult(&b);
    return 1;
}

/* Reads the optional third argument of leat.deny.                                [-0, +0, arg] */
static uint32_t check_retry(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return 0;
    luaL_checktype(L, index, LUA_TTABLE);
    uint32_t retry_after_ms = 0;
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        bool known =
            lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "retry_after_ms") == 0;
        if (!known)
            luaL_argerror(L, index, "only retry_after_ms is known");
        int is_integer = 0;
        lua_Integer n = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || n < 0 || n > INT32_MAX)
            luaL_argerror(L, index, "retry_after_ms must be a whole number of milliseconds");
        retry_after_ms = (uint32_t)n;
    }
    return retry_after_ms;
}

/* True if the text contains a zero byte, which would end it: messages are also passed on as C
 * strings. */
static bool is_cut(leat_slice text)
{
    return text.len > 0 && memchr(text.at, '\0', text.len) != NULL;
}

int leat_refusal_deny(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    leat_slice message = {NULL, 0};
    if (!lua_isnoneornil(L, 2))
        message.at = luaL_checklstring(L, 2, &message.len);
    uint32_t retry_after_ms = check_retry(L, 3);
    leat_code code = LEAT_CODE_OK;
    if (leat_code_parse(&code, name) < 0)
        return luaL_error(L, "leat.deny: '%s' is no error code; docs/lua-api.md lists them", name);
    if (!leat_utf8_valid(message.at, message.len) || is_cut(message))
        return luaL_error(L, "leat.deny: the message must be UTF-8 without zero bytes");
    leat_refusal_push_deny(L, code, message, retry_after_ms);
    return 1;
}
