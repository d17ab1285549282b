/* ws_in.c - ws_on_read -> decode -> on_frame -> the owner's on_message, or a pong, or the end.
 *
 * A peer that sends many frames at once does not keep the others waiting: of what is read, some
 * are handled at once, and the others when it is the peer's turn (its place, on_place). All peers
 * with such a place take turns, and share a part of each turn of the loop.
 *
 * The decoder unmasks in place: in the conn's own buffer, or in `unread`, where bytes wait that
 * were read but may not be decoded yet.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "net/ws_peer.h"
#include "net/ws_private.h"
#include "wire/close_code.h"

/* So many bytes may be inflated in one turn: what is read at once may become a thousand times as
 * long, and the other peers wait meanwhile. */
enum { INFLATE_PER_TURN = 256 * 1024 };

/* So many messages, pings and pongs are handled before it is the next peer's turn. */
enum { FRAMES_PER_TURN = 16 };

/* Nothing is read while more than that waits to be decoded. */
enum { UNREAD_BYTES = 4096 };

static void on_place(leat_sweep *s);

/* --- what was received and is not yet delivered --- */

size_t ws_received_bytes(const leat_peer *p)
{
    const ws_received *in = ((const ws_peer *)p)->in;
    return in == NULL ? 0 : in->counted;
}

static size_t unread_len(const ws_peer *w)
{
    return w->in == NULL ? 0 : w->in->unread.len;
}

static size_t max_message(const ws_peer *w)
{
    return w->max_message > 0 ? w->max_message : w->base.net->limits->max_message_bytes;
}

ws_received *ws_received_of(ws_peer *w)
{
    if (w->in != NULL)
        return w->in;
    w->in = leat_pool_take(leat_loop_pool(w->base.net->loop), sizeof(*w->in));
    leat_frame_decoder_init(&w->in->decoder, max_message(w));
    w->in->decoder.claimed_rsv = w->window_bits > 0 ? LEAT_DEFLATE_RSV : 0;
    return w->in;
}

static void count_received(ws_peer *w)
{
    ws_received *in = w->in;
    size_t now = in->unread.cap + in->decoder.message_.cap + in->decoder.control_.cap;
    if (now == in->counted)
        return;
    leat_metrics_add(w->base.net->metrics, LEAT_M_RECEIVED_BYTES,
                     (int64_t)now - (int64_t)in->counted);
    in->counted = now;
}

static void release_place(ws_received *in)
{
    if (in->place != NULL)
        leat_sweep_cancel(&in->place->later);
    free(in->place);
    in->place = NULL;
}

static void await_turn(ws_peer *w)
{
    ws_received *in = w->in;
    if (in->place == NULL) {
        in->place = leat_calloc(1, sizeof(*in->place));
        in->place->peer = w;
        leat_sweep_init(&in->place->later, on_place);
    }
    leat_sweep_schedule_later(w->base.net->loop, &in->place->later);
}

void ws_drop_received(ws_peer *w)
{
    ws_received *in = w->in;
    if (in == NULL)
        return;
    release_place(in);
    leat_buf_close(&in->unread);
    leat_buf_close(&in->owed_pong);
    in->owes_pong = false;
    leat_frame_decoder_close(&in->decoder);
    count_received(w);
}

void ws_settle_received(ws_peer *w)
{
    ws_received *in = w->in;
    if (in == NULL || in->counted > 0 || in->place != NULL || in->owes_pong)
        return;
    if (ws_takes_input(w) && !leat_frame_at_rest(&in->decoder))
        return;
    leat_pool_give(leat_loop_pool(w->base.net->loop), in);
    w->in = NULL;
}

bool ws_takes_input(const ws_peer *w)
{
    return w->state == WS_OPEN || w->state == WS_CLOSING;
}

/* --- in --- */

static void breach(ws_peer *w, int code)
{
    leat_metrics_add(w->base.net->metrics, LEAT_M_PROTOCOL_ERRORS, 1);
    ws_end_input(w, code, (leat_slice){NULL, 0});
}

/* The decoder leaves the UTF-8 of a compressed text to us. False after a breach. */
static bool deliver_compressed(ws_peer *w, bool binary, leat_slice compressed)
{
    leat_buf message = LEAT_BUF_INIT;
    int code = leat_deflate_inflate(w->base.net->deflate, compressed, max_message(w), &message);
    w->in->inflated += message.len;
    ws_count_bytes(w, message.len);
    if (code == 0 && !binary && !leat_utf8_valid(message.at, message.len))
        code = LEAT_CLOSE_BAD_DATA;
    if (code == 0)
        w->base.handler->on_message(w->base.owner, binary, leat_buf_view(&message));
    else
        breach(w, code);
    leat_buf_close(&message);
    return code == 0;
}

/* False after a breach. */
static bool deliver(ws_peer *w, bool binary, leat_slice payload)
{
    if (leat_frame_rsv(&w->in->decoder) != 0)
        return deliver_compressed(w, binary, payload);
    w->base.handler->on_message(w->base.owner, binary, payload);
    return true;
}

