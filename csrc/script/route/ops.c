/* ops.c - a request becomes a task: the op fills it in, its kind's push gives the handler its
 * arguments, and its kind's finish turns the handler's result into the verdict.
 */
#include "script/route/ops.h"

#include <lauxlib.h>

#include "base/log.h"
#include "script/api/api_ctx.h"
#include "script/api/api_db.h"
#include "script/api/api_request.h"
#include "script/api/api_subscribe.h"
#include "script/route/raw.h"
#include "script/route/route.h"
#include "script/sandbox/sandbox_run.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"

/* --- results --- */

bool leat_ops_take_refusal(lua_State *L, leat_task *t, int index)
{
    const leat_refusal *r = leat_refusal_at(L, index);
    if (r == NULL)
        return false;
    leat_task_refusal(t, r->code, (leat_slice){r->message, r->message_len}, r->retry_after_ms);
    t->verdict.read_failed = r->read_failed;
    return true;
}

bool leat_ops_take_json(lua_State *L, leat_task *t)
{
    if (leat_ops_take_refusal(L, t, -1))
        return false;
    char reason[300];
    size_t max_bytes = t->lua->core->limits->max_snapshot_bytes;
    int err = leat_lua_json_encode(L, -1, &t->out, max_bytes, reason, sizeof(reason));
    if (err == LEAT_ETOOLARGE) {
        char name[300];
        LEAT_LOG_WARN("script", "result too large handler=%s %s=%s limit=%zu", t->kind->name,
                      t->kind->label, leat_log_quote(name, sizeof(name), t->name.at, t->name.len),
                      max_bytes);
        leat_task_refusal(t, LEAT_CODE_TOO_LARGE, leat_slice_of("the result is too large"), 0);
        return false;
    }
    if (err < 0) {
        leat_sandbox_run_check(L);
        luaL_error(L, "the result of %s cannot be written as JSON: %s", t->kind->name, reason);
    }
    return true;
}

/* leat.null stands for nothing, too. */
static bool is_nothing(lua_State *L, int index)
{
    return !lua_toboolean(L, index) ||
           (lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL);
}

static void finish_json(lua_State *L, leat_task *t)
{
    if (leat_ops_take_json(L, t))
        t->verdict.json = leat_buf_view(&t->out);
}

static void finish_optional_json(lua_State *L, leat_task *t)
{
    if (!lua_isnil(L, -1))
        finish_json(L, t);
}

/* --- arguments --- */

static leat_slice payload(const leat_task *t)
{
    return t->payload.len == 0 ? (leat_slice){NULL, 0} : leat_buf_view(&t->payload);
}

static void set_name(leat_task *t, leat_slice name)
{
    leat_buf_slice(&t->name, name);
}

static void set_session(leat_task *t, leat_session *session)
{
    if (session != NULL)
        t->session = leat_session_ref(session);
}

/* The core has checked the text already; if the two differ all the same (in depth, say), the asker
 * is told. [-0, +1, e] */
static void push_payload(lua_State *L, leat_task *t)
{
    char reason[200];
    if (leat_lua_json_push(L, payload(t), reason, sizeof(reason)) == 0)
        return;
    leat_refusal_push_deny(L, LEAT_CODE_BAD_REQUEST, leat_slice_of(reason), 0);
    lua_error(L);
}

static void push_args(lua_State *L, const leat_task *t)
{
    leat_pattern_push_args(t->topic->pattern, leat_task_name(t), L);
}

/* --- connect --- */

static int push_connect(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->lua->connect);
    leat_api_ctx_push(L, t, (leat_slice){NULL, 0}, (leat_slice){NULL, 0});
    leat_api_request_push(L, t->lua, leat_buf_view(&t->head));
    lua_pushvalue(L, -1);
    leat_api_ctx_set_request(L, -3);
    return 2;
}

