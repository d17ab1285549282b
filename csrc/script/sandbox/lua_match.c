/* lua_match.c - the four functions of the string library that take patterns. lua_pattern.c does the
 * matching. Arguments, results and messages are as in Lua's own functions. */
#include "script/sandbox/lua_match.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>

#include "script/sandbox/lua_pattern.h"

/* --- captures --- */

static void push_capture(const leat_lua_pattern *p, int i)
{
    ptrdiff_t len = p->captures[i].len;
    if (len == LEAT_LUA_PATTERN_PLACE)
        lua_pushinteger(p->L, p->captures[i].at - p->subject + 1);
    else
        lua_pushlstring(p->L, p->captures[i].at, (size_t)len);
}

static int push_captures(const leat_lua_pattern *p)
{
    luaL_checkstack(p->L, p->n_captures, "too many captures");
    for (int i = 0; i < p->n_captures; i++)
        push_capture(p, i);
    return p->n_captures;
}

/* Pushes the captures, or the whole match if there are none. Returns how many. */
static int push_match(const leat_lua_pattern *p, const char *start, const char *end)
{
    if (p->n_captures > 0)
        return push_captures(p);
    lua_pushlstring(p->L, start, (size_t)(end - start));
    return 1;
}

/* --- find and match --- */

/* Returns the offset that an init argument means. It may be beyond the end. */
static size_t offset_of(lua_Integer init, size_t len)
{
    if (init > 0)
        return (size_t)init - 1;
    if (init == 0 || init < -(lua_Integer)len)
        return 0;
    return len - (size_t)-init;
}

static void set_subject(leat_lua_pattern *p, const char *subject, size_t len)
{
    p->subject = subject;
    p->subject_end = subject + len;
}

static bool has_specials(const char *pattern, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] != '\0' && strchr("^$*+?.([%-", pattern[i]) != NULL)
            return true;
    }
    return false;
}

static int find_plain(lua_State *L, const char *subject, size_t len, size_t from)
{
    size_t wanted_len = 0;
    const char *wanted = lua_tolstring(L, 2, &wanted_len);
    const char *at =
        wanted_len == 0 ? subject + from : memmem(subject + from, len - from, wanted, wanted_len);
    if (at == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, at - subject + 1);
    lua_pushinteger(L, at - subject + (lua_Integer)wanted_len);
    return 2;
}

static int find_or_match(lua_State *L, bool find)
{
    size_t len = 0;
    size_t pattern_len = 0;
    const char *subject = luaL_checklstring(L, 1, &len);
    const char *pattern = luaL_checklstring(L, 2, &pattern_len);
    size_t from = offset_of(luaL_optinteger(L, 3, 1), len);
    if (from > len) {
        luaL_pushfail(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || !has_specials(pattern, pattern_len)))
        return find_plain(L, subject, len, from);
    leat_lua_pattern p;
    leat_lua_pattern_compile(&p, L, pattern, pattern_len, true);
    set_subject(&p, subject, len);
    const char *start = subject + from;
    const char *end = leat_lua_pattern_search(&p, &start);
    if (end == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    if (!find)
        return push_match(&p, start, end);
    lua_pushinteger(L, start - subject + 1);
    lua_pushinteger(L, end - subject);
    return push_captures(&p) + 2;
}

/* string.find(s, pattern, [init], [plain]) -> first, last, ... | nil   [-0, +n, arg] */
static int lib_find(lua_State *L)
{
    return find_or_match(L, true);
}

/* string.match(s, pattern, [init]) -> ... | nil                        [-0, +n, arg] */
static int lib_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* --- gmatch --- */

/* Upvalues of the iterator: subject, pattern, the offset where the search goes on, and the end of
 * the last match, where an empty match would be found twice. */
static int next_match(lua_State *L)
{
    size_t len = 0;
    size_t pattern_len = 0;
    const char *subject = lua_tolstring(L, lua_upvalueindex(1), &len);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_len);
    const char *start = subject + lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last_end = lua_tointeger(L, lua_upvalueindex(4));
    leat_lua_pattern p;
    leat_lua_pattern_compile(&p, L, pattern, pattern_len, false);
    set_subject(&p, subject, len);
    const char *end = NULL;
    for (; start <= p.subject_end; start++) {
        end = leat_lua_pattern_search(&p, &start);
        if (end == NULL || end - subject != last_end)
            break;
    }
    if (end == NULL || start > p.subject_end)
        return 0;
    lua_pushinteger(L, end - subject);
    lua_copy(L, -1, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return push_match(&p, start, end);
}

/* string.gmatch(s, pattern, [init]) -> iterator                        [-0, +1, arg] */
static int lib_gmatch(lua_State *L)
{
    size_t len = 0;
    luaL_checklstring(L, 1, &len);
    luaL_checkstring(L, 2);
    size_t from = offset_of(luaL_optinteger(L, 3, 1), len);
    if (from > len)
        from = len + 1;
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)from);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, next_match, 4);
    return 1;
}

