/* sandbox_lib.c - opens the standard libraries, removes the functions that a script must not have,
 * and replaces those that could run for too long or catch the end of a run. */
#include "script/sandbox/sandbox_lib.h"

#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "script/sandbox/lua_match.h"
#include "script/sandbox/sandbox_lock.h"
#include "script/sandbox/sandbox_run.h"
#include "script/sandbox/sandbox_state.h"

enum {
    MAX_MOVED = 1 << 20,       /* elements, which takes 0.1 s at most */
    MAX_DATE_FORMAT = 1024,    /* bytes */
    MAX_PACK_FORMAT = 1 << 16, /* bytes */
    ELEMENTS_A_LOOK = 256,     /* between two calls of leat_sandbox_run_check */
};

/* --- errors --- */

/* The continuation of pcall and xpcall. below: number of values under the results. */
static int finish_pcall(lua_State *L, int status, lua_KContext below)
{
    leat_sandbox_run_check(L);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)below;
}

/* pcall(f, ...) -> true, ... | false, err                     [-n, +m, stopped] yields */
static int lib_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
    return finish_pcall(L, status, 0);
}

/* Upvalue 1 is the message handler of the script. A run that is stopped may raise from the hook.
 * Lua would then run the handler with hooks disabled, without any limit of time. */
static int on_message(lua_State *L)
{
    lua_settop(L, 1);
    if (leat_sandbox_run_expired(leat_sandbox_state_of(L)))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* xpcall(f, handler, ...) -> true, ... | false, err           [-n, +m, stopped] yields */
static int lib_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int n_args = lua_gettop(L) - 2;
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, on_message, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2); /* f, handler, true, f, ... */
    int status = lua_pcallk(L, n_args, LUA_MULTRET, 2, 2, finish_pcall);
    return finish_pcall(L, status, 2);
}

/* --- base --- */

/* For functions that only check their arguments: runs the original function, upvalue 1, on the same
 * stack. */
static int call_original(lua_State *L)
{
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* collectgarbage("count") -> kilobytes                            [-0, +1, arg] */
static int lib_collectgarbage(lua_State *L)
{
    if (strcmp(luaL_optstring(L, 1, "collect"), "count") != 0)
        return luaL_error(L, "collectgarbage knows only \"count\" here");
    lua_pushnumber(L, (lua_Number)leat_sandbox_state_of(L)->memory / 1024);
    return 1;
}

/* setmetatable(t, metatable) -> t                                 [-0, +1, arg] */
static int lib_setmetatable(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_argerror(L, 2, "__gc cannot be used here; use a to-be-closed variable");
        lua_pop(L, 1);
    }
    return call_original(L);
}

/* --- string and table --- */

/* string.rep(s, n, [sep]) -> text                                 [-0, +1, arg] */
static int lib_rep(lua_State *L)
{
    size_t len = 0;
    size_t sep_len = 0;
    luaL_checklstring(L, 1, &len);
    luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &sep_len);
    if (len > 0 || sep_len > 0)
        return call_original(L);
    lua_pushliteral(L, ""); /* the original would loop n times over nothing */
    return 1;
}

/* Moving nils needs no memory, and # of a table with holes can be any number. */
static void check_moved(lua_State *L, lua_Integer from, lua_Integer to)
{
    if (to > from && (lua_Unsigned)to - (lua_Unsigned)from > MAX_MOVED)
        luaL_error(L, "too many elements for one call");
}

/* table.insert(t, [pos], value)                                   [-0, +0, any]
 * Asks # of the table only once: a metatable could answer differently the second time. */
static int lib_insert(lua_State *L)
{
    if (lua_gettop(L) != 3 || !lua_istable(L, 1))
        return call_original(L);
    lua_Unsigned end = (lua_Unsigned)luaL_len(L, 1) + 1;
    lua_Integer pos = luaL_checkinteger(L, 2);
    check_moved(L, pos, (lua_Integer)end);
    luaL_argcheck(L, (lua_Unsigned)pos - 1 < end, 2, "position out of bounds");
    for (lua_Integer i = (lua_Integer)end; i > pos; i--) {
        lua_geti(L, 1, i - 1);
        lua_seti(L, 1, i);
    }
    lua_seti(L, 1, pos);
    return 0;
}

/* table.remove(t, [pos]) -> value                                 [-0, +1, any] */
static int lib_remove(lua_State *L)
{
    if (lua_gettop(L) < 2 || !lua_istable(L, 1))
        return call_original(L);
    lua_Integer last = luaL_len(L, 1);
    lua_Integer pos = luaL_optinteger(L, 2, last);
    check_moved(L, pos, last);
    if (pos != last)
        luaL_argcheck(L, (lua_Unsigned)pos - 1 <= (lua_Unsigned)last, 2, "position out of bounds");
    lua_geti(L, 1, pos);
    for (; pos < last; pos++) {
        lua_geti(L, 1, pos + 1);
        lua_seti(L, 1, pos);
    }
    lua_pushnil(L);
    lua_seti(L, 1, pos);
    return 1;
}

