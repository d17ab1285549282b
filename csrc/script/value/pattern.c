/* pattern.c - a pattern is compiled into holes, each with the literal before it, and the tail after
 * the last hole. Matching walks them once, from left to right, and never goes back: the type of a
 * hole, or the literal after it, says where the hole ends. A path is decoded first. A slash that
 * was written as %2F is then a zero byte, which equals no literal and no separator; the arguments
 * have it as a slash.
 */
#include "script/value/pattern.h"

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "wire/json.h"

enum {
    MAX_HOLES = 16,
    UUID_LEN = 36,
    MAX_INT_LEN = 20, /* "-9223372036854775808" */
};

enum hole_type { HOLE_INT, HOLE_STR, HOLE_UUID };

struct hole {
    leat_slice before; /* the literal */
    leat_slice name;
    enum hole_type type;
};

struct leat_pattern {
    char *text; /* the slices point into it */
    size_t len;
    bool path;
    size_t n_holes;
    struct hole holes[MAX_HOLES];
    leat_slice tail;
    size_t literal_bytes;
    size_t n_typed; /* number of holes that are not str */
};

/* --- compiling --- */

struct parser {
    leat_pattern *p;
    const char *at;
    const char *end;
    char *reason;
    size_t reason_size;
};

static int refuse(struct parser *x, const char *where, const char *why)
{
    snprintf(x->reason, x->reason_size, "pattern \"%.*s\": %s (at byte %zu)", (int)x->p->len,
             x->p->text, why, (size_t)(where - x->p->text) + 1);
    return LEAT_EBADMSG;
}

static bool is_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static leat_slice take_name(struct parser *x)
{
    const char *from = x->at;
    while (x->at < x->end && is_name_byte(*x->at, x->at == from))
        x->at++;
    return (leat_slice){from, (size_t)(x->at - from)};
}

static int parse_type(struct parser *x, enum hole_type *type)
{
    *type = HOLE_STR;
    if (x->at >= x->end || *x->at != ':')
        return 0;
    const char *from = ++x->at;
    leat_slice name = take_name(x);
    if (leat_slice_is(name, "int"))
        *type = HOLE_INT;
    else if (leat_slice_is(name, "uuid"))
        *type = HOLE_UUID;
    else if (!leat_slice_is(name, "str"))
        return refuse(x, from, "a hole's type is int, str or uuid");
    return 0;
}

/* Called with at behind the '{', which follows the literal. */
static int parse_hole(struct parser *x, leat_slice before)
{
    leat_pattern *p = x->p;
    const char *from = x->at - 1;
    if (p->n_holes == MAX_HOLES)
        return refuse(x, from, "more than 16 holes");
    if (p->n_holes > 0 && before.len == 0)
        return refuse(x, from, "two holes need something between them");
    struct hole h = {.before = before, .name = take_name(x)};
    if (h.name.len == 0)
        return refuse(x, x->at, "a hole needs a name, as in {id} or {id:int}");
    if (leat_pattern_has_hole(p, h.name))
        return refuse(x, h.name.at, "the name of this hole is taken");
    int err = parse_type(x, &h.type);
    if (err < 0)
        return err;
    if (x->at >= x->end || *x->at != '}')
        return refuse(x, from, "the hole is not closed with '}'");
    x->at++;
    p->holes[p->n_holes++] = h;
    p->literal_bytes += before.len;
    p->n_typed += h.type != HOLE_STR;
    return 0;
}

static int parse(struct parser *x)
{
    const char *literal = x->at;
    while (x->at < x->end) {
        char c = *x->at++;
        if (c == '}')
            return refuse(x, x->at - 1, "'}' without '{'");
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return refuse(x, x->at - 1, "a control character");
        if (c != '{')
            continue;
        int err = parse_hole(x, (leat_slice){literal, (size_t)(x->at - 1 - literal)});
        if (err < 0)
            return err;
        literal = x->at;
    }
    x->p->tail = (leat_slice){literal, (size_t)(x->end - literal)};
    x->p->literal_bytes += x->p->tail.len;
    return 0;
}

static int check_text(struct parser *x)
{
    leat_pattern *p = x->p;
    if (p->len == 0)
        return refuse(x, p->text, "it is empty");
    if (p->path && p->text[0] != '/')
        return refuse(x, p->text, "a path begins with '/'");
    if (!leat_utf8_valid(p->text, p->len))
        return refuse(x, p->text, "it is not valid UTF-8");
    return 0;
}

int leat_pattern_new(leat_pattern **out, leat_slice text, bool path, char *reason,
                     size_t reason_size)
{
    leat_pattern *p = leat_calloc(1, sizeof(*p));
    p->text = leat_memdup(text.at, text.len);
    p->len = text.len;
    p->path = path;
    struct parser x = {p, p->text, p->text + p->len, reason, reason_size};
    int err = check_text(&x);
    if (err == 0)
        err = parse(&x);
    if (err < 0) {
        leat_pattern_free(p);
        return err;
    }
    *out = p;
    return 0;
}

