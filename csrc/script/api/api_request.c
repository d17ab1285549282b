/* api_request.c - __index finds fields in the table of the request (its user value), and
 * makes the rest from the packed head. The body stays in the task, outside of Lua, until a script
 * asks for it.
 */
#include "script/api/api_request.h"

#include <string.h>

#include <lauxlib.h>

#include "script/task/task.h"
#include "wire/tls_facts.h"

#define TYPE "leat.request"

struct request {
    leat_lua *lua;
    uint64_t task_id; /* of the task that has the body; 0: there is none */
    size_t len;
    char packed[];
};

enum { MAX_COOKIES = 256 }; /* those after them are not read */

enum { FIELDS = 1 }; /* user value: the table of the fields that were made, or set by scripts */

void leat_api_request_push(lua_State *L, leat_lua *lua, leat_slice packed_head)
{
    struct request *r = lua_newuserdatauv(L, sizeof(*r) + packed_head.len, 1);
    r->lua = lua;
    const leat_task *t = lua->running;
    r->task_id = t != NULL && leat_task_given(t, LEAT_TASK_BODY).at != NULL ? t->id : 0;
    r->len = packed_head.len;
    memcpy(r->packed, packed_head.at, packed_head.len);
    lua_newtable(L);
    lua_setiuservalue(L, -2, FIELDS);
    luaL_setmetatable(L, TYPE);
}

static void push_text(lua_State *L, leat_slice text)
{
    if (text.at == NULL)
        lua_pushnil(L);
    else
        lua_pushlstring(L, text.at, text.len);
}

/* Sets table[name] = value in the table on top, unless the name is there. [-0, +0, m] */
static void set_first(lua_State *L, leat_slice name, leat_slice value)
{
    lua_pushlstring(L, name.at, name.len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        lua_pop(L, 2);
        return;
    }
    lua_pop(L, 1);
    lua_pushlstring(L, value.at, value.len);
    lua_rawset(L, -3);
}

/* An absent text leaves the field out. */
static void set_text(lua_State *L, const char *name, leat_slice text)
{
    push_text(L, text);
    lua_setfield(L, -2, name);
}

/* Each make_ function pushes one field. [-0, +1, m] */

static void make_token(lua_State *L, leat_lua *lua, const leat_head *head)
{
    push_text(L, leat_head_token(head, &lua->scratch[0]));
}

static void make_query(lua_State *L, leat_lua *lua, const leat_head *head)
{
    lua_newtable(L);
    leat_slice rest = head->query;
    if (rest.at == NULL)
        return;
    while (leat_http_query_next(&rest, &lua->scratch[0], &lua->scratch[1]))
        set_first(L, leat_buf_view(&lua->scratch[0]), leat_buf_view(&lua->scratch[1]));
}

