/* find, match, gmatch and gsub answer as Lua's own do, or both refuse; and no input keeps them
 * from asking the watchdog. Lua's own is asked only if ours took few steps. */
#include "fuzz.h"

#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "base/slice.h"
#include "fake_sandbox.h"
#include "script/sandbox/lua_match.h"

enum {
    MAX_PATTERN = 48,
    MAX_SUBJECT = 64,
    MAX_REPLACEMENT = 16,
    MAX_LOOKS = 16, /* of some thousand steps */
    MAX_MATCHES = MAX_SUBJECT + 2,
};

struct call {
    const char *name;
    leat_slice subject;
    leat_slice pattern;
    leat_slice replacement;
    lua_Integer number; /* where to begin, or how often to replace */
    bool option;        /* plain, or a table as the replacement */
};

static leat_slice take(leat_slice *input, size_t max)
{
    if (input->len == 0)
        return (leat_slice){"", 0};
    size_t len = (unsigned char)*input->at++ % (max + 1);
    input->len--;
    leat_slice piece = {input->at, len < input->len ? len : input->len};
    input->at += piece.len;
    input->len -= piece.len;
    return piece;
}

static void push_replacement(lua_State *L, const struct call *c)
{
    lua_pushlstring(L, c->replacement.at, c->replacement.len);
    if (!c->option)
        return;
    lua_newtable(L); /* the letter a becomes the text, b stays as it is */
    lua_insert(L, -2);
    lua_setfield(L, -2, "a");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "b");
    lua_pushinteger(L, 7);
    lua_rawseti(L, -2, 1);
}

/* Pushes a function of the library and its arguments. Returns how many. */
static int push_call(lua_State *L, int library, const struct call *c)
{
    lua_getfield(L, library, c->name);
    lua_pushlstring(L, c->subject.at, c->subject.len);
    lua_pushlstring(L, c->pattern.at, c->pattern.len);
    if (strcmp(c->name, "gsub") == 0)
        push_replacement(L, c);
    lua_pushinteger(L, c->number);
    if (strcmp(c->name, "find") != 0)
        return strcmp(c->name, "gsub") == 0 ? 4 : 3;
    lua_pushboolean(L, c->option);
    return 4;
}

/* The iterator on top is replaced by the results of its calls, one after the other. */
static int iterate(lua_State *L)
{
    int top = lua_gettop(L);
    for (int i = 0;; i++) {
        CHECK(i < MAX_MATCHES);
        int before = lua_gettop(L);
        luaL_checkstack(L, LUA_MINSTACK * 3, "results");
        lua_pushvalue(L, top);
        int status = lua_pcall(L, 0, LUA_MULTRET, 0);
        if (status != LUA_OK || lua_gettop(L) == before || lua_isnil(L, before + 1)) {
            if (status == LUA_OK)
                lua_settop(L, before);
            lua_remove(L, top);
            return status;
        }
    }
}

/* Pushes the results, or the error's message. */
static int answer(lua_State *L, int library, const struct call *c)
{
    int status = lua_pcall(L, push_call(L, library, c), LUA_MULTRET, 0);
    return status == LUA_OK && strcmp(c->name, "gmatch") == 0 ? iterate(L) : status;
}

/* Ours refuses a malformed pattern even where Lua's does not come to the malformed part. */
static bool is_about_pattern(const char *message)
{
    static const char *const messages[] = {
        "malformed pattern", "in pattern",         "too many captures",
        "pattern capture",   "unfinished capture",
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        if (strstr(message, messages[i]) != NULL)
            return true;
    }
    return false;
}

static void compare(lua_State *L, int ours, int theirs, const struct call *c)
{
    int top = lua_gettop(L);
    fake_sandbox_allow(MAX_LOOKS);
    int status = answer(L, ours, c);
    int middle = lua_gettop(L);
    if (fake_sandbox_expired()) {
        CHECK(status == LUA_ERRRUN);
        return;
    }
    if (status != LUA_OK && is_about_pattern(lua_tostring(L, middle)))
        return; /* Lua's own may try for ever before it comes to the malformed part, or never */
    int their_status = answer(L, theirs, c);
    CHECK(status == their_status);
    if (status != LUA_OK)
        return;
    CHECK(lua_gettop(L) - middle == middle - top);
    for (int i = 1; i <= middle - top; i++) {
        CHECK(lua_type(L, top + i) == lua_type(L, middle + i));
        CHECK(lua_rawequal(L, top + i, middle + i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"find", "match", "gmatch", "gsub"};
    if (size < 2)
        return 0;
    leat_slice input = {(const char *)data + 2, size - 2};
    struct call c = {
        .name = names[data[0] % 4], .option = (data[0] & 4) != 0, .number = (int8_t)data[1]};
    c.pattern = take(&input, MAX_PATTERN);
    c.replacement = take(&input, MAX_REPLACEMENT);
    c.subject = take(&input, MAX_SUBJECT);
    lua_State *L = luaL_newstate();
    lua_newtable(L);
    leat_lua_match_functions(L);
    luaL_requiref(L, "string", luaopen_string, 0);
    compare(L, 1, 2, &c);
    lua_close(L);
    return 0;
}
