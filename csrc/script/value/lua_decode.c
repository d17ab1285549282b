/* lua_decode.c - JSON to Lua, by recursion, whose depth is limited. The names of the members of an
 * object are collected while it is read; at its end they become its shape. */
#include "script/value/lua_json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "script/sandbox/sandbox_run.h"
#include "script/value/lua_shape.h"
#include "wire/json.h"

enum {
    MAX_HINT = 32,
    NUMBER_MAX = 64,  /* longer numbers stay ready-made JSON */
    DIGITS_MAX = 17,  /* the most that a double can need */
    DIGITS_SURE = 15, /* the most that every double from DBL_MIN to SURE_BELOW holds */
    EXPONENT_MAX = 100000,
    VALUES_A_LOOK = 64, /* between two calls of leat_sandbox_run_check */
};

struct decoder {
    lua_State *L;
    leat_lua_codec *codec;
    leat_json_reader reader;
    size_t n_values;
    /* How many members the last object of each depth had. The next one probably has as many. */
    int hints[LEAT_LUA_SHAPE_MAX_DEPTH + 1];
};

/* --- numbers --- */

/* The decimal number 0.digits times ten to the exponent. */
struct decimal {
    char digits[DIGITS_MAX + 1];
    int n_digits; /* DIGITS_MAX + 1: there are more than fit */
    long exponent;
};

static long read_exponent(const char *at, const char *end)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    long n = 0;
    for (; at < end && n < EXPONENT_MAX; at++)
        n = n * 10 + (*at - '0');
    return negative ? -n : n;
}

/* text has the form of a JSON number. */
static struct decimal read_decimal(leat_slice text)
{
    struct decimal d = {.n_digits = 0};
    const char *end = text.at + text.len;
    long zeros = 0; /* read and not yet appended */
    bool fraction = false;
    const char *at = text.at + (text.len > 0 && text.at[0] == '-');
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        if (d.n_digits == 0 && *at == '0') {
            d.exponent -= fraction; /* a leading zero */
            continue;
        }
        d.exponent += !fraction;
        zeros++;
        if (*at == '0')
            continue;
        for (; zeros > 0 && d.n_digits <= DIGITS_MAX; zeros--)
            d.digits[d.n_digits++] = zeros > 1 ? '0' : *at;
        zeros = 0;
    }
    if (at < end)
        d.exponent += read_exponent(at + 1, end);
    if (d.n_digits == 0)
        d.exponent = 0;
    return d;
}

static bool same_decimal(const struct decimal *a, const struct decimal *b)
{
    return a->n_digits == b->n_digits && a->n_digits <= DIGITS_MAX && a->exponent == b->exponent &&
           memcmp(a->digits, b->digits, (size_t)a->n_digits) == 0;
}

/* 2^53. From here on a number of few digits may lie midway between two doubles (92233720368547e3),
 * and it is not written for either of them. */
#define SURE_BELOW 9007199254740992.0

static bool is_surely_exact(const struct decimal *wanted, double n)
{
    return wanted->n_digits <= DIGITS_SURE && fabs(n) >= DBL_MIN && fabs(n) < SURE_BELOW;
}

/* True if n, which was read from text, would be written as the same number. */
static bool is_exact(struct decoder *d, leat_slice text, double n)
{
    if (!isfinite(n))
        return false;
    struct decimal wanted = read_decimal(text);
    if (wanted.n_digits == 0 || is_surely_exact(&wanted, n))
        return true;
    leat_buf *written = &d->codec->text;
    written->len = 0;
    if (leat_json_write_double(written, n) < 0)
        return false;
    struct decimal got = read_decimal(leat_buf_view(written));
    return same_decimal(&wanted, &got);
}

static void push_number(struct decoder *d, leat_slice text)
{
    int64_t integer = 0;
    if (leat_json_int(text, &integer)) {
        lua_pushinteger(d->L, integer);
        return;
    }
    if (text.len < NUMBER_MAX) {
        char digits[NUMBER_MAX];
        memcpy(digits, text.at, text.len);
        digits[text.len] = '\0';
        double n = strtod_l(digits, NULL, d->codec->c_locale);
        if (is_exact(d, text, n)) {
            lua_pushnumber(d->L, n);
            return;
        }
    }
    lua_pushlstring(d->L, text.at, text.len);
    leat_lua_shape_mark_json(d->L);
}

/* --- values --- */

static int push_array(struct decoder *d);
static int push_object(struct decoder *d);

