/* Reading a client's message, shallowly. Each member of the object is passed over as raw JSON,
 * which the reader validates; what a member means is looked at in that raw text (the take_
 * functions). So after a mistake of meaning the walk goes on and still finds the id, wherever it
 * stands. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

enum {
    MAX_ID = 128,     /* bytes of raw JSON */
    MAX_EXCERPT = 40, /* bytes of a client's text in a reason */
};

enum member {
    MEMBER_OP,
    MEMBER_ID,
    MEMBER_TOPIC,
    MEMBER_METHOD,
    MEMBER_TOKEN,
    MEMBER_PARAMS,
    MEMBER_DATA,
    MEMBER_SINCE,
    MEMBER_TIMEOUT,
    MEMBER_COUNT
};

static const char *const member_names[MEMBER_COUNT] = {
    "op", "id", "topic", "method", "token", "params", "data", "since", "timeout_ms",
};

/* In the order of leat_op. */
static const struct {
    const char *name;
    unsigned needs; /* bits of enum member */
} ops[] = {
    {"subscribe", 1u << MEMBER_TOPIC},
    {"unsubscribe", 1u << MEMBER_TOPIC},
    {"publish", 1u << MEMBER_TOPIC | 1u << MEMBER_DATA},
    {"call", 1u << MEMBER_METHOD},
    {"authenticate", 1u << MEMBER_TOKEN},
};

struct parse {
    leat_message message;
    leat_slice text;
    leat_buf token;    /* the readers' scratch */
    leat_buf *scratch; /* the caller's: decoded strings that the message keeps */
    char *reason;
    size_t reason_size;
    unsigned seen; /* bits of enum member */
    bool failed;   /* reason holds the first mistake */
};

__attribute__((format(printf, 2, 3))) static void fail(struct parse *p, const char *format, ...)
{
    if (p->failed)
        return;
    p->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(p->reason, p->reason_size, format, args);
    va_end(args);
}

/* A client's text for a reason: its beginning, cut between characters, without control characters.
 */
static const char *excerpt(char out[MAX_EXCERPT + 4], leat_slice text)
{
    size_t len = text.len <= MAX_EXCERPT ? text.len : MAX_EXCERPT;
    while (len > 0 && len < text.len && ((unsigned char)text.at[len] & 0xc0) == 0x80)
        len--;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)text.at[i] < 0x20 ? ' ' : text.at[i];
    strcpy(out + len, len < text.len ? "..." : ""); /* NOLINT(*strcpy): out has room for both */
    return out;
}

/* Decodes a raw JSON string. Before the first one with an escape, the scratch is given room for all
 * there can be; most messages have none, and need no scratch. */
static leat_slice decode(struct parse *p, leat_slice raw)
{
    if (p->scratch->len == 0 && memchr(raw.at, '\\', raw.len) != NULL)
        leat_buf_reserve(p->scratch, p->text.len);
    return leat_json_decode(raw, p->scratch);
}

static bool take_string(struct parse *p, const char *name, leat_slice raw, leat_slice *out)
{
    if (raw.at[0] != '"') {
        fail(p, "\"%s\" must be a string", name);
        return false;
    }
    *out = decode(p, raw);
    return true;
}

static void take_op(struct parse *p, leat_slice raw)
{
    leat_slice name;
    if (!take_string(p, "op", raw, &name))
        return;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (leat_slice_is(name, ops[i].name)) {
            p->message.op = (leat_op)i;
            return;
        }
    }
    char shown[MAX_EXCERPT + 4];
    fail(p, "unknown op \"%s\"", excerpt(shown, name));
}

static bool is_number(leat_slice raw)
{
    return raw.at[0] == '-' || (raw.at[0] >= '0' && raw.at[0] <= '9');
}

