/* api_app.c - app:connect, app:topic, app:method, app:route, app:stream, app:websocket fill the
 * catalog of the leat_lua while the app loads. app:signal and app:resync are called in handlers.
 */
#include "script/api/api_app.h"

#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "script/api/api_check.h"
#include "script/sandbox/sandbox_run.h"
#include "script/task/db_error.h"
#include "script/task/db_wait.h"
#include "script/value/lua_json.h"
#include "wire/leat_v1.h"

#define TYPE "leat.app"

static const char app_key = 'a'; /* its address is the key of the app in the registry */

static leat_lua *check(lua_State *L)
{
    leat_lua **app = luaL_checkudata(L, 1, TYPE);
    return *app;
}

/* For functions that may be called only while the app loads. [-0, +0, e] */
static leat_lua *check_loading(lua_State *L, const char *what)
{
    leat_lua *lua = check(L);
    if (lua->catalog.complete)
        luaL_error(L, "app:%s can be called only while the app loads, and not in a handler", what);
    return lua;
}

static leat_slice check_text(lua_State *L, int index)
{
    leat_slice text;
    luaL_checktype(L, index, LUA_TSTRING);
    text.at = lua_tolstring(L, index, &text.len);
    return text;
}

/* Pushes the function of that field, or nil. Returns whether there is one. [-0, +1, e] */
static bool push_function(lua_State *L, int index, const char *key, const char *what)
{
    int type = lua_getfield(L, index, key);
    if (type != LUA_TFUNCTION && type != LUA_TNIL)
        luaL_error(L, "%s: %s must be a function, not a %s", what, key, lua_typename(L, type));
    return type == LUA_TFUNCTION;
}

