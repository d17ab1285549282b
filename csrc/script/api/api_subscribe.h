/* api_subscribe.h - leat.subscribe_authorized and leat.subscribe.
 *
 * Ownership  the grant that a handler makes belongs to its task until the verdict hands it over.
 * Threads    loop thread of the worker.
 * Units      expires_at in seconds since 1970.
 * Errors     misuse is a script error that says what to change.
 */
#ifndef LEAT_SCRIPT_API_API_SUBSCRIBE_H
#define LEAT_SCRIPT_API_API_SUBSCRIBE_H

#include <lua.h>

#include "script/task/task.h"

/* Adds the two functions to the table on top, the module `leat`. [-0, +0, m] */
void leat_api_subscribe_functions(lua_State *L, leat_lua *lua);

/* Pushes the subscribe handler of a topic and its arguments, ctx and args. Takes ctx from the top.
 * Returns the number of arguments. [-1, +3, m] */
int leat_api_subscribe_push_handler(lua_State *L, const leat_catalog_topic *def, leat_slice topic);

/* Returns the expiry at index in seconds; 0 (never) for nil. what names the value in errors.
 * [-0, +0, e] */
int64_t leat_api_subscribe_expiry(lua_State *L, int index, const char *what);

#endif
