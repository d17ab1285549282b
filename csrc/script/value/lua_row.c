/* lua_row.c - rows of a result to Lua. The names of the columns become Lua strings once for a
 * result (they are its shape) and not once for each row. */
#include "script/value/lua_json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "script/sandbox/sandbox_run.h"
#include "script/value/column.h"
#include "script/value/lua_shape.h"
#include "wire/json.h"

/* Between two calls of leat_sandbox_run_check. */
enum { ROWS_A_LOOK = 64 };

struct rows {
    lua_State *L;
    leat_lua_codec *codec;
    const leat_pg_result *result;
    int columns;
    int shape; /* on the stack */
    const leat_lua_answers *answers;
    size_t next_answer;
    bool unique; /* all columns have different names, so the shape has the names of the columns */
};

static char mark_of(leat_column_form form)
{
    switch (form) {
    case LEAT_COLUMN_NUMERIC:
        return LEAT_LUA_SHAPE_NUMERIC;
    case LEAT_COLUMN_FLOAT:
        return LEAT_LUA_SHAPE_FLOAT;
    case LEAT_COLUMN_OID:
        return LEAT_LUA_SHAPE_OID;
    case LEAT_COLUMN_TEXT:
    case LEAT_COLUMN_BOOL:
    case LEAT_COLUMN_INTEGER:
    case LEAT_COLUMN_JSON:
    case LEAT_COLUMN_TIMESTAMP:
    case LEAT_COLUMN_TIMESTAMPTZ:
    case LEAT_COLUMN_BYTE:
    case LEAT_COLUMN_ARRAY:
    case LEAT_COLUMN_ASK:
        break;
    }
    return LEAT_LUA_SHAPE_NULL;
}

/* Pushes the shape of the rows. */
static struct rows begin(lua_State *L, const leat_pg_result *result,
                         const leat_lua_answers *answers)
{
    luaL_checkstack(L, 10, "rows");
    struct rows r = {.L = L, .result = result, .answers = answers};
    r.codec = leat_lua_shape_codec(L);
    r.columns = leat_pg_result_columns(result);
    leat_buf *members = &r.codec->members;
    members->len = r.codec->forms.len = 0;
    for (int c = 0; c < r.columns; c++) {
        leat_column_form form = leat_column_form_of(leat_pg_result_column_type(result, c));
        leat_buf_char(&r.codec->forms, (char)form);
        leat_lua_shape_member(members, leat_slice_of(leat_pg_result_column_name(result, c)),
                              mark_of(form));
    }
    leat_lua_shape_push(L, r.codec, leat_buf_view(members));
    members->len = 0;
    r.shape = lua_gettop(L);
    r.unique = leat_lua_shape_absent(L, r.shape).len == (size_t)r.columns;
    return r;
}

/* libpq terminates values with a zero byte. Postgres sends no malformed number. */
static void push_float(const struct rows *r, leat_slice text)
{
    double n = strtod_l(text.at, NULL, r->codec->c_locale);
    lua_pushnumber(r->L, isnan(n) ? leat_lua_shape_nan() : n);
}

static void push_integer(const struct rows *r, leat_slice text)
{
    int64_t n = 0;
    if (leat_json_int(text, &n))
        lua_pushinteger(r->L, n);
    else
        lua_pushlstring(r->L, text.at, text.len);
}

/* The type json keeps escapes that stand for no character ("\ud800"). No client could read a
 * message with one. The type jsonb has none. */
static bool may_lack_a_character(leat_slice text)
{
    return memmem(text.at, text.len, "\\u", 2) != NULL &&
           leat_json_validate(text, LEAT_JSON_MAX_DEPTH) < 0;
}

/* JSON that Lua cannot hold (because of its depth, say) passes through unread, or is shown as text.
 */
static void push_json(const struct rows *r, leat_slice text)
{
    char reason[64];
    if (leat_lua_json_push(r->L, text, reason, sizeof(reason)) == 0)
        return;
    lua_pushlstring(r->L, text.at, text.len);
    if (!may_lack_a_character(text))
        leat_lua_shape_mark_json(r->L);
}

static void push_array(const struct rows *r, int column, leat_slice text)
{
    leat_buf *json = &r->codec->list;
    json->len = 0;
    if (leat_column_write_array(json, leat_pg_result_column_type(r->result, column), text) == 0)
        push_json(r, leat_buf_view(json));
    else
        lua_pushlstring(r->L, text.at, text.len);
    leat_lua_shape_empty(json);
}

static void push_answer(struct rows *r, leat_slice text)
{
    const leat_lua_answers *a = r->answers;
    size_t n = r->next_answer++;
    if (a == NULL || n >= a->ends.len / sizeof(size_t)) {
        lua_pushlstring(r->L, text.at, text.len);
        return;
    }
    size_t span[2] = {0, 0};
    memcpy(&span[n == 0], a->ends.at + (n == 0 ? 0 : n - 1) * sizeof(size_t),
           (n == 0 ? 1 : 2) * sizeof(size_t));
    push_json(r, (leat_slice){a->texts.at + span[0], span[1] - span[0]});
}

static void push_text(const struct rows *r, leat_slice text)
{
    lua_pushlstring(r->L, text.at, text.len);
}

static void push_column(struct rows *r, int row, int column)
{
    char time[LEAT_COLUMN_TIME_MAX];
    if (leat_pg_result_is_null(r->result, row, column)) {
        lua_pushnil(r->L);
        return;
    }
    leat_slice text = leat_pg_result_value(r->result, row, column);
    leat_column_form form = (leat_column_form)r->codec->forms.at[column];
    switch (form) {
    case LEAT_COLUMN_BOOL:
        lua_pushboolean(r->L, text.len > 0 && text.at[0] == 't');
        break;
    case LEAT_COLUMN_INTEGER:
    case LEAT_COLUMN_OID:
        push_integer(r, text);
        break;
    case LEAT_COLUMN_FLOAT:
        push_float(r, text);
        break;
    case LEAT_COLUMN_JSON:
        push_json(r, text);
        break;
    case LEAT_COLUMN_TIMESTAMP:
    case LEAT_COLUMN_TIMESTAMPTZ:
        push_text(r, leat_column_time(form, text, time));
        break;
    case LEAT_COLUMN_BYTE:
        push_text(r, leat_column_byte(text));
        break;
    case LEAT_COLUMN_ARRAY:
        push_array(r, column, text);
        break;
    case LEAT_COLUMN_ASK:
        push_answer(r, text);
        break;
    case LEAT_COLUMN_TEXT:
    case LEAT_COLUMN_NUMERIC:
        push_text(r, text);
        break;
    }
}

/* A null is set, too, if an earlier column may have the same name. */
static void push_row(struct rows *r, int row)
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

void leat_lua_row_push(lua_State *L, const leat_pg_result *result, int row,
                       const leat_lua_answers *answers)
{
    struct rows r = begin(L, result, answers);
    push_row(&r, row);
    lua_remove(L, r.shape);
}

void leat_lua_rows_push(lua_State *L, const leat_pg_result *result, const leat_lua_answers *answers)
{
    struct rows r = begin(L, result, answers);
    int n = leat_pg_result_rows(result);
    lua_createtable(L, n, 0);
    for (int row = 0; row < n; row++) {
        if (row % ROWS_A_LOOK == 0)
            leat_sandbox_run_check(L);
        push_row(&r, row);
        lua_rawseti(L, -2, row + 1);
    }
    leat_lua_shape_push_array(L);
    lua_setmetatable(L, -2);
    lua_remove(L, r.shape);
}
