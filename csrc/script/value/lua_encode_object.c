/* lua_encode_object.c - a Lua table to a JSON object: first the members of its shape, in their
 * order, then all others, sorted. */
#include "script/value/lua_encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

enum { MAX_MEMBERS = 1 << 17 }; /* of an object: sorting them cannot be interrupted */

/* A key to be sorted. */
struct entry {
    leat_slice key;
    int index; /* on the stack; 0: the name of a member of the shape */
};

static int under_member(leat_lua_encoder *e, int err, int shape, lua_Integer member)
{
    leat_slice name = {NULL, 0};
    lua_rawgeti(e->L, shape, member);
    name.at = lua_tolstring(e->L, -1, &name.len);
    return leat_lua_encode_under_key(e, err, name);
}

/* --- sorted members --- */

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

static void add_entry(leat_lua_encoder *e, int stack_index, int listed_index)
{
    struct entry entry = {.index = listed_index};
    entry.key.at = lua_tolstring(e->L, stack_index, &entry.key.len);
    leat_buf_append(&e->codec->entries, &entry, sizeof(entry));
}

/* Lists the names of a shape, so that members of the shape can be told from others. */
static void list_names(leat_lua_encoder *e, int shape, size_t n)
{
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(e->L, shape, (lua_Integer)i);
        add_entry(e, -1, 0); /* the shape keeps the text alive */
        lua_pop(e->L, 1);
    }
}

/* Lists the keys of a table and leaves them on the stack. */
static int list_keys(leat_lua_encoder *e, int table)
{
    lua_State *L = e->L;
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            return leat_lua_encode_fail(e, LEAT_EBADMSG,
                                        "a table whose keys are neither 1, 2, 3 ... nor texts");
        add_entry(e, -1, lua_gettop(L));
        if (++n > MAX_MEMBERS || !lua_checkstack(L, 6))
            return leat_lua_encode_fail(e, LEAT_EBADMSG, "the object has too many members");
        lua_pushvalue(L, -1);
    }
    return 0;
}

static int write_entry(leat_lua_encoder *e, int table, struct entry entry)
{
    int err = leat_lua_encode_check_size(e, entry.key.len);
    if (err < 0)
        return err;
    if (leat_json_write_string(e->out, entry.key) < 0)
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "a key is invalid UTF-8");
    leat_buf_char(e->out, ':');
    lua_pushvalue(e->L, entry.index);
    lua_rawget(e->L, table);
    err = leat_lua_encode_value(e, lua_gettop(e->L));
    lua_pop(e->L, 1);
    return err;
}

/* Inner tables append their keys after ours and may move the buffer, so entries are copied out. */
static int write_entries(leat_lua_encoder *e, int table, size_t from, bool first)
{
    size_t to = e->codec->entries.len;
    leat_slice member = {NULL, 0}; /* the last name of the shape that was seen */
    for (size_t at = from; at < to; at += sizeof(struct entry)) {
        struct entry entry;
        memcpy(&entry, e->codec->entries.at + at, sizeof(entry));
        if (entry.index == 0) {
            member = entry.key;
            continue;
        }
        if (member.at != NULL && leat_slice_equal(member, entry.key))
            continue; /* it has been written in its place */
        if (!first)
            leat_buf_char(e->out, ',');
        first = false;
        int err = write_entry(e, table, entry);
        if (err < 0)
            return leat_lua_encode_under_key(e, err, entry.key);
    }
    return 0;
}

/* Writes the members that are not of the shape, sorted. shape 0: all members. */
static int write_sorted(leat_lua_encoder *e, int table, int shape, size_t n_names, bool first)
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

/* --- members of a shape --- */

/* Writes a member whose column has another form in JSON than in Lua. A value that a script has put
 * there mostly has another type; it is then written like any value. */
static int write_marked(leat_lua_encoder *e, int index, char mark)
{
    leat_slice text = {NULL, 0};
    int type = lua_type(e->L, index);
    if (mark == LEAT_LUA_SHAPE_OID && lua_isinteger(e->L, index)) {
        leat_buf_char(e->out, '"');
        leat_json_write_int(e->out, lua_tointeger(e->L, index));
        leat_buf_char(e->out, '"');
        return leat_lua_encode_check_size(e, 0);
    }
    if (mark == LEAT_LUA_SHAPE_FLOAT && type == LUA_TNUMBER &&
        !isfinite(lua_tonumber(e->L, index))) {
        leat_lua_encode_special(e, lua_tonumber(e->L, index));
        return leat_lua_encode_check_size(e, 0);
    }
    if (mark == LEAT_LUA_SHAPE_NUMERIC && type == LUA_TSTRING)
        text.at = lua_tolstring(e->L, index, &text.len);
    if (text.len == 0 || !leat_json_is_number(text))
        return leat_lua_encode_value(e, index);
    int err = leat_lua_encode_check_size(e, text.len);
    if (err == 0)
        leat_buf_slice(e->out, text);
    return err;
}

static size_t count_members(lua_State *L, int table)
{
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1))
        n++;
    return n;
}

/* Appends `"name":` for member i of a shape of n. The shape has that text, unless the name is
 * invalid UTF-8. */
static int write_name(leat_lua_encoder *e, int shape, lua_Integer n, lua_Integer i, bool first)
{
    leat_slice text;
    lua_rawgeti(e->L, shape, n + i);
    text.at = lua_tolstring(e->L, -1, &text.len);
    lua_pop(e->L, 1);
    if (text.len == 0)
        return leat_lua_encode_fail(e, LEAT_EBADMSG, "a key is invalid UTF-8");
    if (!first)
        leat_buf_char(e->out, ',');
    leat_buf_slice(e->out, text);
    return 0;
}

static int write_shaped(leat_lua_encoder *e, int table, int shape, leat_slice absent)
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
                err = leat_lua_encode_value(e, lua_gettop(L));
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

int leat_lua_encode_object(leat_lua_encoder *e, int table, int shape, leat_slice absent)
{
    leat_buf_char(e->out, '{');
    int err =
        shape != 0 ? write_shaped(e, table, shape, absent) : write_sorted(e, table, 0, 0, true);
    if (err == 0)
        leat_buf_char(e->out, '}');
    return err;
}
