/* route.c - which handler serves a path (leat_route_find), and app:route's handlers: leat_route_run
 * -> push_route -> the handler -> finish_route (its table becomes status, headers and body) ->
 * answer_route.
 */
#include "script/route/route.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include <lauxlib.h>

#include "base/utf8.h"
#include "script/api/api_check.h"
#include "script/api/api_ctx.h"
#include "script/api/api_request.h"
#include "script/route/result.h"
#include "script/sandbox/sandbox_run.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"
#include "wire/http_head.h"
#include "wire/json.h"
#include "wire/leat_v1.h"
#include "wire/written.h"

/* --- matching --- */

/* Writes the topic that the path of a stream stands for to out->topic. */
static bool expand_topic(const leat_catalog_route *r, leat_slice path, leat_route_match *out)
{
    leat_buf topic = LEAT_BUF_INIT;
    bool ok = leat_pattern_expand(r->pattern, path, leat_slice_of(r->topic), &topic) &&
              leat_v1_topic_ok(leat_buf_view(&topic));
    if (ok) {
        memcpy(out->topic, topic.at, topic.len);
        out->topic[topic.len] = '\0';
    }
    leat_buf_close(&topic);
    return ok;
}

void leat_route_find(leat_script *s, leat_slice method, leat_slice path, leat_route_match *out)
{
    const leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, script);
    *out = (leat_route_match){.kind = LEAT_ROUTE_NONE, .route = -1};
    for (size_t i = 0; i < lua->catalog.n_routes; i++) {
        const leat_catalog_route *r = &lua->catalog.routes[i];
        if (!leat_pattern_matches(r->pattern, path))
            continue;
        if (r->kind == LEAT_ROUTE_STREAM && !expand_topic(r, path, out))
            continue;
        out->path_known = true;
        if (!leat_slice_is(method, r->method))
            continue;
        out->kind = r->kind;
        out->route = (int)i;
        out->is_public = r->is_public;
        return;
    }
}

/* --- running --- */

static int push_route(lua_State *L, leat_task *t)
{
    leat_slice path = leat_task_name(t);
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->work.route.route->fn);
    leat_api_ctx_push(L, t, (leat_slice){NULL, 0}, (leat_slice){NULL, 0});
    leat_api_request_push(L, t->lua, leat_task_given(t, LEAT_TASK_HEAD));
    if (leat_pattern_push_args(t->work.route.route->pattern, path, L))
        lua_setfield(L, -2, "params");
    lua_pushvalue(L, -1);
    leat_api_ctx_set_request(L, -3);
    return 2;
}

/* --- the handler's table --- */

enum {
    MAX_LINES_BYTES = 65536, /* of all header lines that a handler sets */
    LINE_EXTRA = 4,          /* ": " and the line break */
};

/* Headers that the server writes itself, or that would contradict its behaviour. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {
        "content-length",   "transfer-encoding", "trailer",    "date",
        "connection",       "upgrade",           "keep-alive", "te",
        "proxy-connection",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void set_content_type(leat_task *t, const char *text, size_t len)
{
    t->message.len = 0;
    leat_buf_append(&t->message, text, len);
}

/* [-0, +0, e] */
static void add_header(lua_State *L, leat_task *t, int name_index, int value_index)
{
    size_t name_len = 0;
    size_t len = 0;
    const char *name = lua_tolstring(L, name_index, &name_len);
    if (lua_type(L, value_index) != LUA_TSTRING && lua_type(L, value_index) != LUA_TNUMBER)
        luaL_error(L, "response header %s: must be a string, not a %s", name,
                   luaL_typename(L, value_index));
    lua_pushvalue(L, value_index); /* a copy: lua_tolstring changes a number in place */
    const char *value = lua_tolstring(L, -1, &len);
    if (!leat_http_head_value_ok((leat_slice){value, len}))
        luaL_error(L, "response header %s: its value contains a control character", name);
    if (strcasecmp(name, "content-type") == 0) {
        set_content_type(t, value, len);
    } else {
        if (t->extra.len + name_len + len + LINE_EXTRA > MAX_LINES_BYTES)
            luaL_error(L, "response headers: they are larger than %d bytes", MAX_LINES_BYTES);
        leat_buf_append(&t->extra, name, name_len);
        leat_buf_text(&t->extra, ": ");
        leat_buf_append(&t->extra, value, len);
        leat_buf_text(&t->extra, "\r\n");
    }
    lua_pop(L, 1);
}

