/* JSON that is decoded and encoded again says the same. Any Lua value is encoded as valid JSON
 * within the limit, or refused with a reason and without a trace; so it is when the script's time
 * or its memory ends on the way. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "fake_sandbox.h"
#include "script/value/lua_json.h"
#include "script/value/lua_shape.h"
#include "wire/json.h"

enum {
    REASON_SIZE = 100,
    MAX_VALUES = 4000,  /* that are built */
    NEST_MAX = 130,     /* deeper than the encoder goes */
    MEMORY = 64 << 20,  /* where none is to fail */
    MAX_STEPS = 100000, /* of a table that holds itself */
};

/* --- a Lua state whose memory ends --- */

struct memory {
    size_t used;
    size_t limit;
};

static void *allocate(void *data, void *block, size_t old_size, size_t size)
{
    struct memory *m = data;
    size_t old = block != NULL ? old_size : 0;
    if (size == 0) {
        free(block);
        m->used -= old;
        return NULL;
    }
    if (size > old && m->used - old + size > m->limit)
        return NULL;
    void *moved = realloc(block, size);
    m->used += moved != NULL ? size - old : 0;
    return moved;
}

static int open_codec(lua_State *L)
{
    leat_lua_json_open(L);
    lua_newtable(L);
    leat_lua_json_functions(L);
    lua_setglobal(L, "leat");
    return 0;
}

/* --- whether two texts say the same --- */

/* No text is so long that its digits make up for such a power of ten. */
#define MAX_POWER 1000000000000L

/* The significant digits, without zeros at either end; and the power of ten of the last one. */
static leat_buf digits_of(leat_slice text, long *exponent)
{
    leat_buf digits = LEAT_BUF_INIT;
    bool negative = *text.at == '-';
    bool fraction = false;
    *exponent = 0;
    for (size_t i = negative; i < text.len; i++) {
        char c = text.at[i];
        if (c == 'e' || c == 'E') {
            leat_buf power = LEAT_BUF_INIT;
            leat_buf_slice(&power, (leat_slice){text.at + i + 1, text.len - i - 1});
            leat_buf_char(&power, '\0');
            long n = strtol(power.at, NULL, 10);
            *exponent += n > MAX_POWER ? MAX_POWER : n < -MAX_POWER ? -MAX_POWER : n;
            leat_buf_close(&power);
            break;
        }
        if (c == '.') {
            fraction = true;
            continue;
        }
        *exponent -= fraction;
        if (c != '0' || digits.len > 0)
            leat_buf_char(&digits, c);
    }
    for (; digits.len > 0 && digits.at[digits.len - 1] == '0'; digits.len--)
        ++*exponent;
    if (digits.len == 0)
        *exponent = 0;
    else if (negative)
        leat_buf_char(&digits, '-');
    return digits;
}

static bool same_number(leat_slice a, leat_slice b)
{
    long a_exponent = 0;
    long b_exponent = 0;
    leat_buf a_digits = digits_of(a, &a_exponent);
    leat_buf b_digits = digits_of(b, &b_exponent);
    bool same = a_exponent == b_exponent &&
                leat_slice_equal(leat_buf_view(&a_digits), leat_buf_view(&b_digits));
    leat_buf_close(&a_digits);
    leat_buf_close(&b_digits);
    return same;
}

static bool same_json(leat_slice a, leat_slice b)
{
    leat_buf a_scratch = LEAT_BUF_INIT;
    leat_buf b_scratch = LEAT_BUF_INIT;
    leat_json_reader x;
    leat_json_reader y;
    leat_json_token token = LEAT_JSON_NULL;
    leat_json_token other = LEAT_JSON_NULL;
    bool same = true;
    leat_json_reader_init(&x, a, &a_scratch, LEAT_LUA_SHAPE_MAX_DEPTH);
    leat_json_reader_init(&y, b, &b_scratch, LEAT_LUA_SHAPE_MAX_DEPTH);
    while (same && token != LEAT_JSON_END) {
        CHECK(leat_json_next(&x, &token) == 0);
        CHECK(leat_json_next(&y, &other) == 0);
        same = token == other;
        if (same && (token == LEAT_JSON_STRING || token == LEAT_JSON_KEY))
            same = leat_slice_equal(x.text, y.text);
        if (same && token == LEAT_JSON_NUMBER)
            same = same_number(x.text, y.text);
    }
    leat_buf_close(&a_scratch);
    leat_buf_close(&b_scratch);
    return same;
}

/* Whether an object of the text may have two members of one name: then only the last one stays.
 * Any key that is met twice, wherever, counts. */
