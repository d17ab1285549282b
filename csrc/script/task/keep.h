/* keep.h - values of the scripts that the host keeps for later: the rows and functions of grants.
 *
 * Ownership  a kept value is its keeper's until it is dropped. All of them end with the Lua state.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     putting raises if memory is out. Nothing else can fail.
 *
 * There may be a million of them. References of the registry (luaL_ref) would lie in one array,
 * which doubles: on average a third of it is empty, and the turn in which it doubles copies it.
 * Here they lie in blocks.
 */
#ifndef LEAT_SCRIPT_TASK_KEEP_H
#define LEAT_SCRIPT_TASK_KEEP_H

#include <stddef.h>

#include <lua.h>

enum { LEAT_KEEP_NOTHING = 0 }; /* in place of a kept value */

typedef struct leat_keep {
    int *blocks_; /* their registry references, owned; NULL before the first value */
    size_t n_blocks_;
    size_t cap_;
    int n_used_; /* the places from this one on were never used */
    int free_; /* the first place that is free again; 0: none is. It holds the next one's number */
} leat_keep;

void leat_keep_init(leat_keep *k);
/* Its Lua state is closed, or is about to be. */
void leat_keep_close(leat_keep *k);

/* Keeps the value on top of the stack. Returns its number, from 1 on. [-1, +0, m] */
int leat_keep_put(leat_keep *k, lua_State *L);
/* LEAT_KEEP_NOTHING pushes nil. [-0, +1, -] */
void leat_keep_push(const leat_keep *k, lua_State *L, int value);
/* LEAT_KEEP_NOTHING is allowed. [-0, +0, -] */
void leat_keep_drop(leat_keep *k, lua_State *L, int value);

#endif
