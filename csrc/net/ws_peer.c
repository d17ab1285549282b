/* ws_peer.c - on_read -> decode -> on_frame -> the owner's on_message, or a pong, or the end.
 *
 * The states are those of the close handshake. Each is entered by set_state, which also does what
 * the state needs. WS_OPEN ends in one of four ways: we close (WS_CLOSING), the peer closes or
 * breaks the protocol (WS_CLOSED_BY_PEER), it does not answer a ping, or the conn ends by itself
 * (WS_GONE).
 *
 * What a peer sends is charged to its buckets. A peer that owes bytes is not read until it has paid
 * (the brake): so it costs neither memory nor time.
 *
 * A peer that sends many messages at once does not keep the others waiting: of what is read, some
 * are delivered at once, and the others when it is the peer's turn (its place, on_place). All peers
 * with such a place take turns, and share a part of each turn of the loop.
 *
 * The decoder unmasks in place: in the conn's own buffer, or in `unread`, where bytes wait that
 * were read but may not be decoded yet.
 */
#include "net/ws_peer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/frame.h"

/* So many bytes may be inflated in one turn: what is read at once may become a thousand times as
 * long, and the other peers wait meanwhile. */
enum { INFLATE_PER_TURN = 256 * 1024 };

/* So many messages are delivered before it is the next peer's turn. */
enum { MESSAGES_PER_TURN = 16 };

/* Messages beyond the allowance that are answered before the peer is closed; or a burst of them, if
 * that is less. */
enum { MAX_REFUSED = 200 };

/* Nothing is read while more than that waits to be decoded. */
enum { UNREAD_BYTES = 4096 };

typedef enum ws_state {
    WS_OPEN,
    WS_CLOSING,        /* our close frame was sent; the peer's is awaited, messages are dropped */
    WS_CLOSED_BY_PEER, /* the peer's close frame or a breach has come; the owner's answer is due */
    WS_ENDING,         /* the WebSocket is closed; its TCP connection ends */
    WS_GONE,
    WS_STATES,
} ws_state;

/* How far the owner lets the peer's messages come. It is not part of ws_state: the owner may change
 * it in WS_OPEN at any time. */
typedef enum ws_input {
    WS_FLOWING,
    WS_PAUSED, /* nothing is read; messages that were read are delivered */
    WS_HELD,   /* nothing is read, and no message is delivered */
} ws_input;

/* Nothing is read until a deadline. */
typedef struct ws_brake {
    leat_deadline end;
    struct ws_peer *peer;
} ws_brake;

/* Among the peers whose bytes wait in `unread`. */
typedef struct ws_place {
    leat_sweep later;
    struct ws_peer *peer;
} ws_place;

typedef struct ws_peer {
    leat_peer base;
    leat_metrics *metrics;
    leat_deflate *deflate; /* the worker's; not used while window_bits is 0 */
    leat_frame_decoder decoder;
    leat_buf unread;
    size_t counted;     /* bytes received and not yet delivered */
    size_t max_message; /* 0: max_message_bytes */
    size_t inflated;    /* in this turn */
    leat_buf owed_pong; /* the payload of the last ping that is not yet answered */
    uint64_t pinged_ms; /* when the unanswered ping was sent; 0: there is none */
    const leat_allowance *allowance;
    leat_bucket messages;
    leat_bucket bytes;
    leat_bucket controls;
    ws_brake *brake;     /* NULL: it owes no bytes */
    ws_place *place;     /* NULL: nothing waits in unread */
    uint16_t close_code; /* WS_CLOSED_BY_PEER: what is to be answered */
    uint8_t delivered;   /* messages in this turn of the peer */
    uint8_t state;       /* a ws_state */
    uint8_t input;       /* a ws_input */
    uint8_t window_bits; /* of the peer's inflater; 0: no message is compressed */
    bool binary;         /* leat_peer_send sends binary messages */
    bool owes_pong;      /* a ping came while the output was full, and is to be answered */
} ws_peer;