static bool repeats_keys(lua_State *L, leat_slice text)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_NULL;
    bool repeats = false;
    leat_json_reader_init(&r, text, &scratch, LEAT_LUA_SHAPE_MAX_DEPTH);
    lua_newtable(L);
    while (!repeats && token != LEAT_JSON_END) {
        CHECK(leat_json_next(&r, &token) == 0);
        if (token != LEAT_JSON_KEY)
            continue;
        lua_pushlstring(L, r.text.at, r.text.len);
        lua_pushvalue(L, -1);
        repeats = lua_rawget(L, -3) != LUA_TNIL;
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
    leat_buf_close(&scratch);
    return repeats;
}

/* --- encoding what is on top of the stack --- */

/* Encodes behind what out holds, and checks what is promised of either outcome. */
static int encode(lua_State *L, leat_buf *out, size_t max_bytes)
{
    char reason[REASON_SIZE] = "";
    int top = lua_gettop(L);
    size_t before = out->len;
    int err = leat_lua_json_encode(L, -1, out, max_bytes, reason, sizeof(reason));
    CHECK(lua_gettop(L) == top);
    CHECK((err == LEAT_EBUDGET) == fake_sandbox_expired());
    if (err < 0) {
        CHECK(out->len == before && reason[0] != '\0');
        return err;
    }
    leat_slice text = {out->at + before, out->len - before};
    CHECK(text.len <= max_bytes);
    CHECK(leat_json_validate(text, LEAT_LUA_SHAPE_MAX_DEPTH) == 0);
    return 0;
}

/* What a statement is given for the value. */
static void check_param(lua_State *L)
{
    leat_buf out = LEAT_BUF_INIT;
    char reason[REASON_SIZE] = "";
    bool is_null = false;
    int err = leat_lua_param(L, -1, &out, &is_null, reason, sizeof(reason));
    CHECK(err == 0 || (out.len == 0 && !is_null && reason[0] != '\0'));
    CHECK(out.len == 0 || memchr(out.at, '\0', out.len) == NULL);
    leat_buf_close(&out);
}

/* Whether decode(text), encoded, is text's equal. Leaves the decoded value. */
static void check_text(lua_State *L, leat_slice text, bool exact)
{
    leat_buf again = LEAT_BUF_INIT;
    char reason[REASON_SIZE] = "";
    fake_sandbox_allow(SIZE_MAX);
    CHECK(leat_lua_json_push(L, text, reason, sizeof(reason)) == 0);
    CHECK(encode(L, &again, SIZE_MAX) == 0);
    if (exact || !repeats_keys(L, text))
        CHECK(same_json(text, leat_buf_view(&again)));
    leat_buf_close(&again);
}

/* --- values built from the input --- */

struct input {
    const uint8_t *at;
    size_t left;
    int n_values;
};

static uint8_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static void push_bytes(lua_State *L, struct input *in)
{
    size_t len = take(in) % 24;
    if (len > in->left)
        len = in->left;
    lua_pushlstring(L, (const char *)in->at, len);
    in->at += len;
    in->left -= len;
}

static void push_double(lua_State *L, struct input *in)
{
    uint64_t bits = 0;
    double n = 0;
    for (size_t i = 0; i < sizeof(bits); i++)
        bits = bits << 8 | take(in);
    memcpy(&n, &bits, sizeof(n));
    lua_pushnumber(L, n);
}

static void build(lua_State *L, struct input *in, int depth);

static void build_table(lua_State *L, struct input *in, int depth)
{
    int n = take(in) % 8;
    int kind = take(in) % 4; /* list, object, anything, leat.array */
    lua_newtable(L);
    for (int i = 1; i <= n && in->left > 0; i++) {
        if (kind == 0)
            lua_pushinteger(L, i);
        else if (kind == 1)
            push_bytes(L, in);
        else if (kind == 3)
            lua_pushinteger(L, take(in) * (lua_Integer)(i == n ? 64 : 1));
        else
            build(L, in, NEST_MAX);
        bool bad = lua_isnil(L, -1) ||
                   (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1));
        if (bad) {
            lua_pop(L, 1);
            lua_pushliteral(L, "key");
        }
        build(L, in, depth + 1);
        lua_rawset(L, -3);
    }
    if (kind == 3) {
        leat_lua_shape_push_array(L);
        lua_setmetatable(L, -2);
    }
    if (take(in) % 16 == 1) { /* itself, or the same table twice */
        lua_pushliteral(L, "self");
        lua_pushvalue(L, -2);
        lua_rawset(L, -3);
    }
}

/* A table of one member around a value, many times. */
static void build_deep(lua_State *L, struct input *in)
{
    int n = take(in) % NEST_MAX;
    lua_newtable(L);
    for (int i = 0; i < n; i++) {
        lua_createtable(L, 2, 0);
        lua_pushvalue(L, -2);
        lua_rawseti(L, -2, 1);
        if (i % 8 == 0) { /* shared subtables: the text doubles */
            lua_pushvalue(L, -2);
            lua_rawseti(L, -2, 2);
        }
        lua_remove(L, -2);
    }
}

