/* api_subscribe.c - leat.subscribe_authorized makes a grant; leat.subscribe asks the core, or runs
 * another handler.
 *
 * Nothing is armed here. subscribe_authorized only puts the row and the functions that read into a
 * grant. The core arms when the handler has returned and its verdict is known, and calls the
 * functions after that. So no script can read a snapshot too early, and a handler that raises or
 * refuses afterwards leaves nothing behind.
 */
#include "script/api/api_subscribe.h"

#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "core/subscribe.h"
#include "script/api/api_check.h"
#include "script/api/api_ctx.h"
#include "script/sandbox/sandbox_run.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"
#include "wire/leat_v1.h"

enum { MAX_NESTING = 8 }; /* of leat.subscribe within subscribe handlers */

static leat_lua *lua_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* --- subscribe_authorized --- */

int64_t leat_api_subscribe_expiry(lua_State *L, int index, const char *what)
{
    if (lua_isnil(L, index))
        return 0;
    if (lua_type(L, index) != LUA_TNUMBER)
        luaL_error(L, "%s must be a number (seconds since 1970), not a %s", what,
                   luaL_typename(L, index));
    lua_Number seconds = lua_tonumber(L, index);
    if (isnan(seconds))
        luaL_error(L, "%s must be a number (seconds since 1970), not NaN", what);
    if (seconds < 1) /* it has passed long ago; 0 would mean never */
        return 1;
    return seconds < 9e15 ? (int64_t)seconds : 0;
}

/* Returns the running task, which must be that of ctx, of a subscribe handler, and without a grant
 * yet. [-0, +0, e] */
static leat_task *check_subscribe_task(lua_State *L)
{
    leat_api_ctx *c = leat_api_ctx_check(L, 1);
    leat_task *t = c->lua->running;
    if (t == NULL || t->id != c->task_id || !t->kind->authorizes)
        luaL_error(
            L, "leat.subscribe_authorized can be called only in a subscribe handler, with its ctx");
    if (t->work.subscribe.grant != NULL)
        luaL_error(L, "leat.subscribe_authorized was called twice in one subscribe handler");
    return t;
}

/* Raises for nil, false, leat.null and refusals: none of them can be an authorised row.
 * [-0, +0, e] */
static void check_row(lua_State *L, int index)
{
    bool null = lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL;
    if (null || !lua_toboolean(L, index) || leat_refusal_at(L, index) != NULL)
        luaL_error(L, "leat.subscribe_authorized: row must be the authorised row, but it is %s",
                   luaL_tolstring(L, index, NULL));
}

/* [-0, +1, e] */
static void push_function(lua_State *L, int index, const char *key, bool required)
{
    int type = lua_getfield(L, index, key);
    if (type != LUA_TFUNCTION && (required || type != LUA_TNIL))
        luaL_error(L, "leat.subscribe_authorized: %s must be a function, not a %s", key,
                   lua_typename(L, type));
}

static leat_slice check_share(lua_State *L, int index)
{
    leat_slice share = {NULL, 0};
    int type = lua_getfield(L, index, "share");
    if (type == LUA_TSTRING)
        share.at = lua_tolstring(L, -1, &share.len);
    else if (type != LUA_TNIL)
        luaL_error(L, "leat.subscribe_authorized: share must be a string, not a %s",
                   lua_typename(L, type));
    return share; /* the value stays on the stack, which keeps its bytes */
}

/* Returns LEAT_KEEP_NOTHING for nil. [-0, +0, m] */
static int keep_value(lua_State *L, leat_lua *lua, int index)
{
    if (lua_isnil(L, index))
        return LEAT_KEEP_NOTHING;
    lua_pushvalue(L, index);
    return leat_keep_put(&lua->keep, L);
}

/* leat.subscribe_authorized(ctx, row, spec) -> true                 [-0, +1, arg]
 * spec: snapshot(db, row), and optionally refresh(db, row), share = "key", expires_at = seconds. A
 * subscribe handler calls it once, and returns its result. */
static int subscribe_authorized(lua_State *L)
{
    enum { ROW = 2, SPEC, SNAPSHOT, REFRESH };
    static const char *const known[] = {"snapshot", "refresh", "share", "expires_at", NULL};
    leat_task *t = check_subscribe_task(L);
    lua_settop(L, SPEC);
    check_row(L, ROW);
    leat_api_check_keys(L, SPEC, known, "leat.subscribe_authorized");
    check_subscribe_task(L); /* an __index of spec may have authorised */
    push_function(L, SPEC, "snapshot", true);
    push_function(L, SPEC, "refresh", false);
    lua_getfield(L, SPEC, "expires_at");
    int64_t expires_at = leat_api_subscribe_expiry(L, -1, "expires_at");
    leat_slice share = check_share(L, SPEC);

    leat_session_grant *g =
        leat_session_grant_new(t->lua, t->session, leat_task_name(t), share, expires_at);
    t->work.subscribe.grant = g;
    g->row = keep_value(L, t->lua, ROW);
    g->refresh = keep_value(L, t->lua, REFRESH);
    g->base.has_refresh = g->refresh != LEAT_KEEP_NOTHING;
    /* Last: a grant with a snapshot function is complete. */
    g->snapshot = keep_value(L, t->lua, SNAPSHOT);
    lua_pushboolean(L, 1);
    return 1;
}