void leat_pattern_free(leat_pattern *p)
{
    if (p == NULL)
        return;
    free(p->text);
    free(p);
}

static const struct hole *find_hole(const leat_pattern *p, leat_slice name)
{
    for (size_t i = 0; i < p->n_holes; i++) {
        if (leat_slice_equal(p->holes[i].name, name))
            return &p->holes[i];
    }
    return NULL;
}

bool leat_pattern_has_hole(const leat_pattern *p, leat_slice hole)
{
    return find_hole(p, hole) != NULL;
}

static int compare_sizes(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

void leat_pattern_sample(const leat_pattern *p, leat_buf *out)
{
    static const char *const values[] = {
        [HOLE_INT] = "7", [HOLE_STR] = "x", [HOLE_UUID] = "00000000-0000-0000-0000-000000000000"};
    for (size_t i = 0; i < p->n_holes; i++) {
        leat_buf_slice(out, p->holes[i].before);
        leat_buf_text(out, values[p->holes[i].type]);
    }
    leat_buf_slice(out, p->tail);
}

int leat_pattern_compare(const leat_pattern *a, const leat_pattern *b)
{
    int order = compare_sizes(b->literal_bytes, a->literal_bytes);
    if (order == 0)
        order = compare_sizes(b->n_typed, a->n_typed);
    return order;
}

/* --- decoding a path --- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* out must have room for path.len bytes. Returns false if the path can match nothing. */
static bool decode(leat_slice path, char *out, size_t *len)
{
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        if (c == '%') {
            if (path.len - i < 3)
                return false;
            int high = hex_value(path.at[i + 1]);
            int low = hex_value(path.at[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return false;
            c = (char)(high * 16 + low);
            c = c == '/' ? '\0' : c;
            i += 2;
        } else if (c == '\0') {
            return false;
        }
        out[n++] = c;
    }
    *len = n;
    return leat_utf8_valid(out, n);
}

/* True if name must be decoded before it is matched. */
static bool needs_decoding(const leat_pattern *p, leat_slice name)
{
    if (!p->path)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] == '%' || name.at[i] == '\0' || (unsigned char)name.at[i] >= 0x80)
            return true;
    }
    return false;
}

/* --- matching --- */

static size_t int_len(leat_slice text)
{
    size_t sign = text.len > 0 && text.at[0] == '-' ? 1 : 0;
    size_t n = sign;
    while (n < text.len && n <= MAX_INT_LEN && text.at[n] >= '0' && text.at[n] <= '9')
        n++;
    if (n == sign || (text.at[sign] == '0' && n > 1)) /* neither "-0" nor "007" */
        return 0;
    int64_t value;
    return leat_json_int((leat_slice){text.at, n}, &value) ? n : 0;
}

