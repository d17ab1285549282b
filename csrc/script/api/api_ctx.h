/* api_ctx.h - ctx: the first argument of most handlers. It has the user, the request, the topic and
 * params, the deadline, and db.
 *
 * Ownership  a ctx is a userdata that holds its session until it is collected.
 * Threads    loop thread of the worker.
 * Units      ctx.deadline in absolute milliseconds on the loop's monotonic clock.
 * Errors     pushing raises only if memory is out.
 *
 * A script may keep a ctx: the refresh and snapshot functions of a subscribe handler do. All fields
 * stay readable, but ctx.db ends with its handler.
 */
#ifndef LEAT_SCRIPT_API_API_CTX_H
#define LEAT_SCRIPT_API_API_CTX_H

#include <lua.h>

#include "script/task/task.h"

typedef struct leat_api_ctx {
    leat_lua *lua;
    uint64_t task_id;
    uint64_t deadline_ms;
    leat_session *session; /* held by a user value; NULL: none */
} leat_api_ctx;

void leat_api_ctx_open(lua_State *L, leat_lua *lua);

/* Pushes the ctx of a task. params is JSON. at == NULL: there is no topic, or there are no params.
 * [-0, +1, e] */
void leat_api_ctx_push(lua_State *L, leat_task *t, leat_slice topic, leat_slice params);

/* Pushes a ctx like the one at index, for another topic. Takes the value of its params from the
 * top.
 * [-1, +1, m] */
void leat_api_ctx_push_like(lua_State *L, int index, leat_slice topic);

/* Makes the value on top the ctx.request of the ctx at index. [-1, +0, -] */
void leat_api_ctx_set_request(lua_State *L, int index);

leat_api_ctx *leat_api_ctx_check(lua_State *L, int index); /* [-0, +0, arg] */

/* Pushes the user of the session, decoded anew; nil if there is none. [-0, +1, m] */
void leat_api_ctx_push_user(lua_State *L, const leat_session *session);

#endif
