/* api_check.c - a misspelt key is an error and not a silent nothing. What a metatable adds to the
 * options is read once, before anything of the call is done: an __index may run script, which calls
 * the same function again, and what it returns is kept by nobody. */
#include "script/api/api_check.h"

#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>

static bool is_known(lua_State *L, int index, const char *const *known)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return false;
    const char *key = lua_tostring(L, index);
    while (*known != NULL && strcmp(*known, key) != 0)
        known++;
    return *known != NULL;
}

/* [-0, +0, e] */
static void raise_unknown(lua_State *L, int index, const char *const *known, const char *what)
{
    const char *key = luaL_tolstring(L, index, NULL);
    luaL_Buffer list;
    luaL_buffinit(L, &list);
    for (const char *const *name = known; *name != NULL; name++) {
        luaL_addstring(&list, name == known ? "" : ", ");
        luaL_addstring(&list, *name);
    }
    luaL_pushresult(&list);
    luaL_error(L, "%s: unknown key '%s'; the keys are %s", what, key, lua_tostring(L, -1));
}

/* Replaces a table whose metatable has an __index by what it gives for each key. [-0, +0, e] */
static void flatten(lua_State *L, int index, const char *const *known)
{
    if (luaL_getmetafield(L, index, "__index") == LUA_TNIL)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    for (; *known != NULL; known++) {
        lua_getfield(L, index, *known);
        lua_setfield(L, -2, *known);
    }
    lua_replace(L, index);
}

void leat_api_check_keys(lua_State *L, int index, const char *const *known, const char *what)
{
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        if (!is_known(L, -2, known))
            raise_unknown(L, lua_absindex(L, -2), known, what);
    }
    flatten(L, index, known);
}
