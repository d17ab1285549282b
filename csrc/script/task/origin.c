/* origin.c - leat_origin_is_client breaks the value into its texts and numbers (each_scalar); each
 * is compared with each piece of what the client has sent (any_piece).
 */
#include "script/task/origin.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "script/value/lua_shape.h"
#include "wire/head.h"
#include "wire/http.h"
#include "wire/json.h"

enum {
    MAX_COMPARED = 8 << 20, /* bytes; after that, the answer is no */
    NUMBER_MAX = 64,
};

struct search {
    const leat_task *t;
    size_t compared;
    leat_slice wanted;
    bool wants_zero;    /* it has U+0000 */
    bool wants_invalid; /* it is no UTF-8 */
    bool found;
};

typedef void (*piece_cb)(struct search *s, leat_slice piece);

static bool has_zero(leat_slice text)
{
    return text.len > 0 && memchr(text.at, '\0', text.len) != NULL;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

/* True if piece contains the wanted text as a whole word. At each place where the text is only a
 * part of a word, the search begins again, which costs up to the length of the wanted text. */
static bool has_bounded(struct search *s, leat_slice piece)
{
    leat_slice wanted = s->wanted;
    if (wanted.len == 0 || piece.len < wanted.len)
        return false;
    const char *end = piece.at + piece.len;
    for (const char *at = piece.at;
         s->compared <= MAX_COMPARED &&
         (at = memmem(at, (size_t)(end - at), wanted.at, wanted.len)) != NULL;
         at++) {
        const char *after = at + wanted.len;
        if ((at == piece.at || !is_word(at[-1])) && (after == end || !is_word(*after)))
            return true;
        s->compared += wanted.len;
    }
    return false;
}

static void compare(struct search *s, leat_slice piece)
{
    if (piece.at == NULL || s->found)
        return;
    s->found = has_bounded(s, piece) || (s->wants_zero && has_zero(piece)) ||
               (s->wants_invalid && !leat_utf8_valid(piece.at, piece.len));
}

/* Lua does not always write a number as it was read: 1e300 becomes 1e+300. */
static bool same_number(leat_slice a, leat_slice b)
{
    char texts[2][NUMBER_MAX] = {"", ""};
    char *ends[2];
    if (a.len >= NUMBER_MAX || b.len >= NUMBER_MAX)
        return false;
    memcpy(texts[0], a.at, a.len);
    memcpy(texts[1], b.at, b.len);
    double x = strtod(texts[0], &ends[0]);
    double y = strtod(texts[1], &ends[1]);
    return x == y && ends[0] == texts[0] + a.len && ends[1] == texts[1] + b.len;
}

static void compare_token(struct search *s, leat_json_token token, leat_slice text, piece_cb cb)
{
    switch (token) {
    case LEAT_JSON_TRUE:
        cb(s, leat_slice_of("true"));
        break;
    case LEAT_JSON_FALSE:
        cb(s, leat_slice_of("false"));
        break;
    case LEAT_JSON_NUMBER:
        if (cb == compare)
            s->found = s->found || same_number(text, s->wanted);
        cb(s, text);
        break;
    case LEAT_JSON_STRING:
    case LEAT_JSON_KEY:
        cb(s, text);
        break;
    case LEAT_JSON_END:
    case LEAT_JSON_NULL:
    case LEAT_JSON_OBJECT_BEGIN:
    case LEAT_JSON_OBJECT_END:
    case LEAT_JSON_ARRAY_BEGIN:
    case LEAT_JSON_ARRAY_END:
        break;
    }
}

/* Calls cb with each string, number and boolean of a JSON text. Returns false if it is no JSON. */
static bool each_scalar(struct search *s, leat_slice json, piece_cb cb)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_reader_init(&r, json, &scratch, LEAT_LUA_SHAPE_MAX_DEPTH);
    leat_json_token token = LEAT_JSON_NULL;
    int err = 0;
    while (!s->found && err == 0 && token != LEAT_JSON_END) {
        err = leat_json_next(&r, &token);
        if (err == 0)
            compare_token(s, token, r.text, cb);
    }
    leat_buf_close(&scratch);
    return err == 0;
}

static void compare_query(struct search *s, leat_slice query)
{
    leat_buf name = LEAT_BUF_INIT;
    leat_buf value = LEAT_BUF_INIT;
    for (leat_slice rest = query; rest.len > 0 && leat_http_query_next(&rest, &name, &value);) {
        compare(s, leat_buf_view(&name));
        compare(s, leat_buf_view(&value));
        name.len = value.len = 0;
    }
    leat_buf_close(&name);
    leat_buf_close(&value);
}

static void compare_path(struct search *s, leat_slice path)
{
    leat_buf decoded = LEAT_BUF_INIT;
    compare(s, path);
    if (path.at != NULL && leat_http_unescape(&decoded, path))
        compare(s, leat_buf_view(&decoded));
    leat_buf_close(&decoded);
}

static void compare_head(struct search *s, leat_slice packed)
{
    if (packed.len == 0)
        return;
    leat_head head = leat_head_read(packed);
    leat_slice name;
    leat_slice value;
    for (leat_slice rest = head.headers; leat_head_next(&rest, &name, &value);)
        compare(s, value);
    compare(s, head.token);
    compare_path(s, head.path);
    compare_query(s, head.query);
}

static void compare_body(struct search *s, leat_slice body)
{
    if (body.len > 0 && !each_scalar(s, body, compare))
        compare(s, body);
}

static void any_piece(struct search *s, leat_slice wanted)
{
    static const char escaped_zero[] = "\\u0000";
    const leat_task *t = s->t;
    s->compared += t->input.bytes.len + wanted.len + 1;
    if (s->compared > MAX_COMPARED)
        return;
    s->wanted = wanted;
    s->wants_zero = has_zero(wanted) ||
                    memmem(wanted.at, wanted.len, escaped_zero, strlen(escaped_zero)) != NULL;
    s->wants_invalid = !leat_utf8_valid(wanted.at, wanted.len);
    compare(s, leat_task_name(t));
    leat_slice json = leat_task_given(t, LEAT_TASK_JSON);
    if (json.len > 0)
        each_scalar(s, json, compare);
    leat_slice head = leat_task_given(t, LEAT_TASK_HEAD);
    if (head.at == NULL && t->session != NULL)
        head = leat_session_head(t->session);
    compare_head(s, head);
    compare_body(s, leat_task_given(t, LEAT_TASK_BODY));
}

bool leat_origin_is_client(const leat_task *t, leat_slice value)
{
    if (value.len == 0)
        return false;
    struct search s = {.t = t};
    any_piece(&s, value);
    bool is_json = value.at[0] == '{' || value.at[0] == '[' || value.at[0] == '"';
    if (!s.found && is_json)
        each_scalar(&s, value, any_piece);
    return s.found;
}
