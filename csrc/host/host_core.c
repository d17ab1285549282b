/* host_core.c - the C half of require "leat.host" (host.lua): leat.h for Lua 5.4,
 * with JSON as text, and callbacks as calls of one Lua function, handler(kind, id, ...).
 *
 * Callbacks run in dispatch, on the Lua state that called it. An error of the handler is kept until
 * all callbacks of that dispatch have run, and is then raised by dispatch. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <leat.h>
#include <limits.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST "leat.host.server"

enum { USER_HANDLER = 1, USER_TAGS = 2, USER_VALUES = 2 };

struct host {
    leat_server *server; /* NULL: freed */
    lua_State *L;        /* of the dispatch that runs; NULL: none does */
    int error;           /* in the registry; LUA_NOREF: none */
};

/* What a callback gets as its arg. It lives in the host's table of tags. */
struct tag {
    struct host *host;
    lua_Integer id;
};

int luaopen_leat_host_core(lua_State *L);

static struct host *check_host(lua_State *L)
{
    struct host *h = luaL_checkudata(L, 1, HOST);
    if (h->server == NULL)
        luaL_error(L, "this server has been freed");
    return h;
}

/* nil, message, code: in this order for assert */
static int push_error(lua_State *L, const leat_error *error)
{
    lua_pushnil(L);
    lua_pushstring(L, error->message);
    lua_pushstring(L, error->code);
    return 3;
}

