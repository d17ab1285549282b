/* ops.c - each request of the core becomes a task: the op fills the task in and starts it; push
 * gives the handler its arguments; finish turns the handler's result into the verdict. The table of
 * kinds at the end names these three for each kind of handler.
 */
#include "script/route/ops.h"

#include <lauxlib.h>

#include "script/api/api_ctx.h"
#include "script/api/api_db.h"
#include "script/api/api_request.h"
#include "script/api/api_subscribe.h"
#include "script/api/api_terms.h"
#include "script/route/result.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"
#include "wire/head.h"
#include "wire/redact.h"

enum kind { CONNECT, SUBSCRIBE, REFRESH, SNAPSHOT, PUBLISH, METHOD, EVENT };

static const leat_task_kind *kind_of(enum kind kind);

/* --- what several kinds share --- */

static leat_task *new_task(leat_script *s, enum kind kind, leat_call *call, leat_session *session,
                           leat_slice name, uint64_t deadline_ms)
{
    leat_task *t = leat_task_new(LEAT_CONTAINER_OF(s, leat_lua, script), kind_of(kind), call,
                                 session, deadline_ms);
    leat_task_give(t, LEAT_TASK_NAME, name);
    return t;
}

static void start_or_refuse(leat_task *t, bool has_handler, const char *otherwise)
{
    if (has_handler) {
        leat_task_start(t);
        return;
    }
    leat_task_refusal(t, LEAT_CODE_NOT_FOUND, leat_slice_of(otherwise), 0);
    leat_task_decide(t);
}

static const leat_catalog_topic *find_topic(leat_script *s, leat_slice topic)
{
    return leat_catalog_find_topic(&LEAT_CONTAINER_OF(s, leat_lua, script)->catalog, topic);
}

static leat_labelled *times_of(const leat_catalog_topic *topic, int handler)
{
    return topic == NULL ? NULL : topic->times[handler];
}

/* The core has checked the text already. If the two readers differ all the same (in the depth that
 * they allow, say), the client is told. [-0, +1, e] */
static void push_json(lua_State *L, leat_task *t)
{
    char reason[200];
    if (leat_lua_json_push(L, leat_task_given(t, LEAT_TASK_JSON), reason, sizeof(reason)) == 0)
        return;
    leat_refusal_push_deny(L, LEAT_CODE_BAD_REQUEST, leat_slice_of(reason), 0);
    lua_error(L);
}

static void push_args(lua_State *L, const leat_task *t, const leat_catalog_topic *topic)
{
    leat_pattern_push_args(topic->pattern, leat_task_name(t), L);
}

static void finish_json(lua_State *L, leat_task *t)
{
    if (leat_result_take_json(L, t))
        t->verdict.json = leat_buf_view(&t->out);
}

static void finish_optional_json(lua_State *L, leat_task *t)
{
    if (!lua_isnil(L, -1))
        finish_json(L, t);
}

/* --- connect --- */

static bool has_connect_handler(const leat_lua *lua)
{
    return lua->catalog.connect != LEAT_CATALOG_NO_HANDLER;
}

static int push_connect(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->lua->catalog.connect);
    leat_api_ctx_push(L, t, (leat_slice){NULL, 0}, (leat_slice){NULL, 0});
    leat_api_request_push(L, t->lua, leat_task_given(t, LEAT_TASK_HEAD));
    lua_pushvalue(L, -1);
    leat_api_ctx_set_request(L, -3);
    return 2;
}

/* Pushes user.id. Returns its text if it is a string or a number. [-0, +1, e] */
static leat_slice push_user_id(lua_State *L, int user)
{
    leat_slice id = {NULL, 0};
    int type = lua_getfield(L, user, "id");
    if (type == LUA_TSTRING || type == LUA_TNUMBER)
        id.at = lua_tolstring(L, -1, &id.len);
    return id;
}

static leat_session *make_session(leat_task *t, leat_slice user_id, leat_slice user_json,
                                  leat_slice head, int64_t expires_at)
{
    return leat_session_new(t->lua->core->loop, t->work.connect.client, user_id, user_json, head,
                            expires_at);
}

