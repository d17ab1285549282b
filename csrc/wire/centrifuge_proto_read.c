/* centrifuge_proto_read.c - a command is a Protobuf message with its length before it. Its fields
 * are taken off one by one; a table says which field of which message is which field of the
 * command. nanopb reads numbers, lengths and what is passed over. (Its structs would not say of
 * what type a field came.) */
#include <pb_decode.h>
#include <stddef.h>
#include <stdio.h>

#include "base/utf8.h"
#include "wire/centrifuge.h"
#include "wire/centrifuge_command.h"
#include "wire/centrifuge_proto.h"
#include "wire/centrifuge_proto.pb.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

/* From TEXT on, a field is bytes; before it, a number. */
enum kind { ID, BOOL, INTEGER, OFFSET, TEXT, JSON, REQUEST, SINCE, SUBS, SUB };

struct parse {
    centrifuge_command command;
    bool has_request;
    bool has_subs;
    size_t max_values;
    char *reason;
    size_t reason_size;
};

struct field {
    const pb_msgdesc_t *of; /* the message that has it */
    uint32_t tag;
    enum kind kind;
    size_t at;                 /* in the command: TEXT, JSON, BOOL, INTEGER, OFFSET */
    const pb_msgdesc_t *inner; /* REQUEST, SINCE, SUB */
    centrifuge_method method;  /* REQUEST */
};

#define TAG(message, name) centrifuge_##message##_fields, centrifuge_##message##_##name##_tag
#define FIELD(message, name, kind, member)                                                         \
    TAG(message, name), kind, offsetof(centrifuge_command, member), NULL, CENTRIFUGE_PING
#define REQUEST_OF(name, message, method)                                                          \
    TAG(Command, name), REQUEST, 0, centrifuge_##message##_fields, method

static const struct field fields[] = {
    {TAG(Command, id), ID, 0, NULL, CENTRIFUGE_PING},
    {REQUEST_OF(connect, ConnectRequest, CENTRIFUGE_CONNECT)},
    {REQUEST_OF(subscribe, SubscribeRequest, CENTRIFUGE_SUBSCRIBE)},
    {REQUEST_OF(unsubscribe, UnsubscribeRequest, CENTRIFUGE_UNSUBSCRIBE)},
    {REQUEST_OF(publish, PublishRequest, CENTRIFUGE_PUBLISH)},
    {REQUEST_OF(presence, PresenceRequest, CENTRIFUGE_PRESENCE)},
    {REQUEST_OF(presence_stats, PresenceStatsRequest, CENTRIFUGE_PRESENCE_STATS)},
    {REQUEST_OF(history, HistoryRequest, CENTRIFUGE_HISTORY)},
    {REQUEST_OF(ping, PingRequest, CENTRIFUGE_PING)},
    {REQUEST_OF(send, SendRequest, CENTRIFUGE_SEND)},
    {REQUEST_OF(rpc, RPCRequest, CENTRIFUGE_RPC)},
    {REQUEST_OF(refresh, RefreshRequest, CENTRIFUGE_REFRESH)},
    {REQUEST_OF(sub_refresh, SubRefreshRequest, CENTRIFUGE_SUB_REFRESH)},
    {FIELD(ConnectRequest, token, TEXT, token)},
    {TAG(ConnectRequest, subs), SUBS, 0, NULL, CENTRIFUGE_PING},
    {FIELD(ConnectRequest_SubsEntry, key, TEXT, name)},
    {TAG(ConnectRequest_SubsEntry, value), SUB, 0, centrifuge_SubscribeRequest_fields,
     CENTRIFUGE_PING},
    {FIELD(SubscribeRequest, channel, TEXT, channel)},
    {FIELD(SubscribeRequest, token, TEXT, token)},
    {FIELD(SubscribeRequest, recover, BOOL, recovers)},
    {FIELD(SubscribeRequest, epoch, TEXT, epoch)},
    {FIELD(SubscribeRequest, offset, OFFSET, offset)},
    {FIELD(SubscribeRequest, data, JSON, data)},
    {FIELD(SubscribeRequest, flag, INTEGER, flags)},
    {FIELD(SubscribeRequest, type, INTEGER, type)},
    {FIELD(UnsubscribeRequest, channel, TEXT, channel)},
    {FIELD(PublishRequest, channel, TEXT, channel)},
    {FIELD(PublishRequest, data, JSON, data)},
    {FIELD(PresenceRequest, channel, TEXT, channel)},
    {FIELD(PresenceStatsRequest, channel, TEXT, channel)},
    {FIELD(HistoryRequest, channel, TEXT, channel)},
    {FIELD(HistoryRequest, limit, INTEGER, limit)},
    {TAG(HistoryRequest, since), SINCE, 0, centrifuge_StreamPosition_fields, CENTRIFUGE_PING},
    {FIELD(HistoryRequest, reverse, BOOL, reverse)},
    {FIELD(StreamPosition, offset, OFFSET, offset)},
    {FIELD(StreamPosition, epoch, TEXT, epoch)},
    {FIELD(RPCRequest, data, JSON, data)},
    {FIELD(RPCRequest, method, TEXT, name)},
    {FIELD(RefreshRequest, token, TEXT, token)},
    {FIELD(SubRefreshRequest, channel, TEXT, channel)},
    {FIELD(SubRefreshRequest, token, TEXT, token)},
};