/* --- gsub --- */

enum { REPLACEMENT = 3 };

static void add_text(leat_lua_pattern *p, luaL_Buffer *out, const char *start, const char *end)
{
    size_t len = 0;
    const char *text = lua_tolstring(p->L, REPLACEMENT, &len);
    for (const char *text_end = text + len; text < text_end; text++) {
        if (*text != '%') {
            luaL_addchar(out, *text);
            continue;
        }
        text++; /* a zero byte follows every Lua string */
        int capture = *text - '1';
        if (*text == '%') {
            luaL_addchar(out, '%');
        } else if (*text == '0' || (capture == 0 && p->n_captures == 0)) {
            luaL_addlstring(out, start, (size_t)(end - start));
        } else if (!isdigit((unsigned char)*text)) {
            luaL_error(p->L, "invalid use of '%%' in replacement string");
        } else if (capture >= p->n_captures) {
            luaL_error(p->L, "invalid capture index %%%d in replacement string", capture + 1);
        } else {
            push_capture(p, capture);
            luaL_addvalue(out);
        }
    }
}

/* Appends the replacement of start..end. Returns true if it differs from the match. */
static bool add_replacement(leat_lua_pattern *p, luaL_Buffer *out, const char *start,
                            const char *end)
{
    lua_State *L = p->L;
    switch (lua_type(L, REPLACEMENT)) {
    case LUA_TFUNCTION:
        lua_pushvalue(L, REPLACEMENT);
        lua_call(L, push_match(p, start, end), 1);
        break;
    case LUA_TTABLE:
        if (p->n_captures > 0)
            push_capture(p, 0);
        else
            lua_pushlstring(L, start, (size_t)(end - start));
        lua_gettable(L, REPLACEMENT);
        break;
    default:
        add_text(p, out, start, end);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, start, (size_t)(end - start));
        return false;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(out);
    return true;
}

/* Appends the subject with up to max matches replaced, and returns how many. Sets *changed if the
 * result differs from the subject. */
static lua_Integer substitute(leat_lua_pattern *p, luaL_Buffer *out, lua_Integer max, bool *changed)
{
    const char *at = p->subject;
    const char *last_end = NULL;
    lua_Integer n = 0;
    while (n < max) {
        const char *end = leat_lua_pattern_match(p, at);
        if (end != NULL && end != last_end) {
            n++;
            if (add_replacement(p, out, at, end))
                *changed = true;
            at = last_end = end;
        } else if (at < p->subject_end) {
            luaL_addchar(out, *at++);
        } else {
            break;
        }
        if (p->anchored)
            break;
    }
    luaL_addlstring(out, at, (size_t)(p->subject_end - at));
    return n;
}

/* string.gsub(s, pattern, replacement, [n]) -> text, count             [-0, +2, any] */
static int lib_gsub(lua_State *L)
{
    size_t len = 0;
    size_t pattern_len = 0;
    const char *subject = luaL_checklstring(L, 1, &len);
    const char *pattern = luaL_checklstring(L, 2, &pattern_len);
    int type = lua_type(L, REPLACEMENT);
    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     REPLACEMENT, "string/function/table");
    lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)len + 1);
    lua_settop(L, REPLACEMENT);
    leat_lua_pattern p;
    leat_lua_pattern_compile(&p, L, pattern, pattern_len, true);
    set_subject(&p, subject, len);
    luaL_Buffer out;
    bool changed = false;
    luaL_buffinit(L, &out);
    lua_Integer n = substitute(&p, &out, max, &changed);
    if (changed)
        luaL_pushresult(&out);
    else
        lua_pushvalue(L, 1);
    lua_pushinteger(L, n);
    return 2;
}

void leat_lua_match_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"find", lib_find},   {"gmatch", lib_gmatch}, {"gsub", lib_gsub},
        {"match", lib_match}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
