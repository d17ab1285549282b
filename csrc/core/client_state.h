/* client_state.h - what the files of a client share: its struct, and whether its next message may
 * be delivered.
 *
 * Ownership  see client.h.
 * Threads    loop thread only.
 * Units      bytes; milliseconds.
 * Errors     none.
 */
#ifndef LEAT_CORE_CLIENT_STATE_H
#define LEAT_CORE_CLIENT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/container_of.h"
#include "base/list.h"
#include "core/client_foreign.h"
#include "core/subscriber.h"
#include "loop/deadline.h"
#include "net/peer.h"
#include "wire/codec.h"

typedef enum client_status {
    CLIENT_OPEN,
    CLIENT_GUEST,       /* nobody knows who it is: its first message must bring a token */
    CLIENT_IDENTIFYING, /* the connect handler looks at that token; further messages wait */
    CLIENT_DRAINING,    /* the server stops: the client is closed by a deadline (client_timer) */
    CLIENT_CLOSED,      /* all that it had has ended; the close handshake goes on */
} client_status;

/* What only a client has that is without an identity, or waits for the answer to a request: an idle
 * one has none. */
typedef struct client_busy {
    leat_list requests;     /* client_request: publish, call, authenticate under way */
    uint32_t request_bytes; /* what they hold, and that which is being answered */
    /* GUEST and IDENTIFYING; else NULL */
    void (*on_guest_end)(void *arg);
    void *on_guest_end_arg;
} client_busy;

/* What only a client that waits for a time has; most have none. */
typedef struct client_timer {
    leat_deadline at;
    struct leat_client *client;
    uint64_t drain_at_ms;    /* DRAINING: from then on it is closed once nothing is unanswered */
    uint64_t drain_until_ms; /* DRAINING: it is closed then, whatever is unanswered */
} client_timer;

typedef struct leat_client {
    leat_subscriber base; /* must be first (client_of). Subscriptions know no more of it */
    leat_list link;       /* in core->clients */
    leat_peer *peer;
    struct client_timer *timer; /* OPEN: the first expiry; GUEST: its last moment; DRAINING:
                                   its end, or the first expiry. NULL: it waits for no time */
    client_foreign *foreign;    /* NULL: its protocol is leat.v1 */
    client_busy *busy;          /* NULL: it has an identity, and nothing is under way */
    uint64_t heard_ms;          /* when its last message came, or when it was opened */
    uint8_t status;             /* a client_status */
    bool has_spoken;            /* a message has come */
} leat_client;

static inline leat_client *client_of(leat_subscriber *s)
{
    return (leat_client *)s;
}

/* The only way to change the status. A client that has an identity, or is closed, is no guest any
 * more: whoever wants to know is told. */
void client_set_status(leat_client *c, client_status next);

/* True if nobody knows yet who it is: GUEST and IDENTIFYING. */
bool client_is_guest(const leat_client *c);

/* Returns c->busy, made if need be. */
client_busy *client_busy_of(leat_client *c);
/* Frees c->busy if nothing needs it any more. */
void client_settle(leat_client *c);
/* What the client's requests hold. */
static inline uint32_t client_request_bytes(const leat_client *c)
{
    return c->busy == NULL ? 0 : c->busy->request_bytes;
}

/* Returns the client's timer, made if need be. */
client_timer *client_timer_of(leat_client *c);
/* Calls on_time after in_ms; client_of_timer finds the client of its deadline. A client has one
 * timer: arming it again replaces the time. */
void client_arm_timer(leat_client *c, uint64_t in_ms, leat_deadline_cb on_time);
void client_cancel_timer(leat_client *c);

static inline leat_client *client_of_timer(leat_deadline *d)
{
    return LEAT_CONTAINER_OF(d, client_timer, at)->client;
}

/* True if the client's next message may be looked at. */
bool client_may_ask(const leat_client *c);

/* Lets the peer's next message through, unless the client is being identified, or too much is
 * unanswered or unsent. Called whenever one of these has changed. */
void client_update_flow(leat_client *c);

/* A request or a subscribe was answered, or has ended without an answer. */
void client_answered(leat_client *c);

#endif