#undef TAG
#undef FIELD
#undef REQUEST_OF

static int fail(struct parse *p, const char *sentence)
{
    snprintf(p->reason, p->reason_size, "%s", sentence);
    return LEAT_EBADMSG;
}

static int fail_field(struct parse *p, const struct field *f, const char *what)
{
    snprintf(p->reason, p->reason_size, "field %u must be %s", (unsigned)f->tag, what);
    return LEAT_EBADMSG;
}

static int fail_stream(struct parse *p, const pb_istream_t *from)
{
    snprintf(p->reason, p->reason_size, "invalid Protobuf: %s", PB_GET_ERROR(from));
    return LEAT_EBADMSG;
}

static const struct field *find_field(const pb_msgdesc_t *of, uint32_t tag)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (fields[i].of == of && fields[i].tag == tag)
            return &fields[i];
    return NULL;
}

static int take_id(struct parse *p, const struct field *f, uint64_t n)
{
    if (n > UINT32_MAX)
        return fail_field(p, f, "an integer of 32 bits");
    p->command.id = (uint32_t)n;
    return 0;
}

static int take_number(struct parse *p, const struct field *f, pb_istream_t *from)
{
    void *to = (char *)&p->command + f->at;
    uint64_t n = 0;
    if (!pb_decode_varint(from, &n))
        return fail_stream(p, from);
    if (f->kind == ID)
        return take_id(p, f, n);
    if (f->kind == BOOL)
        *(bool *)to = n != 0;
    else if (f->kind == OFFSET)
        *(uint64_t *)to = n;
    else
        *(int64_t *)to = (int64_t)n;
    return 0;
}

static int take_text(struct parse *p, const struct field *f, leat_slice bytes)
{
    if (!leat_utf8_valid(bytes.at, bytes.len))
        return fail_field(p, f, "UTF-8");
    *(leat_slice *)((char *)&p->command + f->at) = bytes;
    return 0;
}

/* As deep as it could be within the JSON form of the command. */
static int take_json(struct parse *p, const struct field *f, leat_slice bytes)
{
    enum { DEPTH = LEAT_JSON_MAX_DEPTH - 2 };
    leat_buf keys = LEAT_BUF_INIT; /* stays empty: nothing is decoded */
    leat_json_reader r;
    leat_json_token end;
    leat_slice raw;
    if (bytes.len == 0)
        return 0;
    leat_json_reader_init(&r, bytes, &keys, DEPTH);
    r.values_left = p->max_values;
    int err = leat_json_skip(&r, &raw);
    if (err == 0)
        err = leat_json_next(&r, &end); /* nothing may follow */
    leat_buf_close(&keys);
    if (err == 0)
        *(leat_slice *)((char *)&p->command + f->at) = raw;
    else if (err == LEAT_ETOOLARGE)
        snprintf(p->reason, p->reason_size, "the command has more than %zu values", p->max_values);
    else
        snprintf(p->reason, p->reason_size, "invalid JSON at offset %zu of field %u: %s",
                 leat_json_offset(&r), (unsigned)f->tag, r.reason);
    return err;
}