/* table.move(a, from, to, at, [b]) -> b                           [-0, +1, any] */
static int lib_move(lua_State *L)
{
    check_moved(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return call_original(L);
}

/* table.sort calls this for each comparison. Upvalue 1 is the function of the script, or nil. The
 * hook is not called in Lua's own comparison, nor in a function in C, so the budget is checked
 * here. */
static int is_before(lua_State *L)
{
    leat_sandbox_run_check(L);
    if (lua_isnil(L, lua_upvalueindex(1))) {
        lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
        return 1;
    }
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

/* table.sort(t, [before])                                         [-0, +0, any] */
static int lib_sort(lua_State *L)
{
    if (lua_istable(L, 1))
        check_moved(L, 0, luaL_len(L, 1));
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (lua_isnil(L, 2) || lua_iscfunction(L, 2)) {
        lua_pushcclosure(L, is_before, 1);
        luaL_checkany(L, 1);
    }
    return call_original(L);
}

/* table.concat(t, [sep], [first], [last]) -> text                 [-0, +1, any] */
static int lib_concat(lua_State *L)
{
    size_t sep_len = 0;
    luaL_checkany(L, 1);
    const char *sep = luaL_optlstring(L, 2, "", &sep_len);
    lua_Integer first = luaL_optinteger(L, 3, 1);
    lua_Integer last = lua_isnoneornil(L, 4) ? luaL_len(L, 1) : luaL_checkinteger(L, 4);
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (lua_Integer i = first; i <= last; i++) {
        if (i % ELEMENTS_A_LOOK == 0)
            leat_sandbox_run_check(L);
        lua_geti(L, 1, i);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "invalid value (at index %I) in table for 'concat'", i);
        luaL_addvalue(&text);
        if (i == last)
            break; /* i may be the largest integer */
        luaL_addlstring(&text, sep, sep_len);
    }
    luaL_pushresult(&text);
    return 1;
}

/* --- formats --- */

/* os.date([format], [time]) -> text | table                       [-0, +1, arg] */
static int lib_date(lua_State *L)
{
    size_t len = 0;
    luaL_optlstring(L, 1, "", &len);
    luaL_argcheck(L, len <= MAX_DATE_FORMAT, 1, "format is too long");
    return call_original(L);
}

/* string.pack, string.packsize, string.unpack                     [-0, +n, arg] */
static int lib_pack(lua_State *L)
{
    size_t len = 0;
    luaL_checklstring(L, 1, &len);
    luaL_argcheck(L, len <= MAX_PACK_FORMAT, 1, "format is too long");
    return call_original(L);
}

/* os.getenv(name) -> text | nil                                   [-0, +1, arg]
 * The server's own variables may hold the password of the database. */
static int lib_getenv(lua_State *L)
{
    static const char *const own[] = {"LEAT_", "PG", "DATABASE_URL"};
    const char *name = luaL_checkstring(L, 1);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strncmp(name, own[i], strlen(own[i])) == 0) {
            luaL_pushfail(L);
            return 1;
        }
    return call_original(L);
}

/* --- require --- */

/* FNV-1a. The dump has the instructions, constants, lines and the path; so a comment counts only if
 * it moves lines. */
static int hash_dump(lua_State *L, const void *at, size_t len, void *arg)
{
    uint64_t *hash = arg;
    const unsigned char *bytes = at;
    (void)L;
    for (size_t i = 0; i < len; i++)
        *hash = (*hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return 0;
}

void leat_sandbox_lib_note_code(lua_State *L)
{
    (void)lua_dump(L, hash_dump, &leat_sandbox_state_of(L)->code, 0); /* the writer never fails */
}

/* The only one of package.searchers; loads only text. Upvalues: package.searchpath, and where to
 * look. */
static int search_lua(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    /* searchpath puts the name into the templates first and then cuts them apart, so a name could
     * bring a template of its own. */
    if (strpbrk(name, LUA_PATH_SEP LUA_PATH_MARK) != NULL)
        return luaL_error(L, "a module's name cannot have '%s' or '%s'", LUA_PATH_SEP,
                          LUA_PATH_MARK);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2))
        return 1; /* the list of places where it was not found */
    lua_pop(L, 1);
    const char *file = lua_tostring(L, -1);
    if (luaL_loadfilex(L, file, "t") != LUA_OK)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file,
                          lua_tostring(L, -1));
    leat_sandbox_lib_note_code(L);
    lua_insert(L, -2);
    return 2; /* the chunk, and the file's name as its second argument */
}