static void build_json(lua_State *L, struct input *in)
{
    char reason[REASON_SIZE];
    push_bytes(L, in);
    leat_slice text;
    text.at = lua_tolstring(L, -1, &text.len);
    if (leat_json_validate(text, LEAT_LUA_SHAPE_MAX_DEPTH) < 0)
        return;
    if (leat_lua_json_push(L, text, reason, sizeof(reason)) == 0)
        lua_remove(L, -2);
}

static void build(lua_State *L, struct input *in, int depth)
{
    luaL_checkstack(L, 10, "build");
    uint8_t what = take(in) % 12;
    if (++in->n_values > MAX_VALUES || (what >= 8 && depth >= NEST_MAX))
        what = 0;
    switch (what) {
    case 1:
        lua_pushboolean(L, take(in) & 1);
        break;
    case 2:
        lua_pushinteger(L, (int8_t)take(in));
        break;
    case 3:
        push_double(L, in);
        break;
    case 4:
    case 5:
        push_bytes(L, in);
        break;
    case 6:
        lua_pushlightuserdata(L, (take(in) & 1) != 0 ? L : NULL);
        break;
    case 7:
        if ((take(in) & 1) != 0)
            lua_pushcfunction(L, open_codec);
        else
            lua_newuserdatauv(L, 1, 0);
        break;
    case 8:
        build_json(L, in);
        break;
    case 9:
        build_deep(L, in);
        break;
    case 10:
    case 11:
        build_table(L, in, depth);
        break;
    default:
        lua_pushnil(L);
        break;
    }
}

/* --- the two ways --- */

struct options {
    bool value;
    size_t max_bytes;
    size_t looks;
    struct memory *memory;
    size_t spare; /* memory that may still be taken */
};

static void try_text(lua_State *L, leat_slice text, struct options *o)
{
    char reason[REASON_SIZE] = "";
    int top = lua_gettop(L);
    int err = leat_lua_json_push(L, text, reason, sizeof(reason));
    CHECK((err < 0) == (leat_json_validate(text, LEAT_LUA_SHAPE_MAX_DEPTH) < 0));
    CHECK(lua_gettop(L) == top + (err == 0));
    CHECK(err == 0 || reason[0] != '\0');
    if (err < 0)
        return;
    check_param(L);
    o->memory->limit = SIZE_MAX; /* from here on nothing raises */
    check_text(L, text, false);
}

static void try_value(lua_State *L, struct input *in, struct options *o)
{
    leat_buf out = LEAT_BUF_INIT;
    fake_sandbox_allow(SIZE_MAX);
    build(L, in, 0); /* may raise: out holds nothing yet */
    fake_sandbox_allow(o->looks);
    leat_buf_text(&out, "before");
    size_t before = out.len;
    int err = encode(L, &out, o->max_bytes);
    o->memory->limit = SIZE_MAX; /* from here on nothing raises */
    if (err == 0)
        check_text(L, (leat_slice){out.at + before, out.len - before}, true);
    lua_settop(L, 2);
    leat_buf_close(&out);
}

/* Arguments: the input and its options, light userdata. */
static int run(lua_State *L)
{
    struct input *in = lua_touserdata(L, 1);
    struct options *o = lua_touserdata(L, 2);
    o->memory->limit = o->memory->used + o->spare;
    if (o->value)
        try_value(L, in, o);
    else
        try_text(L, (leat_slice){(const char *)in->at, in->left}, o);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size, 0};
    struct memory memory = {0, MEMORY};
    struct options o = {.value = (take(&in) & 1) != 0, .memory = &memory};
    uint8_t limit = take(&in);
    o.max_bytes = limit < 128 ? limit : (size_t)(limit - 127) << 9;
    uint8_t spare = take(&in);
    o.spare = spare < 64 ? (size_t)spare << 6 : MEMORY;
    uint8_t looks = take(&in);
    o.looks = looks < 128 ? looks : MAX_STEPS;
    lua_State *L = lua_newstate(allocate, &memory);
    *(void **)lua_getextraspace(L) = NULL;
    lua_pushcfunction(L, open_codec);
    CHECK(lua_pcall(L, 0, 0, 0) == LUA_OK);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &in);
    lua_pushlightuserdata(L, &o);
    fake_sandbox_allow(o.looks);
    int status = lua_pcall(L, 2, 0, 0);
    /* luaL_checkstack calls a lack of memory a stack overflow. */
    CHECK(status == LUA_OK || o.spare < MEMORY || fake_sandbox_expired());
    memory.limit = SIZE_MAX;
    lua_close(L);
    CHECK(memory.used == 0);
    return 0;
}