static int read_fields(struct parse *p, const pb_msgdesc_t *of, pb_istream_t *from);

static int take_request(struct parse *p, const struct field *f, pb_istream_t *from)
{
    leat_slice whole = {from->state, from->bytes_left};
    if (p->has_request && p->command.method != f->method)
        return fail(p, "a command holds one request");
    p->has_request = true;
    p->command.method = f->method;
    int err = read_fields(p, f->inner, from);
    if (p->has_subs)
        p->command.subs = whole;
    return err;
}

static int take_content(struct parse *p, const struct field *f, pb_istream_t *content)
{
    leat_slice bytes = {content->state, content->bytes_left};
    switch (f->kind) {
    case TEXT:
        return take_text(p, f, bytes);
    case JSON:
        return take_json(p, f, bytes);
    case REQUEST:
        return take_request(p, f, content);
    case SINCE:
        p->command.recovers = true;
        return read_fields(p, f->inner, content);
    case SUBS: /* find_known looks into it */
        p->has_subs = true;
        return 0;
    case SUB:
        return read_fields(p, f->inner, content);
    case ID:
    case BOOL:
    case INTEGER:
    case OFFSET:
        break;
    }
    return 0;
}

static int take_bytes(struct parse *p, const struct field *f, pb_istream_t *from)
{
    pb_istream_t content;
    if (!pb_make_string_substream(from, &content))
        return fail_stream(p, from);
    int err = take_content(p, f, &content);
    if (err == 0 && !pb_close_string_substream(from, &content))
        return fail_stream(p, from);
    return err;
}

static int read_field(struct parse *p, const pb_msgdesc_t *of, pb_istream_t *from)
{
    pb_wire_type_t type = PB_WT_VARINT;
    uint32_t tag = 0;
    bool eof = false;
    if (!pb_decode_tag(from, &type, &tag, &eof))
        return fail_stream(p, from);
    if (tag == 0)
        return fail(p, "invalid Protobuf: a field has the number 0");
    const struct field *f = find_field(of, tag);
    if (f == NULL)
        return pb_skip_field(from, type) ? 0 : fail_stream(p, from);
    if (f->kind < TEXT)
        return type == PB_WT_VARINT ? take_number(p, f, from) : fail_field(p, f, "a number");
    return type == PB_WT_STRING ? take_bytes(p, f, from)
                                : fail_field(p, f, "bytes with their length");
}

static int read_fields(struct parse *p, const pb_msgdesc_t *of, pb_istream_t *from)
{
    int err = 0;
    while (err == 0 && from->bytes_left > 0)
        err = read_field(p, of, from);
    return err;
}

static pb_istream_t stream_of(leat_slice bytes)
{
    return pb_istream_from_buffer((const pb_byte_t *)bytes.at, bytes.len);
}

/* Takes a message with its length off the frame's front. If the length is none, there is no saying
 * where the next message begins: the frame is empty then. */
static int take_message(struct parse *p, leat_slice *frame, leat_slice *message)
{
    pb_istream_t from = stream_of(*frame);
    pb_istream_t content;
    *message = (leat_slice){frame->at, 0};
    if (frame->len == 0)
        return 0;
    if (!pb_make_string_substream(&from, &content)) {
        *frame = (leat_slice){frame->at + frame->len, 0};
        return fail(p, "invalid Protobuf: the length of a command is wrong");
    }
    *message = (leat_slice){content.state, content.bytes_left};
    const char *end = message->at + message->len;
    *frame = (leat_slice){end, frame->len - (size_t)(end - frame->at)};
    return 0;
}

