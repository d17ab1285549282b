/* api_ctx.c - ctx.user, ctx.request, ctx.deadline, ctx.db, ctx.topic, ctx.params, ctx:with_timeout.
 *
 * Costly fields are made when they are first asked for, and kept in the user values. Each ctx
 * decodes ctx.user anew, so a handler that changes the table changes only its own copy.
 */
#include "script/api/api_ctx.h"

#include <string.h>

#include <lauxlib.h>

#include "script/api/api_db.h"
#include "script/api/api_log.h"
#include "script/api/api_request.h"
#include "script/sandbox/sandbox_hold.h"
#include "script/value/lua_json.h"

#define TYPE "leat.ctx"

enum { USER = 1, REQUEST, DB, SESSION, TOPIC, PARAMS, N_USER_VALUES = PARAMS };

/* [-0, +1, m] */
static void push(lua_State *L, const leat_api_ctx *from)
{
    leat_api_ctx *c = lua_newuserdatauv(L, sizeof(*c), N_USER_VALUES);
    *c = *from;
    luaL_setmetatable(L, TYPE);
}

static void drop_session(void *session)
{
    leat_session_unref(session);
}

/* Makes the ctx on top hold its session, by a value of its own. [-0, +0, m] */
static void hold_session(lua_State *L, leat_session *session)
{
    if (session == NULL)
        return;
    void **held = leat_sandbox_hold_push(L, drop_session);
    *held = leat_session_ref(session);
    lua_setiuservalue(L, -2, SESSION);
}

/* Copies user values of the ctx at index from to the ctx on top. [-0, +0, -] */
static void copy_values(lua_State *L, int from, int first, int last)
{
    for (int i = first; i <= last; i++) {
        lua_getiuservalue(L, from, i);
        lua_setiuservalue(L, -2, i);
    }
}

static void set_topic(lua_State *L, leat_slice topic)
{
    if (topic.at == NULL)
        return;
    lua_pushlstring(L, topic.at, topic.len);
    lua_setiuservalue(L, -2, TOPIC);
}

void leat_api_ctx_push(lua_State *L, leat_task *t, leat_slice topic, leat_slice params)
{
    leat_api_ctx from = {t->lua, t->id, t->deadline_ms, t->session};
    push(L, &from);
    hold_session(L, t->session);
    set_topic(L, topic);
    if (params.at == NULL)
        return;
    char reason[200];
    if (leat_lua_json_push(L, params, reason, sizeof(reason)) < 0)
        luaL_error(L, "ctx.params: %s", reason);
    lua_setiuservalue(L, -2, PARAMS);
}

void leat_api_ctx_push_like(lua_State *L, int index, leat_slice topic)
{
    int at = lua_absindex(L, index);
    push(L, lua_touserdata(L, at));
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, PARAMS);
    set_topic(L, topic);
    copy_values(L, at, USER, SESSION);
}

void leat_api_ctx_set_request(lua_State *L, int index)
{
    lua_setiuservalue(L, index, REQUEST);
}

leat_api_ctx *leat_api_ctx_check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, TYPE);
}

void leat_api_ctx_push_user(lua_State *L, const leat_session *session)
{
    leat_slice json = session == NULL ? (leat_slice){NULL, 0} : leat_session_user(session);
    char reason[200];
    if (leat_lua_json_push(L, json, reason, sizeof(reason)) < 0)
        luaL_error(L, "ctx.user: %s", reason); /* never happens: the same codec wrote it */
}

/* --- fields --- */

/* Pushes the value that is kept in a user value. If there is none, makes and keeps it. [-0, +1, e]
 */
static int index_kept(lua_State *L, leat_api_ctx *c, int which,
                      void (*make)(lua_State *L, leat_api_ctx *c))
{
    if (lua_getiuservalue(L, 1, which) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    make(L, c);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, which);
    return 1;
}

static void make_user(lua_State *L, leat_api_ctx *c)
{
    leat_api_ctx_push_user(L, c->session);
}

static void make_request(lua_State *L, leat_api_ctx *c)
{
    if (c->session == NULL)
        lua_pushnil(L);
    else
        leat_api_request_push(L, c->lua, leat_session_head(c->session));
}

static void make_db(lua_State *L, leat_api_ctx *c)
{
    leat_api_db_push(L, c->lua->running, c->deadline_ms);
}

static void check_db(lua_State *L, const leat_api_ctx *c)
{
    const leat_task *t = c->lua->running;
    if (t == NULL || t->id != c->task_id)
        luaL_error(L, "ctx.db has ended with its handler; in refresh and snapshot, use their first "
                      "argument, db");
}

/* ctx:with_timeout(ms) -> ctx                                       [-0, +1, arg]
 * Returns a ctx that differs in its deadline: ms from now, or the old one if that is sooner. */
static int ctx_with_timeout(lua_State *L)
{
    leat_api_ctx *c = leat_api_ctx_check(L, 1);
    lua_Number ms = luaL_checknumber(L, 2);
    luaL_argcheck(L, ms >= 0, 2, "a timeout is a number of milliseconds that is not negative");
    uint64_t now_ms = leat_loop_now(c->lua->core->loop);
    leat_api_ctx from = *c;
    if (ms < (lua_Number)(UINT32_MAX) && now_ms + (uint64_t)ms < c->deadline_ms)
        from.deadline_ms = now_ms + (uint64_t)ms;
    push(L, &from);
    copy_values(L, 1, USER, REQUEST); /* not DB, which has the old deadline */
    copy_values(L, 1, SESSION, N_USER_VALUES);
    return 1;
}

/* ctx.key -> value                                                  [-0, +1, e] */
static int ctx_index(lua_State *L)
{
    leat_api_ctx *c = leat_api_ctx_check(L, 1);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "user") == 0)
        return index_kept(L, c, USER, make_user);
    if (strcmp(key, "db") == 0) {
        check_db(L, c);
        return index_kept(L, c, DB, make_db);
    }
    if (strcmp(key, "request") == 0)
        return index_kept(L, c, REQUEST, make_request);
    if (strcmp(key, "topic") == 0)
        lua_getiuservalue(L, 1, TOPIC);
    else if (strcmp(key, "params") == 0)
        lua_getiuservalue(L, 1, PARAMS);
    else if (strcmp(key, "deadline") == 0)
        lua_pushinteger(L, (lua_Integer)c->deadline_ms);
    else if (strcmp(key, "with_timeout") == 0)
        lua_pushcfunction(L, ctx_with_timeout);
    else if (strcmp(key, "log") == 0)
        leat_api_log_push(L);
    else
        lua_pushnil(L);
    return 1;
}

void leat_api_ctx_open(lua_State *L, leat_lua *lua)
{
    luaL_newmetatable(L, TYPE);
    lua_pushcfunction(L, ctx_index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, TYPE);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    leat_api_log_open(L, lua);
}