static const uint8_t edges[WS_STATES] = {
    [WS_OPEN] = 1 << WS_CLOSING | 1 << WS_CLOSED_BY_PEER | 1 << WS_GONE,
    [WS_CLOSING] = 1 << WS_ENDING | 1 << WS_GONE,
    [WS_CLOSED_BY_PEER] = 1 << WS_ENDING | 1 << WS_GONE,
    [WS_ENDING] = 1 << WS_GONE,
};

static void on_close_timeout(leat_deadline *d);
static void update_reading(ws_peer *w);
static void release_brake(ws_peer *w);
static void on_place(leat_sweep *s);
static void drop_received(ws_peer *w);

static ws_peer *ws_of(leat_peer *p)
{
    return LEAT_CONTAINER_OF(p, ws_peer, base);
}

static void set_state(ws_peer *w, ws_state next)
{
    leat_peer *p = &w->base;
    LEAT_ASSERT((edges[w->state] & 1u << next) != 0);
    w->state = (uint8_t)next;
    switch (next) {
    case WS_CLOSING:
        leat_peer_shut(p);
        leat_loop_after(p->loop, &p->timer, p->limits->close_timeout_ms, on_close_timeout);
        w->input = WS_FLOWING; /* for the peer's close frame */
        update_reading(w);
        return;
    case WS_CLOSED_BY_PEER:
        leat_deadline_cancel(&p->timer); /* the owner answers when it has handled its messages */
        return;
    case WS_ENDING:
        leat_peer_shut(p);
        drop_received(w);
        leat_conn_finish(p->conn, leat_loop_now(p->loop) + p->limits->close_timeout_ms);
        return;
    case WS_GONE:
        drop_received(w);
        release_brake(w);
        return;
    case WS_OPEN:
    case WS_STATES:
        return;
    }
}

static void on_close_timeout(leat_deadline *d)
{
    leat_conn_close(LEAT_CONTAINER_OF(d, leat_peer, timer)->conn);
}

/* --- out --- */

static void send_frame(ws_peer *w, leat_frame_op op, leat_slice payload)
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
    bool sent =
        w->window_bits > 0 && leat_deflate_frame(w->deflate, op, payload, w->window_bits, &frame);
    if (sent)
        leat_conn_send_copy(w->base.conn, leat_buf_view(&frame));
    leat_buf_close(&frame);
    return sent;
}

static void send_close(ws_peer *w, int code, const char *reason)
{
    leat_buf frame = LEAT_BUF_INIT;
    leat_frame_write_close(&frame, code, reason);
    leat_conn_send_owned(w->base.conn, &frame);
}

/* Room for the longest header; it is written once the length is known. */
static void begin(leat_buf *out, const leat_peer_label *label, size_t room)
{
    (void)label;
    leat_buf_reserve(out, LEAT_FRAME_HEADER_MAX + room);
    out->len = LEAT_FRAME_HEADER_MAX;
}

static void finish(leat_peer *p, leat_buf *message)
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

static void send_event(leat_peer *p, leat_event *e, const leat_epoch *epoch)
{
    (void)epoch;
    if (p->output == LEAT_PEER_SHUT)
        return;
    ws_peer *w = ws_of(p);
    if (leat_deflate_suits(w->window_bits, leat_event_payload(e).len))
        e = leat_deflate_event(w->deflate, e);
    leat_conn_send_event(p->conn, e, leat_event_frame(e));
    leat_peer_sent(p);
}

/* Compressed events are not joined: each is a message of its own. */
static bool send_joined(leat_peer *p, leat_event *joined, size_t longest)
{
    ws_peer *w = ws_of(p);
    if (w->window_bits > 0 && leat_deflate_min_bytes(w->deflate) <= longest)
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
        send_frame(w, op, payload);
}

