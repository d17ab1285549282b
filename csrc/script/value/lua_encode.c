/* lua_encode.c - Lua to JSON, by recursion, whose depth is limited. Nothing here raises or calls
 * into a script: tables are read raw, only strings are read as text, and the stack grows by
 * lua_checkstack. If a value has no JSON form, the path to it is put together while the recursion
 * returns. */
#include "script/value/lua_encode.h"

#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "script/sandbox/sandbox_run.h"
#include "script/value/lua_json.h"
#include "script/value/lua_shape.h"
#include "wire/json.h"

enum {
    KEY_MAX_BYTES = 60,  /* of a key that the path shows */
    SPARSE_FLOOR = 1024, /* a list may have this many holes, */
    SPARSE_FACTOR = 8,   /* or this many for each element */
    VALUES_A_LOOK = 64,  /* between two checks of the budget */
};

/* --- errors --- */

int leat_lua_encode_fail(leat_lua_encoder *e, int err, const char *why)
{
    e->why = why;
    return err;
}

static void prepend(leat_lua_encoder *e, const char *step, size_t len)
{
    if (len > e->path_at)
        len = e->path_at; /* a long path loses its outer part */
    e->path_at -= len;
    memcpy(e->path + e->path_at, step, len);
}

/* Returns err, for the caller to return. */
static int under_index(leat_lua_encoder *e, int err, lua_Integer i)
{
    char step[32];
    int len = snprintf(step, sizeof(step), "[%lld]", (long long)i);
    prepend(e, step, (size_t)len);
    return err;
}

int leat_lua_encode_under_key(leat_lua_encoder *e, int err, leat_slice key)
{
    bool shown = key.len > 0 && key.len <= KEY_MAX_BYTES && leat_utf8_valid(key.at, key.len);
    if (shown)
        prepend(e, key.at, key.len);
    else
        prepend(e, "?", 1);
    prepend(e, ".", 1);
    return err;
}

static void tell(leat_lua_encoder *e, char *reason, size_t reason_size)
{
    const char *path = e->path + e->path_at;
    size_t len = sizeof(e->path) - e->path_at;
    if (len > 0 && *path == '.') {
        path++;
        len--;
    }
    if (reason_size > 0)
        snprintf(reason, reason_size, "%.*s%s%s", (int)len, path, len > 0 ? ": " : "", e->why);
}

/* --- scalars --- */

int leat_lua_encode_check_size(leat_lua_encoder *e, size_t extra)
{
    if (e->out->len - e->start + extra > e->max_bytes)
        return leat_lua_encode_fail(e, LEAT_ETOOLARGE, "the JSON is larger than the limit");
    return 0;
}

static int write_string(leat_lua_encoder *e, int index)
{
    leat_slice text;
    text.at = lua_tolstring(e->L, index, &text.len);
    int err = leat_lua_encode_check_size(e, text.len);
    if (err < 0)
        return err;
    if (leat_json_write_string(e->out, text) < 0)
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "invalid UTF-8");
    return 0;
}

/* NaN and the infinities, as to_jsonb writes them. */
void leat_lua_encode_special(leat_lua_encoder *e, double n)
{
    leat_buf_text(e->out, isnan(n) ? "\"NaN\"" : n > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

static int write_number(leat_lua_encoder *e, int index)
{
    if (lua_isinteger(e->L, index)) {
        leat_json_write_int(e->out, lua_tointeger(e->L, index));
        return 0;
    }
    if (leat_json_write_double(e->out, lua_tonumber(e->L, index)) == 0)
        return 0;
    bool strict = e->codec->strict || isnan(lua_tonumber(e->L, index));
    if (strict && !leat_lua_shape_is_nan(lua_tonumber(e->L, index)))
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "NaN and infinity have no JSON form");
    leat_lua_encode_special(e, lua_tonumber(e->L, index));
    return 0;
}

static int write_userdata(leat_lua_encoder *e, int index)
{
    if (!leat_lua_shape_push_json(e->L, e->codec, index))
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "a userdata has no JSON form");
    leat_slice text;
    text.at = lua_tolstring(e->L, -1, &text.len);
    int err = leat_lua_encode_check_size(e, text.len);
    if (err == 0)
        leat_buf_slice(e->out, text);
    lua_pop(e->L, 1);
    return err;
}

/* --- lists --- */

/* Counts the entries of a table, and the largest key if all keys are integers from 1 (else -1). */
static lua_Integer count_list(lua_State *L, int table, lua_Integer *max)
{
    lua_Integer n = 0;
    *max = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        n++;
        lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : -1;
        if (key < 1) {
            lua_pop(L, 2);
            *max = -1;
            return n;
        }
        if (key > *max)
            *max = key;
    }
    return n;
}