/* The session keeps the head without the parts that only the opening needed. */
static leat_session *make_user_session(leat_task *t, leat_slice user_id, int64_t expires_at)
{
    leat_buf head = LEAT_BUF_INIT;
    leat_head from = leat_head_read(leat_task_given(t, LEAT_TASK_HEAD));
    leat_head_repack(&head, &from, (leat_slice){NULL, 0});
    leat_session *s =
        make_session(t, user_id, leat_buf_view(&t->out), leat_buf_view(&head), expires_at);
    leat_buf_close(&head);
    return s;
}

static void finish_connect(lua_State *L, leat_task *t)
{
    int user = lua_gettop(L);
    if (leat_result_take_refusal(L, t, user))
        return;
    if (leat_result_is_nothing(L, user)) {
        leat_task_refusal(t, LEAT_CODE_UNAUTHENTICATED, (leat_slice){NULL, 0}, 0);
        return;
    }
    if (!lua_istable(L, user))
        luaL_error(L, "connect must return the user, which is a table, or leat.deny(...), not a %s",
                   luaL_typename(L, user));
    lua_getfield(L, user, "expires_at");
    int64_t expires_at = leat_api_subscribe_expiry(L, -1, "expires_at");
    lua_pushvalue(L, user);
    if (!leat_result_take_json(L, t))
        return;
    leat_terms terms;
    bool has_terms = leat_api_terms_read(L, user, &t->lua->core->limits->allowance, &terms);
    leat_slice id = push_user_id(L, user);
    t->verdict.session = make_user_session(t, id, expires_at);
    if (has_terms)
        leat_session_set_terms(t->verdict.session, &terms);
    leat_session_take_plan(t->verdict.session, t->work.connect.plan);
    t->work.connect.plan = NULL;
}

/* Bytes of why an identity is refused. */
enum { MAX_REASON = 4096 };

/* Why an identity is refused is logged: a script may have put the caller's own token there. */
static void answer_connect(leat_task *t)
{
    const leat_failure *failure = &t->verdict.failure;
    if (failure->message.len > 0) {
        leat_buf clean = LEAT_BUF_INIT;
        leat_head head = leat_head_read(leat_task_head(t));
        leat_redact(&clean, failure->message, &head, MAX_REASON);
        leat_task_refusal(t, failure->code, leat_buf_view(&clean), failure->retry_after_ms);
        leat_buf_close(&clean);
    }
    leat_task_answer_call(t);
}

static void release_connect(leat_task *t)
{
    leat_session_unref(t->verdict.session); /* NULL if it was handed over */
    leat_session_plan_free(t->work.connect.plan);
}

/* The head of the request, or that of the session which is renewed, is the input; its path is the
 * name. Where no handler is to see it, it is packed at once as the session keeps it. */
static void give_head(leat_task *t, const leat_http_request *request, const char *remote,
                      const leat_session *old, leat_slice token)
{
    leat_buf *bytes = &t->input.bytes;
    if (request != NULL && has_connect_handler(t->lua)) {
        leat_head_pack(bytes, request, remote, token);
    } else if (request != NULL) {
        leat_head_pack_kept(bytes, request, remote, token);
    } else {
        leat_head from = {.method = {NULL, 0}};
        if (old != NULL)
            from = leat_head_read(leat_session_head(old));
        leat_head_repack(bytes, old != NULL ? &from : NULL, token);
    }
    leat_task_give_appended(t, LEAT_TASK_HEAD, 0);
    leat_head head = leat_head_read(leat_buf_view(bytes));
    if (head.path.at == NULL)
        return;
    t->input.parts[LEAT_TASK_NAME].at = (size_t)(head.path.at - bytes->at);
    t->input.parts[LEAT_TASK_NAME].len = head.path.len;
}

static void start_connect(leat_script *s, leat_call *call, const leat_http_request *request,
                          const char *remote, const leat_session *old, leat_slice token,
                          uint64_t deadline_ms)
{
    leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, script);
    leat_task *t = leat_task_new(lua, kind_of(CONNECT), call, NULL, deadline_ms);
    uint64_t client = old != NULL ? old->client : ++lua->core->last_client;
    t->work.connect = (leat_work_connect){.client = client};
    t->times = lua->catalog.connect_times;
    t->db.bill.client = t->work.connect.client;
    give_head(t, request, remote, old, token);
    if (has_connect_handler(lua)) {
        leat_task_start(t);
        return;
    }
    leat_slice nobody = {NULL, 0};
    t->verdict.session = make_session(t, nobody, nobody, leat_task_given(t, LEAT_TASK_HEAD), 0);
    leat_task_decide(t);
}