static void send_pong(ws_peer *w, leat_slice payload)
{
    if (leat_peer_is_open(&w->base)) {
        send_frame(w, LEAT_FRAME_PONG, payload);
        return;
    }
    w->owes_pong = true;
    w->owed_pong.len = 0;
    leat_buf_slice(&w->owed_pong, payload);
}

static void on_output_open(leat_peer *p)
{
    ws_peer *w = ws_of(p);
    if (!w->owes_pong)
        return;
    w->owes_pong = false;
    send_frame(w, LEAT_FRAME_PONG, leat_buf_view(&w->owed_pong));
    leat_buf_close(&w->owed_pong);
}

/* --- closing --- */

bool leat_ws_peer_is_open(const leat_peer *p)
{
    ws_state state = (ws_state)((const ws_peer *)p)->state;
    return state == WS_OPEN || state == WS_CLOSED_BY_PEER;
}

/* The owner gets no more messages, whatever the peer still sends. */
static void close_peer(leat_peer *p, int code, const char *reason)
{
    ws_peer *w = ws_of(p);
    if (!leat_ws_peer_is_open(p))
        return;
    send_close(w, code, reason);
    set_state(w, w->state == WS_OPEN ? WS_CLOSING : WS_ENDING);
}

void leat_ws_peer_answer(leat_peer *p, const char *reason)
{
    ws_peer *w = ws_of(p);
    if (w->state == WS_CLOSED_BY_PEER)
        close_peer(p, w->close_code, reason);
}

/* The peer's close frame, or its breach of the protocol: nothing that follows counts. */
static void end_input(ws_peer *w, int code, leat_slice reason)
{
    w->close_code = (uint16_t)code;
    set_state(w, w->state == WS_OPEN ? WS_CLOSED_BY_PEER : WS_ENDING);
    w->base.handler->on_close(w->base.owner, code, reason);
}

/* --- what was received and is not yet delivered --- */

static size_t received(const leat_peer *p)
{
    return ((const ws_peer *)p)->counted;
}

static void count_received(ws_peer *w)
{
    size_t now = w->unread.cap + w->decoder.message_.cap + w->decoder.control_.cap;
    if (now == w->counted)
        return;
    leat_metrics_add(w->metrics, LEAT_M_RECEIVED_BYTES, (int64_t)now - (int64_t)w->counted);
    w->counted = now;
}

static void release_place(ws_peer *w)
{
    if (w->place != NULL)
        leat_sweep_cancel(&w->place->later);
    free(w->place);
    w->place = NULL;
}

static void await_turn(ws_peer *w)
{
    if (w->place == NULL) {
        w->place = leat_calloc(1, sizeof(*w->place));
        w->place->peer = w;
        leat_sweep_init(&w->place->later, on_place);
    }
    leat_sweep_schedule_later(w->base.loop, &w->place->later);
}

/* Nothing is decoded any more. */
static void drop_received(ws_peer *w)
{
    release_place(w);
    leat_buf_close(&w->unread);
    leat_frame_decoder_close(&w->decoder);
    count_received(w);
}

static bool takes_input(const ws_peer *w)
{
    return w->state == WS_OPEN || w->state == WS_CLOSING;
}

static void shed(leat_peer *p, int code, const char *reason)
{
    if (takes_input(ws_of(p)))
        end_input(ws_of(p), code, leat_slice_of(reason));
}

/* --- how much the peer sends --- */

static void release_brake(ws_peer *w)
{
    if (w->brake != NULL)
        leat_deadline_cancel(&w->brake->end);
    free(w->brake);
    w->brake = NULL;
}

static void on_brake_end(leat_deadline *d)
{
    ws_peer *w = LEAT_CONTAINER_OF(d, ws_brake, end)->peer;
    release_brake(w);
    update_reading(w);
}