/* The text of user.id, if it is a string or a number; left on the stack. [-0, +1, e] */
static leat_slice push_user_id(lua_State *L, int user)
{
    leat_slice id = {NULL, 0};
    int type = lua_getfield(L, user, "id");
    if (type == LUA_TSTRING || type == LUA_TNUMBER)
        id.at = lua_tolstring(L, -1, &id.len);
    return id;
}

/* The session keeps the head without what only the opening needed. */
static leat_session *make_session(leat_task *t, leat_slice user_id, leat_slice user_json,
                                  int64_t expires_at)
{
    leat_buf head = LEAT_BUF_INIT;
    leat_head from = leat_head_read(leat_buf_view(&t->head));
    leat_head_repack(&head, &from, (leat_slice){NULL, 0});
    leat_session *s =
        leat_session_new(t->client, user_id, user_json, leat_buf_view(&head), expires_at);
    leat_buf_close(&head);
    return s;
}

static void finish_connect(lua_State *L, leat_task *t)
{
    int user = lua_gettop(L);
    if (leat_ops_take_refusal(L, t, user))
        return;
    if (is_nothing(L, user)) {
        leat_task_refusal(t, LEAT_CODE_UNAUTHENTICATED, (leat_slice){NULL, 0}, 0);
        return;
    }
    if (!lua_istable(L, user))
        luaL_error(L, "connect must return the user, a table, or leat.deny, not a %s",
                   luaL_typename(L, user));
    lua_getfield(L, user, "expires_at");
    int64_t expires_at = leat_api_subscribe_expiry(L, -1, "expires_at");
    lua_pushvalue(L, user);
    if (!leat_ops_take_json(L, t))
        return;
    leat_slice id = push_user_id(L, user);
    t->verdict.session = make_session(t, id, leat_buf_view(&t->out), expires_at);
}

static const leat_task_kind connect_kind = {
    "connect", "path", push_connect, finish_connect, leat_task_answer_call, LEAT_PG_CONTROL, false};
/* Without a handler there is nothing to run: the session is there, and is answered like any. */
static const leat_task_kind welcome_kind = {
    "connect", "path", NULL, NULL, leat_task_answer_call, LEAT_PG_CONTROL, false};

static void let_in(leat_script *s, leat_call *call, const leat_http_request *request,
                   const char *remote, const leat_session *old, leat_slice token,
                   uint64_t deadline_ms)
{
    leat_lua *lua = (leat_lua *)s;
    bool has_handler = lua->connect != LUA_NOREF;
    leat_task *t =
        leat_task_new(lua, has_handler ? &connect_kind : &welcome_kind, call, deadline_ms);
    t->client = old != NULL ? old->client : ++lua->core->last_client;
    if (request != NULL) {
        leat_head_pack(&t->head, request, remote, token);
    } else {
        leat_head from = {.method = {NULL, 0}};
        if (old != NULL)
            from = leat_head_read(leat_session_head(old));
        leat_head_repack(&t->head, old != NULL ? &from : NULL, token);
    }
    leat_head head = leat_head_read(leat_buf_view(&t->head));
    if (head.path.at != NULL)
        set_name(t, head.path);
    if (!has_handler)
        t->verdict.session = make_session(t, (leat_slice){NULL, 0}, (leat_slice){NULL, 0}, 0);
    leat_task_start(t);
}

/* --- subscribe --- */

static int push_subscribe(lua_State *L, leat_task *t)
{
    leat_api_ctx_push(L, t, leat_task_name(t), payload(t));
    return leat_api_subscribe_push_handler(L, t->topic, leat_task_name(t));
}

/* Authorised is who has a grant, unless the handler says no after all. */
static void finish_subscribe(lua_State *L, leat_task *t)
{
    if (leat_ops_take_refusal(L, t, -1))
        return;
    if (t->grant == NULL || t->grant->snapshot == LUA_NOREF)
        luaL_error(L, "the subscribe handler did not authorise: it must return "
                      "leat.subscribe_authorized(...) or leat.deny(...)");
    if (!lua_isnil(L, -1) && !(lua_isboolean(L, -1) && lua_toboolean(L, -1)))
        luaL_error(L,
                   "the subscribe handler must return what leat.subscribe_authorized returned, "
                   "or leat.deny(...), not a %s",
                   luaL_typename(L, -1));
    t->verdict.grant = &t->grant->base;
}

