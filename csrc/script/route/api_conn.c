/* api_conn.c - conn.user, conn.request, conn.db, conn:send, conn:close.
 *
 * A script may keep a conn and send to it from any other handler. When the connection is gone, send
 * returns "closed". One connection has one object, so it can be a key of a table.
 */
#include "script/route/api_conn.h"

#include <string.h>

#include <lauxlib.h>

#include "base/utf8.h"
#include "script/api/api_ctx.h"
#include "script/api/api_db.h"
#include "script/api/api_request.h"
#include "wire/close_code.h"

#define TYPE "leat.conn"

enum { USER = 1, REQUEST, N_USER_VALUES = REQUEST };

/* user and request are made here, because they stay readable when the connection is gone.
 * [-0, +1, m] */
static void make(lua_State *L, leat_raw *r)
{
    leat_raw **box = lua_newuserdatauv(L, sizeof(leat_raw *), N_USER_VALUES);
    *box = NULL;
    luaL_setmetatable(L, TYPE);
    leat_api_ctx_push_user(L, r->session);
    lua_setiuservalue(L, -2, USER);
    leat_api_request_push(L, r->lua, leat_buf_view(&r->head));
    leat_head head = leat_head_read(leat_buf_view(&r->head));
    if (leat_pattern_push_args(r->route->pattern, head.path, L))
        lua_setfield(L, -2, "params");
    lua_setiuservalue(L, -2, REQUEST);
    lua_pushvalue(L, -1);
    r->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    r->box = box;
    *box = r;
}

void leat_api_conn_push(lua_State *L, leat_raw *r)
{
    if (r->ref == LUA_NOREF)
        make(L, r);
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref);
}

static leat_raw *check(lua_State *L)
{
    leat_raw **box = luaL_checkudata(L, 1, TYPE);
    return *box;
}

/* conn:send(data [, kind]) -> true | nil, why                       [-0, +1|+2, arg]
 * kind: "text" (the default) or "binary". why: "closed"; "full" while too much is queued for the
 * peer; "too large" if the data can never fit into the queue; "invalid UTF-8". */
static int conn_send(lua_State *L)
{
    static const char *const kinds[] = {"text", "binary", NULL};
    leat_raw *r = check(L);
    leat_slice data;
    data.at = luaL_checklstring(L, 2, &data.len);
    bool binary = luaL_checkoption(L, 3, "text", kinds) == 1;
    int err = r == NULL ? LEAT_ECLOSED : leat_raw_send(r, data, binary);
    if (err == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    switch (err) {
    case LEAT_EBUSY:
        lua_pushliteral(L, "full");
        break;
    case LEAT_ETOOLARGE:
        lua_pushliteral(L, "too large");
        break;
    case LEAT_EBADMSG:
        lua_pushliteral(L, "invalid UTF-8");
        break;
    default:
        lua_pushliteral(L, "closed");
        break;
    }
    return 2;
}

/* The close codes that an endpoint may send (RFC 6455 §7.4). */
static bool may_send_code(lua_Integer code)
{
    return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
           (code >= 3000 && code <= 4999);
}

/* conn:close([code [, reason]])                                     [-0, +0, arg]
 * Does nothing if the connection is closed already. */
static int conn_close(lua_State *L)
{
    leat_raw *r = check(L);
    lua_Integer code = luaL_optinteger(L, 2, LEAT_CLOSE_NORMAL);
    size_t len = 0;
    const char *reason = luaL_optlstring(L, 3, "", &len);
    luaL_argcheck(L, may_send_code(code), 2, "this close code may not be sent (RFC 6455 §7.4)");
    luaL_argcheck(L, leat_utf8_valid(reason, len), 3, "the reason must be UTF-8");
    if (r != NULL)
        leat_raw_close(r, (int)code, reason);
    return 0;
}

/* conn.key -> value                                                 [-0, +1, e] */
static int conn_index(lua_State *L)
{
    leat_raw *r = check(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "send") == 0)
        lua_pushcfunction(L, conn_send);
    else if (strcmp(key, "close") == 0)
        lua_pushcfunction(L, conn_close);
    else if (strcmp(key, "user") == 0)
        lua_getiuservalue(L, 1, USER);
    else if (strcmp(key, "request") == 0)
        lua_getiuservalue(L, 1, REQUEST);
    else if (strcmp(key, "db") == 0 && r != NULL)
        leat_api_db_push(L, leat_task_running(L, r->lua), LEAT_DEADLINE_NEVER);
    else
        lua_pushnil(L);
    return 1;
}

void leat_api_conn_open(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    lua_pushcfunction(L, conn_index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, TYPE);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