static void check_header_name(lua_State *L, int index)
{
    size_t len = 0;
    const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
    if (name == NULL || !leat_http_head_name_ok((leat_slice){name, len}))
        luaL_error(L, "response headers: '%s' is no header name", luaL_tolstring(L, index, NULL));
    if (is_reserved(name))
        luaL_error(L, "response headers: %s is written by the server; remove it from the table",
                   name);
}

/* Takes the headers from the table on top. A list writes its header once for each member.
 * [-0, +0, e] */
static void take_headers(lua_State *L, leat_task *t)
{
    luaL_checkstack(L, 8, "headers");
    int headers = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, headers) != 0; lua_settop(L, headers + 1)) {
        check_header_name(L, headers + 1);
        if (!lua_istable(L, headers + 2)) {
            add_header(L, t, headers + 1, headers + 2);
            continue;
        }
        for (lua_Integer i = 1; lua_geti(L, headers + 2, i) != LUA_TNIL; i++) {
            leat_sandbox_run_check(L); /* an __index in C may never return nil */
            add_header(L, t, headers + 1, headers + 3);
            lua_pop(L, 1);
        }
    }
}

static int take_status(lua_State *L, int response)
{
    int type = lua_getfield(L, response, "status");
    if (type == LUA_TNIL)
        return 200;
    int is_integer = 0;
    lua_Integer status = lua_tointegerx(L, -1, &is_integer);
    if (type != LUA_TNUMBER || !is_integer || status < 200 || status > 599)
        luaL_error(L, "response: status must be an integer from 200 to 599");
    return (int)status;
}

/* Returns false if the body is a table whose JSON is too large; that is the verdict then.
 * [-0, +0, e] */
static bool take_body(lua_State *L, leat_task *t, int response)
{
    static const char text_type[] = "text/plain; charset=utf-8";
    static const char json_type[] = "application/json";
    size_t len = 0;
    int type = lua_getfield(L, response, "body");
    bool is_text = type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TNIL;
    if (type != LUA_TNIL)
        set_content_type(t, is_text ? text_type : json_type,
                         is_text ? sizeof(text_type) - 1 : sizeof(json_type) - 1);
    if (type == LUA_TNIL)
        return true;
    if (!is_text)
        return leat_result_take_json(L, t);
    const char *body = lua_tolstring(L, -1, &len);
    leat_buf_append(&t->out, body, len);
    return true;
}

static void finish_route(lua_State *L, leat_task *t)
{
    static const char *const known[] = {"status", "body", "headers", "content_type", NULL};
    int response = lua_gettop(L);
    if (leat_result_take_refusal(L, t, response))
        return;
    if (!lua_istable(L, response))
        luaL_error(L,
                   "a route must return a table { status = 200, body = \"...\" } or leat.deny, "
                   "not a %s",
                   luaL_typename(L, response));
    leat_api_check_keys(L, response, known, "response");
    t->work.route.status = take_status(L, response);
    if (!take_body(L, t, response))
        return;
    if (lua_getfield(L, response, "headers") == LUA_TTABLE)
        take_headers(L, t);
    else if (!lua_isnil(L, -1))
        luaL_error(L, "response: headers must be a table, not a %s", luaL_typename(L, -1));
    size_t len = 0;
    if (lua_getfield(L, response, "content_type") == LUA_TNIL)
        return;
    const char *text = lua_tolstring(L, -1, &len);
    if (text == NULL || !leat_http_head_value_ok((leat_slice){text, len}))
        luaL_error(L, "response: content_type must be a text without control characters");
    set_content_type(t, text, len);
}