static void brake(ws_peer *w, uint64_t ms)
{
    leat_metrics_add(w->metrics, LEAT_M_LIMITED_BYTES, 1);
    LEAT_LOG_INFO("client", "slowed limit=byte_rate_per_client remote=%s ms=%" PRIu64,
                  leat_peer_remote(&w->base), ms);
    w->brake = leat_calloc(1, sizeof(*w->brake));
    w->brake->peer = w;
    w->pinged_ms = 0; /* while nothing is read, an answer is not seen */
    leat_deadline_init(&w->brake->end);
    leat_loop_after(w->base.loop, &w->brake->end, ms, on_brake_end);
}

static void count_bytes(ws_peer *w, size_t n)
{
    const leat_rate *rate = &w->allowance->bytes;
    uint64_t now_ms = leat_loop_now(w->base.loop);
    leat_bucket_charge(&w->bytes, rate, n, now_ms);
    if (w->brake == NULL && leat_bucket_owes(&w->bytes, rate, now_ms))
        brake(w, leat_bucket_wait_ms(&w->bytes, rate, now_ms));
}

static bool end_flood(ws_peer *w, const char *limit, const char *reason)
{
    leat_metrics_add(w->metrics, LEAT_M_FLOODS_CLOSED, 1);
    LEAT_LOG_INFO("client", "closed reason=flood limit=%s remote=%s", limit,
                  leat_peer_remote(&w->base));
    leat_conn_charge_flood(w->base.conn);
    end_input(w, LEAT_CLOSE_TOO_MANY, leat_slice_of(reason));
    return false;
}

/* Returns false after a flood. */
static bool count_message(ws_peer *w)
{
    const leat_rate *rate = &w->allowance->messages;
    uint64_t now_ms = leat_loop_now(w->base.loop);
    leat_bucket_charge(&w->messages, rate, 1, now_ms);
    if (leat_bucket_owes(&w->messages, rate, now_ms))
        leat_metrics_add(w->metrics, LEAT_M_LIMITED_MESSAGES, 1);
    return !leat_bucket_owes_many(&w->messages, rate, MAX_REFUSED, now_ms) ||
           end_flood(w, "message_rate_per_client", "too many messages");
}

static bool count_control(ws_peer *w)
{
    if (leat_bucket_take(&w->controls, &w->allowance->controls, 1, leat_loop_now(w->base.loop)))
        return true;
    leat_metrics_add(w->metrics, LEAT_M_LIMITED_CONTROLS, 1);
    return end_flood(w, "control_rate_per_client", "too many pings or pongs");
}

void leat_ws_peer_allow(leat_peer *p, const leat_allowance *allowance)
{
    ws_of(p)->allowance = allowance;
}

void leat_ws_peer_set_binary(leat_peer *p)
{
    ws_of(p)->binary = true;
}

bool leat_ws_peer_charge_message(leat_peer *p)
{
    return count_message(ws_of(p));
}

uint64_t leat_ws_peer_message_wait_ms(const leat_peer *p)
{
    const ws_peer *w = (const ws_peer *)p;
    const leat_rate *rate = &w->allowance->messages;
    uint64_t now_ms = leat_loop_now(p->loop);
    return leat_bucket_owes(&w->messages, rate, now_ms)
               ? leat_bucket_wait_ms(&w->messages, rate, now_ms)
               : 0;
}

/* --- in --- */

static void breach(ws_peer *w, int code)
{
    leat_metrics_add(w->metrics, LEAT_M_PROTOCOL_ERRORS, 1);
    end_input(w, code, (leat_slice){NULL, 0});
}

/* The decoder leaves the UTF-8 of a compressed text to us. False after a breach. */
static bool deliver_compressed(ws_peer *w, bool binary, leat_slice compressed)
{
    leat_buf message = LEAT_BUF_INIT;
    size_t max = w->max_message > 0 ? w->max_message : w->base.limits->max_message_bytes;
    int code = leat_deflate_inflate(w->deflate, compressed, max, &message);
    w->inflated += message.len;
    count_bytes(w, message.len);
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
    if (leat_frame_rsv(&w->decoder) != 0)
        return deliver_compressed(w, binary, payload);
    w->base.handler->on_message(w->base.owner, binary, payload);
    return true;
}

