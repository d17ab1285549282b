/* Lua to JSON, recursively, the depth being limited. Nothing here raises or calls into a script:
 * tables are read raw, only texts are read as texts, and the stack grows by lua_checkstack. Where
 * something cannot be written, the path to it is put together on the way back. */
#include "script/lua_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "script/lua_shape.h"
#include "script/sandbox.h"
#include "wire/json.h"

enum {
    PATH_MAX_BYTES = 160,
    KEY_MAX_BYTES = 60,  /* of a key in the path */
    SPARSE_FLOOR = 1024, /* a list may have this many holes, */
    SPARSE_FACTOR = 8,   /* or this many for each element */
    ERROR_MAX_BYTES = 64,
    PARAM_MAX_BYTES = 64 << 20, /* of all parameters of a statement */
    MAX_MEMBERS = 1 << 17,      /* of an object: sorting them cannot be interrupted */
    VALUES_A_LOOK = 64,         /* between two looks at the budget */
    EXACT_INTEGERS = 1LL << 53,
};

struct encoder {
    lua_State *L;
    leat_lua_codec *codec;
    leat_buf *out;
    size_t start; /* of the value in out */
    size_t max_bytes;
    size_t n_values;
    int depth;
    const char *why;           /* of the error, static */
    char path[PATH_MAX_BYTES]; /* to it; filled from the end */
    size_t path_at;
};

/* A key to be sorted. */
struct entry {
    leat_slice key;
    int index; /* on the stack; 0: the name of a shape's member */
};

static int write_value(struct encoder *e, int index);

/* --- errors --- */

static int fail(struct encoder *e, int err, const char *why)
{
    e->why = why;
    return err;
}

static void prepend(struct encoder *e, const char *step, size_t len)
{
    if (len > e->path_at)
        len = e->path_at; /* the outer part of a long path is lost */
    e->path_at -= len;
    memcpy(e->path + e->path_at, step, len);
}

/* These three return err, for the caller to return. */
static int under_index(struct encoder *e, int err, lua_Integer i)
{
    char step[32];
    int len = snprintf(step, sizeof(step), "[%lld]", (long long)i);
    prepend(e, step, (size_t)len);
    return err;
}

static int under_key(struct encoder *e, int err, leat_slice key)
{
    bool shown = key.len > 0 && key.len <= KEY_MAX_BYTES && leat_utf8_valid(key.at, key.len);
    if (shown)
        prepend(e, key.at, key.len);
    else
        prepend(e, "?", 1);
    prepend(e, ".", 1);
    return err;
}

static int under_member(struct encoder *e, int err, int shape, lua_Integer member)
{
    leat_slice name = {NULL, 0};
    lua_rawgeti(e->L, shape, member);
    name.at = lua_tolstring(e->L, -1, &name.len);
    return under_key(e, err, name);
}

static void tell(struct encoder *e, char *reason, size_t reason_size)
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

static int check_size(struct encoder *e, size_t extra)
{
    if (e->out->len - e->start + extra > e->max_bytes)
        return fail(e, LEAT_ETOOLARGE, "larger than the limit");
    return 0;
}

static int write_string(struct encoder *e, int index)
{
    leat_slice text;
    text.at = lua_tolstring(e->L, index, &text.len);
    int err = check_size(e, text.len);
    if (err < 0)
        return err;
    if (leat_json_write_string(e->out, text) < 0)
        return fail(e, LEAT_EBADMSG, "invalid UTF-8");
    return 0;
}