/* Any integer will do: an id is only sent back. */
static void take_id(struct parse *p, leat_slice raw)
{
    bool integer = is_number(raw);
    for (size_t i = 0; i < raw.len && integer; i++)
        integer = raw.at[i] != '.' && raw.at[i] != 'e' && raw.at[i] != 'E';
    if (raw.at[0] != '"' && !integer)
        fail(p, "\"id\" must be an integer or a string");
    else if (raw.len > MAX_ID)
        fail(p, "\"id\" is longer than %d bytes", MAX_ID);
    else
        p->message.id = raw;
}

/* Whether a control character begins at at; C1 is U+0080 to U+009F. */
static bool is_control(const char *at, const char *end)
{
    unsigned char c = (unsigned char)*at;
    if (c < 0x20 || c == 0x7f)
        return true;
    return c == 0xc2 && end - at >= 2 && (unsigned char)at[1] < 0xa0;
}

static bool has_control(leat_slice text)
{
    const char *end = text.at + text.len;
    for (const char *at = text.at; at < end; at++)
        if (is_control(at, end))
            return true;
    return false;
}

bool leat_v1_topic_ok(leat_slice topic)
{
    return topic.len > 0 && topic.len <= LEAT_TOPIC_MAX && !has_control(topic) &&
           leat_utf8_valid(topic.at, topic.len);
}

static void take_topic(struct parse *p, leat_slice raw)
{
    leat_slice topic;
    if (!take_string(p, "topic", raw, &topic))
        return;
    if (topic.len == 0)
        fail(p, "the topic is empty");
    else if (topic.len > LEAT_TOPIC_MAX)
        fail(p, "the topic is longer than %d bytes", LEAT_TOPIC_MAX);
    else if (!leat_v1_topic_ok(topic))
        fail(p, "the topic contains a control character");
    else
        p->message.topic = topic;
}

static void take_method(struct parse *p, leat_slice raw)
{
    if (take_string(p, "method", raw, &p->message.method) && p->message.method.len == 0)
        fail(p, "the method is empty");
}

static void take_timeout(struct parse *p, leat_slice raw)
{
    int64_t ms = 0;
    if (is_number(raw) && leat_json_int(raw, &ms) && ms > 0 && ms <= LEAT_SEQ_MAX + 1)
        p->message.timeout_ms = (uint64_t)ms;
    else
        fail(p, "\"timeout_ms\" must be an integer from 1 to 2^53");
}

static void take_seq(struct parse *p, leat_slice raw)
{
    int64_t seq = 0;
    if (is_number(raw) && leat_json_int(raw, &seq) && seq >= 0 && seq <= LEAT_SEQ_MAX)
        p->message.since_seq = seq;
    else
        fail(p, "\"since.seq\" must be an integer from 0 to 2^53 - 1");
}

/* Reads the member name that comes next in an object; false at the object's end. The reader stands
 * in text that has been validated, or reports an error through *err. */
static bool next_name(leat_json_reader *r, int *err)
{
    leat_json_token token = LEAT_JSON_END;
    *err = leat_json_next(r, &token);
    return *err == 0 && token == LEAT_JSON_KEY;
}

static void take_since(struct parse *p, leat_slice raw)
{
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_END;
    leat_json_reader_init(&r, raw, &p->token, LEAT_JSON_MAX_DEPTH);
    int err = leat_json_next(&r, &token);
    if (err < 0 || token != LEAT_JSON_OBJECT_BEGIN) {
        fail(p, "\"since\" must be an object");
        return;
    }
    leat_slice epoch = {NULL, 0};
    leat_slice seq = {NULL, 0};
    while (next_name(&r, &err)) {
        leat_slice ignored = {NULL, 0};
        bool is_epoch = leat_slice_is(r.text, "epoch");
        leat_slice *to = is_epoch ? &epoch : leat_slice_is(r.text, "seq") ? &seq : &ignored;
        if (to->at != NULL)
            fail(p, "\"since.%s\" is given twice", is_epoch ? "epoch" : "seq");
        err = leat_json_skip(&r, to);
        LEAT_ASSERT(err == 0); /* raw has been validated */
    }
    if (epoch.at == NULL || seq.at == NULL) {
        fail(p, "\"since\" needs \"epoch\" and \"seq\"");
        return;
    }
    p->message.has_since = true;
    take_string(p, "since.epoch", epoch, &p->message.since_epoch);
    take_seq(p, seq);
}

