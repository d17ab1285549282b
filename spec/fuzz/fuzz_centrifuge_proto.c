/* Any bytes as a frame of a client of Centrifugo's protocol, as Protobuf. A good command has what
 * it needs, and as JSON it is read as the same message; a bad one gives a reason. What the server
 * writes is one message with its length before it. */
#include <pb_decode.h>

#include "centrifuge_check.h"

static void put_text(leat_buf *out, const char *name, leat_slice text)
{
    leat_buf_printf(out, ",\"%s\":", name);
    leat_json_write_text(out, text);
}

static void put_json(leat_buf *out, const char *name, leat_slice json)
{
    leat_buf_printf(out, ",\"%s\":", name);
    if (json.at == NULL)
        leat_buf_text(out, "null");
    else
        leat_json_append_line(out, json);
}

static void put_position(leat_buf *out, const leat_message *m)
{
    put_text(out, "epoch", m->since_epoch);
    leat_buf_printf(out, ",\"offset\":%lld", (long long)m->since_seq);
}

static const char *method_of(leat_op op)
{
    switch (op) {
    case LEAT_OP_SUBSCRIBE:
        return "subscribe";
    case LEAT_OP_UNSUBSCRIBE:
        return "unsubscribe";
    case LEAT_OP_PUBLISH:
        return "publish";
    case LEAT_OP_CALL:
        return "rpc";
    case LEAT_OP_HISTORY:
        return "history";
    case LEAT_OP_RENEW:
        return "sub_refresh";
    case LEAT_OP_AUTHENTICATE:
        return "connect";
    case LEAT_OP_ABSENT:
    case LEAT_OP_NOTHING:
        break;
    }
    return NULL;
}

static bool has_params(const leat_message *m)
{
    return m->op == LEAT_OP_SUBSCRIBE || m->op == LEAT_OP_CALL;
}

/* A subscribe's params are its data, whether they came with a token or not. */
static void put_command(leat_buf *out, const leat_message *m)
{
    leat_slice number = centrifuge_read_id(m->id).number;
    leat_buf_printf(out, "{\"id\":%.*s,\"%s\":{\"\":0", (int)number.len, number.at,
                    method_of(m->op));
    put_text(out, "channel", m->topic);
    put_text(out, "method", m->method);
    if (m->op == LEAT_OP_AUTHENTICATE || m->op == LEAT_OP_RENEW)
        put_text(out, "token", m->token);
    put_json(out, "data", has_params(m) ? m->params : m->data);
    if (m->has_since) {
        leat_buf_text(out, m->op == LEAT_OP_HISTORY ? ",\"since\":{\"\":0" : ",\"recover\":true");
        put_position(out, m);
        if (m->op == LEAT_OP_HISTORY)
            leat_buf_char(out, '}');
    }
    leat_buf_printf(out, ",\"limit\":%lld,\"reverse\":%s}}", (long long)m->limit,
                    m->reverse ? "true" : "false");
}

/* In JSON, null is no data, and a command is one line. */
static bool can_be_json(const leat_message *m)
{
    leat_slice data = has_params(m) ? m->params : m->data;
    return method_of(m->op) != NULL && !leat_slice_is(data, "null") &&
           (data.len == 0 ||
            (memchr(data.at, '\n', data.len) == NULL && memchr(data.at, '\r', data.len) == NULL));
}

static void check_as_json(const leat_message *m)
{
    leat_buf text = LEAT_BUF_INIT;
    put_command(&text, m);
    check_other_form(&leat_centrifuge_json, leat_buf_view(&text), m);
    leat_buf_close(&text);
}

static void check_message_written(leat_buf *out)
{
    pb_istream_t from = pb_istream_from_buffer((const pb_byte_t *)out->at, out->len);
    uint64_t len = 0;
    CHECK(pb_decode_varint(&from, &len) && len == from.bytes_left);
    out->len = 0;
}

static void check_answers(const reading *r)
{
    leat_buf out = LEAT_BUF_INIT;
    const leat_message *m = &r->message;
    leat_failure failure = {.code = LEAT_CODE_BAD_REQUEST, .message = leat_slice_of(r->reason)};
    leat_centrifuge_proto.write_error(&out, m->id, &failure);
    check_message_written(&out);
    leat_subscribed sub = {.topic = m->topic,
                           .epoch = m->since_epoch,
                           .seq = m->since_seq,
                           .data = m->data,
                           .expires_s = 1};
    (void)leat_centrifuge_proto.write_snapshot(&out, m->id, &sub);
    check_message_written(&out);
    leat_centrifuge_proto.write_ok(&out, m->id, m->data, (leat_slice){NULL, 0});
    check_message_written(&out);
    leat_buf_close(&out);
}

static void check_known(const leat_message *m, leat_buf *scratch)
{
    leat_named_position at = {.seq = 0};
    if (m->op == LEAT_OP_AUTHENTICATE &&
        leat_centrifuge_proto.find_known(m->known, leat_slice_of("c"), &at, scratch)) {
        CHECK(at.seq >= 0 && at.seq <= LEAT_SEQ_MAX);
        check_text(at.epoch);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_slice frame = {(const char *)data, size};
    leat_buf known = LEAT_BUF_INIT;
    reading r = {.err = 0};
    do {
        read_next(&leat_centrifuge_proto, &frame, CHECK_VALUES, &r);
        check_answers(&r);
        if (r.err == 0 && can_be_json(&r.message))
            check_as_json(&r.message);
        if (r.err == 0)
            check_known(&r.message, &known);
    } while (frame.len > 0);
    leat_buf_close(&r.scratch);
    leat_buf_close(&known);
    return 0;
}
