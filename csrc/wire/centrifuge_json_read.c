/* centrifuge_json_read.c - one line of a frame is one command: {"id":1,"subscribe":{…}}. The
 * members are passed over as raw JSON, which the reader validates; a table says which of them is
 * which field of the command. */
#include <stddef.h>
#include <stdio.h>

#include "wire/centrifuge.h"
#include "wire/centrifuge_command.h"
#include "wire/centrifuge_json.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

enum kind { TEXT, JSON, BOOL, INTEGER, OFFSET, SINCE };

struct parse {
    centrifuge_command command;
    leat_buf keys; /* the readers' scratch: names of members with escapes */
    leat_buf *scratch;
    char *reason;
    size_t reason_size;
};

#define AT(member) offsetof(centrifuge_command, member)
static const struct {
    const char *name;
    enum kind kind;
    size_t at;
} members[] = {
    {"channel", TEXT, AT(channel)},
    {"method", TEXT, AT(name)},
    {"token", TEXT, AT(token)},
    {"epoch", TEXT, AT(epoch)},
    {"data", JSON, AT(data)},
    {"recover", BOOL, AT(recovers)},
    {"reverse", BOOL, AT(reverse)},
    {"offset", OFFSET, AT(offset)},
    {"flag", INTEGER, AT(flags)},
    {"limit", INTEGER, AT(limit)},
    {"type", INTEGER, AT(type)},
    {"subs", JSON, AT(subs)},
    {"since", SINCE, 0},
};
#undef AT

static int fail(struct parse *p, const char *name, const char *what)
{
    snprintf(p->reason, p->reason_size, "\"%s\" must be %s", name, what);
    return LEAT_EBADMSG;
}

static int read_members(struct parse *p, leat_slice raw, const char *of);

