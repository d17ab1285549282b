/* keep.c - a block is a Lua table whose array has all its places from the beginning, so that
 * nothing that is written there allocates. A step of the collector looks at one block. */
#include "script/task/keep.h"

#include <lauxlib.h>

enum { PER_BLOCK = 256 };

void leat_keep_init(leat_keep *k)
{
    *k = (leat_keep){LUA_NOREF, 0, 0};
}

/* Pushes the block of that place. Returns the place's index in it. [-0, +1, -] */
static int push_block(const leat_keep *k, lua_State *L, int place)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, k->blocks_);
    lua_rawgeti(L, -1, (place - 1) / PER_BLOCK + 1);
    lua_replace(L, -2);
    return (place - 1) % PER_BLOCK + 1;
}

/* Its places are free, the first one first. [-0, +0, m] */
static void add_block(leat_keep *k, lua_State *L)
{
    if (k->blocks_ == LUA_NOREF) {
        lua_newtable(L);
        k->blocks_ = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, k->blocks_);
    lua_createtable(L, PER_BLOCK, 0);
    for (int i = 1; i <= PER_BLOCK; i++) {
        lua_pushinteger(L, i == PER_BLOCK ? 0 : k->n_places_ + i + 1);
        lua_rawseti(L, -2, i);
    }
    lua_rawseti(L, -2, k->n_places_ / PER_BLOCK + 1);
    lua_pop(L, 1);
    k->free_ = k->n_places_ + 1;
    k->n_places_ += PER_BLOCK;
}

int leat_keep_put(leat_keep *k, lua_State *L)
{
    if (k->free_ == 0)
        add_block(k, L);
    int place = k->free_;
    int index = push_block(k, L, place);
    lua_rawgeti(L, -1, index);
    k->free_ = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_insert(L, -2);
    lua_rawseti(L, -2, index);
    lua_pop(L, 1);
    return place;
}

void leat_keep_push(const leat_keep *k, lua_State *L, int value)
{
    if (value == LEAT_KEEP_NOTHING) {
        lua_pushnil(L);
        return;
    }
    int index = push_block(k, L, value);
    lua_rawgeti(L, -1, index);
    lua_replace(L, -2);
}

void leat_keep_drop(leat_keep *k, lua_State *L, int value)
{
    if (value == LEAT_KEEP_NOTHING)
        return;
    int index = push_block(k, L, value);
    lua_pushinteger(L, k->free_);
    lua_rawseti(L, -2, index);
    lua_pop(L, 1);
    k->free_ = value;
}