/* As to_jsonb writes them. */
static void write_special(struct encoder *e, double n)
{
    leat_buf_text(e->out, isnan(n) ? "\"NaN\"" : n > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

static int write_number(struct encoder *e, int index)
{
    if (lua_isinteger(e->L, index)) {
        leat_json_write_int(e->out, lua_tointeger(e->L, index));
        return 0;
    }
    if (leat_json_write_double(e->out, lua_tonumber(e->L, index)) == 0)
        return 0;
    bool strict = e->codec->strict || isnan(lua_tonumber(e->L, index));
    if (strict && !leat_lua_shape_is_nan(lua_tonumber(e->L, index)))
        return fail(e, LEAT_EBADMSG, "NaN and infinity have no JSON form");
    write_special(e, lua_tonumber(e->L, index));
    return 0;
}

/* A member of a row whose column has another form in JSON than in Lua. What a script has put in its
 * place is of another type, mostly, and is then written like anything else. */
static int write_marked(struct encoder *e, int index, char mark)
{
    leat_slice text = {NULL, 0};
    int type = lua_type(e->L, index);
    if (mark == LEAT_LUA_SHAPE_OID && lua_isinteger(e->L, index)) {
        leat_buf_char(e->out, '"');
        leat_json_write_int(e->out, lua_tointeger(e->L, index));
        leat_buf_char(e->out, '"');
        return check_size(e, 0);
    }
    if (mark == LEAT_LUA_SHAPE_FLOAT && type == LUA_TNUMBER &&
        !isfinite(lua_tonumber(e->L, index))) {
        write_special(e, lua_tonumber(e->L, index));
        return check_size(e, 0);
    }
    if (mark == LEAT_LUA_SHAPE_NUMERIC && type == LUA_TSTRING)
        text.at = lua_tolstring(e->L, index, &text.len);
    if (text.len == 0 || !leat_json_is_number(text))
        return write_value(e, index);
    int err = check_size(e, text.len);
    if (err == 0)
        leat_buf_slice(e->out, text);
    return err;
}

static int write_userdata(struct encoder *e, int index)
{
    if (!leat_lua_shape_push_json(e->L, e->codec, index))
        return fail(e, LEAT_EBADMSG, "a userdata has no JSON form");
    leat_slice text;
    text.at = lua_tolstring(e->L, -1, &text.len);
    int err = check_size(e, text.len);
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

static int write_elements(struct encoder *e, int table, lua_Integer n)
{
    leat_buf_char(e->out, '[');
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1)
            leat_buf_char(e->out, ',');
        lua_rawgeti(e->L, table, i);
        int err = write_value(e, lua_gettop(e->L));
        if (err < 0)
            return under_index(e, err, i);
        lua_pop(e->L, 1);
    }
    leat_buf_char(e->out, ']');
    return 0;
}

/* A table marked as a list: holes are null. */
static int write_array(struct encoder *e, int table)
{
    lua_Integer max = 0;
    lua_Integer n = count_list(e->L, table, &max);
    if (max < 0)
        return fail(e, LEAT_EBADMSG, "a list with a key that is not a number from 1");
    if (max - n > SPARSE_FLOOR && max / SPARSE_FACTOR > n)
        return fail(e, LEAT_EBADMSG, "a list with too many holes");
    return write_elements(e, table, max);
}

/* --- objects --- */

static int compare_entries(const void *a, const void *b)
{
    const leat_slice *x = &((const struct entry *)a)->key;
    const leat_slice *y = &((const struct entry *)b)->key;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len > 0 ? memcmp(x->at, y->at, len) : 0;
    if (order != 0)
        return order;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return ((const struct entry *)a)->index - ((const struct entry *)b)->index; /* names first */
}

static void add_entry(struct encoder *e, int stack_index, int listed_index)
{
    struct entry entry = {.index = listed_index};
    entry.key.at = lua_tolstring(e->L, stack_index, &entry.key.len);
    leat_buf_append(&e->codec->entries, &entry, sizeof(entry));
}

/* Lists the names of a shape, so that members of the shape can be told from others. */
static void list_names(struct encoder *e, int shape, size_t n)
{
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(e->L, shape, (lua_Integer)i);
        add_entry(e, -1, 0); /* the shape keeps the text alive */
        lua_pop(e->L, 1);
    }
}

/* Lists the keys of a table and leaves them on the stack. */
static int list_keys(struct encoder *e, int table)
{
    lua_State *L = e->L;
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            return fail(e, LEAT_EBADMSG, "a table whose keys are neither 1, 2, 3 ... nor texts");
        add_entry(e, -1, lua_gettop(L));
        if (++n > MAX_MEMBERS || !lua_checkstack(L, 6))
            return fail(e, LEAT_EBADMSG, "an object with too many members");
        lua_pushvalue(L, -1);
    }
    return 0;
}

static int write_entry(struct encoder *e, int table, struct entry entry)
{
    int err = check_size(e, entry.key.len);
    if (err < 0)
        return err;
    if (leat_json_write_string(e->out, entry.key) < 0)
        return fail(e, LEAT_EBADMSG, "a key with invalid UTF-8");
    leat_buf_char(e->out, ':');
    lua_pushvalue(e->L, entry.index);
    lua_rawget(e->L, table);
    err = write_value(e, lua_gettop(e->L));
    lua_pop(e->L, 1);
    return err;
}

/* Inner tables list their keys behind ours, and may move the buffer: entries are copied out of it.
 */