static size_t uuid_len(leat_slice text)
{
    static const char form[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
    if (text.len < UUID_LEN)
        return 0;
    for (size_t i = 0; i < UUID_LEN; i++) {
        char c = text.at[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (form[i] == 'h' ? !hex : c != '-')
            return 0;
    }
    return UUID_LEN;
}

static bool ends_with(leat_slice text, leat_slice end)
{
    return text.len >= end.len && memcmp(text.at + text.len - end.len, end.at, end.len) == 0;
}

static size_t str_len(const leat_pattern *p, size_t hole, leat_slice text)
{
    bool last = hole + 1 == p->n_holes;
    size_t n = 0;
    if (last) {
        if (text.len == 0 || !ends_with(text, p->tail))
            return 0;
        n = text.len - p->tail.len;
    } else if (text.len > 0) {
        leat_slice next = p->holes[hole + 1].before;
        const char *at = memmem(text.at + 1, text.len - 1, next.at, next.len);
        n = at == NULL ? 0 : (size_t)(at - text.at);
    }
    bool whole = last && !p->path; /* it takes separators, too */
    return !whole && n > 0 && memchr(text.at, p->path ? '/' : ':', n) != NULL ? 0 : n;
}

/* Returns how many bytes of text the hole takes; 0 if it does not match. */
static size_t hole_len(const leat_pattern *p, size_t hole, leat_slice text)
{
    switch (p->holes[hole].type) {
    case HOLE_INT:
        return int_len(text);
    case HOLE_STR:
        return str_len(p, hole, text);
    case HOLE_UUID:
        return uuid_len(text);
    }
    return 0;
}

static bool skip_literal(leat_slice *text, leat_slice literal)
{
    if (text->len < literal.len || memcmp(text->at, literal.at, literal.len) != 0)
        return false;
    text->at += literal.len;
    text->len -= literal.len;
    return true;
}

/* text must be decoded; values must have room for MAX_HOLES. */
static bool match(const leat_pattern *p, leat_slice text, leat_slice *values)
{
    for (size_t i = 0; i < p->n_holes; i++) {
        if (!skip_literal(&text, p->holes[i].before))
            return false;
        size_t n = hole_len(p, i, text);
        if (n == 0)
            return false;
        values[i] = (leat_slice){text.at, n};
        text.at += n;
        text.len -= n;
    }
    return skip_literal(&text, p->tail) && text.len == 0;
}

/* Matches name, which is decoded into scratch if necessary. */
static bool match_name(const leat_pattern *p, leat_slice name, leat_buf *scratch,
                       leat_slice *values)
{
    if (needs_decoding(p, name)) {
        size_t len = 0;
        char *decoded = leat_buf_reserve(scratch, name.len);
        if (!decode(name, decoded, &len))
            return false;
        name = (leat_slice){decoded, len};
    }
    return match(p, name, values);
}

bool leat_pattern_matches(const leat_pattern *p, leat_slice name)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_slice values[MAX_HOLES];
    bool matches = match_name(p, name, &scratch, values);
    leat_buf_close(&scratch);
    return matches;
}

/* --- arguments --- */

/* In a path, a zero byte stands for a slash. */
static void push_text(const leat_pattern *p, lua_State *L, leat_slice value)
{
    if (!p->path || memchr(value.at, '\0', value.len) == NULL) {
        lua_pushlstring(L, value.at, value.len);
        return;
    }
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (size_t i = 0; i < value.len; i++)
        luaL_addchar(&text, value.at[i] == '\0' ? '/' : value.at[i]);
    luaL_pushresult(&text);
}

static void push_value(const leat_pattern *p, lua_State *L, enum hole_type type, leat_slice value)
{
    int64_t n = 0;
    if (type == HOLE_INT && leat_json_int(value, &n))
        lua_pushinteger(L, n);
    else
        push_text(p, L, value);
}

static void push_table(const leat_pattern *p, const leat_slice *values, lua_State *L)
{
    lua_createtable(L, 0, (int)p->n_holes);
    for (size_t i = 0; i < p->n_holes; i++) {
        lua_pushlstring(L, p->holes[i].name.at, p->holes[i].name.len);
        push_value(p, L, p->holes[i].type, values[i]);
        lua_rawset(L, -3);
    }
}

/* Pushing may raise, so the decoded path is in memory of Lua. */
bool leat_pattern_push_args(const leat_pattern *p, leat_slice name, lua_State *L)
{
    luaL_checkstack(L, 6, "arguments");
    int top = lua_gettop(L);
    leat_slice values[MAX_HOLES];
    if (needs_decoding(p, name)) {
        size_t len = 0;
        char *decoded = lua_newuserdatauv(L, name.len, 0);
        if (!decode(name, decoded, &len)) {
            lua_settop(L, top);
            return false;
        }
        name = (leat_slice){decoded, len};
    }
    if (!match(p, name, values)) {
        lua_settop(L, top);
        return false;
    }
    push_table(p, values, L);
    if (lua_gettop(L) > top + 1)
        lua_remove(L, top + 1);
    return true;
}

/* --- templates --- */

static void append_value(const leat_pattern *p, leat_buf *out, leat_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        leat_buf_char(out, p->path && value.at[i] == '\0' ? '/' : value.at[i]);
}

/* Appends the value of the hole "id" or "id:int". */
static bool fill_hole(const leat_pattern *p, const leat_slice *values, leat_slice inside,
                      leat_buf *out)
{
    const char *colon = memchr(inside.at, ':', inside.len);
    if (colon != NULL)
        inside.len = (size_t)(colon - inside.at);
    const struct hole *h = find_hole(p, inside);
    if (h != NULL)
        append_value(p, out, values[h - p->holes]);
    return h != NULL;
}

static bool fill(const leat_pattern *p, const leat_slice *values, leat_slice template,
                 leat_buf *out)
{
    for (size_t i = 0; i < template.len; i++) {
        if (template.at[i] != '{') {
            leat_buf_char(out, template.at[i]);
            continue;
        }
        const char *from = template.at + i + 1;
        const char *end = memchr(from, '}', template.len - i - 1);
        if (end == NULL || !fill_hole(p, values, (leat_slice){from, (size_t)(end - from)}, out))
            return false;
        i = (size_t)(end - template.at);
    }
    return true;
}

bool leat_pattern_expand(const leat_pattern *p, leat_slice name, leat_slice template, leat_buf *out)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_slice values[MAX_HOLES];
    size_t before = out->len;
    bool done = match_name(p, name, &scratch, values) && fill(p, values, template, out);
    if (!done)
        out->len = before;
    leat_buf_close(&scratch);
    return done;
}