static bool on_frame(void *arg, leat_frame_op op, leat_slice payload, int close_code)
{
    ws_peer *w = arg;
    switch (op) {
    case LEAT_FRAME_TEXT:
    case LEAT_FRAME_BINARY:
        if (w->state != WS_OPEN)
            break;
        w->delivered++;
        if (!(count_message(w) && deliver(w, op == LEAT_FRAME_BINARY, payload)))
            return false;
        break;
    case LEAT_FRAME_PING:
        if (w->state != WS_OPEN)
            break;
        if (!count_control(w))
            return false;
        send_pong(w, payload);
        break;
    case LEAT_FRAME_CLOSE:
        end_input(w, close_code, payload);
        break;
    case LEAT_FRAME_PONG: /* any bytes count as a sign of life */
        if (w->state == WS_OPEN && !count_control(w))
            return false;
        break;
    case LEAT_FRAME_CONTINUATION:
        LEAT_ASSERT(op != LEAT_FRAME_CONTINUATION); /* the decoder delivers whole messages */
        break;
    }
    return takes_input(w) && w->input != WS_HELD && w->inflated < INFLATE_PER_TURN &&
           w->delivered < MESSAGES_PER_TURN;
}

/* Changing what is polled costs system calls, so a few bytes that wait for the peer's turn do not
 * stop the reading: often they are a message that came together with the upgrade request. */
static void update_reading(ws_peer *w)
{
    bool waits = w->unread.len > 0;
    if (w->base.conn == NULL || !takes_input(w))
        return;
    if (w->unread.len > UNREAD_BYTES || w->input != WS_FLOWING || w->brake != NULL)
        leat_conn_read_stop(w->base.conn);
    else
        leat_conn_read_start(w->base.conn);
    if (waits && w->input != WS_HELD)
        await_turn(w);
}

/* Returns how many bytes are done with. */
static size_t decode(ws_peer *w, char *bytes, size_t len)
{
    size_t used = 0;
    w->inflated = 0;
    w->delivered = 0;
    int code = leat_frame_feed(&w->decoder, bytes, len, on_frame, w, &used);
    if (code != 0)
        breach(w, code);
    return takes_input(w) ? used : len;
}

/* A peer that has sent many messages lately waits for its turn even with a few. */
static bool may_decode_now(const ws_peer *w)
{
    return w->unread.len == 0 && w->input != WS_HELD &&
           !leat_bucket_is_low(&w->messages, &w->allowance->messages, leat_loop_now(w->base.loop));
}

static void on_read(void *owner, char *bytes, size_t len)
{
    ws_peer *w = owner;
    w->base.heard_ms = leat_loop_now(w->base.loop);
    w->pinged_ms = 0;
    if (!takes_input(w))
        return;
    count_bytes(w, len);
    size_t used = may_decode_now(w) ? decode(w, bytes, len) : 0;
    if (used < len)
        leat_buf_append(&w->unread, bytes + used, len - used);
    update_reading(w);
    count_received(w);
}

static void decode_unread(ws_peer *w)
{
    leat_buf own = w->unread;
    w->unread = LEAT_BUF_INIT;
    leat_buf_consume(&own, decode(w, own.at, own.len));
    if (own.len > 0)
        w->unread = own;
    else
        leat_buf_close(&own);
    update_reading(w);
    count_received(w);
}

static void on_place(leat_sweep *s)
{
    ws_peer *w = LEAT_CONTAINER_OF(s, ws_place, later)->peer;
    bool conn_ends = leat_conn_closing(w->base.conn); /* as after leat_peer_shed */
    if (!conn_ends && w->input != WS_HELD && takes_input(w))
        decode_unread(w);
    if (w->unread.len == 0)
        release_place(w);
}

static void set_input(ws_peer *w, ws_input input)
{
    if (w->state != WS_OPEN || w->input == input)
        return;
    w->input = (uint8_t)input;
    w->pinged_ms = 0; /* while nothing is read, an answer is not seen */
    update_reading(w);
}