static bool is_digit(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

static int take_integer(struct parse *p, const char *name, leat_slice raw, int64_t *to)
{
    return is_digit(raw.at[0]) && leat_json_int(raw, to) ? 0 : fail(p, name, "an integer");
}

static int take_offset(struct parse *p, const char *name, leat_slice raw, uint64_t *to)
{
    int64_t n = 0;
    int err = take_integer(p, name, raw, &n);
    if (err == 0 && n < 0)
        err = fail(p, name, "a positive integer");
    *to = (uint64_t)n;
    return err;
}

static int take_text(struct parse *p, const char *name, leat_slice raw, leat_slice *to)
{
    if (raw.at[0] != '"')
        return fail(p, name, "a string");
    *to = leat_json_decode(raw, p->scratch);
    return 0;
}

static int take_bool(struct parse *p, const char *name, leat_slice raw, bool *to)
{
    *to = raw.at[0] == 't';
    return raw.at[0] == 't' || raw.at[0] == 'f' ? 0 : fail(p, name, "true or false");
}

static int take(struct parse *p, size_t member, leat_slice raw)
{
    const char *name = members[member].name;
    void *to = (char *)&p->command + members[member].at;
    switch (members[member].kind) {
    case TEXT:
        return take_text(p, name, raw, to);
    case JSON:
        *(leat_slice *)to = raw;
        return 0;
    case BOOL:
        return take_bool(p, name, raw, to);
    case INTEGER:
        return take_integer(p, name, raw, to);
    case OFFSET:
        return take_offset(p, name, raw, to);
    case SINCE:
        p->command.recovers = true;
        return read_members(p, raw, name);
    }
    return 0;
}

static int take_named(struct parse *p, leat_slice name, leat_slice raw)
{
    if (raw.at[0] == 'n') /* null: as if it were absent */
        return 0;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (leat_slice_is(name, members[i].name))
            return take(p, i, raw);
    return 0;
}

/* The members of an object, which is valid. */
static int read_members(struct parse *p, leat_slice raw, const char *of)
{
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_END;
    leat_json_reader_init(&r, raw, &p->keys, LEAT_JSON_MAX_DEPTH);
    int err = leat_json_next(&r, &token);
    if (err < 0 || token != LEAT_JSON_OBJECT_BEGIN)
        return fail(p, of, "an object");
    while ((err = leat_json_next(&r, &token)) == 0 && token == LEAT_JSON_KEY) {
        leat_slice value;
        leat_slice name = r.text;
        err = leat_json_skip(&r, &value);
        LEAT_ASSERT(err == 0); /* raw has been validated */
        err = take_named(p, name, value);
        if (err < 0)
            return err;
    }
    return err;
}

static int take_id(struct parse *p, leat_slice raw)
{
    int64_t id = 0;
    int err = take_integer(p, "id", raw, &id);
    if (err == 0 && (id < 0 || id > UINT32_MAX))
        err = fail(p, "id", "an integer from 0 to 2^32 - 1");
    if (err == 0)
        p->command.id = (uint32_t)id;
    return err;
}

static centrifuge_method find_method(leat_slice name)
{
    for (int i = 0; i < CENTRIFUGE_METHODS; i++)
        if (leat_slice_is(name, centrifuge_method_names[i]))
            return (centrifuge_method)i;
    return CENTRIFUGE_METHODS;
}

/* Finds the id and the method's object; unknown members are passed over. */
static int read_command(struct parse *p, leat_json_reader *r, leat_slice *body)
{
    leat_json_token token = LEAT_JSON_END;
    int err = leat_json_next(r, &token);
    if (err == 0 && token != LEAT_JSON_OBJECT_BEGIN)
        return fail(p, "command", "an object");
    while (err == 0 && (err = leat_json_next(r, &token)) == 0 && token == LEAT_JSON_KEY) {
        bool is_id = leat_slice_is(r->text, "id");
        centrifuge_method method = find_method(r->text);
        leat_slice raw;
        err = leat_json_skip(r, &raw);
        if (err == 0 && is_id)
            err = take_id(p, raw);
        else if (err == 0 && method != CENTRIFUGE_METHODS && raw.at[0] != 'n') {
            p->command.method = method;
            *body = raw;
        }
    }
    return err < 0 ? err : leat_json_next(r, &token); /* nothing may follow the object */
}

/* A command with an id and no known method is one that we do not know. */
static int read_body(struct parse *p, leat_slice body)
{
    if (body.at != NULL)
        return read_members(p, body, centrifuge_method_names[p->command.method]);
    if (p->command.id == 0)
        return 0;
    snprintf(p->reason, p->reason_size, "unknown command");
    return LEAT_EBADMSG;
}

static leat_slice take_line(leat_slice *frame)
{
    const char *end = frame->len == 0 ? NULL : memchr(frame->at, '\n', frame->len);
    leat_slice line = {frame->at, end == NULL ? frame->len : (size_t)(end - frame->at)};
    size_t used = line.len + (end == NULL ? 0 : 1);
    *frame = (leat_slice){frame->at + used, frame->len - used};
    return line;
}

static int read_line(struct parse *p, leat_slice line, size_t max_values)
{
    leat_json_reader r;
    leat_slice body = {NULL, 0};
    leat_json_reader_init(&r, line, &p->keys, LEAT_JSON_MAX_DEPTH);
    r.values_left = max_values;
    p->reason[0] = '\0';
    int err = read_command(p, &r, &body);
    if (err == LEAT_ETOOLARGE)
        snprintf(p->reason, p->reason_size, "the command has more than %zu values", max_values);
    else if (err < 0 && p->reason[0] == '\0')
        snprintf(p->reason, p->reason_size, "invalid JSON at offset %zu: %s", leat_json_offset(&r),
                 r.reason);
    return err < 0 ? err : read_body(p, body);
}

static int read_frame(leat_message *out, leat_slice *frame, size_t max_values, leat_buf *scratch,
                      char *reason, size_t reason_size)
{
    struct parse p = {.scratch = scratch, .reason = reason, .reason_size = reason_size};
    leat_slice line = take_line(frame);
    scratch->len = 0;
    /* Twice: decoded texts, and a subscribe's params made of them, with escapes. */
    leat_buf_reserve(scratch, 3 * line.len + CENTRIFUGE_SCRATCH);
    if (line.len == 0) {
        *out = (leat_message){.op = LEAT_OP_NOTHING};
        return 0;
    }
    int err = read_line(&p, line, max_values);
    if (err == 0)
        err = centrifuge_message(&p.command, out, scratch, reason, reason_size);
    else
        *out = (leat_message){.id = centrifuge_write_id(&p.command, scratch)};
    leat_buf_close(&p.keys);
    return err;
}

/* Finds a member of an object. Returns its raw value; absent if there is none. */
static leat_slice find_member(leat_slice object, leat_slice name, leat_buf *keys)
{
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_END;
    leat_slice value = {NULL, 0};
    leat_json_reader_init(&r, object, keys, LEAT_JSON_MAX_DEPTH);
    if (leat_json_next(&r, &token) < 0 || token != LEAT_JSON_OBJECT_BEGIN)
        return value;
    while (leat_json_next(&r, &token) == 0 && token == LEAT_JSON_KEY) {
        bool found = leat_slice_equal(r.text, name);
        leat_slice raw;
        if (leat_json_skip(&r, &raw) < 0)
            break;
        if (found)
            value = raw;
    }
    return value;
}

/* "subs" of a connect: {"chat:42":{"recover":true,"epoch":"…","offset":17}} */
static bool find_known(leat_slice known, leat_slice topic, leat_named_position *out,
                       leat_buf *scratch)
{
    char reason[64];
    struct parse p = {.scratch = scratch, .reason = reason, .reason_size = sizeof(reason)};
    leat_slice raw = known.at == NULL ? known : find_member(known, topic, &p.keys);
    leat_buf_reserve(scratch, raw.len + CENTRIFUGE_SCRATCH);
    int err = raw.at == NULL ? LEAT_EBADMSG : read_members(&p, raw, "subs");
    leat_buf_close(&p.keys);
    if (err < 0 || !p.command.recovers || p.command.offset > (uint64_t)LEAT_SEQ_MAX)
        return false;
    leat_slice epoch = p.command.epoch.at == NULL ? leat_slice_of("") : p.command.epoch;
    *out = (leat_named_position){.epoch = epoch, .seq = (int64_t)p.command.offset};
    return true;
}

const leat_codec leat_centrifuge_json = {
    .name = LEAT_CENTRIFUGE_SUBPROTOCOL,
    .pings = true,
    .needs_id = true,
    .answer_ms = 4000, /* an SDK gives a command five seconds, then it drops the connection */
    .form = LEAT_FORM_SECOND,
    .clients = LEAT_M_CLIENTS_JSON,
    .read = read_frame,
    .write_snapshot = centrifuge_json_snapshot,
    .write_resumed = centrifuge_json_resumed,
    .write_ok = centrifuge_json_ok,
    .write_welcome = centrifuge_json_welcome,
    .write_error = centrifuge_json_error,
    .write_closed = centrifuge_json_closed,
    .write_ping = centrifuge_json_ping,
    .write_history = centrifuge_json_history,
    .with_token = centrifuge_with_token,
    .write_renewed = centrifuge_json_renewed,
    .write_subscribed = centrifuge_json_subscribed,
    .write_sub = centrifuge_json_sub,
    .find_known = find_known,
    .event = centrifuge_json_event,
    .close_code = centrifuge_close_code,
};