static int push_outcome(lua_State *L, int err, const leat_error *error)
{
    if (err < 0)
        return push_error(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* --- arguments --- */

static bool has_zero(lua_State *L, int arg)
{
    size_t len = 0;
    const char *text = lua_type(L, arg) == LUA_TSTRING ? lua_tolstring(L, arg, &len) : NULL;
    return text != NULL && memchr(text, '\0', len) != NULL;
}

/* leat.h takes C strings: a text with a zero byte would name another topic, user or method than the
 * one that the program has looked at. Returns the number of results if one of the texts has one. */
static int refuse_zero(lua_State *L, int first, int last, const char *code)
{
    for (int arg = first; arg <= last; arg++) {
        if (!has_zero(L, arg))
            continue;
        lua_pushnil(L);
        lua_pushliteral(L, "a text contains a zero byte");
        lua_pushstring(L, code);
        return 3;
    }
    return 0;
}

/* 0 if there is none. */
static uint32_t opt_uint32(lua_State *L, int arg)
{
    lua_Integer n = luaL_optinteger(L, arg, 0);
    luaL_argcheck(L, n >= 0 && n <= UINT32_MAX, arg, "expected 0 to 4294967295");
    return (uint32_t)n;
}

/* --- callbacks --- */

/* Pushes handler, kind, id. The userdata is at index 1 of a running dispatch. */
static lua_State *begin_call(struct host *h, const char *kind, lua_Integer id)
{
    lua_State *L = h->L;
    luaL_checkstack(L, 16, NULL);
    lua_getiuservalue(L, 1, USER_HANDLER);
    lua_pushstring(L, kind);
    lua_pushinteger(L, id);
    return L;
}

static void end_call(struct host *h, int n_args)
{
    lua_State *L = h->L;
    if (lua_pcall(L, n_args + 2, 0, 0) == LUA_OK)
        return;
    if (h->error == LUA_NOREF)
        h->error = luaL_ref(L, LUA_REGISTRYINDEX);
    else
        lua_pop(L, 1);
}

static int push_why(lua_State *L, const leat_error *error)
{
    if (error == NULL)
        return 0;
    lua_pushstring(L, error->code);
    lua_pushstring(L, error->message);
    lua_pushinteger(L, error->retry_after_ms);
    return 3;
}

static void drop_tag(lua_State *L, const struct tag *t)
{
    lua_getiuservalue(L, 1, USER_TAGS);
    lua_pushnil(L);
    lua_rawseti(L, -2, t->id);
    lua_pop(L, 1);
}

static void on_ready(void *arg, const char *address, const leat_error *error)
{
    struct host *h = arg;
    lua_State *L = begin_call(h, "ready", 0);
    lua_pushstring(L, address);
    end_call(h, 1 + push_why(L, error));
}

static void on_stopped(void *arg)
{
    struct host *h = arg;
    begin_call(h, "stopped", 0);
    end_call(h, 0);
}

static void on_log(void *arg, int level, const char *line, size_t len)
{
    struct host *h = arg;
    lua_State *L = begin_call(h, "log", 0);
    lua_pushinteger(L, level);
    lua_pushlstring(L, line, len);
    end_call(h, 2);
}

static void on_done(void *arg, const leat_error *error)
{
    struct tag *t = arg;
    struct host *h = t->host;
    lua_State *L = begin_call(h, "done", t->id);
    int n = push_why(L, error);
    drop_tag(L, t);
    end_call(h, n);
}

static void tell_at(struct tag *t, const char *kind, leat_at at, const char *data, size_t len,
                    int is_stale)
{
    lua_State *L = begin_call(t->host, kind, t->id);
    lua_pushstring(L, at.epoch);
    lua_pushinteger(L, at.seq);
    lua_pushlstring(L, data == NULL ? "" : data, len);
    lua_pushboolean(L, is_stale);
    end_call(t->host, 4);
}

static void on_snapshot(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len,
                        int is_stale)
{
    (void)sub;
    tell_at(arg, "snapshot", at, data, len, is_stale);
}

static void on_resumed(void *arg, leat_subscription *sub, leat_at at)
{
    (void)sub;
    tell_at(arg, "resumed", at, NULL, 0, 0);
}

static void on_event(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len)
{
    (void)sub;
    tell_at(arg, "event", at, data, len, 0);
}

static void on_skip(void *arg, leat_subscription *sub, leat_at at)
{
    (void)sub;
    tell_at(arg, "skip", at, NULL, 0, 0);
}

static void on_signal(void *arg, leat_subscription *sub, const char *data, size_t len)
{
    (void)sub;
    tell_at(arg, "signal", (leat_at){"", 0}, data, len, 0);
}

static void on_closed(void *arg, leat_subscription *sub, const leat_error *why)
{
    struct tag *t = arg;
    struct host *h = t->host;
    (void)sub;
    lua_State *L = begin_call(h, "closed", t->id);
    int n = push_why(L, why);
    drop_tag(L, t);
    end_call(h, n);
}

/* request, name, data, user, user_id */
static void on_request(void *arg, leat_request *r)
{
    struct tag *t = arg;
    lua_State *L = begin_call(t->host, "request", t->id);
    size_t len = 0;
    const char *data = leat_request_data(r, &len);
    lua_pushlightuserdata(L, r);
    lua_pushstring(L, leat_request_name(r));
    lua_pushlstring(L, data == NULL ? "null" : data, data == NULL ? 4 : len);
    lua_pushstring(L, leat_request_user(r));
    lua_pushstring(L, leat_request_user_id(r));
    end_call(t->host, 5);
}

/* --- functions --- */

static struct tag *new_tag(lua_State *L, struct host *h, lua_Integer id)
{
    lua_getiuservalue(L, 1, USER_TAGS);
    struct tag *t = lua_newuserdatauv(L, sizeof(*t), 0);
    *t = (struct tag){h, id};
    lua_rawseti(L, -2, id);
    lua_pop(L, 1);
    return t;
}

/* new(handler, logs) -> server                                          [-0, +1, arg] */
static int host_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct host *h = lua_newuserdatauv(L, sizeof(*h), USER_VALUES);
    *h = (struct host){.error = LUA_NOREF};
    luaL_setmetatable(L, HOST);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, USER_HANDLER);
    lua_newtable(L);
    lua_setiuservalue(L, -2, USER_TAGS);
    h->server = leat_server_new();
    if (h->server == NULL)
        return luaL_error(L, "leat.host: no descriptor is left");
    leat_on_ready(h->server, on_ready, h);
    if (lua_toboolean(L, 2))
        leat_on_log(h->server, on_log, h);
    return 1;
}