/* --- subscribe --- */

static int push_subscribe(lua_State *L, leat_task *t)
{
    leat_api_ctx_push(L, t, leat_task_name(t), leat_task_given(t, LEAT_TASK_JSON));
    return leat_api_subscribe_push_handler(L, t->work.subscribe.topic, leat_task_name(t));
}

/* The caller is authorised if the handler created a grant and did not return a refusal
 * afterwards. */
static void finish_subscribe(lua_State *L, leat_task *t)
{
    leat_session_grant *grant = t->work.subscribe.grant;
    if (leat_result_take_refusal(L, t, -1))
        return;
    if (grant == NULL || grant->snapshot == LEAT_KEEP_NOTHING)
        luaL_error(L, "the subscribe handler did not authorise: it must return "
                      "leat.subscribe_authorized(...) or leat.deny(...)");
    if (!lua_isnil(L, -1) && !(lua_isboolean(L, -1) && lua_toboolean(L, -1)))
        luaL_error(L,
                   "the subscribe handler must return what leat.subscribe_authorized returned, "
                   "or leat.deny(...), not a %s",
                   luaL_typename(L, -1));
    if (t->work.subscribe.topic != NULL)
        grant->pattern = (int32_t)(t->work.subscribe.topic - t->lua->catalog.topics);
    t->verdict.grant = &grant->base;
}

static void answer_subscribe(leat_task *t)
{
    if (t->call != NULL && t->verdict.grant != NULL)
        t->work.subscribe.grant = NULL; /* the asker owns it from here on */
    leat_task_answer_call(t);
}

static void release_subscribe(leat_task *t)
{
    if (t->work.subscribe.grant != NULL)
        leat_session_grant_free(&t->work.subscribe.grant->base);
}

/* Its grant has no functions, so nothing is read. */
static void grant_operator(leat_task *t, leat_session *session, leat_slice topic)
{
    leat_session_grant *grant =
        leat_session_grant_new(t->lua, session, topic, (leat_slice){NULL, 0}, 0);
    t->work.subscribe.grant = grant;
    t->verdict.grant = &grant->base;
    leat_task_decide(t);
}

static void start_subscribe(leat_script *s, leat_call *call, leat_session *session,
                            leat_slice topic, leat_slice params, uint64_t deadline_ms)
{
    leat_task *t = new_task(s, SUBSCRIBE, call, session, topic, deadline_ms);
    leat_task_give(t, LEAT_TASK_JSON, params);
    if (session != NULL && session->is_operator) {
        grant_operator(t, session, topic);
        return;
    }
    const leat_catalog_topic *def = t->work.subscribe.topic = find_topic(s, topic);
    t->times = times_of(def, LEAT_CATALOG_SUBSCRIBE);
    bool has_handler = def != NULL && def->subscribe != LEAT_CATALOG_NO_HANDLER;
    start_or_refuse(t, has_handler, "no such topic");
}

/* --- refresh and snapshot --- */

static int push_read(lua_State *L, leat_task *t)
{
    leat_keep_push(&t->lua->keep, L, t->work.read.fn);
    leat_api_db_push(L, t, t->deadline_ms);
    leat_keep_push(&t->lua->keep, L, t->work.read.grant->row);
    return 2;
}

static void finish_refresh(lua_State *L, leat_task *t)
{
    if (leat_result_take_refusal(L, t, -1))
        return;
    if (leat_result_is_nothing(L, -1)) {
        leat_task_refusal(t, LEAT_CODE_NOT_FOUND, (leat_slice){NULL, 0}, 0);
        return;
    }
    lua_pushvalue(L, -1);
    int row = leat_keep_put(&t->lua->keep, L);
    leat_keep_drop(&t->lua->keep, L, t->work.read.grant->row);
    t->work.read.grant->row = row;
}