static void hold(leat_peer *p)
{
    set_input(ws_of(p), WS_HELD);
}

void leat_ws_peer_set_max_message(leat_peer *p, size_t bytes)
{
    ws_peer *w = ws_of(p);
    w->max_message = bytes;
    w->decoder.max_message = bytes > 0 ? bytes : p->limits->max_message_bytes;
}

void leat_ws_peer_pause(leat_peer *p)
{
    set_input(ws_of(p), WS_PAUSED);
}

static void release(leat_peer *p)
{
    set_input(ws_of(p), WS_FLOWING);
}

/* --- is the peer still there --- */

static void ping(ws_peer *w)
{
    send_frame(w, LEAT_FRAME_PING, (leat_slice){NULL, 0});
}

/* While nothing is read, the answer to a ping is not seen. But a ping that cannot be delivered
 * shows that the peer is gone. */
static uint64_t keep_unread_alive(ws_peer *w, uint64_t now_ms)
{
    uint64_t interval_ms = w->base.limits->ping_interval_ms;
    if (now_ms >= w->base.heard_ms + interval_ms) {
        w->base.heard_ms = now_ms;
        ping(w);
    }
    return w->base.heard_ms + interval_ms;
}

static uint64_t keep_alive(leat_peer *p, uint64_t now_ms)
{
    ws_peer *w = ws_of(p);
    uint64_t ping_at_ms = p->heard_ms + p->limits->ping_interval_ms;
    if (w->input != WS_FLOWING || w->brake != NULL)
        return keep_unread_alive(w, now_ms);
    if (w->pinged_ms == 0 && now_ms < ping_at_ms)
        return ping_at_ms;
    if (w->pinged_ms == 0) {
        w->pinged_ms = now_ms;
        ping(w);
    }
    uint64_t dead_at_ms = w->pinged_ms + p->limits->pong_timeout_ms;
    if (now_ms >= dead_at_ms)
        leat_peer_give_up(p);
    return dead_at_ms;
}

/* --- beginning and end --- */

static void on_gone(leat_peer *p)
{
    set_state(ws_of(p), WS_GONE);
}

static void free_peer(leat_peer *p)
{
    ws_peer *w = ws_of(p);
    leat_frame_decoder_close(&w->decoder);
    leat_buf_close(&w->unread);
    leat_buf_close(&w->owed_pong);
    free(w);
}

leat_peer *leat_ws_peer_new(leat_opening *opening, leat_loop *loop, const leat_limits *limits,
                            leat_metrics *metrics, leat_deflate *deflate,
                            const leat_peer_handler *handler, void *owner)
{
    static const leat_peer_ops ops = {
        .begin = begin,
        .finish = finish,
        .send_event = send_event,
        .send_joined = send_joined,
        .hold = hold,
        .release = release,
        .close = close_peer,
        .keep_alive = keep_alive,
        .on_open = on_output_open,
        .received = received,
        .shed = shed,
        .on_gone = on_gone,
        .free = free_peer,
    };
    static const leat_conn_handler conn_handler = {on_read, leat_peer_on_drain,
                                                   leat_peer_on_conn_closed, NULL};
    ws_peer *w = leat_calloc(1, sizeof(*w));
    w->metrics = metrics;
    w->base.handler = handler;
    w->base.owner = owner;
    w->allowance = &limits->allowance;
    w->deflate = deflate;
    w->window_bits = opening->window_bits;
    leat_frame_decoder_init(&w->decoder, limits->max_message_bytes);
    w->decoder.claimed_rsv = w->window_bits > 0 ? LEAT_DEFLATE_RSV : 0;
    leat_peer_init(&w->base, &ops, opening->conn, loop, limits, &conn_handler);
    w->unread = opening->rest;
    opening->rest = LEAT_BUF_INIT;
    update_reading(w);
    return &w->base;
}
