/* client_private.h - what the client's files and its subscriptions share.
 *
 * Ownership  see client.h.
 * Threads    loop thread only.
 * Units      bytes; milliseconds.
 * Errors     none.
 */
#ifndef LEAT_CORE_CLIENT_PRIVATE_H
#define LEAT_CORE_CLIENT_PRIVATE_H

#include "core/client.h"
#include "core/sub.h"
#include "core/subscribe.h"
#include "wire/frame.h"
#include "wire/leat_v1.h"

struct leat_client {
    leat_subscriber base; /* first: its subscriptions know no more of it */
    leat_list link;       /* in core->clients */
    leat_conn *conn;
    leat_list requests;   /* client_request: publish, call, authenticate under way */
    size_t request_bytes; /* what requests under way hold */
    leat_deadline resume; /* the next round of the loop: see client_resume */
    leat_deadline tick;   /* ping, dead peer, slow client, close */
    uint64_t heard_ms;    /* when the peer last sent anything */
    leat_frame_decoder decoder;
    leat_buf backlog; /* read, and to be looked at when enough has been answered */
    leat_transport transport;
    uint64_t drain_until_ms; /* 0: not draining */
    bool closing;     /* a close frame was sent, or the stream was ended: nothing else is sent */
    bool peer_closed; /* and one was received */
    bool pinged;      /* a ping is unanswered */
    bool blocked;     /* its socket takes nothing more: on_drain will tell */
    bool paused;      /* not reading: too much unanswered or unsent */
    bool overrun;     /* did not take its answers: nothing more is queued, and it is closed */
};

/* client_send.c: what goes out, in the transport's form */
void client_send_snapshot(leat_subscriber *to, leat_slice id, leat_slice topic,
                          const leat_position *at, bool stale, leat_slice json);
void client_send_resumed(leat_subscriber *to, leat_slice id, leat_slice topic,
                         const leat_position *at);
void client_send_event(leat_subscriber *to, leat_event *e, const leat_epoch *epoch);
void client_refuse_subscribe(leat_subscriber *to, leat_slice id, leat_slice topic,
                             const leat_failure *failure);
void client_send_closed(leat_subscriber *to, leat_slice topic, const leat_failure *failure);
bool client_subscriber_takes_more(leat_subscriber *to);
/* Whether a snapshot of that size may be queued: one, on top of what events may fill. */
bool client_takes_snapshot(const leat_subscriber *to, size_t bytes);
void client_send_error(leat_client *c, leat_slice id, leat_slice topic,
                       const leat_failure *failure);
void client_send_ok(leat_client *c, leat_slice id, leat_slice json);
/* True while the queued bytes are below max_send_buffer_bytes. */
bool client_takes_more(leat_client *c);

/* client_request.c: what came in */
bool client_on_message(void *arg, leat_frame_op op, leat_slice payload, int close_code);
void client_cancel_requests(leat_client *c);
/* A request or handshake was answered. */
void client_answered(leat_client *c);

/* client.c */
/* In the loop's next round: moves the cursors on, and looks at the backlog, if the client takes
 * more by then. */
void client_resume(leat_client *c);
/* The next look at the client: ping, expiry, slowness. */
void client_arm_tick(leat_client *c);
/* Whether one more message may be looked at. */
bool client_may_ask(leat_client *c);
/* It has been sent far more than it takes: closed in the loop's next round. */
void client_overrun(leat_client *c);
/* Closes it at some random time before until, when nothing of it is under way, or at until at the
 * latest; until 0: now. */
void client_drain(leat_client *c, uint64_t until_ms);

#endif
