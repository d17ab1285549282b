/* ws_out.c - what is sent on a WebSocket: messages, each compressed where that makes it shorter;
 * events, which are framed already; pings, pongs and the close frame. */
#include "net/ws_peer.h"
#include "net/ws_private.h"

void leat_ws_peer_set_binary(leat_peer *p)
{
    ws_of(p)->binary = true;
}

void ws_send_frame(ws_peer *w, leat_frame_op op, leat_slice payload)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_frame_write(&frame, op, payload);
    leat_conn_send_owned(w->base.conn, &frame);
    leat_peer_sent(&w->base);
}

/* Queues the message as a compressed frame. False if it is to be sent as it is. The frame's buffer
 * has room for the whole payload, so the queue gets a copy: it counts only what the copy takes. */
static bool send_compressed(ws_peer *w, leat_frame_op op, leat_slice payload)
{
    leat_buf frame = LEAT_BUF_INIT;
    bool sent = w->window_bits > 0 &&
                leat_deflate_frame(w->base.net->deflate, op, payload, w->window_bits, &frame);
    if (sent)
        leat_conn_send_copy(w->base.conn, leat_buf_view(&frame));
    leat_buf_close(&frame);
    return sent;
}

void ws_send_close(ws_peer *w, int code, const char *reason)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_frame_write_close(&frame, code, reason);
    leat_conn_send_owned(w->base.conn, &frame);
}

/* Room for the longest header; it is written once the length is known. */
void ws_begin(leat_buf *out, const leat_peer_label *label, size_t room)
{
    (void)label;
    leat_buf_reserve(out, LEAT_FRAME_HEADER_MAX + room);
    out->len = LEAT_FRAME_HEADER_MAX;
}

void ws_finish(leat_peer *p, leat_buf *message)
{
    size_t payload_len = message->len - LEAT_FRAME_HEADER_MAX;
    leat_slice payload = {message->at + LEAT_FRAME_HEADER_MAX, payload_len};
    leat_frame_op op = ws_of(p)->binary ? LEAT_FRAME_BINARY : LEAT_FRAME_TEXT;
    if (send_compressed(ws_of(p), op, payload)) {
        leat_buf_close(message);
        return;
    }
    size_t from = LEAT_FRAME_HEADER_MAX - leat_frame_header_len(payload_len);
    leat_frame_write_header(message->at + from, op, payload_len);
    leat_conn_send_tail(p->conn, message, from);
}

void ws_send_event(leat_peer *p, leat_event *e, const leat_epoch *epoch)
{
    (void)epoch;
    if (p->output == LEAT_PEER_SHUT)
        return;
    ws_peer *w = ws_of(p);
    if (leat_deflate_suits(w->window_bits, leat_event_payload(e).len))
        e = leat_deflate_event(w->base.net->deflate, e);
    leat_conn_send_event(p->conn, e, leat_event_frame(e));
    leat_peer_sent(p);
}

/* Compressed events are not joined: each is a message of its own. */
bool ws_send_joined(leat_peer *p, leat_event *joined, size_t longest)
{
    ws_peer *w = ws_of(p);
    if (w->window_bits > 0 && leat_deflate_min_bytes(w->base.net->deflate) <= longest)
        return false;
    leat_conn_send_event(p->conn, joined, leat_event_frame(joined));
    leat_peer_sent(p);
    return true;
}

void leat_ws_peer_send(leat_peer *p, bool binary, leat_slice payload)
{
    ws_peer *w = ws_of(p);
    leat_frame_op op = binary ? LEAT_FRAME_BINARY : LEAT_FRAME_TEXT;
    if (!leat_ws_peer_is_open(p))
        return;
    if (send_compressed(w, op, payload))
        leat_peer_sent(p);
    else
        ws_send_frame(w, op, payload);
}

void ws_send_pong(ws_peer *w, leat_slice payload)
{
    if (leat_peer_is_open(&w->base)) {
        ws_send_frame(w, LEAT_FRAME_PONG, payload);
        return;
    }
    ws_received *in = ws_received_of(w);
    in->owes_pong = true;
    in->owed_pong.len = 0;
    leat_buf_slice(&in->owed_pong, payload);
}

void ws_on_output_open(leat_peer *p)
{
    ws_peer *w = ws_of(p);
    if (w->in == NULL || !w->in->owes_pong)
        return;
    w->in->owes_pong = false;
    ws_send_frame(w, LEAT_FRAME_PONG, leat_buf_view(&w->in->owed_pong));
    leat_buf_close(&w->in->owed_pong);
}
