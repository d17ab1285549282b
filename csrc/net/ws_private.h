/* ws_private.h - the inside of a ws_peer, which its files share: ws_peer.c has its life and its
 * states, ws_out.c what is sent, ws_in.c what is received, ws_rate.c how much of that there may be.
 *
 * Ownership  see peer.h.
 * Threads    loop thread of the worker.
 * Units      bytes; milliseconds.
 * Errors     as peer.h says.
 */
#ifndef LEAT_NET_WS_PRIVATE_H
#define LEAT_NET_WS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/container_of.h"
#include "net/peer.h"
#include "wire/deflate.h"
#include "wire/frame.h"

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

/* What a peer has while anything of it is received and not yet dealt with. */
typedef struct ws_received {
    leat_frame_decoder decoder;
    leat_buf unread;    /* bytes that may not be decoded yet */
    leat_buf owed_pong; /* the payload of the last ping that is not yet answered */
    ws_place *place;    /* NULL: nothing waits in unread */
    size_t counted;     /* bytes received and not yet delivered */
    size_t inflated;    /* in this turn */
    bool owes_pong;     /* a ping came while the output was full, and is to be answered */
} ws_received;

typedef struct ws_peer {
    leat_peer base;
    uint8_t window_bits;      /* of the peer's inflater; 0: no message is compressed */
    bool binary;              /* leat_peer_send sends binary messages */
    uint8_t state;            /* a ws_state */
    uint8_t input;            /* a ws_input */
    uint8_t handled;          /* messages, pings and pongs in this turn of the peer */
    uint16_t close_code;      /* WS_CLOSED_BY_PEER: what is to be answered */
    ws_received *in;          /* NULL: all that came was dealt with */
    uint32_t max_message;     /* 0: max_message_bytes */
    uint32_t pinged_after_ms; /* heard_ms, the unanswered ping was sent; 0: there is none */
    leat_bucket messages;
    leat_bucket bytes;
    leat_bucket controls;
    ws_brake *brake; /* NULL: it owes no bytes */
} ws_peer;

static inline ws_peer *ws_of(leat_peer *p)
{
    return LEAT_CONTAINER_OF(p, ws_peer, base);
}

/* What its owner lets it send. */
static inline const leat_allowance *ws_allowance(const ws_peer *w)
{
    const leat_peer_handler *handler = w->base.handler;
    return handler->allowance != NULL ? handler->allowance(w->base.owner)
                                      : &w->base.net->limits->allowance;
}

/* Hidden, so that the compiler may still put them where they are called. */
#pragma GCC visibility push(hidden)

/* --- ws_peer.c --- */

/* The peer's close frame, or its breach of the protocol: nothing that follows counts. */
void ws_end_input(ws_peer *w, int code, leat_slice reason);

/* --- ws_out.c --- */

void ws_send_frame(ws_peer *w, leat_frame_op op, leat_slice payload);
void ws_send_close(ws_peer *w, int code, const char *reason);
/* Now, or when the output is open again. */
void ws_send_pong(ws_peer *w, leat_slice payload);

/* As leat_peer_ops says. */
void ws_begin(leat_buf *out, const leat_peer_label *label, size_t room);
void ws_finish(leat_peer *p, leat_buf *message);
void ws_send_event(leat_peer *p, leat_event *e, const leat_epoch *epoch);
bool ws_send_joined(leat_peer *p, leat_event *joined, size_t longest);
void ws_on_output_open(leat_peer *p);

/* --- ws_in.c --- */

/* False from the end of the input on: what comes is nobody's. */
bool ws_takes_input(const ws_peer *w);
/* True while the peer is read: so its answer to a ping is seen. */
bool ws_reads(const ws_peer *w);
/* Reads, or reads no more; has what waits delivered in its turn. */
void ws_update_reading(ws_peer *w);
/* Nothing is decoded any more. */
void ws_drop_received(ws_peer *w);
/* Returns w->in, made if need be. */
ws_received *ws_received_of(ws_peer *w);
/* Frees w->in, if all is dealt with. Not from inside a call of the decoder. */
void ws_settle_received(ws_peer *w);

void ws_on_read(void *owner, char *bytes, size_t len); /* the conn's */
/* As leat_peer_ops says. */
size_t ws_received_bytes(const leat_peer *p);
void ws_hold(leat_peer *p);
void ws_release(leat_peer *p);

/* --- ws_rate.c --- */

void ws_count_bytes(ws_peer *w, size_t n);
/* Each returns false after a flood, at which the input has ended. */
bool ws_count_message(ws_peer *w);
bool ws_count_control(ws_peer *w);
void ws_release_brake(ws_peer *w);

#pragma GCC visibility pop

#endif