static void take_member(struct parse *p, enum member member, leat_slice raw)
{
    switch (member) {
    case MEMBER_OP:
        take_op(p, raw);
        break;
    case MEMBER_ID:
        take_id(p, raw);
        break;
    case MEMBER_TOPIC:
        take_topic(p, raw);
        break;
    case MEMBER_METHOD:
        take_method(p, raw);
        break;
    case MEMBER_TOKEN:
        take_string(p, "token", raw, &p->message.token);
        break;
    case MEMBER_PARAMS:
        p->message.params = raw;
        break;
    case MEMBER_DATA:
        p->message.data = raw;
        break;
    case MEMBER_SINCE:
        take_since(p, raw);
        break;
    case MEMBER_TIMEOUT:
        take_timeout(p, raw);
        break;
    case MEMBER_COUNT:
        break;
    }
}

static enum member find_member(leat_slice name)
{
    for (int i = 0; i < MEMBER_COUNT; i++)
        if (leat_slice_is(name, member_names[i]))
            return (enum member)i;
    return MEMBER_COUNT;
}

/* One member, whose name r has just read. After a mistake only the id is of interest. */
static int read_member(struct parse *p, leat_json_reader *r)
{
    enum member member = find_member(r->text);
    leat_slice raw;
    int err = leat_json_skip(r, &raw);
    if (err < 0 || member == MEMBER_COUNT)
        return err;
    bool again = (p->seen >> member & 1) != 0;
    p->seen |= 1u << member;
    if (again)
        fail(p, "\"%s\" is given twice", member_names[member]);
    else if (!p->failed || member == MEMBER_ID)
        take_member(p, member, raw);
    return 0;
}

static void check_needs(struct parse *p)
{
    if ((p->seen >> MEMBER_OP & 1) == 0) {
        fail(p, "\"op\" is missing");
        return;
    }
    unsigned missing = ops[p->message.op].needs & ~p->seen;
    for (int i = 0; i < MEMBER_COUNT; i++)
        if ((missing >> i & 1) != 0)
            fail(p, "%s needs \"%s\"", ops[p->message.op].name, member_names[i]);
}

/* Walks the whole text. An error is one of JSON, not of meaning. */
static int read_message(struct parse *p, leat_json_reader *r)
{
    leat_json_token token = LEAT_JSON_END;
    int err = leat_json_next(r, &token);
    if (err < 0)
        return err;
    if (token != LEAT_JSON_OBJECT_BEGIN) {
        fail(p, "a message must be a JSON object");
        return 0;
    }
    while (next_name(r, &err)) {
        err = read_member(p, r);
        if (err < 0)
            return err;
    }
    return err < 0 ? err : leat_json_next(r, &token); /* nothing may follow the object */
}

int leat_v1_parse(leat_message *out, leat_slice text, size_t max_values, leat_buf *scratch,
                  char *reason, size_t reason_size)
{
    struct parse p = {
        .text = text, .scratch = scratch, .reason = reason, .reason_size = reason_size};
    scratch->len = 0;
    leat_json_reader r;
    leat_json_reader_init(&r, text, &p.token, LEAT_JSON_MAX_DEPTH);
    r.values_left = max_values;
    int err = read_message(&p, &r);
    if (err < 0)
        p.failed = false; /* what is not JSON at all is the greater mistake */
    if (err == LEAT_ETOOLARGE) {
        fail(&p, "the message has more than %zu values", max_values);
    } else if (err < 0) {
        fail(&p, "invalid JSON at offset %zu: %s", leat_json_offset(&r), r.reason);
    }
    check_needs(&p);
    leat_buf_close(&p.token);
    *out = p.message;
    if (p.failed)
        *out = (leat_message){.id = p.message.id};
    if (err == LEAT_ETOOLARGE)
        return err;
    return p.failed ? LEAT_EBADMSG : 0;
}
