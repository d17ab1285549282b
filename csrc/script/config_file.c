/* config_file.c - the file runs in a Lua state of its own, with the harmless part of the standard
 * library. A count hook stops a file that does not end. After the limit the hook runs at every
 * instruction, so that it also stops a loop around pcall. The table that the file returns is walked
 * in the order of its keys; nested tables become dotted keys. */
#include "script/config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum {
    MAX_INSTRUCTIONS = 10000000,
    MAX_KEY = 200,
    MAX_DEPTH = 8,
};

struct walk {
    const char *path;
    leat_config_file_cb cb;
    void *arg;
    int result;        /* of the last callback */
    char key[MAX_KEY]; /* of the current entry */
};

/* --- the environment --- */

static void on_count(lua_State *L, lua_Debug *ar)
{
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    lua_getinfo(L, "Sl", ar);
    luaL_error(L, "%s:%d: it computes for too long", ar->short_src, ar->currentline);
}

/* os.getenv(name) -> text | nil                                   [-0, +1, arg] */
static int lib_getenv(lua_State *L)
{
    lua_pushstring(L, getenv(luaL_checkstring(L, 1))); /* NULL becomes nil */
    return 1;
}

/* There is no xpcall: if a hook raises, Lua runs the message handler with hooks disabled. */
static void open_environment(lua_State *L)
{
    static const luaL_Reg libraries[] = {
        {LUA_GNAME, luaopen_base},
        {LUA_TABLIBNAME, luaopen_table},
        {LUA_STRLIBNAME, luaopen_string},
        {LUA_MATHLIBNAME, luaopen_math},
    };
    static const char *const taken_out[] = {
        "collectgarbage", "dofile", "load", "loadfile", "print", "setmetatable", "warn", "xpcall",
    };
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < sizeof(taken_out) / sizeof(taken_out[0]); i++) {
        lua_pushnil(L);
        lua_setglobal(L, taken_out[i]);
    }
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, lib_getenv);
    lua_setfield(L, -2, "getenv");
    lua_setglobal(L, "os");
}

/* --- the walk --- */

static void walk_table(lua_State *L, struct walk *w, size_t key_len, int depth);

/* True if the table on top has at least one entry, and only string keys. */
static bool is_section(lua_State *L)
{
    bool section = false;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_pop(L, 2);
            return false;
        }
        section = true;
    }
    return section;
}

/* Returns the value on top of the stack, where it stays. */
static leat_config_value read_value(lua_State *L)
{
    leat_config_value v = {.type = LEAT_CONFIG_OTHER,
                           .string = leat_slice_of(luaL_typename(L, -1))};
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        v.type = LEAT_CONFIG_BOOL;
        v.boolean = lua_toboolean(L, -1);
        break;
    case LUA_TNUMBER:
        v.type = lua_isinteger(L, -1) ? LEAT_CONFIG_INT : LEAT_CONFIG_FLOAT;
        v.integer = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        v.number = lua_tonumber(L, -1);
        break;
    case LUA_TSTRING:
        v.type = LEAT_CONFIG_STRING;
        v.string.at = lua_tolstring(L, -1, &v.string.len);
        break;
    default:
        break;
    }
    return v;
}

/* Visits the value on top, whose key is w->key. */
static void walk_value(lua_State *L, struct walk *w, size_t key_len, int depth)
{
    if (lua_type(L, -1) == LUA_TTABLE && is_section(L)) {
        if (depth == MAX_DEPTH)
            luaL_error(L, "%s: nested too deeply", w->key);
        walk_table(L, w, key_len, depth + 1);
        return;
    }
    leat_config_value v = read_value(L);
    w->result = w->cb(w->arg, w->key, &v);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes a block with the keys of the table on top, sorted. Returns how many. */
static size_t push_keys(lua_State *L)
{
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "a key must be a string, not a %s", luaL_typename(L, -2));
        n++;
    }
    const char **keys = lua_newuserdatauv(L, n * sizeof(*keys), 0);
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, -3) != 0; lua_pop(L, 1))
        keys[i++] = lua_tostring(L, -2);
    qsort(keys, n, sizeof(*keys), compare_keys);
    return n;
}

static size_t extend_key(lua_State *L, struct walk *w, size_t key_len, const char *name)
{
    int n = snprintf(w->key + key_len, MAX_KEY - key_len, "%s%s", key_len > 0 ? "." : "", name);
    if (n < 0 || (size_t)n >= MAX_KEY - key_len)
        luaL_error(L, "the key %s is too long", w->key);
    return key_len + (size_t)n;
}

/* Visits the table on top of the stack. */
static void walk_table(lua_State *L, struct walk *w, size_t key_len, int depth)
{
    luaL_checkstack(L, 8, "configuration");
    size_t n = push_keys(L);
    const char **keys = lua_touserdata(L, -1);
    for (size_t i = 0; i < n && w->result >= 0; i++) {
        size_t len = extend_key(L, w, key_len, keys[i]);
        lua_pushstring(L, keys[i]);
        lua_rawget(L, -3);
        walk_value(L, w, len, depth);
        lua_pop(L, 1);
    }
    w->key[key_len] = '\0';
    lua_pop(L, 1);
}

/* --- running --- */

static int run(lua_State *L)
{
    struct walk *w = lua_touserdata(L, 1);
    open_environment(L);
    if (luaL_loadfilex(L, w->path, "t") != LUA_OK)
        return lua_error(L);
    lua_sethook(L, on_count, LUA_MASKCOUNT, MAX_INSTRUCTIONS);
    lua_call(L, 0, 1);
    lua_sethook(L, NULL, 0, 0);
    if (lua_type(L, -1) != LUA_TTABLE)
        return luaL_error(L, "%s: it must return a table, not a %s", w->path, luaL_typename(L, -1));
    walk_table(L, w, 0, 0);
    return 0;
}

int leat_config_file_read(const char *path, leat_config_file_cb cb, void *arg, leat_buf *error)
{
    lua_State *L = luaL_newstate();
    if (L == NULL)
        return LEAT_ENOMEM;
    struct walk w = {.path = path, .cb = cb, .arg = arg};
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &w);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) {
        const char *why = lua_tostring(L, -1);
        leat_buf_text(error, why != NULL ? why : "it raised an error that is not a text");
    }
    lua_close(L);
    return status != LUA_OK ? LEAT_ECONFIG : w.result < 0 ? w.result : 0;
}