/* --- the answer --- */

/* {"code":"forbidden","message":"..."}, as on the wire. */
static void write_refusal(leat_task *t)
{
    const leat_failure *why = &t->verdict.failure;
    t->work.route.status = leat_http_status_of(why->code);
    t->out.len = t->extra.len = 0;
    leat_buf_printf(&t->out, "{\"code\":\"%s\"", leat_code_name(why->code));
    if (why->message.at != NULL && leat_utf8_valid(why->message.at, why->message.len)) {
        leat_buf_text(&t->out, ",\"message\":");
        if (leat_json_write_string(&t->out, why->message) < 0)
            leat_buf_text(&t->out, "\"\"");
    }
    if (why->retry_after_ms > 0)
        leat_buf_printf(&t->out, ",\"retry_after_ms\":%u", why->retry_after_ms);
    leat_buf_text(&t->out, "}\n");
    if (t->work.route.status == 503 || why->retry_after_ms > 0)
        leat_buf_printf(&t->extra, "Retry-After: %u\r\n",
                        why->retry_after_ms == 0 ? 1 : (why->retry_after_ms + 999) / 1000);
    if (t->work.route.status == 401)
        leat_buf_text(&t->extra, "WWW-Authenticate: Bearer\r\n");
    set_content_type(t, "application/json", strlen("application/json"));
}

/* A zero byte follows the slice, because HTTP reads it as a C string. */
static leat_slice terminated(leat_buf *b)
{
    leat_buf_char(b, '\0');
    b->len--;
    return leat_buf_view(b);
}

static void answer_route(leat_task *t)
{
    leat_call *call = t->call;
    t->call = NULL;
    if (call == NULL)
        return;
    call->task_ = NULL;
    if (t->verdict.failure.code != LEAT_CODE_OK)
        write_refusal(t);
    else
        leat_written_write_header(&t->extra, leat_buf_view(&t->db.written));
    leat_route_answer answer = {
        .status = t->work.route.status,
        .content_type = terminated(&t->message),
        .headers = terminated(&t->extra),
        .body = terminated(&t->out),
    };
    if (answer.content_type.len == 0)
        answer.content_type.at = NULL;
    t->work.route.cb(call, &answer);
}

static const leat_task_kind route_kind = {
    .name = "route",
    .label = "path",
    .bill = LEAT_PG_CALL,
    .push = push_route,
    .finish = finish_route,
    .answer = answer_route,
};

void leat_route_run(leat_script *s, leat_call *call, int route, leat_session *session,
                    const leat_http_request *request, const char *remote, uint64_t deadline_ms,
                    leat_route_cb cb)
{
    leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, script);
    leat_task *t = leat_task_new(lua, &route_kind, call, session, deadline_ms);
    t->work.route = (leat_work_route){.route = &lua->catalog.routes[route], .cb = cb};
    t->times = lua->catalog.routes[route].times;
    leat_task_give(t, LEAT_TASK_NAME, request->path);
    size_t from = t->input.bytes.len;
    leat_head_pack(&t->input.bytes, request, remote, (leat_slice){NULL, 0});
    leat_task_give_appended(t, LEAT_TASK_HEAD, from);
    leat_task_give(t, LEAT_TASK_BODY, request->body);
    leat_task_start(t);
}

leat_session *leat_route_guest(leat_script *s, const leat_http_request *request, const char *remote)
{
    leat_core *core = LEAT_CONTAINER_OF(s, leat_lua, script)->core;
    leat_slice absent = {NULL, 0};
    leat_buf head = LEAT_BUF_INIT;
    leat_head_pack_kept(&head, request, remote, absent);
    leat_session *session =
        leat_session_new(core->loop, ++core->last_client, absent, absent, leat_buf_view(&head), 0);
    leat_buf_close(&head);
    return session;
}