static int read_message(struct parse *p, leat_slice message)
{
    pb_istream_t from = stream_of(message);
    int err = read_fields(p, centrifuge_Command_fields, &from);
    if (err == 0 && p->command.id != 0 && !p->has_request)
        err = fail(p, "unknown command");
    return err;
}

static int read_frame(leat_message *out, leat_slice *frame, size_t max_values, leat_buf *scratch,
                      char *reason, size_t reason_size)
{
    enum { LONGEST_ESCAPE = 6 }; /* of a byte of a token: \u0001 */
    struct parse p = {.max_values = max_values, .reason = reason, .reason_size = reason_size};
    leat_slice message;
    scratch->len = 0;
    int err = take_message(&p, frame, &message);
    if (err == 0)
        err = read_message(&p, message);
    const centrifuge_command *c = &p.command;
    leat_buf_reserve(scratch, LONGEST_ESCAPE * c->token.len + c->data.len + CENTRIFUGE_SCRATCH);
    if (err == 0)
        return centrifuge_message(c, out, scratch, reason, reason_size);
    *out = (leat_message){.id = centrifuge_write_id(c, scratch)};
    return err;
}

/* Takes the next item of the list `subs` off a ConnectRequest. Returns false if there is none. */
static bool next_sub(pb_istream_t *from, leat_slice *item)
{
    pb_wire_type_t type = PB_WT_VARINT;
    uint32_t tag = 0;
    bool eof = false;
    while (from->bytes_left > 0 && pb_decode_tag(from, &type, &tag, &eof)) {
        pb_istream_t content;
        if (tag == centrifuge_ConnectRequest_subs_tag && type == PB_WT_STRING) {
            if (!pb_make_string_substream(from, &content))
                return false;
            *item = (leat_slice){content.state, content.bytes_left};
            return pb_close_string_substream(from, &content);
        }
        if (!pb_skip_field(from, type))
            return false;
    }
    return false;
}

/* known: the ConnectRequest. */
static bool find_known(leat_slice known, leat_slice topic, leat_named_position *out,
                       leat_buf *scratch)
{
    char reason[64];
    pb_istream_t from = stream_of(known);
    leat_slice item;
    bool found = false;
    (void)scratch;
    while (next_sub(&from, &item)) {
        struct parse p = {.max_values = SIZE_MAX, .reason = reason, .reason_size = sizeof(reason)};
        pb_istream_t entry = stream_of(item);
        const centrifuge_command *c = &p.command;
        if (read_fields(&p, centrifuge_ConnectRequest_SubsEntry_fields, &entry) < 0 ||
            !leat_slice_equal(c->name, topic) || !c->recovers || c->offset > LEAT_SEQ_MAX)
            continue;
        *out = (leat_named_position){.epoch = c->epoch.at == NULL ? leat_slice_of("") : c->epoch,
                                     .seq = (int64_t)c->offset};
        found = true;
    }
    return found;
}

const leat_codec leat_centrifuge_proto = {
    .name = LEAT_CENTRIFUGE_PROTO_SUBPROTOCOL,
    .binary = true,
    .pings = true,
    .needs_id = true,
    .answer_ms = 4000, /* as in leat_centrifuge_json */
    .form = LEAT_FORM_THIRD,
    .clients = LEAT_M_CLIENTS_PROTO,
    .read = read_frame,
    .write_snapshot = centrifuge_proto_snapshot,
    .write_resumed = centrifuge_proto_resumed,
    .write_ok = centrifuge_proto_ok,
    .write_welcome = centrifuge_proto_welcome,
    .write_error = centrifuge_proto_error,
    .write_closed = centrifuge_proto_closed,
    .write_ping = centrifuge_proto_ping,
    .write_history = centrifuge_proto_history,
    .with_token = centrifuge_with_token,
    .write_renewed = centrifuge_proto_renewed,
    .write_subscribed = centrifuge_proto_subscribed,
    .write_sub = centrifuge_proto_sub,
    .find_known = find_known,
    .event = centrifuge_proto_event,
    .close_code = centrifuge_close_code,
};