static void make_headers(lua_State *L, leat_lua *lua, const leat_head *head)
{
    (void)lua;
    leat_slice name;
    leat_slice value;
    lua_newtable(L);
    for (leat_slice rest = head->headers; leat_head_next(&rest, &name, &value);) {
        lua_pushlstring(L, name.at, name.len);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_pushlstring(L, value.at, value.len);
        } else {
            lua_pushstring(L, leat_slice_is(name, "cookie") ? "; " : ", ");
            lua_pushlstring(L, value.at, value.len);
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
}

static void make_cookies(lua_State *L, leat_lua *lua, const leat_head *head)
{
    (void)lua;
    leat_slice name;
    leat_slice value;
    int left = MAX_COOKIES;
    lua_newtable(L);
    for (leat_slice rest = head->headers; leat_head_next(&rest, &name, &value);) {
        if (!leat_slice_is(name, "cookie"))
            continue;
        leat_slice key;
        leat_slice text;
        for (leat_slice line = value; left > 0 && leat_http_cookie_next(&line, &key, &text); left--)
            set_first(L, key, text);
    }
}

static void make_path(lua_State *L, leat_lua *lua, const leat_head *head)
{
    (void)lua;
    push_text(L, head->path);
}

static void make_method(lua_State *L, leat_lua *lua, const leat_head *head)
{
    (void)lua;
    push_text(L, head->method);
}

static void make_remote(lua_State *L, leat_lua *lua, const leat_head *head)
{
    (void)lua;
    push_text(L, head->remote);
}

/* nil for a plain connection. */
static void make_tls(lua_State *L, leat_lua *lua, const leat_head *head)
{
    (void)lua;
    if (head->tls.at == NULL) {
        lua_pushnil(L);
        return;
    }
    leat_tls_facts facts = leat_tls_facts_read(head->tls);
    lua_createtable(L, 0, 4);
    set_text(L, "version", facts.version);
    set_text(L, "cipher", facts.cipher);
    set_text(L, "server_name", facts.server_name);
    if (facts.subject.at == NULL)
        return;
    lua_createtable(L, 0, 3);
    set_text(L, "subject", facts.subject);
    set_text(L, "fingerprint", facts.fingerprint);
    lua_pushboolean(L, facts.verified);
    lua_setfield(L, -2, "verified");
    lua_setfield(L, -2, "client");
}

static const struct field {
    const char *name;
    void (*make)(lua_State *L, leat_lua *lua, const leat_head *head);
} fields[] = {
    {"token", make_token},   {"query", make_query},   {"headers", make_headers},
    {"path", make_path},     {"method", make_method}, {"cookies", make_cookies},
    {"remote", make_remote}, {"tls", make_tls},
};

/* Pushes the field, and keeps it in the table at that index. [-0, +1, m] */
static void make_field(lua_State *L, const struct request *r, const struct field *f, int table)
{
    leat_head head = leat_head_read((leat_slice){r->packed, r->len});
    f->make(L, r->lua, &head);
    lua_pushvalue(L, -1);
    lua_setfield(L, table, f->name);
}

/* True if the task that has the body is running. */
static bool body_is_here(const struct request *r)
{
    return r->lua->running != NULL && r->lua->running->id == r->task_id;
}

/* Pushes the body, and keeps it in the table at that index. [-0, +1, e] */
static void make_body(lua_State *L, const struct request *r, int table)
{
    if (r->task_id == 0) {
        lua_pushnil(L);
        return;
    }
    if (!body_is_here(r))
        luaL_error(L, "request.body can be read only while the handler of the request runs");
    push_text(L, leat_task_given(r->lua->running, LEAT_TASK_BODY));
    lua_pushvalue(L, -1);
    lua_setfield(L, table, "body");
}

/* request.key -> value                                              [-0, +1, e] */
static int request_index(lua_State *L)
{
    const struct request *r = luaL_checkudata(L, 1, TYPE);
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, FIELDS);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 3) != LUA_TNIL || lua_type(L, 2) != LUA_TSTRING)
        return 1;
    const char *key = lua_tostring(L, 2);
    if (strcmp(key, "body") == 0) {
        make_body(L, r, 3);
        return 1;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(key, fields[i].name) == 0) {
            make_field(L, r, &fields[i], 3);
            return 1;
        }
    }
    return 1;
}

/* request.key = value                                               [-0, +0, m] */
static int request_newindex(lua_State *L)
{
    luaL_checkudata(L, 1, TYPE);
    lua_getiuservalue(L, 1, FIELDS);
    lua_insert(L, 2);
    lua_rawset(L, 2);
    return 0;
}

/* pairs(request)                                                    [-0, +3, m] */
static int request_pairs(lua_State *L)
{
    const struct request *r = luaL_checkudata(L, 1, TYPE);
    lua_settop(L, 1);
    lua_getglobal(L, "next");
    lua_getiuservalue(L, 1, FIELDS);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (lua_getfield(L, 3, fields[i].name) == LUA_TNIL)
            make_field(L, r, &fields[i], 3);
        lua_settop(L, 3);
    }
    if (body_is_here(r) && lua_getfield(L, 3, "body") == LUA_TNIL)
        make_body(L, r, 3);
    lua_settop(L, 3);
    lua_pushnil(L);
    return 3;
}

void leat_api_request_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__index", request_index},
        {"__newindex", request_newindex},
        {"__pairs", request_pairs},
        {NULL, NULL},
    };
    luaL_newmetatable(L, TYPE);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushliteral(L, TYPE);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
