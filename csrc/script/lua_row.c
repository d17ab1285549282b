/* Rows of a result to Lua. The names of the columns become Lua texts once a result (a shape), not
 * once a row. */
#include "script/lua_json.h"

#include <locale.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "script/lua_shape.h"
#include "script/sandbox.h"
#include "wire/json.h"

/* Types of Postgres, from its pg_type.dat: these numbers never change. */
enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_JSONB = 3802,
};

/* Between two calls of leat_sandbox_check. */
enum { ROWS_A_LOOK = 64 };

struct rows {
    lua_State *L;
    leat_lua_codec *codec;
    const leat_pg_result *result;
    int columns;
    int shape;   /* on the stack */
    bool unique; /* no two columns of one name: the shape's names are the columns' */
};

/* Pushes the shape of the result's rows. */
static struct rows begin(lua_State *L, const leat_pg_result *result)
{
    luaL_checkstack(L, 10, "rows");
    struct rows r = {.L = L, .codec = leat_lua_shape_codec(L), .result = result};
    r.columns = leat_pg_result_columns(result);
    leat_buf *members = &r.codec->members;
    members->len = 0;
    for (int c = 0; c < r.columns; c++)
        leat_lua_shape_member(members, leat_slice_of(leat_pg_result_column_name(result, c)),
                              LEAT_LUA_SHAPE_NULL);
    leat_lua_shape_push(L, r.codec, leat_buf_view(members));
    members->len = 0;
    r.shape = lua_gettop(L);
    r.unique = leat_lua_shape_absent(L, r.shape).len == (size_t)r.columns;
    return r;
}

/* Values come zero-terminated from libpq. A number of the wrong form cannot come. */
static void push_float(const struct rows *r, leat_slice text)
{
    lua_pushnumber(r->L, strtod_l(text.at, NULL, r->codec->c_locale));
}

static void push_integer(const struct rows *r, leat_slice text)
{
    int64_t n = 0;
    if (leat_json_int(text, &n))
        lua_pushinteger(r->L, n);
    else
        lua_pushlstring(r->L, text.at, text.len);
}

static void push_json(const struct rows *r, leat_slice text)
{
    char reason[64];
    if (leat_lua_json_push(r->L, text, reason, sizeof(reason)) < 0)
        lua_pushlstring(r->L, text.at, text.len); /* type json holds a few things that are none */
}

static void push_column(const struct rows *r, int row, int column)
{
    if (leat_pg_result_is_null(r->result, row, column)) {
        lua_pushnil(r->L);
        return;
    }
    leat_slice text = leat_pg_result_value(r->result, row, column);
    switch (leat_pg_result_column_type(r->result, column)) {
    case OID_BOOL:
        lua_pushboolean(r->L, text.len > 0 && text.at[0] == 't');
        break;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        push_integer(r, text);
        break;
    case OID_FLOAT4:
    case OID_FLOAT8:
        push_float(r, text);
        break;
    case OID_JSON:
    case OID_JSONB:
        push_json(r, text);
        break;
    default:
        lua_pushlstring(r->L, text.at, text.len);
        break;
    }
}

/* A null is set, too, where another column of that name may have come before. */
static void push_row(const struct rows *r, int row)
{
    lua_createtable(r->L, 0, r->columns);
    for (int c = 0; c < r->columns; c++) {
        if (r->unique)
            lua_rawgeti(r->L, r->shape, c + 1);
        else
            lua_pushstring(r->L, leat_pg_result_column_name(r->result, c));
        push_column(r, row, c);
        lua_rawset(r->L, -3);
    }
    lua_pushvalue(r->L, r->shape);
    lua_setmetatable(r->L, -2);
}

void leat_lua_row_push(lua_State *L, const leat_pg_result *result, int row)
{
    struct rows r = begin(L, result);
    push_row(&r, row);
    lua_remove(L, r.shape);
}

void leat_lua_rows_push(lua_State *L, const leat_pg_result *result)
{
    struct rows r = begin(L, result);
    int n = leat_pg_result_rows(result);
    lua_createtable(L, n, 0);
    for (int row = 0; row < n; row++) {
        if (row % ROWS_A_LOOK == 0)
            leat_sandbox_check(L);
        push_row(&r, row);
        lua_rawseti(L, -2, row + 1);
    }
    leat_lua_shape_push_array(L);
    lua_setmetatable(L, -2);
    lua_remove(L, r.shape);
}