static const leat_task_kind subscribe_kind = {
    "subscribe",     "topic", push_subscribe, finish_subscribe, leat_task_answer_call,
    LEAT_PG_CONTROL, true};

/* A task for a topic's handler; refused if there is no such topic or handler. */
static leat_task *topic_task(leat_script *s, const leat_task_kind *kind, leat_call *call,
                             leat_slice topic, uint64_t deadline_ms)
{
    leat_lua *lua = (leat_lua *)s;
    leat_task *t = leat_task_new(lua, kind, call, deadline_ms);
    set_name(t, topic);
    t->topic = leat_vm_find_topic(lua, topic);
    return t;
}

static void start_or_refuse(leat_task *t, bool exists, const char *otherwise)
{
    if (!exists)
        leat_task_refusal(t, LEAT_CODE_NOT_FOUND, leat_slice_of(otherwise), 0);
    leat_task_start(t);
}

static void authorize(leat_script *s, leat_call *call, leat_session *session, leat_slice topic,
                      leat_slice params, uint64_t deadline_ms)
{
    leat_task *t = topic_task(s, &subscribe_kind, call, topic, deadline_ms);
    set_session(t, session);
    leat_buf_slice(&t->payload, params);
    start_or_refuse(t, t->topic != NULL && t->topic->subscribe != LUA_NOREF, "no such topic");
}

/* --- refresh and snapshot --- */

static int push_reader(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->fn);
    leat_api_db_push(L, t, t->deadline_ms);
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->grant->row);
    return 2;
}

static void finish_refresh(lua_State *L, leat_task *t)
{
    if (leat_ops_take_refusal(L, t, -1))
        return;
    if (is_nothing(L, -1)) {
        leat_task_refusal(t, LEAT_CODE_NOT_FOUND, (leat_slice){NULL, 0}, 0);
        return;
    }
    lua_pushvalue(L, -1);
    int row = luaL_ref(L, LUA_REGISTRYINDEX);
    leat_vm_unref(t->lua, &t->grant->row);
    t->grant->row = row;
}

static const leat_task_kind refresh_kind = {
    "refresh", "topic", push_reader, finish_refresh, leat_task_answer_call, LEAT_PG_CONTROL, false};
static const leat_task_kind unrefreshed_kind = {
    "refresh", "topic", NULL, NULL, leat_task_answer_call, LEAT_PG_CONTROL, false};
static const leat_task_kind snapshot_kind = {
    "snapshot", "topic", push_reader, finish_json, leat_task_answer_call, LEAT_PG_CONTROL, false};

/* On the scripts that made the grant, whatever the current ones are. */
static void start_reader(const leat_task_kind *kind, leat_call *call, leat_session_grant *g, int fn,
                         leat_pg_conn *conn, uint64_t deadline_ms)
{
    leat_task *t = leat_task_new(g->lua, kind, call, deadline_ms);
    set_name(t, leat_session_grant_topic(g));
    t->grant = g;
    t->fn = fn;
    t->db.conn = conn;
    leat_task_start(t);
}

static void refresh(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                    uint64_t deadline_ms)
{
    (void)s;
    leat_session_grant *g = (leat_session_grant *)grant;
    start_reader(grant->has_refresh ? &refresh_kind : &unrefreshed_kind, call, g, g->refresh, conn,
                 deadline_ms);
}

static void snapshot(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                     uint64_t deadline_ms)
{
    (void)s;
    leat_session_grant *g = (leat_session_grant *)grant;
    start_reader(&snapshot_kind, call, g, g->snapshot, conn, deadline_ms);
}

/* --- publish, methods, event hooks --- */

static int push_publish(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->topic->publish);
    leat_api_ctx_push(L, t, leat_task_name(t), (leat_slice){NULL, 0});
    push_args(L, t);
    push_payload(L, t);
    return 3;
}

