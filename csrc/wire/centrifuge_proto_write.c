/* centrifuge_proto_write.c - replies and pushes as Protobuf, each with its length before it: a
 * struct is filled in, and `put` writes it. */
#include <pb_encode.h>

#include "wire/centrifuge_command.h"
#include "wire/centrifuge_proto.h"
#include "wire/centrifuge_proto.pb.h"
#include "wire/frame.h"
#include "wire/json.h"

static const leat_slice none = {NULL, 0};

bool centrifuge_proto_slice(pb_istream_t *from, pb_ostream_t *to, const pb_field_iter_t *field)
{
    const leat_slice *slice = field->pData;
    const pb_byte_t *bytes = (const pb_byte_t *)slice->at;
    if (from != NULL || to == NULL)
        return false;
    if (slice->len == 0)
        return true;
    if (PB_HTYPE(field->type) == PB_HTYPE_REPEATED)
        return pb_write(to, bytes, slice->len);
    return pb_encode_tag_for_field(to, field) && pb_encode_string(to, bytes, slice->len);
}

/* Appends a message with its length before it; with a tag before that if it is an item of a list.
 * The size was asked for, so it fits. */
static void put_message(leat_buf *out, uint32_t tag, const pb_msgdesc_t *fields,
                        const void *message)
{
    enum { LONGEST_VARINT = 10 };
    size_t size = 0;
    bool ok = pb_get_encoded_size(&size, fields, message);
    size_t room = 2 * LONGEST_VARINT + size;
    pb_ostream_t to = pb_ostream_from_buffer((pb_byte_t *)leat_buf_reserve(out, room), room);
    ok = ok && (tag == 0 || pb_encode_tag(&to, PB_WT_STRING, tag)) && pb_encode_varint(&to, size) &&
         pb_encode(&to, fields, message);
    LEAT_ASSERT(ok);
    out->len += to.bytes_written;
}

static void put(leat_buf *out, const centrifuge_Reply *reply)
{
    put_message(out, 0, centrifuge_Reply_fields, reply);
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

static void put_lost(leat_buf *out, const centrifuge_id *id)
{
    put_error(out, id,
              &(centrifuge_error){CENTRIFUGE_ERROR_LOST, leat_slice_of(CENTRIFUGE_LOST), false});
}

static void put_end(leat_buf *out, leat_slice topic, uint32_t code, leat_slice reason)
{
    put(out, &(centrifuge_Reply){
                 .has_push = true,
                 .push = {.channel = topic, .has_unsubscribe = true, .unsubscribe = {code, reason}},
             });
}

static uint32_t ttl_of(uint64_t expires_s)
{
    uint64_t ttl_s = expires_s > 0 ? centrifuge_ttl_s(expires_s) : 0;
    return ttl_s < UINT32_MAX ? (uint32_t)ttl_s : UINT32_MAX;
}

bool centrifuge_proto_snapshot(leat_buf *out, leat_slice id, const leat_subscribed *sub)
{
    centrifuge_id to = centrifuge_read_id(id);
    uint64_t expires_s = centrifuge_expiry(&to, sub);
    if (id.at == NULL) {
        put_end(out, sub->topic, CENTRIFUGE_END_RESYNC, leat_slice_of("resync"));
        return false;
    }
    if (to.rejects) {
        put_lost(out, &to);
        return false;
    }
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_subscribe = true,
                 .subscribe = {.expires = expires_s > 0,
                               .ttl = ttl_of(expires_s),
                               .recoverable = true,
                               .positioned = true,
                               .epoch = centrifuge_epoch(sub->epoch, sub->stale),
                               .offset = (uint64_t)sub->seq,
                               .was_recovering = to.recovers,
                               .data = json_or_null(sub->data)},
             });
    return true;
}

void centrifuge_proto_resumed(leat_buf *out, leat_slice id, const leat_subscribed *sub)
{
    centrifuge_id to = centrifuge_read_id(id);
    uint64_t expires_s = centrifuge_expiry(&to, sub);
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_subscribe = true,
                 .subscribe = {.expires = expires_s > 0,
                               .ttl = ttl_of(expires_s),
                               .recoverable = true,
                               .positioned = true,
                               .epoch = sub->epoch,
                               .offset = (uint64_t)sub->seq,
                               .recovered = true,
                               .was_recovering = true},
             });
}

void centrifuge_proto_renewed(leat_buf *out, leat_slice id, uint64_t expires_s)
{
    centrifuge_id to = centrifuge_read_id(id);
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_sub_refresh = true,
                 .sub_refresh = {.expires = expires_s > 0, .ttl = ttl_of(expires_s)},
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
    uint64_t ping_s = welcome->ping_ms / 1000;
    leat_slice client = welcome->client;
    leat_slice version = leat_slice_of("leat");
    uint32_t ttl = ttl_of(welcome->expires_s);
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_connect = connects,
                 .connect = {client, version, expires, ttl, welcome->subs,
                             ping_s > 0 ? (uint32_t)ping_s : 1},
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
    put_end(out, topic, centrifuge_end_of(failure), leat_slice_of(leat_code_name(failure->code)));
}

void centrifuge_proto_ping(leat_buf *out)
{
    put(out, &(centrifuge_Reply){.id = 0});
}

/* --- subscriptions that the server makes --- */

/* The push does not tell whether the client's position was taken: data does. */
void centrifuge_proto_subscribed(leat_buf *out, const leat_subscribed *sub)
{
    put(out, &(centrifuge_Reply){
                 .has_push = true,
                 .push = {.channel = sub->topic,
                          .has_subscribe = true,
                          .subscribe = {.recoverable = true,
                                        .positioned = true,
                                        .epoch = centrifuge_epoch(sub->epoch, sub->stale),
                                        .offset = (uint64_t)sub->seq,
                                        .data = sub->data}},
             });
}

void centrifuge_proto_sub(leat_buf *out, const leat_subscribed *sub)
{
    centrifuge_ConnectResult_SubsEntry entry = {
        .key = sub->topic,
        .has_value = true,
        .value = {.recoverable = true,
                  .positioned = true,
                  .epoch = centrifuge_epoch(sub->epoch, sub->stale),
                  .offset = (uint64_t)sub->seq,
                  .was_recovering = sub->recovers,
                  .recovered = sub->data.at == NULL,
                  .data = sub->data},
    };
    put_message(out, centrifuge_ConnectResult_subs_tag, centrifuge_ConnectResult_SubsEntry_fields,
                &entry);
}

/* --- history --- */

void centrifuge_proto_history(leat_buf *out, leat_slice id, const leat_stored *stored)
{
    centrifuge_id to = centrifuge_read_id(id);
    if (stored->lost) {
        put_lost(out, &to);
        return;
    }
    leat_buf list = LEAT_BUF_INIT;
    for (size_t i = 0; i < stored->n; i++) {
        const leat_stored_event *e = &stored->events[i];
        centrifuge_Publication publication = {json_or_null(e->data), (uint64_t)e->seq};
        put_message(&list, centrifuge_HistoryResult_publications_tag, centrifuge_Publication_fields,
                    &publication);
    }
    put(out, &(centrifuge_Reply){
                 .id = number_of(&to),
                 .has_history = true,
                 .history = {leat_buf_view(&list), stored->epoch, (uint64_t)stored->seq},
             });
    leat_buf_close(&list);
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
