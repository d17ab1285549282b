/* message.c - parsing with the wire's strict reader, so that whatever is not JSON is found out,
 * too. */
#include "message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/json.h"

static bool read_member(leat_json_reader *r, leat_slice key, message *m)
{
    leat_slice raw;
    if (leat_json_skip(r, &raw) < 0)
        return false;
    leat_slice text =
        raw.len >= 2 && raw.at[0] == '"' ? (leat_slice){raw.at + 1, raw.len - 2} : raw;
    if (leat_slice_is(key, "op"))
        m->op = text;
    else if (leat_slice_is(key, "topic"))
        m->topic = text;
    else if (leat_slice_is(key, "code"))
        m->code = text;
    else if (leat_slice_is(key, "epoch"))
        m->epoch = text;
    else if (leat_slice_is(key, "data"))
        m->data = raw;
    else if (leat_slice_is(key, "stale"))
        m->stale = leat_slice_is(raw, "true");
    else if (leat_slice_is(key, "id"))
        return leat_json_int(raw, &m->id);
    else if (leat_slice_is(key, "seq"))
        return leat_json_int(raw, &m->seq);
    return true;
}

bool message_parse(message *m, leat_slice text)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token;
    *m = (message){.seq = -1};
    leat_json_reader_init(&r, text, &scratch, 32);
    bool ok = leat_json_next(&r, &token) == 0 && token == LEAT_JSON_OBJECT_BEGIN;
    while (ok) {
        ok = leat_json_next(&r, &token) == 0;
        if (!ok || token == LEAT_JSON_OBJECT_END)
            break;
        leat_slice key = r.text;
        ok = token == LEAT_JSON_KEY && read_member(&r, key, m);
    }
    ok = ok && leat_json_next(&r, &token) == 0 && token == LEAT_JSON_END && m->op.at != NULL;
    leat_buf_close(&scratch);
    return ok;
}

enum { MEMBERS = 5 };

typedef struct members {
    const char *names[MEMBERS];
    leat_slice raw[MEMBERS];
} members;

static bool read_members(leat_slice data, members *w)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token;
    leat_json_reader_init(&r, data, &scratch, 4);
    bool ok = leat_json_next(&r, &token) == 0 && token == LEAT_JSON_OBJECT_BEGIN;
    while (ok) {
        ok = leat_json_next(&r, &token) == 0;
        if (!ok || token == LEAT_JSON_OBJECT_END)
            break;
        leat_slice key = r.text, raw;
        ok = token == LEAT_JSON_KEY && leat_json_skip(&r, &raw) == 0;
        for (int i = 0; ok && i < MEMBERS && w->names[i] != NULL; i++)
            if (leat_slice_is(key, w->names[i]))
                w->raw[i] = raw;
    }
    leat_buf_close(&scratch);
    return ok;
}

/* "N.N.N." and so on, in quotes. */
static bool body_belongs(leat_slice body, int64_t uid)
{
    char once[32];
    size_t n = (size_t)snprintf(once, sizeof(once), "%" PRId64 ".", uid);
    if (body.len < 2 || body.at[0] != '"' || (body.len - 2) % n != 0)
        return false;
    size_t len = body.len - 2;
    return len == 0 || (memcmp(body.at + 1, once, n) == 0 &&
                        memcmp(body.at + 1, body.at + 1 + n, len - n) == 0);
}

bool message_read_item(leat_slice data, bool hooked, change *c)
{
    members w = {.names = {"uid", "h", "body", "hooked"}};
    if (data.at == NULL || !read_members(data, &w) || !leat_json_int(w.raw[0], &c->uid))
        return false;
    c->delta = (summary){.n = 1, .x = hash_of(c->uid)};
    c->bereft = hooked && w.raw[1].at == NULL;
    int64_t h = c->delta.x;
    return (c->bereft || leat_json_int(w.raw[1], &h)) && h == c->delta.x &&
           body_belongs(w.raw[2], c->uid) && hooked == (w.raw[3].at != NULL);
}

/* An update may leave the body as an earlier one made it. */
static bool read_row(leat_slice raw, int64_t shelf, int64_t *uid)
{
    members w = {.names = {"shelf", "uid", "h", "made", "body"}};
    int64_t where, h, made;
    return read_members(raw, &w) && leat_json_int(w.raw[0], &where) && where == shelf &&
           leat_json_int(w.raw[1], uid) && leat_json_int(w.raw[2], &h) && h == hash_of(*uid) &&
           leat_json_int(w.raw[3], &made) && body_belongs(w.raw[4], made);
}

bool message_read_row(leat_slice data, int64_t shelf, change *c)
{
    static const char *const actions[] = {"\"insert\"", "\"delete\"", "\"update\""};
    members w = {.names = {"action", "table", "row", "old"}};
    int64_t came = 0, went = 0;
    if (data.at == NULL || !read_members(data, &w) || !leat_slice_is(w.raw[1], "\"torture.line\""))
        return false;
    bool has_row = w.raw[2].at != NULL, has_old = w.raw[3].at != NULL;
    if (has_row ? !read_row(w.raw[2], shelf, &came) : !has_old)
        return false;
    if (has_old && !read_row(w.raw[3], shelf, &went))
        return false;
    c->uid = has_row ? came : -went;
    c->delta.n = (int64_t)has_row - has_old;
    c->delta.x = (has_row ? hash_of(came) : 0) ^ (has_old ? hash_of(went) : 0);
    return leat_slice_is(w.raw[0], actions[has_old + (has_row && has_old)]);
}

bool message_read_summary(leat_slice data, summary *s)
{
    members w = {.names = {"n", "x"}};
    return data.at != NULL && read_members(data, &w) && leat_json_int(w.raw[0], &s->n) &&
           leat_json_int(w.raw[1], &s->x);
}

long frame_cut(frame *f, leat_slice bytes)
{
    const unsigned char *b = (const unsigned char *)bytes.at;
    if (bytes.len < 2)
        return 0;
    if ((b[0] & 0xf0) != 0x80 || (b[1] & 0x80) != 0)
        return -1; /* fragmented, compressed or masked: never by this server, unasked */
    size_t len = b[1], head = len < 126 ? 2 : len == 126 ? 4 : 10;
    if (bytes.len < head)
        return 0;
    if (len >= 126) {
        len = 0;
        for (size_t i = 2; i < head; i++)
            len = len << 8 | b[i];
    }
    if (bytes.len - head < len)
        return 0;
    *f = (frame){b[0] & 15, {bytes.at + head, len}};
    return (long)(head + len);
}

void frame_put(leat_buf *out, int op, leat_slice payload)
{
    leat_buf_char(out, (char)(0x80 | op));
    if (payload.len < 126) {
        leat_buf_char(out, (char)(0x80 | payload.len));
    } else {
        leat_buf_char(out, (char)(0x80 | 126));
        leat_buf_char(out, (char)(payload.len >> 8));
        leat_buf_char(out, (char)payload.len);
    }
    leat_buf_append(out, "\0\0\0\0", 4);
    leat_buf_slice(out, payload);
}