/* --- subscribe --- */

int leat_api_subscribe_push_handler(lua_State *L, const leat_catalog_topic *def, leat_slice topic)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, def->subscribe);
    lua_insert(L, -2);
    leat_pattern_push_args(def->pattern, topic, L);
    return 2;
}

static int on_delegated(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    leat_lua *lua = lua_of(L);
    leat_task *t = leat_task_running(L, lua);
    t->work.subscribe.nesting--;
    return 1;
}

/* Called in a subscribe handler: runs the handler of the other topic, which decides in its place.
 */
static int delegate(lua_State *L, leat_lua *lua, leat_task *t, leat_slice topic)
{
    const leat_catalog_topic *def = leat_catalog_find_topic(&lua->catalog, topic);
    if (def == NULL || def->subscribe == LUA_NOREF) {
        leat_refusal_push_deny(L, LEAT_CODE_NOT_FOUND, leat_slice_of("no such topic"), 0);
        return 1;
    }
    if (t->work.subscribe.nesting >= MAX_NESTING)
        return luaL_error(L, "leat.subscribe: more than %d subscribe handlers call each other",
                          MAX_NESTING);
    lua_getfield(L, 3, "params");
    leat_api_ctx_push_like(L, 1, topic);
    int n_args = leat_api_subscribe_push_handler(L, def, topic);
    t->work.subscribe.nesting++;
    lua_callk(L, n_args, 1, 0, on_delegated);
    return on_delegated(L, LUA_OK, 0);
}

static void set_outcome(leat_task *t, leat_code code, leat_slice message)
{
    t->wait.question.code = code;
    t->extra.len = 0;
    leat_buf_slice(&t->extra, message);
}

static void on_subscribed(void *arg, const leat_failure *failure)
{
    leat_task *t = arg;
    set_outcome(t, failure->code, failure->message);
    leat_task_wake(t, 0);
}

static int start_subscribe(leat_task *t)
{
    const leat_buf *b = &t->extra;
    leat_slice topic = {b->at, t->wait.question.topic_len};
    leat_slice epoch = {b->at + topic.len, t->wait.question.epoch_len};
    leat_slice params = {epoch.at + epoch.len, b->len - topic.len - epoch.len};
    leat_named_position since = {.seq = 0};
    if (epoch.len > 0)
        since = (leat_named_position){.epoch = epoch, .seq = t->wait.question.seq};
    if (params.len == 0)
        params.at = NULL;
    leat_failure why;
    leat_sub_request request = {
        .topic = topic,
        .params = params,
        .since = since,
        .deadline_ms = t->wait.question.deadline_ms,
        .done = on_subscribed,
        .done_arg = t,
    };
    if (leat_subscribe_begin(t->call->subscriber, &request, &why) != LEAT_CODE_OK) {
        set_outcome(t, why.code, why.message);
        leat_task_wake_soon(t, 0);
    }
    return 0;
}

/* A client that is gone has dropped the question already. */
static void stop_subscribe(leat_task *t)
{
    if (t->call != NULL && t->call->subscriber != NULL)
        leat_sub_forget(t->call->subscriber, t);
}

static const leat_task_wait_kind subscribe_wait = {LEAT_TASK_WAITING_SUBSCRIBE, start_subscribe,
                                                   stop_subscribe};

static int after_subscribe(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task *t = leat_task_waited(L, lua_of(L), ticket);
    if (t->wait.question.code == LEAT_CODE_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, leat_code_name(t->wait.question.code));
    if (t->extra.len == 0)
        lua_pushnil(L);
    else
        lua_pushlstring(L, t->extra.at, t->extra.len);
    return 3;
}

/* Pushes opts.since.epoch, opts.since.seq and opts.params, of the table at index 3. The first two
 * are nil together. [-0, +3, e] */
static void push_options(lua_State *L)
{
    if (lua_getfield(L, 3, "since") == LUA_TNIL) {
        lua_pushnil(L);
    } else {
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_getfield(L, -1, "epoch");
        lua_getfield(L, -2, "seq");
        lua_remove(L, -3);
        if (lua_tostring(L, -2) == NULL || lua_rawlen(L, -2) == 0 || !lua_isinteger(L, -1))
            luaL_error(L, "leat.subscribe: since must be { epoch = text, seq = integer }");
    }
    lua_getfield(L, 3, "params");
}