static const leat_task_kind publish_kind = {
    "publish",    "topic", push_publish, finish_optional_json, leat_task_answer_call,
    LEAT_PG_CALL, false};

static void publish(leat_script *s, leat_call *call, leat_session *session, leat_slice topic,
                    leat_slice data, uint64_t deadline_ms)
{
    leat_task *t = topic_task(s, &publish_kind, call, topic, deadline_ms);
    set_session(t, session);
    leat_buf_slice(&t->payload, data);
    start_or_refuse(t, t->topic != NULL && t->topic->publish != LUA_NOREF,
                    "nothing can be published to this topic");
}

static int push_method(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->fn);
    leat_api_ctx_push(L, t, (leat_slice){NULL, 0}, payload(t));
    push_payload(L, t);
    return 2;
}

static const leat_task_kind method_kind = {
    "method",     "method", push_method, finish_optional_json, leat_task_answer_call,
    LEAT_PG_CALL, false};

static void method(leat_script *s, leat_call *call, leat_session *session, leat_slice name,
                   leat_slice params, uint64_t deadline_ms)
{
    leat_lua *lua = (leat_lua *)s;
    leat_task *t = leat_task_new(lua, &method_kind, call, deadline_ms);
    const leat_vm_method *m = leat_vm_find_method(lua, name);
    set_name(t, name);
    set_session(t, session);
    leat_buf_slice(&t->payload, params);
    if (m != NULL)
        t->fn = m->fn;
    start_or_refuse(t, m != NULL, "no such method");
}

static int push_event(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->topic->event);
    leat_api_ctx_push(L, t, leat_task_name(t), (leat_slice){NULL, 0});
    lua_createtable(L, 0, 3);
    lua_pushlstring(L, t->name.at, t->name.len);
    lua_setfield(L, -2, "topic");
    lua_pushinteger(L, t->seq);
    lua_setfield(L, -2, "seq");
    push_payload(L, t);
    lua_setfield(L, -2, "data");
    push_args(L, t);
    return 3;
}

static const leat_task_kind event_kind = {
    "event",         "topic", push_event, finish_optional_json, leat_task_answer_call,
    LEAT_PG_CONTROL, false};

static bool has_event_hook(leat_script *s, leat_slice topic)
{
    const leat_vm_topic *def = leat_vm_find_topic((leat_lua *)s, topic);
    return def != NULL && def->event != LUA_NOREF;
}

static void event(leat_script *s, leat_call *call, leat_slice topic, int64_t seq, leat_slice data,
                  uint64_t deadline_ms)
{
    leat_task *t = topic_task(s, &event_kind, call, topic, deadline_ms);
    t->seq = seq;
    leat_buf_slice(&t->payload, data);
    start_or_refuse(t, t->topic != NULL && t->topic->event != LUA_NOREF, "no event hook");
}

/* --- the rest --- */

void leat_lua_cancel(leat_call *call)
{
    if (call->task_ != NULL)
        leat_task_cancel(call->task_);
}

static bool grant_current(leat_script *s, const leat_grant *grant)
{
    return ((const leat_session_grant *)grant)->lua == (leat_lua *)s;
}

const leat_script_ops *leat_ops_table(void)
{
    static const leat_script_ops table = {
        .connect = let_in,
        .authorize = authorize,
        .refresh = refresh,
        .snapshot = snapshot,
        .publish = publish,
        .method = method,
        .has_event_hook = has_event_hook,
        .event = event,
        .cancel = leat_lua_cancel,
        .session_ref = leat_session_ref,
        .session_unref = leat_session_unref,
        .grant_free = leat_session_grant_free,
        .grant_current = grant_current,
    };
    return &table;
}

const leat_route_ops *leat_ops_routes(void)
{
    static const leat_route_ops table = {
        .match = leat_lua_match,
        .run = leat_lua_route,
        .open_socket = leat_lua_raw_open,
        .guest = leat_lua_guest,
        .can_run = leat_vm_can_run,
    };
    return &table;
}