/* Returns a reference to the function on top, or LEAT_CATALOG_NO_HANDLER for nil. [-1, +0, m] */
static int take_ref(lua_State *L)
{
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return LUA_NOREF;
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* app:connect(fn)                                                   [-0, +0, arg]
 * fn(ctx, request) returns the user, a table. nil and false refuse like
 * leat.deny("unauthenticated"), so a handler that finds no user never lets anybody in. */
static int app_connect(lua_State *L)
{
    leat_lua *lua = check_loading(L, "connect");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (lua->catalog.connect != LUA_NOREF)
        return luaL_error(L, "app:connect was called twice; an app has one connect handler");
    lua_settop(L, 2);
    lua->catalog.connect = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* --- topics --- */

/* True if two patterns match the same names: they differ at most in the names of their holes. */
static bool same_pattern(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        if (*a == '{') {
            a += strcspn(a, ":}");
            b += strcspn(b, ":}");
        } else {
            a++;
            b++;
        }
    }
    return *a == *b;
}

static leat_pattern *compile(lua_State *L, leat_slice text, bool path, const char *what)
{
    char reason[200];
    leat_pattern *pattern = NULL;
    if (memchr(text.at, '\0', text.len) != NULL)
        luaL_error(L, "%s: the pattern contains a zero byte", what);
    if (leat_pattern_new(&pattern, text, path, reason, sizeof(reason)) < 0)
        luaL_error(L, "%s '%s': %s", what, text.at, reason);
    return pattern;
}

/* app:topic(pattern, { subscribe = fn, publish = fn, event = fn })          [-0, +0, arg]
 * subscribe(ctx, args), publish(ctx, args, data) and event(ctx, event, args). */
static int app_topic(lua_State *L)
{
    static const char *const known[] = {"subscribe", "publish", "event", NULL};
    leat_lua *lua = check_loading(L, "topic");
    leat_slice text = check_text(L, 2);
    lua_settop(L, 3);
    leat_api_check_keys(L, 3, known, "app:topic");
    bool subscribe = push_function(L, 3, "subscribe", "app:topic");
    bool publish = push_function(L, 3, "publish", "app:topic");
    bool event = push_function(L, 3, "event", "app:topic");
    if (!subscribe && (event || !publish))
        return luaL_error(L,
                          "app:topic '%s' has no subscribe function; only a topic with nothing but "
                          "publish can do "
                          "without one",
                          text.at);
    for (size_t i = 0; i < lua->catalog.n_topics; i++) {
        if (same_pattern(lua->catalog.topics[i].text, text.at))
            return luaL_error(L, "app:topic '%s' is registered already, as '%s'", text.at,
                              lua->catalog.topics[i].text);
    }
    leat_catalog_topic *t =
        leat_catalog_add_topic(&lua->catalog, compile(L, text, false, "app:topic"), text);
    t->event = take_ref(L);
    t->publish = take_ref(L);
    t->subscribe = take_ref(L);
    return 0;
}

/* app:method(name, fn)                                              [-0, +0, arg]
 * fn(ctx, params) returns what the caller is sent. */
static int app_method(lua_State *L)
{
    leat_lua *lua = check_loading(L, "method");
    leat_slice name = check_text(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    luaL_argcheck(L, name.len > 0, 2, "the name is empty");
    if (leat_catalog_find_method(&lua->catalog, name) != NULL)
        return luaL_error(L, "app:method '%s' is registered already", name.at);
    leat_catalog_method *m = leat_catalog_add_method(&lua->catalog, name);
    lua_settop(L, 3);
    m->fn = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* ping(ctx, params) -> nothing                                      [-0, +0, -] */
static int ping(lua_State *L)
{
    (void)L;
    return 0;
}

void leat_api_app_complete(lua_State *L, leat_lua *lua)
{
    leat_slice name = leat_slice_of("ping");
    if (leat_catalog_find_method(&lua->catalog, name) != NULL)
        return;
    lua_pushcfunction(L, ping);
    int fn = luaL_ref(L, LUA_REGISTRYINDEX);
    leat_catalog_add_method(&lua->catalog, name)->fn = fn;
}

/* --- routes --- */

static void check_route_free(lua_State *L, const leat_lua *lua, leat_slice method, const char *path,
                             const char *what)
{
    for (size_t i = 0; i < lua->catalog.n_routes; i++) {
        const leat_catalog_route *r = &lua->catalog.routes[i];
        if (leat_slice_is(method, r->method) && same_pattern(r->path, path))
            luaL_error(L, "%s '%s' is registered already, as '%s'", what, path, r->path);
    }
}

/* Checks and adds a route. The caller sets its references. [-0, +0, e] */
static leat_catalog_route *insert_route(lua_State *L, leat_lua *lua, leat_route_kind kind,
                                        leat_slice method, leat_slice path, const char *what)
{
    if (path.len == 0 || path.at[0] != '/')
        luaL_error(L, "%s '%s': the path must begin with '/'", what, path.at);
    check_route_free(L, lua, method, path.at, what);
    leat_pattern *pattern = compile(L, path, true, what);
    leat_catalog_route *r = leat_catalog_add_route(&lua->catalog, pattern, method, path);
    r->kind = kind;
    return r;
}

static bool public_field(lua_State *L, int index, const char *what)
{
    int type = lua_getfield(L, index, "public");
    if (type != LUA_TBOOLEAN && type != LUA_TNIL)
        luaL_error(L, "%s: public must be a boolean, not a %s", what, lua_typename(L, type));
    bool is_public = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_public;
}

/* Reads the options of a route at index, nil or { public = true }. Returns public. [-0, +0, arg] */
static bool route_options(lua_State *L, int index, const char *what)
{
    static const char *const known[] = {"public", NULL};
    if (lua_isnoneornil(L, index))
        return false;
    leat_api_check_keys(L, index, known, what);
    return public_field(L, index, what);
}

/* app:route("GET /hello/{name}", fn [, { public = true }])               [-0, +0, arg]
 * fn(ctx, request) returns a leat.deny or { status = 200, body = text or a table (sent as JSON),
 * content_type = text, headers = { name = text or list } }. request.params has the holes. Unless
 * the route is public, the connect handler runs first. */
static int app_route(lua_State *L)
{
    leat_lua *lua = check_loading(L, "route");
    leat_slice text = check_text(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    bool is_public = route_options(L, 4, "app:route");
    size_t method_len = strspn(text.at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (method_len == 0 || text.at[method_len] != ' ')
        return luaL_error(
            L, "app:route '%s': must be a method, a space and a path, as in 'GET /hello'", text.at);
    leat_slice method = {text.at, method_len};
    leat_slice path = {text.at + method_len + 1, text.len - method_len - 1};
    leat_catalog_route *r = insert_route(L, lua, LEAT_ROUTE_HTTP, method, path, "app:route");
    r->is_public = is_public;
    lua_settop(L, 3);
    r->fn = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* Raises if the template has a hole that is not in the path. [-0, +0, e] */
static void check_template(lua_State *L, const leat_pattern *pattern, const char *template)
{
    for (const char *at = strchr(template, '{'); at != NULL; at = strchr(at, '{')) {
        const char *end = strchr(++at, '}');
        if (end == NULL)
            luaL_error(L, "app:stream '%s': the topic has a '{' without '}'", template);
        if (!leat_pattern_has_hole(pattern, (leat_slice){at, (size_t)(end - at)}))
            luaL_error(L, "app:stream '%s': the path has no hole named '%s'", template,
                       lua_pushlstring(L, at, (size_t)(end - at)));
        at = end;
    }
}

/* app:stream("/chats/{id:int}/stream", "chat:{id}" [, { public = true }])       [-0, +0, arg]
 * Serves the topic to WebSockets and as Server-Sent Events; the subscribe handler runs before the
 * upgrade. Unless the route is public, the connect handler runs first. On a public route ctx.user
 * is nil. */
static int app_stream(lua_State *L)
{
    leat_lua *lua = check_loading(L, "stream");
    leat_slice path = check_text(L, 2);
    leat_slice template = check_text(L, 3);
    bool is_public = route_options(L, 4, "app:stream");
    leat_catalog_route *r =
        insert_route(L, lua, LEAT_ROUTE_STREAM, leat_slice_of("GET"), path, "app:stream");
    r->is_public = is_public;
    r->topic = leat_memdup(template.at, template.len);
    check_template(L, r->pattern, r->topic);
    return 0;
}

/* app:websocket("/raw", { open = fn, message = fn, close = fn [, public = true] }
 *               [, { public = true }])                                          [-0, +0, arg]
 * open(conn), message(conn, data, kind), close(conn, code, reason); kind is "text" or "binary". */
static int app_websocket(lua_State *L)
{
    static const char *const known[] = {"open", "message", "close", "public", NULL};
    leat_lua *lua = check_loading(L, "websocket");
    leat_slice path = check_text(L, 2);
    bool is_public = route_options(L, 4, "app:websocket");
    lua_settop(L, 3);
    leat_api_check_keys(L, 3, known, "app:websocket");
    is_public = public_field(L, 3, "app:websocket") || is_public;
    push_function(L, 3, "open", "app:websocket");
    push_function(L, 3, "message", "app:websocket");
    push_function(L, 3, "close", "app:websocket");
    leat_catalog_route *r =
        insert_route(L, lua, LEAT_ROUTE_WEBSOCKET, leat_slice_of("GET"), path, "app:websocket");
    r->is_public = is_public;
    r->close = take_ref(L);
    r->message = take_ref(L);
    r->fn = take_ref(L);
    return 0;
}

/* --- in handlers --- */

static leat_slice check_topic(lua_State *L, const char *what)
{
    leat_slice topic = check_text(L, 2);
    if (!leat_v1_topic_ok(topic))
        luaL_error(
            L,
            "%s: malformed topic: it must have 1 to 255 bytes of UTF-8 without control characters",
            what);
    return topic;
}

static int on_done(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task *t = leat_task_waited(L, check(L), ticket);
    return t->wait.err < 0 ? leat_db_error_raise(L, t) : 0;
}

/* Adds a text to the parameters of the statement. */
static void bind_text(leat_task *t, leat_slice text)
{
    leat_buf *texts = leat_db_param_begin(&t->db);
    size_t began_at = texts->len;
    leat_buf_slice(texts, text);
    leat_db_param_end(&t->db, began_at, text.at == NULL);
}

/* The most that NOTIFY takes. The topic takes a part of it, which leat.signal checks. */
enum { SIGNAL_MAX_BYTES = 7999 };

/* Returns the key of nil, {}, { conflate = true } or { conflate = "key" } at index; absent for the
 * first two. The text stays on the stack. [-0, +0|+1, arg] */
static leat_slice conflate_option(lua_State *L, int index)
{
    static const char *const known[] = {"conflate", NULL};
    leat_slice key = {NULL, 0};
    if (lua_isnoneornil(L, index))
        return key;
    leat_api_check_keys(L, index, known, "app:signal");
    int type = lua_getfield(L, index, "conflate");
    if (type == LUA_TSTRING)
        key.at = lua_tolstring(L, -1, &key.len);
    else if (type == LUA_TBOOLEAN && lua_toboolean(L, -1))
        key = leat_slice_of("");
    else if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        luaL_error(L, "app:signal: conflate must be true or a string, the key, not a %s",
                   lua_typename(L, type));
    return key;
}

/* app:signal(topic, data [, { conflate = true or key }])           [-0, +0, e] yields
 * Calls leat.signal in SQL. In a transaction of the handler, the signal goes out with the commit.
 */
static int app_signal(lua_State *L)
{
    leat_lua *lua = check(L);
    leat_slice topic = check_topic(L, "app:signal");
    luaL_checkany(L, 3);
    lua_settop(L, 4);
    leat_slice key = conflate_option(L, 4);
    leat_task *t = leat_task_running(L, lua);
    leat_db_set_statement(&t->db, leat_slice_of("select leat.signal($1, $2, $3)"), t->deadline_ms);
    bind_text(t, topic);
    char reason[200];
    leat_buf *texts = leat_db_param_begin(&t->db);
    size_t began_at = texts->len;
    if (leat_lua_json_encode(L, 3, texts, SIGNAL_MAX_BYTES, reason, sizeof(reason)) < 0) {
        leat_sandbox_run_check(L);
        return luaL_error(L, "app:signal: data: %s", reason);
    }
    leat_db_param_end(&t->db, began_at, false);
    bind_text(t, key);
    return leat_db_wait_statement(L, t, on_done);
}

/* app:resync(topic)                                                 [-0, +0, e] yields
 * Calls leat.resync in SQL: every subscription of the topic, on every server, gets a new snapshot.
 */
static int app_resync(lua_State *L)
{
    leat_lua *lua = check(L);
    leat_slice topic = check_topic(L, "app:resync");
    leat_task *t = leat_task_running(L, lua);
    leat_db_set_statement(&t->db, leat_slice_of("select leat.resync($1)"), t->deadline_ms);
    bind_text(t, topic);
    return leat_db_wait_statement(L, t, on_done);
}

/* --- the object --- */

static const luaL_Reg methods[] = {
    {"connect", app_connect}, {"topic", app_topic},   {"method", app_method},
    {"route", app_route},     {"stream", app_stream}, {"websocket", app_websocket},
    {"signal", app_signal},   {"resync", app_resync}, {NULL, NULL},
};

void leat_api_app_open(lua_State *L, leat_lua *lua)
{
    leat_lua **app = lua_newuserdatauv(L, sizeof(leat_lua *), 0);
    *app = lua;
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, TYPE);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &app_key);
}

void leat_api_app_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &app_key);
}

bool leat_api_app_is(lua_State *L, int index)
{
    leat_api_app_push(L);
    bool same = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    return same;
}