/* Makes the topic, and what push_options has left, the question of the task. Runs no script.
 * [-3, +0, e] */
static void take_question(lua_State *L, leat_task *t, leat_slice topic)
{
    leat_buf *b = &t->extra;
    char reason[200];
    b->len = 0;
    leat_buf_slice(b, topic);
    t->wait.question.topic_len = topic.len;
    t->wait.question.epoch_len = 0;
    if (!lua_isnil(L, -3)) {
        const char *epoch = lua_tolstring(L, -3, &t->wait.question.epoch_len);
        leat_buf_append(b, epoch, t->wait.question.epoch_len);
        t->wait.question.seq = lua_tointeger(L, -2);
    }
    if (!lua_isnil(L, -1) && leat_lua_json_encode(L, -1, b, t->lua->core->limits->max_message_bytes,
                                                  reason, sizeof(reason)) < 0) {
        leat_sandbox_run_check(L);
        luaL_error(L, "leat.subscribe: params: %s", reason);
    }
    lua_pop(L, 3);
}

/* Called in a connect handler, whose client is nobody yet: notes the topic in t->extra, and the
 * params behind it. [-0, +1, e] */
static int plan(lua_State *L, leat_task *t, size_t topic_len)
{
    leat_work_connect *w = &t->work.connect;
    leat_slice topic = {t->extra.at, topic_len};
    leat_slice params = {t->extra.at + topic_len, t->extra.len - topic_len};
    size_t most = t->lua->core->limits->allowance.max_subscriptions;
    if (t->wait.question.epoch_len > 0)
        luaL_error(L, "leat.subscribe: in connect there is no since: the client brings it");
    if (w->n_planned >= most)
        luaL_error(L, "leat.subscribe: connect asks for more topics than max_subscriptions");
    leat_planned *p = leat_session_planned_new(topic, params);
    *(w->plan == NULL ? &w->plan : &w->last->next) = p;
    w->last = p;
    w->n_planned++;
    lua_pushboolean(L, 1);
    return 1;
}

/* leat.subscribe(ctx, topic [, opts]) -> true | nil, code, message       [-0, +1|+3, e] yields
 * Subscribes the client whose request this is to a topic, as if the client had asked: the handler
 * of the topic authorises, and the snapshot reaches the client without an id. opts: params, since =
 * { epoch, seq }.
 *
 * In a connect handler it returns at once: the subscription begins when the client has been let in.
 *
 * In a subscribe handler it does something else: it runs the subscribe handler of the other topic
 * in place of the running one, whose subscription this is. The grant of that handler counts, and
 * its result is returned. So `return leat.subscribe(ctx, "chat:42")` authorises as chat:42 does,
 * with the snapshot of chat:42. If there is no such topic, it returns a refusal, not_found. */
static int subscribe(lua_State *L)
{
    static const char *const known[] = {"params", "since", NULL};
    leat_lua *lua = lua_of(L);
    leat_api_ctx *c = leat_api_ctx_check(L, 1);
    leat_slice topic;
    topic.at = luaL_checklstring(L, 2, &topic.len);
    lua_settop(L, 3);
    if (lua_isnil(L, 3)) {
        lua_newtable(L);
        lua_replace(L, 3);
    }
    leat_api_check_keys(L, 3, known, "leat.subscribe");
    push_options(L);
    leat_task *t = leat_task_running(L, lua);
    if (t->id != c->task_id)
        return luaL_error(
            L, "leat.subscribe: this ctx has ended with its handler; use that of the running one");
    if (!leat_v1_topic_ok(topic))
        return luaL_error(
            L, "leat.subscribe: malformed topic: it must have 1 to 255 bytes of UTF-8 without "
               "control characters");
    if (t->kind->authorizes)
        return delegate(L, lua, t, topic);
    if (!t->kind->plans && (t->call == NULL || t->call->subscriber == NULL))
        return luaL_error(
            L, "leat.subscribe: this handler runs for no client that could be subscribed");
    t->wait.question.deadline_ms = c->deadline_ms;
    take_question(L, t, topic);
    if (t->kind->plans)
        return plan(L, t, topic.len);
    return leat_task_wait(L, t, &subscribe_wait, after_subscribe);
}

void leat_api_subscribe_functions(lua_State *L, leat_lua *lua)
{
    static const luaL_Reg functions[] = {
        {"subscribe_authorized", subscribe_authorized},
        {"subscribe", subscribe},
        {NULL, NULL},
    };
    lua_pushlightuserdata(L, lua);
    luaL_setfuncs(L, functions, 1);
}