static int write_entries(struct encoder *e, int table, size_t from, bool first)
{
    size_t to = e->codec->entries.len;
    leat_slice member = {NULL, 0}; /* the last name of the shape that was met */
    for (size_t at = from; at < to; at += sizeof(struct entry)) {
        struct entry entry;
        memcpy(&entry, e->codec->entries.at + at, sizeof(entry));
        if (entry.index == 0) {
            member = entry.key;
            continue;
        }
        if (member.at != NULL && leat_slice_equal(member, entry.key))
            continue; /* written in its place */
        if (!first)
            leat_buf_char(e->out, ',');
        first = false;
        int err = write_entry(e, table, entry);
        if (err < 0)
            return under_key(e, err, entry.key);
    }
    return 0;
}

/* Writes the members that are not of the shape (0: all), sorted. */
static int write_sorted(struct encoder *e, int table, int shape, size_t n_names, bool first)
{
    leat_buf *entries = &e->codec->entries;
    size_t from = entries->len;
    int top = lua_gettop(e->L);
    if (shape != 0)
        list_names(e, shape, n_names);
    int err = list_keys(e, table);
    if (err == 0 && entries->len > from) {
        qsort(entries->at + from, (entries->len - from) / sizeof(struct entry),
              sizeof(struct entry), compare_entries);
        err = write_entries(e, table, from, first);
    }
    if (err == 0) {
        entries->len = from;
        lua_settop(e->L, top);
    }
    return err;
}

static size_t count_members(lua_State *L, int table)
{
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1))
        n++;
    return n;
}

/* Appends member i of a shape of n, `"name":`. The text is made for this, but not if the name
 * is invalid. */
static int write_name(struct encoder *e, int shape, lua_Integer n, lua_Integer i, bool first)
{
    leat_slice text;
    lua_rawgeti(e->L, shape, n + i);
    text.at = lua_tolstring(e->L, -1, &text.len);
    lua_pop(e->L, 1);
    if (text.len == 0)
        return fail(e, LEAT_EBADMSG, "a key with invalid UTF-8");
    if (!first)
        leat_buf_char(e->out, ',');
    leat_buf_slice(e->out, text);
    return 0;
}

static int write_shaped(struct encoder *e, int table, int shape, leat_slice absent)
{
    lua_State *L = e->L;
    lua_Integer n = (lua_Integer)absent.len;
    size_t present = 0;
    bool first = true;
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, shape, i);
        bool is_nil = lua_rawget(L, table) == LUA_TNIL;
        char mark = absent.at[i - 1];
        if (!is_nil || mark != LEAT_LUA_SHAPE_OMIT) {
            present += !is_nil;
            int err = write_name(e, shape, n, i, first);
            if (err == 0 && mark > LEAT_LUA_SHAPE_OMIT && mark < LEAT_LUA_SHAPE_NULL)
                err = write_marked(e, lua_gettop(L), mark);
            else if (err == 0)
                err = write_value(e, lua_gettop(L));
            if (err < 0)
                return under_member(e, err, shape, i);
            first = false;
        }
        lua_pop(L, 1);
    }
    if (count_members(L, table) == present)
        return 0;
    return write_sorted(e, table, shape, (size_t)n, first);
}

/* --- tables --- */

static int write_object(struct encoder *e, int table, int shape, leat_slice absent)
{
    leat_buf_char(e->out, '{');
    int err =
        shape != 0 ? write_shaped(e, table, shape, absent) : write_sorted(e, table, 0, 0, true);
    if (err == 0)
        leat_buf_char(e->out, '}');
    return err;
}

/* A table that is neither a row nor marked as a list. */
static int write_plain(struct encoder *e, int table)
{
    lua_Integer n = (lua_Integer)lua_rawlen(e->L, table);
    if (n == 0)
        return write_object(e, table, 0, (leat_slice){NULL, 0});
    lua_Integer max = 0;
    if (count_list(e->L, table, &max) != n || max != n)
        return fail(e, LEAT_EBADMSG,
                    max < 0 ? "a table with both numbers and texts as keys"
                            : "a list with holes (leat.array makes them null)");
    return write_elements(e, table, n);
}

static int write_by_metatable(struct encoder *e, int table)
{
    if (!lua_getmetatable(e->L, table))
        return write_plain(e, table);
    int metatable = lua_gettop(e->L);
    if (lua_topointer(e->L, metatable) == e->codec->array)
        return write_array(e, table);
    leat_slice absent = leat_lua_shape_absent(e->L, metatable);
    if (absent.at != NULL)
        return write_object(e, table, metatable, absent);
    return write_plain(e, table);
}