/* Pushes the real table package, which is upvalue 1 of require. [-0, +1, -] */
static void push_package(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_getupvalue(L, -1, 1);
    lua_remove(L, -2);
}

void leat_sandbox_lib_require_from(lua_State *L, const char *templates)
{
    push_package(L);
    lua_createtable(L, 1, 0);
    lua_getfield(L, -2, "searchpath");
    lua_pushstring(L, templates);
    lua_pushcclosure(L, search_lua, 2);
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "searchers");
    lua_pop(L, 1);
}

/* The script sees only package.loaded and package.config. The rest stays in the real table, where
 * require finds it. [-0, +0, m] */
void leat_sandbox_lib_guard_package(lua_State *L)
{
    leat_sandbox_lib_require_from(L, "");
    push_package(L);
    lua_createtable(L, 0, 2);
    lua_getfield(L, -2, "config");
    lua_setfield(L, -2, "config");
    lua_getfield(L, -2, "loaded");
    leat_sandbox_lock_guard(L, "package.loaded");
    lua_setfield(L, -2, "loaded");
    lua_setglobal(L, LUA_LOADLIBNAME);
    lua_pop(L, 1);
    leat_sandbox_lock_library(L, LUA_LOADLIBNAME);
}

/* --- light userdata --- */

/* tostring of a light userdata; all of them share one metatable      [-0, +1, mem] */
static int light_tostring(lua_State *L)
{
    const void *at = lua_touserdata(L, 1);
    if (at == NULL)
        lua_pushliteral(L, "null");
    else
        lua_pushfstring(L, "userdata: %p", at);
    return 1;
}

static void name_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, light_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "null");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* --- opening --- */

static const luaL_Reg libraries[] = {
    {LUA_GNAME, luaopen_base},          {LUA_TABLIBNAME, luaopen_table},
    {LUA_STRLIBNAME, luaopen_string},   {LUA_MATHLIBNAME, luaopen_math},
    {LUA_UTF8LIBNAME, luaopen_utf8},    {LUA_OSLIBNAME, luaopen_os},
    {LUA_LOADLIBNAME, luaopen_package}, {NULL, NULL},
};

/* The function replaces that of the library with the same name, which becomes upvalue 1. */
static const struct {
    const char *library;
    const char *name;
    lua_CFunction function; /* NULL: the function is removed */
} changes[] = {
    {LUA_GNAME, "collectgarbage", lib_collectgarbage},
    {LUA_GNAME, "dofile", NULL},
    {LUA_GNAME, "load", NULL},
    {LUA_GNAME, "loadfile", NULL},
    {LUA_GNAME, "pcall", lib_pcall},
    {LUA_GNAME, "print", NULL}, /* api_log.c has one */
    {LUA_GNAME, "setmetatable", lib_setmetatable},
    {LUA_GNAME, "warn", NULL},
    {LUA_GNAME, "xpcall", lib_xpcall},
    {LUA_OSLIBNAME, "execute", NULL},
    {LUA_OSLIBNAME, "exit", NULL},
    {LUA_OSLIBNAME, "remove", NULL},
    {LUA_OSLIBNAME, "rename", NULL},
    {LUA_OSLIBNAME, "setlocale", NULL},
    {LUA_OSLIBNAME, "tmpname", NULL},
    {LUA_OSLIBNAME, "date", lib_date},
    {LUA_OSLIBNAME, "getenv", lib_getenv},
    {LUA_STRLIBNAME, "dump", NULL},
    {LUA_STRLIBNAME, "pack", lib_pack},
    {LUA_STRLIBNAME, "packsize", lib_pack},
    {LUA_STRLIBNAME, "rep", lib_rep},
    {LUA_STRLIBNAME, "unpack", lib_pack},
    {LUA_TABLIBNAME, "concat", lib_concat},
    {LUA_TABLIBNAME, "insert", lib_insert},
    {LUA_TABLIBNAME, "move", lib_move},
    {LUA_TABLIBNAME, "remove", lib_remove},
    {LUA_TABLIBNAME, "sort", lib_sort},
};

static void change_libraries(lua_State *L)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        lua_getglobal(L, changes[i].library);
        if (changes[i].function == NULL) {
            lua_pushnil(L);
        } else {
            lua_getfield(L, -1, changes[i].name);
            lua_pushcclosure(L, changes[i].function, 1);
        }
        lua_setfield(L, -2, changes[i].name);
        lua_pop(L, 1);
    }
}

void leat_sandbox_lib_open(lua_State *L)
{
    for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    change_libraries(L);
    name_null(L);
    lua_getglobal(L, LUA_STRLIBNAME);
    leat_lua_match_functions(L);
    lua_pop(L, 1);
}