static void want_conn(leat_db *db)
{
    leat_call *call = LEAT_CONTAINER_OF(db, leat_task, db)->call;
    call->wants_conn(call);
}

static void lend(leat_call *call, leat_pg_conn *conn)
{
    leat_task *t = call->task_;
    leat_db_lend(&t->db, conn);
}

/* The task runs on the scripts that made the grant, and not on the current ones. */
static leat_task *new_read(enum kind kind, leat_call *call, leat_session_grant *g,
                           leat_pg_conn *conn, uint64_t deadline_ms)
{
    bool refreshes = kind == REFRESH;
    int fn = refreshes ? g->refresh : g->snapshot;
    int handler = refreshes ? LEAT_CATALOG_REFRESH : LEAT_CATALOG_SNAPSHOT;
    leat_task *t =
        new_task(&g->lua->script, kind, call, NULL, leat_session_grant_topic(g), deadline_ms);
    t->work.read = (leat_work_read){g, fn};
    if (g->pattern >= 0)
        t->times = times_of(&g->lua->catalog.topics[g->pattern], handler);
    if (conn != NULL)
        leat_db_borrow(&t->db, conn);
    else
        leat_db_borrow_later(&t->db, want_conn);
    return t;
}

static void start_refresh(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                          uint64_t deadline_ms)
{
    (void)s;
    leat_session_grant *g = LEAT_CONTAINER_OF(grant, leat_session_grant, base);
    leat_task *t = new_read(REFRESH, call, g, conn, deadline_ms);
    if (grant->has_refresh)
        leat_task_start(t);
    else
        leat_task_decide(t);
}

static void start_snapshot(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                           uint64_t deadline_ms)
{
    (void)s;
    leat_session_grant *g = LEAT_CONTAINER_OF(grant, leat_session_grant, base);
    leat_task *t = new_read(SNAPSHOT, call, g, conn, deadline_ms);
    if (g->snapshot != LEAT_KEEP_NOTHING) {
        leat_task_start(t);
        return;
    }
    t->verdict.json = leat_slice_of("null"); /* an operator's */
    leat_task_decide(t);
}

/* --- publish --- */

static int push_publish(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->work.event.topic->publish);
    leat_api_ctx_push(L, t, leat_task_name(t), (leat_slice){NULL, 0});
    push_args(L, t, t->work.event.topic);
    push_json(L, t);
    return 3;
}

static void start_publish(leat_script *s, leat_call *call, leat_session *session, leat_slice topic,
                          leat_slice data, uint64_t deadline_ms)
{
    leat_task *t = new_task(s, PUBLISH, call, session, topic, deadline_ms);
    leat_task_give(t, LEAT_TASK_JSON, data);
    const leat_catalog_topic *def = t->work.event.topic = find_topic(s, topic);
    t->times = times_of(def, LEAT_CATALOG_PUBLISH);
    bool has_handler = def != NULL && def->publish != LEAT_CATALOG_NO_HANDLER;
    start_or_refuse(t, has_handler, "nothing can be published to this topic");
}

/* --- methods --- */

static int push_method(lua_State *L, leat_task *t)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->work.method.fn);
    leat_api_ctx_push(L, t, (leat_slice){NULL, 0}, leat_task_given(t, LEAT_TASK_JSON));
    push_json(L, t);
    return 2;
}

static void start_method(leat_script *s, leat_call *call, leat_session *session, leat_slice name,
                         leat_slice params, uint64_t deadline_ms)
{
    const leat_catalog_method *m =
        leat_catalog_find_method(&LEAT_CONTAINER_OF(s, leat_lua, script)->catalog, name);
    leat_task *t = new_task(s, METHOD, call, session, name, deadline_ms);
    leat_task_give(t, LEAT_TASK_JSON, params);
    t->times = m == NULL ? NULL : m->times;
    t->work.method.fn = m == NULL ? LEAT_CATALOG_NO_HANDLER : m->fn;
    start_or_refuse(t, m != NULL, "no such method");
}

/* --- event hooks --- */