static int host_set(lua_State *L)
{
    leat_error error;
    struct host *h = check_host(L);
    int refused = refuse_zero(L, 2, 3, "config");
    if (refused > 0)
        return refused;
    return push_outcome(
        L, leat_set(h->server, luaL_checkstring(L, 2), luaL_checkstring(L, 3), &error), &error);
}

static int host_set_file(lua_State *L)
{
    leat_error error;
    struct host *h = check_host(L);
    return push_outcome(L, leat_set_file(h->server, luaL_checkstring(L, 2), &error), &error);
}

/* handle(kind, name, id): kind "method" or "publish" */
static int host_handle(lua_State *L)
{
    leat_error error;
    struct host *h = check_host(L);
    const char *name = luaL_checkstring(L, 3);
    int refused = refuse_zero(L, 3, 3, "usage");
    if (refused > 0)
        return refused;
    struct tag *t = new_tag(L, h, luaL_checkinteger(L, 4));
    int err = strcmp(luaL_checkstring(L, 2), "method") == 0
                  ? leat_on_method(h->server, name, on_request, t, &error)
                  : leat_on_publish(h->server, name, on_request, t, &error);
    return push_outcome(L, err, &error);
}

static int host_start(lua_State *L)
{
    leat_error error;
    struct host *h = check_host(L);
    return push_outcome(L, leat_start(h->server, &error), &error);
}

static int host_fd(lua_State *L)
{
    lua_pushinteger(L, leat_fd(check_host(L)->server));
    return 1;
}

static int host_dispatch(lua_State *L)
{
    struct host *h = check_host(L);
    lua_Integer wanted_ms = luaL_optinteger(L, 2, 0);
    int timeout_ms = wanted_ms < 0 ? -1 : wanted_ms < INT_MAX ? (int)wanted_ms : INT_MAX;
    if (h->L != NULL)
        return luaL_error(L, "leat.host: dispatch cannot be called from a callback");
    lua_settop(L, 1);
    h->L = L;
    int n = leat_dispatch(h->server, timeout_ms);
    h->L = NULL;
    if (h->error != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, h->error);
        luaL_unref(L, LUA_REGISTRYINDEX, h->error);
        h->error = LUA_NOREF;
        return lua_error(L);
    }
    lua_pushinteger(L, n);
    return 1;
}

static int host_is_dispatching(lua_State *L)
{
    struct host *h = luaL_checkudata(L, 1, HOST);
    lua_pushboolean(L, h->L != NULL);
    return 1;
}

/* send(what, id, topic, data or subject, conflate) */
static int host_send(lua_State *L)
{
    static const char *const names[] = {"publish", "signal", "revoke", "resync", NULL};
    leat_error error;
    struct host *h = check_host(L);
    int what = luaL_checkoption(L, 2, NULL, names);
    lua_Integer id = luaL_checkinteger(L, 3);
    const char *topic = luaL_checkstring(L, 4);
    const char *text = luaL_optstring(L, 5, NULL);
    const char *key = luaL_optstring(L, 6, NULL);
    int refused = refuse_zero(L, 4, 6, "bad_request");
    if (refused > 0)
        return refused;
    struct tag *t = new_tag(L, h, id);
    int err = what == 0   ? leat_publish(h->server, topic, text, on_done, t, &error)
              : what == 1 ? leat_signal(h->server, topic, text, key, on_done, t, &error)
              : what == 2 ? leat_revoke(h->server, topic, text, on_done, t, &error)
                          : leat_resync(h->server, topic, on_done, t, &error);
    if (err < 0)
        drop_tag(L, t);
    return push_outcome(L, err, &error);
}

