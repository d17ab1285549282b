/* lua_json.c - the functions of the module `leat` for JSON. The work is done in lua_encode.c,
 * lua_encode_object.c, lua_decode.c, lua_param.c and lua_row.c, which share lua_shape.c. */
#include "script/value/lua_json.h"

#include <lauxlib.h>

#include "script/sandbox/sandbox_run.h"
#include "script/value/lua_shape.h"
#include "wire/json.h"

enum {
    REASON_SIZE = 256,
    ENCODE_MAX_BYTES = 64 << 20,
};

/* Validates a whole text. After an error, the reader has the reason. */
static int validate(leat_json_reader *r, leat_lua_codec *c, leat_slice text)
{
    leat_slice raw;
    leat_json_token token;
    leat_json_reader_init(r, text, &c->strings, LEAT_LUA_SHAPE_MAX_DEPTH);
    int err = leat_json_skip(r, &raw);
    return err < 0 ? err : leat_json_next(r, &token);
}

/* leat.json(text) -> value                                        [-0, +1, arg] */
static int lib_json(lua_State *L)
{
    leat_lua_codec *c = leat_lua_shape_codec(L);
    lua_settop(L, 1);
    if (leat_lua_shape_push_json(L, c, 1)) {
        lua_pop(L, 1);
        return 1;
    }
    leat_slice text;
    text.at = luaL_checklstring(L, 1, &text.len);
    leat_json_reader r;
    int err = validate(&r, c, text);
    leat_lua_shape_empty(&c->strings);
    if (err < 0) {
        lua_pushfstring(L, "leat.json: the text is no JSON: %s (at byte %I)", r.reason,
                        (LUAI_UACINT)leat_json_offset(&r) + 1);
        return luaL_argerror(L, 1, lua_tostring(L, -1));
    }
    leat_lua_shape_mark_json(L);
    return 1;
}

/* leat.array([t]) -> t                                            [-0, +1, arg] */
static int lib_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    leat_lua_shape_push_array(L);
    if (lua_getmetatable(L, 1) && !lua_rawequal(L, -1, 2))
        return luaL_argerror(L, 1, "the table has a metatable already");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* leat.encode(value) -> text                                      [-0, +1, any] */
static int lib_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    leat_lua_codec *c = leat_lua_shape_codec(L);
    char reason[REASON_SIZE];
    c->text.len = 0;
    c->strict = true;
    int err = leat_lua_json_encode(L, 1, &c->text, ENCODE_MAX_BYTES, reason, sizeof(reason));
    c->strict = false;
    if (err < 0) {
        leat_sandbox_run_check(L);
        return luaL_error(L, "leat.encode: %s", reason);
    }
    lua_pushlstring(L, c->text.at, c->text.len);
    leat_lua_shape_empty(&c->text);
    return 1;
}

/* leat.decode(text) -> value | nil, reason                        [-0, +1|+2, arg] */
static int lib_decode(lua_State *L)
{
    leat_slice text;
    text.at = luaL_checklstring(L, 1, &text.len);
    char reason[REASON_SIZE];
    if (leat_lua_json_push(L, text, reason, sizeof(reason)) < 0) {
        luaL_pushfail(L);
        lua_pushstring(L, reason);
        return 2;
    }
    if (lua_isnil(L, -1))
        lua_pushlightuserdata(L, NULL); /* nil would look like a failure */
    return 1;
}

void leat_lua_json_open(lua_State *L)
{
    leat_lua_shape_open(L);
}

void leat_lua_json_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"array", lib_array}, {"decode", lib_decode}, {"encode", lib_encode},
        {"json", lib_json},   {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