static int push_event(lua_State *L, leat_task *t)
{
    leat_slice topic = leat_task_name(t);
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->work.event.topic->event);
    leat_api_ctx_push(L, t, topic, (leat_slice){NULL, 0});
    lua_createtable(L, 0, 3);
    lua_pushlstring(L, topic.at, topic.len);
    lua_setfield(L, -2, "topic");
    lua_pushinteger(L, t->work.event.seq);
    lua_setfield(L, -2, "seq");
    push_json(L, t);
    lua_setfield(L, -2, "data");
    push_args(L, t, t->work.event.topic);
    return 3;
}

static bool has_event_hook(leat_script *s, leat_slice topic)
{
    const leat_catalog_topic *def = find_topic(s, topic);
    return def != NULL && def->event != LEAT_CATALOG_NO_HANDLER;
}

static leat_labelled *pattern_counts(leat_script *s, leat_slice topic)
{
    const leat_catalog_topic *def = find_topic(s, topic);
    return def == NULL ? NULL : def->counts;
}

static void start_event(leat_script *s, leat_call *call, leat_slice topic, int64_t seq,
                        leat_slice data, uint64_t deadline_ms)
{
    leat_task *t = new_task(s, EVENT, call, NULL, topic, deadline_ms);
    leat_task_give(t, LEAT_TASK_JSON, data);
    t->work.event = (leat_work_event){find_topic(s, topic), seq};
    t->times = times_of(t->work.event.topic, LEAT_CATALOG_EVENT);
    start_or_refuse(t, has_event_hook(s, topic), "the topic has no event hook");
}

/* --- the tables --- */

/* clang-format off */
static const leat_task_kind kinds[] = {
    /*              name, label, what its statements are billed as, authorizes,
     *              push, finish, answer, release */
    [CONNECT]   = {"connect", "path", LEAT_PG_CONTROL, false,
                   push_connect, finish_connect, answer_connect, release_connect, .plans = true},
    [SUBSCRIBE] = {"subscribe", "topic", LEAT_PG_CONTROL, true,
                   push_subscribe, finish_subscribe, answer_subscribe, release_subscribe},
    [REFRESH]   = {"refresh", "topic", LEAT_PG_CONTROL, false,
                   push_read, finish_refresh, leat_task_answer_call, NULL},
    [SNAPSHOT]  = {"snapshot", "topic", LEAT_PG_CONTROL, false,
                   push_read, finish_json, leat_task_answer_call, NULL},
    [PUBLISH]   = {"publish", "topic", LEAT_PG_CALL, false,
                   push_publish, finish_optional_json, leat_task_answer_call, NULL},
    [METHOD]    = {"method", "method", LEAT_PG_CALL, false,
                   push_method, finish_optional_json, leat_task_answer_call, NULL},
    [EVENT]     = {"event", "topic", LEAT_PG_CONTROL, false,
                   push_event, finish_optional_json, leat_task_answer_call, NULL},
};
/* clang-format on */

static const leat_task_kind *kind_of(enum kind kind)
{
    return &kinds[kind];
}

static void cancel(leat_call *call)
{
    if (call->task_ != NULL)
        leat_task_cancel(call->task_);
}

static void hold(leat_script *s)
{
    leat_vm_hold(LEAT_CONTAINER_OF(s, leat_lua, script));
}

static void drop(leat_script *s)
{
    leat_vm_drop(LEAT_CONTAINER_OF(s, leat_lua, script));
}

static bool grant_is_current(leat_script *s, const leat_grant *grant)
{
    return LEAT_CONTAINER_OF(grant, leat_session_grant, base)->lua ==
           LEAT_CONTAINER_OF(s, leat_lua, script);
}

const leat_script_ops *leat_ops_table(void)
{
    static const leat_script_ops table = {
        .connect = start_connect,
        .authorize = start_subscribe,
        .refresh = start_refresh,
        .snapshot = start_snapshot,
        .lend = lend,
        .publish = start_publish,
        .method = start_method,
        .has_event_hook = has_event_hook,
        .event = start_event,
        .pattern_counts = pattern_counts,
        .cancel = cancel,
        .hold = hold,
        .drop = drop,
        .session_ref = leat_session_ref,
        .session_unref = leat_session_unref,
        .grant_free = leat_session_grant_free,
        .grant_current = grant_is_current,
    };
    return &table;
}