/* Pushes the value that begins with the token. */
static int push_value(struct decoder *d, leat_json_token token)
{
    if (++d->n_values % VALUES_A_LOOK == 0)
        leat_sandbox_run_check(d->L);
    switch (token) {
    case LEAT_JSON_NULL:
        lua_pushnil(d->L);
        return 0;
    case LEAT_JSON_TRUE:
    case LEAT_JSON_FALSE:
        lua_pushboolean(d->L, token == LEAT_JSON_TRUE);
        return 0;
    case LEAT_JSON_NUMBER:
        push_number(d, d->reader.text);
        return 0;
    case LEAT_JSON_STRING:
        lua_pushlstring(d->L, d->reader.text.at, d->reader.text.len);
        return 0;
    case LEAT_JSON_OBJECT_BEGIN:
        return push_object(d);
    case LEAT_JSON_ARRAY_BEGIN:
        return push_array(d);
    case LEAT_JSON_END:
    case LEAT_JSON_KEY:
    case LEAT_JSON_OBJECT_END:
    case LEAT_JSON_ARRAY_END:
        break;
    }
    return LEAT_EBADMSG;
}

static int push_array(struct decoder *d)
{
    luaL_checkstack(d->L, 4, "array");
    lua_newtable(d->L);
    for (lua_Integer i = 1;; i++) {
        leat_json_token token;
        int err = leat_json_next(&d->reader, &token);
        if (err < 0)
            return err;
        if (token == LEAT_JSON_ARRAY_END)
            break;
        if (token == LEAT_JSON_NULL)
            lua_pushlightuserdata(d->L, NULL);
        else if ((err = push_value(d, token)) < 0)
            return err;
        lua_rawseti(d->L, -2, i);
    }
    leat_lua_shape_push_array(d->L);
    lua_setmetatable(d->L, -2);
    return 0;
}

/* Called when the key has been read. A null is set, too, because an earlier member may have the
 * same name. */
static int push_member(struct decoder *d)
{
    leat_buf *members = &d->codec->members;
    lua_pushlstring(d->L, d->reader.text.at, d->reader.text.len);
    size_t absent = leat_lua_shape_member(members, d->reader.text, LEAT_LUA_SHAPE_OMIT);
    leat_json_token token;
    int err = leat_json_next(&d->reader, &token);
    if (err < 0)
        return err;
    if (token == LEAT_JSON_NULL)
        members->at[absent] = LEAT_LUA_SHAPE_NULL;
    err = push_value(d, token);
    if (err < 0)
        return err;
    lua_rawset(d->L, -3);
    return 0;
}

static int push_object(struct decoder *d)
{
    luaL_checkstack(d->L, 6, "object");
    size_t from = d->codec->members.len;
    uint32_t depth = d->reader.depth;
    int n = 0;
    lua_createtable(d->L, 0, d->hints[depth]);
    for (;; n++) {
        leat_json_token token;
        int err = leat_json_next(&d->reader, &token);
        if (err == 0 && token == LEAT_JSON_OBJECT_END)
            break;
        if (err == 0)
            err = push_member(d);
        if (err < 0)
            return err;
    }
    d->hints[depth] = n < MAX_HINT ? n : MAX_HINT;
    leat_buf *members = &d->codec->members;
    leat_slice description = {n > 0 ? members->at + from : NULL, members->len - from};
    leat_lua_shape_push(d->L, d->codec, description);
    lua_setmetatable(d->L, -2);
    members->len = from;
    return 0;
}

/* --- texts --- */

static int push_text(struct decoder *d)
{
    leat_json_token token;
    int err = leat_json_next(&d->reader, &token);
    if (err == 0)
        err = push_value(d, token);
    if (err == 0)
        err = leat_json_next(&d->reader, &token); /* nothing may follow the value */
    return err;
}

int leat_lua_json_push(lua_State *L, leat_slice text, char *reason, size_t reason_size)
{
    luaL_checkstack(L, 2, "JSON");
    if (text.at == NULL) {
        lua_pushnil(L);
        return 0;
    }
    int top = lua_gettop(L);
    struct decoder d = {.L = L, .codec = leat_lua_shape_codec(L)};
    d.codec->members.len = 0; /* an earlier call may have raised before it ended */
    leat_json_reader_init(&d.reader, text, &d.codec->strings, LEAT_LUA_SHAPE_MAX_DEPTH);
    int err = push_text(&d);
    if (err < 0) {
        lua_settop(L, top);
        snprintf(reason, reason_size, "%s (at byte %zu)",
                 d.reader.reason != NULL ? d.reader.reason : "no value",
                 leat_json_offset(&d.reader) + 1);
    }
    leat_lua_shape_empty(&d.codec->strings);
    leat_lua_shape_empty(&d.codec->members);
    return err;
}
