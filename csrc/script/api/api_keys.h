/* api_keys.h - leat.jwt.keys: the keys that an application trusts.
 *
 * Ownership  the value belongs to the Lua state; it holds a set of keys, or the source of one.
 * Threads    that of the Lua state.
 * Units      bytes.
 * Errors     a script error that says what is wrong, without a byte of a key.
 */
#ifndef LEAT_SCRIPT_API_API_KEYS_H
#define LEAT_SCRIPT_API_API_KEYS_H

#include <lua.h>

#include "fetch/key_source.h"
#include "script/task/vm.h"
#include "wire/jwk_set.h"

/* One of both. Neither: a URL that cannot be fetched here (leat check). */
typedef struct leat_api_keys {
    leat_jwk_set *set;
    leat_key_source *source;
} leat_api_keys;

/* Makes the metatable. Called once for each state. [-0, +0, m] */
void leat_api_keys_open(lua_State *L);

/* The value at index; NULL if it is something else. Never raises. */
const leat_api_keys *leat_api_keys_at(lua_State *L, int index);

/* leat.jwt.keys { ... } -> keys, with leat_lua as upvalue            [-0, +1, e] */
int leat_api_keys_make(lua_State *L);

#endif
