/* Any bytes as a frame of a client of Centrifugo's protocol, as JSON. A good command has what it
 * needs, and as Protobuf (which nanopb writes) it is read as the same message; a bad one gives a
 * reason. What the server writes is one line of JSON. */
#include <pb_encode.h>

#include "centrifuge_check.h"
#include "wire/centrifuge_proto.pb.h"

static uint32_t number_of(leat_slice id)
{
    int64_t number = 0;
    return leat_json_int(centrifuge_read_id(id).number, &number) ? (uint32_t)number : 0;
}

/* A subscribe's params are its data, whether they came with a token or not. Returns false if the
 * command is none that can be made of a message. */
static bool make(centrifuge_Command *c, const leat_message *m)
{
    uint64_t offset = (uint64_t)m->since_seq;
    c->id = number_of(m->id);
    switch (m->op) {
    case LEAT_OP_SUBSCRIBE:
        c->has_subscribe = true;
        c->subscribe = (centrifuge_SubscribeRequest){.channel = m->topic,
                                                     .recover = m->has_since,
                                                     .epoch = m->since_epoch,
                                                     .offset = offset,
                                                     .data = m->params};
        return true;
    case LEAT_OP_UNSUBSCRIBE:
        c->has_unsubscribe = true;
        c->unsubscribe.channel = m->topic;
        return true;
    case LEAT_OP_PUBLISH:
        c->has_publish = true;
        c->publish = (centrifuge_PublishRequest){m->topic, m->data};
        return true;
    case LEAT_OP_CALL:
        c->has_rpc = true;
        c->rpc = (centrifuge_RPCRequest){m->params, m->method};
        return true;
    case LEAT_OP_AUTHENTICATE:
        c->has_connect = true;
        c->connect.token = m->token;
        return true;
    case LEAT_OP_RENEW:
        c->has_sub_refresh = true;
        c->sub_refresh = (centrifuge_SubRefreshRequest){m->topic, m->token};
        return true;
    case LEAT_OP_HISTORY:
        c->has_history = true;
        c->history = (centrifuge_HistoryRequest){.channel = m->topic,
                                                 .limit = (int32_t)m->limit,
                                                 .reverse = m->reverse,
                                                 .has_since = m->has_since,
                                                 .since = {offset, m->since_epoch}};
        return m->limit >= INT32_MIN && m->limit <= INT32_MAX;
    case LEAT_OP_ABSENT:
    case LEAT_OP_NOTHING:
        break;
    }
    return false;
}

static void check_as_proto(const leat_message *m)
{
    centrifuge_Command command = {.id = 0};
    size_t size = 0;
    leat_buf bytes = LEAT_BUF_INIT;
    if (!make(&command, m))
        return;
    CHECK(pb_get_encoded_size(&size, centrifuge_Command_fields, &command));
    pb_byte_t *room = (pb_byte_t *)leat_buf_reserve(&bytes, size + 10);
    pb_ostream_t to = pb_ostream_from_buffer(room, size + 10);
    CHECK(pb_encode_ex(&to, centrifuge_Command_fields, &command, PB_ENCODE_DELIMITED));
    check_other_form(&leat_centrifuge_proto, (leat_slice){bytes.at, to.bytes_written}, m);
    leat_buf_close(&bytes);
}

static void check_line(leat_buf *out)
{
    CHECK(leat_json_validate(leat_buf_view(out), LEAT_JSON_MAX_DEPTH) == 0);
    CHECK(memchr(out->at, '\n', out->len) == NULL);
    out->len = 0;
}

static void check_answers(const reading *r)
{
    leat_buf out = LEAT_BUF_INIT;
    const leat_message *m = &r->message;
    leat_failure failure = {.code = LEAT_CODE_BAD_REQUEST, .message = leat_slice_of(r->reason)};
    leat_centrifuge_json.write_error(&out, m->id, &failure);
    check_line(&out);
    leat_subscribed sub = {.topic = m->topic,
                           .epoch = m->since_epoch,
                           .seq = m->since_seq,
                           .data = m->data,
                           .expires_s = 1};
    (void)leat_centrifuge_json.write_snapshot(&out, m->id, &sub);
    check_line(&out);
    if (leat_centrifuge_json.with_token(m->params, m->token, &out).at != NULL)
        check_line(&out);
    leat_buf_close(&out);
}

static void check_known(const leat_message *m, leat_buf *scratch)
{
    leat_named_position at = {.seq = 0};
    scratch->len = 0;
    if (m->op == LEAT_OP_AUTHENTICATE &&
        leat_centrifuge_json.find_known(m->known, leat_slice_of("c"), &at, scratch))
        CHECK(at.seq >= 0 && at.seq <= LEAT_SEQ_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_slice frame = {(const char *)data, size};
    leat_buf known = LEAT_BUF_INIT;
    reading r = {.err = 0};
    do {
        read_next(&leat_centrifuge_json, &frame, CHECK_VALUES, &r);
        check_answers(&r);
        if (r.err == 0)
            check_as_proto(&r.message);
        if (r.err == 0)
            check_known(&r.message, &known);
    } while (frame.len > 0);
    leat_buf_close(&r.scratch);
    leat_buf_close(&known);
    return 0;
}