static int write_table(struct encoder *e, int table)
{
    if (e->depth == LEAT_LUA_SHAPE_MAX_DEPTH)
        return fail(e, LEAT_EBADMSG, "nested too deeply, or within itself");
    if (!lua_checkstack(e->L, 8))
        return fail(e, LEAT_EBADMSG, "no memory to go this deep");
    int top = lua_gettop(e->L);
    e->depth++;
    int err = write_by_metatable(e, table);
    e->depth--;
    if (err == 0)
        lua_settop(e->L, top);
    return err;
}

static int write_other(struct encoder *e, int index)
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
            return fail(e, LEAT_EBADMSG, "a userdata has no JSON form");
        leat_buf_text(e->out, "null");
        return 0;
    case LUA_TFUNCTION:
        return fail(e, LEAT_EBADMSG, "a function has no JSON form");
    default:
        return fail(e, LEAT_EBADMSG, "a coroutine has no JSON form");
    }
}

/* index: absolute. On success the stack is as before. */
static int write_value(struct encoder *e, int index)
{
    int err;
    if (++e->n_values % VALUES_A_LOOK == 0 && leat_sandbox_out_of_time(e->L))
        return fail(e, LEAT_EBUDGET, "script_budget_ms is used up");
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
    return err < 0 ? err : check_size(e, 0);
}

int leat_lua_json_encode(lua_State *L, int index, leat_buf *out, size_t max_bytes, char *reason,
                         size_t reason_size)
{
    if (!lua_checkstack(L, 8)) {
        snprintf(reason, reason_size, "no memory");
        return LEAT_EBADMSG;
    }
    struct encoder e = {.L = L,
                        .codec = leat_lua_shape_codec(L),
                        .out = out,
                        .start = out->len,
                        .max_bytes = max_bytes,
                        .path_at = PATH_MAX_BYTES};
    int top = lua_gettop(L);
    e.codec->entries.len = 0;
    int err = write_value(&e, lua_absindex(L, index));
    if (err < 0) {
        out->len = e.start;
        tell(&e, reason, reason_size);
    }
    lua_settop(L, top);
    leat_lua_shape_rest(&e.codec->entries);
    return err;
}

/* --- parameters --- */

static int param_text(lua_State *L, int index, leat_buf *out, size_t room, char *reason,
                      size_t reason_size)
{
    leat_slice text;
    text.at = lua_tolstring(L, index, &text.len);
    if (text.len > room) {
        snprintf(reason, reason_size, "the parameters are larger than %d bytes", PARAM_MAX_BYTES);
        return LEAT_ETOOLARGE;
    }
    if (memchr(text.at, '\0', text.len) != NULL) {
        snprintf(reason, reason_size, "Postgres takes no text with a zero byte");
        return LEAT_EBADMSG;
    }
    leat_buf_slice(out, text);
    return 0;
}

static void param_number(lua_State *L, int index, leat_buf *out)
{
    if (lua_isinteger(L, index)) {
        leat_buf_int(out, lua_tointeger(L, index));
        return;
    }
    double n = lua_tonumber(L, index);
    if (fabs(n) <= (double)EXACT_INTEGERS && n == floor(n))
        leat_buf_int(out, (int64_t)n);
    else if (leat_json_write_double(out, n) < 0)
        leat_buf_text(out, isnan(n) ? "NaN" : n > 0 ? "Infinity" : "-Infinity");
}

int leat_lua_param(lua_State *L, int index, leat_buf *out, bool *is_null, char *reason,
                   size_t reason_size)
{
    size_t room = out->len < PARAM_MAX_BYTES ? PARAM_MAX_BYTES - out->len : 0;
    *is_null = false;
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        *is_null = true;
        return 0;
    case LUA_TLIGHTUSERDATA:
        *is_null = lua_touserdata(L, index) == NULL;
        break;
    case LUA_TBOOLEAN:
        leat_buf_text(out, lua_toboolean(L, index) ? "true" : "false");
        return 0;
    case LUA_TNUMBER:
        param_number(L, index, out);
        return 0;
    case LUA_TSTRING:
        return param_text(L, index, out, room, reason, reason_size);
    case LUA_TTABLE:
    case LUA_TUSERDATA:
        return leat_lua_json_encode(L, index, out, room, reason, reason_size);
    default:
        break;
    }
    if (*is_null)
        return 0;
    snprintf(reason, reason_size, "a %s cannot be bound", lua_typename(L, lua_type(L, index)));
    return LEAT_EBADMSG;
}
