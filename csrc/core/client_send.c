/* client_send.c - what goes out: as a WebSocket frame, or the same JSON as a Server-Sent Event.
 *
 * Events are sent by reference: their frame was encoded once, for everybody. Everything else is
 * written for this client and handed over to its conn.
 */
#include "core/client_private.h"

#include "wire/sse.h"

enum { FRAME_SLACK = 64 * 1024 }; /* what surrounds data, and answers without any */

/* False is a promise that the cursors are moved again. If the socket takes everything at the end of
 * this round of the loop, no on_drain comes, so the next round looks again. */
bool client_takes_more(leat_client *c)
{
    if (c->closing)
        return false; /* its conn may have gone already; what is left ends in this round */
    if (c->blocked)
        return false;
    if (leat_conn_queued(c->conn) < c->base.core->limits->max_send_buffer_bytes)
        return true;
    client_resume(c);
    return false;
}

bool client_subscriber_takes_more(leat_subscriber *to)
{
    return client_takes_more((leat_client *)to);
}

bool client_takes_snapshot(const leat_subscriber *to, size_t bytes)
{
    const leat_client *c = (const leat_client *)to;
    const leat_limits *l = c->base.core->limits;
    return leat_conn_queued(c->conn) + bytes <= l->max_send_buffer_bytes + l->max_snapshot_bytes;
}

/* The payload of one whole server frame. */
static leat_slice payload_of(const leat_buf *frame)
{
    size_t marker = (unsigned char)frame->at[1];
    size_t header = marker < 126 ? 2 : marker == 126 ? 4 : 10;
    return (leat_slice){frame->at + header, frame->len - header};
}

/* Sends a frame that was written for this client; empties it. op, epoch and seq are what SSE says
 * of it. */
static void send_frame(leat_client *c, leat_buf *frame, const char *op, leat_slice epoch,
                       int64_t seq)
{
    size_t excess = frame->len > FRAME_SLACK ? frame->len - FRAME_SLACK : 0;
    if (!c->closing && !c->overrun && !client_takes_snapshot(&c->base, excess))
        client_overrun(c);
    if (c->closing || c->overrun) {
        leat_buf_close(frame);
        return;
    }
    if (c->transport != LEAT_TRANSPORT_SSE) {
        leat_conn_send_owned(c->conn, frame);
        return;
    }
    leat_buf out = LEAT_BUF_INIT;
    leat_sse_write_prefix(&out, op, epoch, seq);
    leat_buf_slice(&out, payload_of(frame));
    leat_buf_text(&out, LEAT_SSE_END);
    leat_buf_close(frame);
    leat_conn_send_owned(c->conn, &out);
}

void client_send_snapshot(leat_subscriber *to, leat_slice id, leat_slice topic,
                          const leat_position *at, bool stale, leat_slice json)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_slice epoch = leat_epoch_text(at->epoch);
    leat_v1_write_snapshot(&frame, id, topic, epoch, at->seq, stale, json);
    send_frame((leat_client *)to, &frame, "snapshot", epoch, at->seq);
}

void client_send_resumed(leat_subscriber *to, leat_slice id, leat_slice topic,
                         const leat_position *at)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_slice epoch = leat_epoch_text(at->epoch);
    leat_v1_write_resumed(&frame, id, topic, epoch, at->seq);
    send_frame((leat_client *)to, &frame, "resumed", epoch, at->seq);
}

static const char *op_of(leat_event_kind kind)
{
    switch (kind) {
    case LEAT_EVENT_DATA:
        return "event";
    case LEAT_EVENT_SIGNAL:
        return "signal";
    case LEAT_EVENT_SKIP:
    case LEAT_EVENT_REVOKE:
    case LEAT_EVENT_RESYNC:
    case LEAT_EVENT_OVERSIZE:
        break;
    }
    return "skip";
}

void client_send_event(leat_subscriber *to, leat_event *e, const leat_epoch *epoch)
{
    leat_client *c = (leat_client *)to;
    if (c->closing || c->overrun)
        return;
    if (c->transport != LEAT_TRANSPORT_SSE) {
        leat_conn_send_event(c->conn, e, leat_event_frame(e));
        return;
    }
    leat_buf prefix = LEAT_BUF_INIT;
    leat_sse_write_prefix(&prefix, op_of(leat_event_kind_of(e)), leat_epoch_text(epoch),
                          leat_event_seq(e));
    leat_conn_send_owned(c->conn, &prefix);
    leat_conn_send_event(c->conn, e, leat_event_payload(e));
    leat_conn_send_copy(c->conn, leat_slice_of(LEAT_SSE_END));
}

void client_send_error(leat_client *c, leat_slice id, leat_slice topic, const leat_failure *failure)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_failure told = *failure;
    if (told.message.len == 0)
        told.message = leat_slice_of(leat_code_sentence(told.code));
    if (topic.at == NULL)
        leat_v1_write_error(&frame, id, &told);
    else
        leat_v1_write_topic_error(&frame, topic, &told);
    send_frame(c, &frame, "error", (leat_slice){NULL, 0}, 0);
}

void client_send_closed(leat_subscriber *to, leat_slice topic, const leat_failure *failure)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_v1_write_closed(&frame, topic, failure);
    send_frame((leat_client *)to, &frame, "closed", (leat_slice){NULL, 0}, 0);
}

void client_refuse_subscribe(leat_subscriber *to, leat_slice id, leat_slice topic,
                             const leat_failure *failure)
{
    client_send_error((leat_client *)to, id, topic, failure);
}

void client_send_ok(leat_client *c, leat_slice id, leat_slice json)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_v1_write_ok(&frame, id, json);
    send_frame(c, &frame, "ok", (leat_slice){NULL, 0}, 0);
}
