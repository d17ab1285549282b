/* keep.c - a block is a Lua table whose array has all its places from the beginning, so that
 * nothing that is written there allocates. A step of the collector looks at one block. */
#include "script/task/keep.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "base/mem.h"

enum { PER_BLOCK = 256, FIRST_CAP = 4 };

void leat_keep_init(leat_keep *k)
{
    *k = (leat_keep){.blocks_ = NULL};
}

void leat_keep_close(leat_keep *k)
{
    free(k->blocks_);
    leat_keep_init(k);
}

/* Pushes the block of that place. Returns the place's index in it. [-0, +1, -] */
static int push_block(const leat_keep *k, lua_State *L, int place)
{
    unsigned i = (unsigned)place - 1;
    lua_rawgeti(L, LUA_REGISTRYINDEX, k->blocks_[i / PER_BLOCK]);
    return (int)(i % PER_BLOCK) + 1;
}

/* [-0, +0, m] */
static void add_block(leat_keep *k, lua_State *L)
{
    if (k->n_blocks_ == k->cap_) {
        k->cap_ = k->cap_ == 0 ? FIRST_CAP : k->cap_ * 2;
        k->blocks_ = leat_realloc(k->blocks_, k->cap_ * sizeof(*k->blocks_));
    }
    lua_createtable(L, PER_BLOCK, 0);
    k->blocks_[k->n_blocks_] = luaL_ref(L, LUA_REGISTRYINDEX);
    k->n_blocks_++;
}

/* Keeps the value at a place that was never used. [-1, +0, m] */
static int put_fresh(leat_keep *k, lua_State *L)
{
    if ((size_t)k->n_used_ == k->n_blocks_ * PER_BLOCK)
        add_block(k, L);
    int place = ++k->n_used_;
    int index = push_block(k, L, place);
    lua_insert(L, -2);
    lua_rawseti(L, -2, index);
    lua_pop(L, 1);
    return place;
}

int leat_keep_put(leat_keep *k, lua_State *L)
{
    int place = k->free_;
    if (place == 0)
        return put_fresh(k, L);
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