static int write_elements(leat_lua_encoder *e, int table, lua_Integer n)
{
    leat_buf_char(e->out, '[');
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1)
            leat_buf_char(e->out, ',');
        lua_rawgeti(e->L, table, i);
        int err = leat_lua_encode_value(e, lua_gettop(e->L));
        if (err < 0)
            return under_index(e, err, i);
        lua_pop(e->L, 1);
    }
    leat_buf_char(e->out, ']');
    return 0;
}

/* For a table that is marked as a list: its holes become null. */
static int write_array(leat_lua_encoder *e, int table)
{
    lua_Integer max = 0;
    lua_Integer n = count_list(e->L, table, &max);
    if (max < 0)
        return leat_lua_encode_fail(e, LEAT_EBADMSG,
                                    "a list with a key that is not a number from 1");
    if (max - n > SPARSE_FLOOR && max / SPARSE_FACTOR > n)
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "the list has too many holes");
    return write_elements(e, table, max);
}

/* --- tables --- */

/* For a table that is neither a row nor marked as a list. */
static int write_plain(leat_lua_encoder *e, int table)
{
    lua_Integer n = (lua_Integer)lua_rawlen(e->L, table);
    if (n == 0)
        return leat_lua_encode_object(e, table, 0, (leat_slice){NULL, 0});
    lua_Integer max = 0;
    if (count_list(e->L, table, &max) != n || max != n)
        return leat_lua_encode_fail(e, LEAT_EBADMSG,
                                    max < 0 ? "a table with both numbers and texts as keys"
                                            : "a list with holes (leat.array makes them null)");
    return write_elements(e, table, n);
}

static int write_by_metatable(leat_lua_encoder *e, int table)
{
    if (!lua_getmetatable(e->L, table))
        return write_plain(e, table);
    int metatable = lua_gettop(e->L);
    const void *at = lua_topointer(e->L, metatable);
    if (at == e->codec->array)
        return write_array(e, table);
    if (at != e->metatable) {
        e->metatable = at;
        e->absent = leat_lua_shape_absent(e->L, metatable);
    }
    if (e->absent.at != NULL)
        return leat_lua_encode_object(e, table, metatable, e->absent);
    return write_plain(e, table);
}

static int write_table(leat_lua_encoder *e, int table)
{
    if (e->depth == LEAT_LUA_SHAPE_MAX_DEPTH)
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "nested too deeply, or contains itself");
    if (!lua_checkstack(e->L, 8))
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "out of memory at this depth");
    int top = lua_gettop(e->L);
    e->depth++;
    int err = write_by_metatable(e, table);
    e->depth--;
    if (err == 0)
        lua_settop(e->L, top);
    return err;
}

static int write_other(leat_lua_encoder *e, int index)
{
    switch (lua_type(e->L, index)) {
    case LUA_TNIL:
        leat_buf_text(e->out, "null");
        return 0;
    case LUA_TBOOLEAN:
        leat_buf_text(e->out, lua_toboolean(e->L, index) ? "true" : "false");
        return 0;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(e->L, index) != NULL)
            return leat_lua_encode_fail(e, LEAT_EBADMSG, "a userdata has no JSON form");
        leat_buf_text(e->out, "null");
        return 0;
    case LUA_TFUNCTION:
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "a function has no JSON form");
    default:
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "a coroutine has no JSON form");
    }
}

/* index: absolute. On success the stack is as before. */
int leat_lua_encode_value(leat_lua_encoder *e, int index)
{
    int err;
    if (++e->n_values % VALUES_A_LOOK == 0 && leat_sandbox_run_out_of_time(e->L))
        return leat_lua_encode_fail(e, LEAT_EBUDGET, "script_budget_ms is used up");
    switch (lua_type(e->L, index)) {
    case LUA_TSTRING:
        err = write_string(e, index);
        break;
    case LUA_TNUMBER:
        err = write_number(e, index);
        break;
    case LUA_TTABLE:
        err = write_table(e, index);
        break;
    case LUA_TUSERDATA:
        err = write_userdata(e, index);
        break;
    default:
        err = write_other(e, index);
        break;
    }
    return err < 0 ? err : leat_lua_encode_check_size(e, 0);
}

int leat_lua_json_encode(lua_State *L, int index, leat_buf *out, size_t max_bytes, char *reason,
                         size_t reason_size)
{
    if (!lua_checkstack(L, 8)) {
        snprintf(reason, reason_size, "out of memory");
        return LEAT_EBADMSG;
    }
    leat_lua_encoder e = {.L = L,
                          .codec = leat_lua_shape_codec(L),
                          .out = out,
                          .start = out->len,
                          .max_bytes = max_bytes,
                          .path_at = LEAT_LUA_ENCODER_PATH};
    int top = lua_gettop(L);
    e.codec->entries.len = 0;
    int err = leat_lua_encode_value(&e, lua_absindex(L, index));
    if (err < 0) {
        out->len = e.start;
        tell(&e, reason, reason_size);
    }
    lua_settop(L, top);
    leat_lua_shape_empty(&e.codec->entries);
    return err;
}