/* subscribe(id, topic, user, params, epoch, seq, timeout_ms, window_bytes) -> handle */
static int host_subscribe(lua_State *L)
{
    static const leat_subscriber_callbacks callbacks = {
        sizeof(callbacks), on_snapshot, on_resumed, on_event, on_skip, on_signal, on_closed,
    };
    leat_error error;
    struct host *h = check_host(L);
    leat_subscribe_options options = {
        .size = sizeof(options),
        .topic = luaL_checkstring(L, 3),
        .user = luaL_optstring(L, 4, NULL),
        .params = luaL_optstring(L, 5, NULL),
        .since_epoch = luaL_optstring(L, 6, NULL),
        .since_seq = luaL_optinteger(L, 7, 0),
        .timeout_ms = opt_uint32(L, 8),
        .window_bytes = opt_uint32(L, 9),
    };
    int refused = refuse_zero(L, 3, 6, "bad_request");
    if (refused > 0)
        return refused;
    struct tag *t = new_tag(L, h, luaL_checkinteger(L, 2));
    leat_subscription *sub = leat_subscribe(h->server, &options, &callbacks, t, &error);
    if (sub == NULL) {
        drop_tag(L, t);
        return push_error(L, &error);
    }
    lua_pushlightuserdata(L, sub);
    return 1;
}

/* The Lua half gives handles of living subscriptions and open requests only. */
static int host_change(lua_State *L)
{
    static const char *const names[] = {"unsubscribe", "pause", "resume", NULL};
    static void (*const functions[])(leat_subscription * sub) = {leat_unsubscribe, leat_pause,
                                                                 leat_resume};
    check_host(L);
    functions[luaL_checkoption(L, 2, NULL, names)](lua_touserdata(L, 3));
    return 0;
}

static int host_answer(lua_State *L)
{
    check_host(L);
    leat_answer(lua_touserdata(L, 2), luaL_optstring(L, 3, NULL));
    return 0;
}

static int host_refuse(lua_State *L)
{
    check_host(L);
    const char *code = luaL_checkstring(L, 3);
    const char *message = luaL_optstring(L, 4, NULL);
    luaL_argcheck(L, !has_zero(L, 4), 4, "the message contains a zero byte");
    leat_refuse(lua_touserdata(L, 2), code, message);
    return 0;
}

/* hand_over(fd, bytes): of a copy of the descriptor, because the program's loop closes its own. */
static int host_hand_over(lua_State *L)
{
    leat_error error;
    struct host *h = check_host(L);
    size_t len = 0;
    const char *bytes = luaL_checklstring(L, 3, &len);
    lua_Integer number = luaL_checkinteger(L, 2);
    int fd = fcntl(number < 0 || number > INT_MAX ? -1 : (int)number, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "not an open descriptor: %s", strerror(errno));
        lua_pushstring(L, "bad_request");
        return 3;
    }
    int err = leat_hand_over(h->server, fd, bytes, len, &error);
    if (err < 0)
        close(fd);
    return push_outcome(L, err, &error);
}

static int host_reload(lua_State *L)
{
    leat_reload(check_host(L)->server);
    return 0;
}

static int host_metrics(lua_State *L)
{
    char *text = leat_metrics_text(check_host(L)->server);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

static int host_stop(lua_State *L)
{
    struct host *h = check_host(L);
    leat_stop(h->server, on_stopped, h);
    return 0;
}

static int host_free(lua_State *L)
{
    struct host *h = luaL_checkudata(L, 1, HOST);
    if (h->L != NULL)
        return luaL_error(L, "leat.host: a server cannot be freed in a callback");
    leat_server_free(h->server);
    h->server = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"set", host_set},
    {"set_file", host_set_file},
    {"handle", host_handle},
    {"start", host_start},
    {"fd", host_fd},
    {"dispatch", host_dispatch},
    {"is_dispatching", host_is_dispatching},
    {"send", host_send},
    {"subscribe", host_subscribe},
    {"change", host_change},
    /* of requests and sockets */
    {"answer", host_answer},
    {"refuse", host_refuse},
    {"hand_over", host_hand_over},
    /* of the server */
    {"reload", host_reload},
    {"metrics", host_metrics},
    {"stop", host_stop},
    {"free", host_free},
    {"__gc", host_free},
    {NULL, NULL},
};

int luaopen_leat_host_core(lua_State *L)
{
    luaL_newmetatable(L, HOST);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    lua_pushcfunction(L, host_new);
    lua_setfield(L, -2, "new");
    lua_pushstring(L, leat_version());
    lua_setfield(L, -2, "version");
    return 1;
}
