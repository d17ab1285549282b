/* api_ctx.h - ctx: who asks, what was asked, until when.
 *
 * Ownership  a ctx is a userdata that holds its session; collecting it lets go of that.
 * Threads    loop thread of the worker.
 * Units      ctx.deadline in absolute milliseconds on the loop's monotonic clock.
 * Errors     pushing raises for lack of memory only.
 *
 * user, request, topic, params, deadline and log stay readable for as long as a script keeps the
 * ctx (refresh and snapshot use what the subscribe handler left them); ctx.db ends with its
 * handler.
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

void leat_api_ctx_open(lua_State *L);

/* The ctx of a task. topic.at == NULL: none; params: JSON, at == NULL: none. */
void leat_api_ctx_push(lua_State *L, leat_task *t, leat_slice topic, leat_slice params);

/* A ctx like the one at index, for another topic and its params, whose value is on top. [-1, +1, m]
 */
void leat_api_ctx_push_like(lua_State *L, int index, leat_slice topic);

/* Makes the value on top the ctx.request of the ctx at index. [-1, +0, -] */
void leat_api_ctx_set_request(lua_State *L, int index);

leat_api_ctx *leat_api_ctx_check(lua_State *L, int index); /* [-0, +0, arg] */

/* Pushes the session's ctx.user, decoded anew; nil if there is none. [-0, +1, m] */
void leat_api_ctx_push_user(lua_State *L, const leat_session *session);

#endif
