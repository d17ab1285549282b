/* centrifuge_proto_write.c - replies and pushes as Protobuf, each with its length before it: a
 * struct is filled in, and `put` writes it. */
#include <pb_encode.h>
#include <stdio.h>

#include "wire/centrifuge_command.h"
#include "wire/centrifuge_proto.h"
#include "wire/centrifuge_proto.pb.h"
#include "wire/frame.h"
#include "wire/json.h"

static const leat_slice none = {NULL, 0};

bool centrifuge_proto_slice(pb_istream_t *from, pb_ostream_t *to, const pb_field_iter_t *field)
{
    const leat_slice *slice = field->pData;
    if (from != NULL || to == NULL)
        return false;
    if (slice->len == 0)
        return true;
    return pb_encode_tag_for_field(to, field) &&
           pb_encode_string(to, (const pb_byte_t *)slice->at, slice->len);
}

/* Appends a reply with its length before it. The size was asked for, so it fits. */
static void put(leat_buf *out, const centrifuge_Reply *reply)
{
    enum { LONGEST_VARINT = 10 };
    size_t size = 0;
    bool ok = pb_get_encoded_size(&size, centrifuge_Reply_fields, reply);
    char *room = leat_buf_reserve(out, LONGEST_VARINT + size);
    pb_ostream_t to = pb_ostream_from_buffer((pb_byte_t *)room, LONGEST_VARINT + size);
    ok = ok && pb_encode_varint(&to, size) && pb_encode(&to, centrifuge_Reply_fields, reply);
    LEAT_ASSERT(ok);
    out->len += to.bytes_written;
}

static uint32_t number_of(const centrifuge_id *id)
{
    int64_t n = 0;
    return leat_json_int(id->number, &n) ? (uint32_t)n : 0;
}

static leat_slice json_or_null(leat_slice json)
{
    return json.at == NULL ? leat_slice_of("null") : json;
}

static void put_error(leat_buf *out, const centrifuge_id *id, const centrifuge_error *error)
{
    put(out, &(centrifuge_Reply){
                 .id = number_of(id),
                 .has_error = true,
                 .error = {error->code, error->message, error->temporary},
             });
}

static void put_end(leat_buf *out, leat_slice topic, uint32_t code, leat_slice reason)
{
    put(out, &(centrifuge_Reply){
                 .has_push = true,
                 .push = {.channel = topic, .has_unsubscribe = true, .unsubscribe = {code, reason}},
             });
}

bool centrifuge_proto_snapshot(leat_buf *out, leat_slice id, leat_slice topic, leat_slice epoch,
                               int64_t seq, bool stale, leat_slice data_json)
{
    centrifuge_id to = centrifuge_read_id(id);
    if (id.at == NULL) {
        put_end(out, topic, CENTRIFUGE_END_RESYNC, leat_slice_of("resync"));
        return false;
    }
    if (to.rejects) {
        put_error(
            out, &to,
            &(centrifuge_error){CENTRIFUGE_ERROR_LOST, leat_slice_of(CENTRIFUGE_LOST), false});
        return false;
    }
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_subscribe = true,
                 .subscribe = {.recoverable = true,
                               .positioned = true,
                               .epoch = centrifuge_epoch(epoch, stale),
                               .offset = (uint64_t)seq,
                               .was_recovering = to.recovers,
                               .data = json_or_null(data_json)},
             });
    return true;
}

void centrifuge_proto_resumed(leat_buf *out, leat_slice id, leat_slice topic, leat_slice epoch,
                              int64_t seq)
{
    centrifuge_id to = centrifuge_read_id(id);
    (void)topic;
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_subscribe = true,
                 .subscribe = {.recoverable = true,
                               .positioned = true,
                               .epoch = epoch,
                               .offset = (uint64_t)seq,
                               .recovered = true,
                               .was_recovering = true},
             });
}

/* What has no place in the protocol is not told: positions, and what a publish handler returns. */
void centrifuge_proto_ok(leat_buf *out, leat_slice id, leat_slice data_json, leat_slice written)
{
    centrifuge_id to = centrifuge_read_id(id);
    (void)written;
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_publish = to.method == CENTRIFUGE_PUBLISH,
                 .has_unsubscribe = to.method == CENTRIFUGE_UNSUBSCRIBE,
                 .has_rpc = to.method == CENTRIFUGE_RPC,
                 .rpc = {json_or_null(data_json)},
             });
}

void centrifuge_proto_welcome(leat_buf *out, leat_slice id, const leat_welcome *welcome)
{
    centrifuge_id to = centrifuge_read_id(id);
    bool connects = to.method == CENTRIFUGE_CONNECT;
    bool expires = welcome->expires_s > 0;
    uint64_t ttl_s = expires ? centrifuge_ttl_s(welcome->expires_s) : 0;
    uint64_t ping_s = welcome->ping_ms / 1000;
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)welcome->client);
    leat_slice client = leat_slice_of(number);
    leat_slice version = leat_slice_of("leat");
    uint32_t ttl = ttl_s < UINT32_MAX ? (uint32_t)ttl_s : UINT32_MAX;
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_connect = connects,
                 .connect = {client, version, expires, ttl, ping_s > 0 ? (uint32_t)ping_s : 1},
                 .has_refresh = !connects,
                 .refresh = {client, version, expires, ttl},
             });
}

void centrifuge_proto_error(leat_buf *out, leat_slice id, const leat_failure *failure)
{
    centrifuge_id to = centrifuge_read_id(id);
    centrifuge_error error = centrifuge_error_of(&to, failure);
    if (error.code == 0)
        centrifuge_proto_ok(out, id, none, none);
    else
        put_error(out, &to, &error);
}

void centrifuge_proto_closed(leat_buf *out, leat_slice topic, const leat_failure *failure)
{
    put_end(out, topic, centrifuge_end_of(failure->code),
            leat_slice_of(leat_code_name(failure->code)));
}

void centrifuge_proto_ping(leat_buf *out)
{
    put(out, &(centrifuge_Reply){.id = 0});
}

leat_event *centrifuge_proto_event(leat_event *e)
{
    leat_event_kind kind = leat_event_kind_of(e);
    if (kind != LEAT_EVENT_DATA && kind != LEAT_EVENT_SIGNAL)
        return e;
    uint64_t offset = kind == LEAT_EVENT_DATA ? (uint64_t)leat_event_seq(e) : 0;
    leat_buf bytes = LEAT_BUF_INIT;
    put(&bytes, &(centrifuge_Reply){
                    .has_push = true,
                    .push = {.channel = leat_event_topic(e),
                             .has_pub = true,
                             .pub = {json_or_null(leat_event_data(e)), offset}},
                });
    leat_event *made = leat_codec_frame_event(e, LEAT_FRAME_BINARY, leat_buf_view(&bytes));
    leat_buf_close(&bytes);
    return made;
}