static bool on_frame(void *arg, leat_frame_op op, leat_slice payload, int close_code)
{
    ws_peer *w = arg;
    w->handled++;
    switch (op) {
    case LEAT_FRAME_TEXT:
    case LEAT_FRAME_BINARY:
        if (w->state != WS_OPEN)
            break;
        if (!(ws_count_message(w) && deliver(w, op == LEAT_FRAME_BINARY, payload)))
            return false;
        break;
    case LEAT_FRAME_PING:
        if (w->state != WS_OPEN)
            break;
        if (!ws_count_control(w))
            return false;
        ws_send_pong(w, payload);
        break;
    case LEAT_FRAME_CLOSE:
        ws_end_input(w, close_code, payload);
        break;
    case LEAT_FRAME_PONG: /* any bytes count as a sign of life */
        if (w->state == WS_OPEN && !ws_count_control(w))
            return false;
        break;
    case LEAT_FRAME_CONTINUATION:
        LEAT_ASSERT(op != LEAT_FRAME_CONTINUATION); /* the decoder delivers whole messages */
        break;
    }
    return ws_takes_input(w) && w->input != WS_HELD && w->in->inflated < INFLATE_PER_TURN &&
           w->handled < FRAMES_PER_TURN;
}

bool leat_ws_peer_had_turn(const leat_peer *p)
{
    return ((const ws_peer *)p)->handled >= FRAMES_PER_TURN;
}

void leat_ws_peer_begin_turn(leat_peer *p)
{
    ws_of(p)->handled = 0;
}

bool ws_reads(const ws_peer *w)
{
    return unread_len(w) <= UNREAD_BYTES && w->input == WS_FLOWING && w->brake == NULL;
}

/* Changing what is polled costs system calls, so a few bytes that wait for the peer's turn do not
 * stop the reading: often they are a message that came together with the upgrade request. */
void ws_update_reading(ws_peer *w)
{
    bool waits = unread_len(w) > 0;
    if (w->base.conn == NULL || !ws_takes_input(w))
        return;
    if (ws_reads(w))
        leat_conn_read_start(w->base.conn);
    else
        leat_conn_read_stop(w->base.conn);
    if (waits && w->input != WS_HELD)
        await_turn(w);
}

/* Returns how many bytes are done with. */
static size_t decode(ws_peer *w, char *bytes, size_t len)
{
    size_t used = 0;
    w->in->inflated = 0;
    w->handled = 0;
    int code = leat_frame_feed(&w->in->decoder, bytes, len, on_frame, w, &used);
    if (code != 0)
        breach(w, code);
    return ws_takes_input(w) ? used : len;
}

/* A peer that has sent many frames lately waits for its turn even with a few. */
static bool may_decode_now(const ws_peer *w)
{
    uint64_t now_ms = leat_loop_now(w->base.net->loop);
    const leat_allowance *allowance = ws_allowance(w);
    return unread_len(w) == 0 && w->input != WS_HELD &&
           !leat_bucket_is_low(&w->messages, &allowance->messages, now_ms) &&
           !leat_bucket_is_low(&w->controls, &allowance->controls, now_ms);
}

void ws_on_read(void *owner, char *bytes, size_t len)
{
    ws_peer *w = owner;
    w->base.heard_ms = leat_loop_now(w->base.net->loop);
    w->pinged_after_ms = 0;
    if (!ws_takes_input(w))
        return;
    ws_count_bytes(w, len);
    ws_received *in = ws_received_of(w);
    size_t used = may_decode_now(w) ? decode(w, bytes, len) : 0;
    if (used < len)
        leat_buf_append(&in->unread, bytes + used, len - used);
    ws_update_reading(w);
    count_received(w);
    ws_settle_received(w);
}

static void decode_unread(ws_peer *w)
{
    leat_buf own = w->in->unread;
    w->in->unread = LEAT_BUF_INIT;
    leat_buf_consume(&own, decode(w, own.at, own.len));
    if (own.len > 0)
        w->in->unread = own;
    else
        leat_buf_close(&own);
    ws_update_reading(w);
    count_received(w);
}

static void on_place(leat_sweep *s)
{
    ws_peer *w = LEAT_CONTAINER_OF(s, ws_place, later)->peer;
    bool conn_ends = leat_conn_closing(w->base.conn); /* as after leat_peer_shed */
    if (!conn_ends && w->input != WS_HELD && ws_takes_input(w))
        decode_unread(w);
    if (unread_len(w) == 0)
        release_place(w->in);
    ws_settle_received(w);
}

static void set_input(ws_peer *w, ws_input input)
{
    if (w->state != WS_OPEN || w->input == input)
        return;
    w->input = (uint8_t)input;
    w->pinged_after_ms = 0; /* while nothing is read, an answer is not seen */
    ws_update_reading(w);
}

void ws_hold(leat_peer *p)
{
    set_input(ws_of(p), WS_HELD);
}

void leat_ws_peer_set_max_message(leat_peer *p, size_t bytes)
{
    ws_peer *w = ws_of(p);
    w->max_message = (uint32_t)bytes;
    if (w->in != NULL)
        w->in->decoder.max_message = max_message(w);
}

void leat_ws_peer_pause(leat_peer *p)
{
    set_input(ws_of(p), WS_PAUSED);
}

void ws_release(leat_peer *p)
{
    set_input(ws_of(p), WS_FLOWING);
}
