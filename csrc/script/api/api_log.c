/* api_log.c - log:info("renamed", { chat = 42 }) becomes `info app renamed chat=42`.
 *
 * All texts are quoted, so that no text of a client can look like another line or field. The
 * secrets of the client for whom the script runs are left out (wire/redact.h).
 */
#include "script/api/api_log.h"

#include <ctype.h>
#include <stdbool.h>

#include <lauxlib.h>

#include "base/log.h"
#include "script/sandbox/sandbox_lock.h"
#include "script/task/task.h"
#include "wire/redact.h"

static const char log_key = 'l'; /* its address is the key of the object in the registry */

enum {
    MAX_FIELDS = 32,
    MAX_KEY = 40,
    MAX_VALUE = 1024,
    MAX_PRINT = 2000,
};

static const char *quote(char *out, size_t size, leat_slice text, const leat_task *t)
{
    return leat_redact_quote(out, size, text,
                             t == NULL ? (leat_slice){NULL, 0} : leat_task_head(t));
}

/* Upvalue 1 is the log object. [-0, +1, m] */
static void push_quoted(lua_State *L, int index)
{
    const leat_lua *lua = *(leat_lua **)lua_touserdata(L, lua_upvalueindex(1));
    char quoted[MAX_VALUE];
    leat_slice text;
    text.at = luaL_tolstring(L, index, &text.len);
    lua_pushstring(L, quote(quoted, sizeof(quoted), text, lua->running));
    lua_remove(L, -2);
}

/* Pushes a sorted list of the keys of the table at index, which must be strings. [-0, +1, arg] */
static int push_keys(lua_State *L, int index)
{
    int n = 0;
    lua_newtable(L);
    int list = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index) != 0 && n < MAX_FIELDS;) {
        lua_pop(L, 1);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, index,
                      "the keys of the fields must be strings");
        int i = n++;
        for (; i > 0 && lua_rawgeti(L, list, i) == LUA_TSTRING; i--) {
            bool in_place = lua_compare(L, -1, -2, LUA_OPLT);
            if (in_place) {
                lua_pop(L, 1);
                break;
            }
            lua_rawseti(L, list, i + 1);
        }
        lua_pushvalue(L, -1);
        lua_rawseti(L, list, i + 1);
    }
    lua_settop(L, list);
    return n;
}

/* A key is not quoted: an underscore replaces each character that would break the line.
 * Upvalue 1 is the log object. [-0, +1, m] */
static void push_key(lua_State *L, leat_slice key)
{
    const leat_lua *lua = *(leat_lua **)lua_touserdata(L, lua_upvalueindex(1));
    char shown[MAX_KEY];
    size_t n = 0;
    leat_buf clean = LEAT_BUF_INIT;
    leat_head head;
    if (lua->running != NULL && leat_task_head(lua->running).at != NULL) {
        head = leat_head_read(leat_task_head(lua->running));
        leat_redact(&clean, key, &head, sizeof(shown));
        key = leat_buf_view(&clean);
    }
    for (; n < sizeof(shown) - 1 && n < key.len && key.at[n] != '\0'; n++) {
        char c = key.at[n];
        shown[n] = isalnum((unsigned char)c) || c == '.' || c == '-' ? c : '_';
    }
    leat_buf_close(&clean);
    lua_pushlstring(L, shown, n);
}

/* log:level(message [, fields])                                     [-0, +0, arg] */
static int write_line(lua_State *L, leat_log_level level)
{
    luaL_checkany(L, 2);
    lua_settop(L, 3);
    push_quoted(L, 2);
    const char *message = lua_tostring(L, -1);
    int pieces = 1;
    if (!lua_isnil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        int n = push_keys(L, 3);
        lua_insert(L, 4); /* the list goes below the message */
        luaL_checkstack(L, 4 * n, "log fields");
        for (int i = 1; i <= n; i++, pieces += 4) {
            lua_pushliteral(L, " ");
            lua_rawgeti(L, 4, i);
            leat_slice key;
            key.at = lua_tolstring(L, -1, &key.len);
            push_key(L, key);
            lua_insert(L, -2);
            lua_rawget(L, 3);
            lua_pushliteral(L, "=");
            lua_insert(L, -2);
            push_quoted(L, -1);
            lua_remove(L, -2);
        }
    }
    lua_pushstring(L, message); /* a copy: concat pops the other one */
    lua_insert(L, 3);
    lua_concat(L, pieces);
    leat_log_write_text(level, "app", lua_tostring(L, 3), lua_tostring(L, -1));
    return 0;
}

static int log_debug(lua_State *L)
{
    return write_line(L, LEAT_LOG_LEVEL_DEBUG);
}

static int log_info(lua_State *L)
{
    return write_line(L, LEAT_LOG_LEVEL_INFO);
}

static int log_warn(lua_State *L)
{
    return write_line(L, LEAT_LOG_LEVEL_WARN);
}

static int log_error(lua_State *L)
{
    return write_line(L, LEAT_LOG_LEVEL_ERROR);
}

static const luaL_Reg methods[] = {
    {"debug", log_debug}, {"info", log_info}, {"warn", log_warn},
    {"error", log_error}, {NULL, NULL},
};

/* print(...): a line of the log                                   [-0, +0, any] */
static int log_print(lua_State *L)
{
    const leat_lua *lua = *(leat_lua **)lua_touserdata(L, lua_upvalueindex(1));
    int n = lua_gettop(L);
    char quoted[MAX_PRINT];
    luaL_Buffer joined;
    leat_slice text;
    luaL_buffinit(L, &joined);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&joined, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&joined);
    }
    luaL_pushresult(&joined);
    text.at = lua_tolstring(L, -1, &text.len);
    LEAT_LOG_INFO("script", "print text=%s", quote(quoted, sizeof(quoted), text, lua->running));
    return 0;
}

void leat_api_log_open(lua_State *L, leat_lua *lua)
{
    *(leat_lua **)lua_newuserdatauv(L, sizeof(lua), 0) = lua;
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, log_print, 1);
    leat_sandbox_lock_global(L, "print");
    lua_createtable(L, 0, 2);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -3);
    luaL_setfuncs(L, methods, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "leat.log");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &log_key);
}

void leat_api_log_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &log_key);
}
