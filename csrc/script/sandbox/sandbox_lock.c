/* sandbox_lock.c - a guarded library is an empty table whose metatable leads to the real one, which
 * nothing else refers to. The globals of the application have no such detour: only what Lua itself
 * brings lies behind their table, and only an assignment to a global that is not in that table
 * comes here. */
#include "script/sandbox/sandbox_lock.h"

#include <lauxlib.h>

/* Its address is a key in the metatables of what is guarded. */
static const char guarded;

static bool is_locked(lua_State *L)
{
    return leat_sandbox_state_of(L)->locked;
}

void leat_sandbox_lock(leat_sandbox *s)
{
    s->locked = true;
}

/* --- globals --- */

/* __newindex of the globals. Upvalue 1: the names that were assigned during the load.
 *                                                                  [-0, +0, e] */
static int assign_global(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (!is_locked(L)) {
        lua_pushboolean(L, 1);
        lua_rawset(L, lua_upvalueindex(1));
    } else if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) {
        return luaL_error(
            L,
            "assignment to the global '%s', which the application did not make while it "
            "loaded: make it local, or assign it there",
            luaL_tolstring(L, 2, NULL));
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}

/* rawset(t, key, value) -> t. Upvalue 1 is Lua's own function.      [-0, +1, arg] */
static int lib_rawset(lua_State *L)
{
    if (is_locked(L) && lua_getmetatable(L, 1)) {
        if (lua_rawgetp(L, -1, &guarded) != LUA_TNIL)
            return luaL_error(L, "rawset cannot change what all handlers share");
        lua_pop(L, 2);
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Sets what every guarded table has in its metatable, which is on top. [-0, +0, m] */
static void mark(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushboolean(L, 1);
    lua_rawsetp(L, -2, &guarded);
}

/* Moves all entries of the table at index 1 to that at index 2. [-0, +0, m] */
static void move_entries(lua_State *L)
{
    for (lua_pushnil(L); lua_next(L, 1) != 0;) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 2);
    }
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, 1);
    }
}

/* What Lua itself brings moves behind the globals, where it can be found, but not assigned. */
static int guard_globals(lua_State *L)
{
    lua_pushglobaltable(L);
    lua_newtable(L);
    move_entries(L);
    lua_getfield(L, 2, "rawset");
    lua_pushcclosure(L, lib_rawset, 1);
    lua_setfield(L, 2, "rawset");
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    lua_pushcclosure(L, assign_global, 1);
    lua_setfield(L, -2, "__newindex");
    mark(L);
    lua_setmetatable(L, 1);
    return 0;
}

/* Methods of texts are found without a detour, but their table is out of reach. */
static void guard_texts(lua_State *L)
{
    lua_pushliteral(L, "");
    if (lua_getmetatable(L, -1)) {
        mark(L);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void leat_sandbox_lock_open(lua_State *L)
{
    lua_pushcfunction(L, guard_globals);
    lua_call(L, 0, 0);
    guard_texts(L);
}

void leat_sandbox_lock_global(lua_State *L, const char *name)
{
    lua_pushglobaltable(L);
    lua_getmetatable(L, -1);
    lua_getfield(L, -1, "__index");
    lua_pushvalue(L, -4);
    lua_setfield(L, -2, name);
    lua_pop(L, 4);
}

/* --- libraries --- */

/* __newindex of a library. Upvalues: the real table, its name.      [-0, +0, e] */
static int assign_field(lua_State *L)
{
    if (is_locked(L))
        return luaL_error(L,
                          "assignment to '%s.%s': handlers share this library, so it can be "
                          "changed only while the application loads",
                          lua_tostring(L, lua_upvalueindex(2)), luaL_tolstring(L, 2, NULL));
    lua_settop(L, 3);
    lua_rawset(L, lua_upvalueindex(1));
    return 0;
}

/* next(library, key). Upvalue 1: the real table.                    [-0, +1|+2, e] */
static int next_field(lua_State *L)
{
    lua_settop(L, 2);
    return lua_next(L, lua_upvalueindex(1)) != 0 ? 2 : 0;
}

/* __pairs of a library. Upvalue 1: the real table.                  [-0, +3, m] */
static int pairs_of_library(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, next_field, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

void leat_sandbox_lock_guard(lua_State *L, const char *name)
{
    int real = lua_absindex(L, -1);
    lua_newtable(L);
    lua_createtable(L, 0, 5);
    lua_pushvalue(L, real);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, real);
    lua_pushstring(L, name);
    lua_pushcclosure(L, assign_field, 2);
    lua_setfield(L, -2, "__newindex");
    lua_pushvalue(L, real);
    lua_pushcclosure(L, pairs_of_library, 1);
    lua_setfield(L, -2, "__pairs");
    mark(L);
    lua_setmetatable(L, -2);
    lua_replace(L, real);
}

void leat_sandbox_lock_library(lua_State *L, const char *name)
{
    lua_getglobal(L, name);
    leat_sandbox_lock_guard(L, name);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
    lua_setglobal(L, name);
}
