/* sub.h - one subscription: the handshake's state machine and the cursor.
 *
 * Ownership  a subscription belongs to its client; it attaches to its topic while armed. It frees
 *            itself when it ends.
 * Threads    loop thread only.
 * Units      absolute milliseconds; seq.
 * Errors     an end is told to the client (error, closed) or to whoever asked for it on the
 *            server's side.
 *
 * NEW -> AUTHORIZING -> ARMING -> READING -> REPLAYING -> LIVE -> CLOSED; back to READING for a
 * resync, back to AUTHORIZING when the right to it is in doubt. A settled (LIVE) subscription is
 * this struct and nothing else: what a handshake needs hangs from `work` while it runs.
 */
#ifndef LEAT_CORE_SUB_H
#define LEAT_CORE_SUB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/client.h"
#include "core/topic.h"

typedef enum leat_sub_state {
    LEAT_SUB_NEW,
    LEAT_SUB_AUTHORIZING,
    LEAT_SUB_ARMING,
    LEAT_SUB_READING,
    LEAT_SUB_REPLAYING,
    LEAT_SUB_LIVE,
    LEAT_SUB_CLOSED,
} leat_sub_state;

typedef struct leat_sub leat_sub;
struct leat_sub {
    leat_map_entry entry; /* in the client's subs; key: the topic's name */
    leat_list topic_link; /* in topic->subs or ->pending while attached */
    leat_client *client;
    leat_topic *topic; /* NULL before ARMING */
    char *name;        /* owned before there is a topic; NULL afterwards */
    char *params;      /* of the subscribe, for when it is authorised anew; NULL: none */
    leat_grant *grant; /* NULL before it is authorised */
    int64_t next_seq;  /* the event it takes next */
    leat_sub_state state;
    bool stale; /* what the client has was composed from the authorised row */
    struct sub_work *work;
};

typedef struct leat_sub_request {
    leat_slice topic;
    leat_slice id;     /* raw JSON; at == NULL: none */
    leat_slice params; /* raw JSON; at == NULL: none */
    leat_since since;
    uint64_t deadline_ms;
    leat_grant *grant;              /* taken; NULL: to be authorised */
    leat_topic_mark seen;           /* with a grant: when its handler began */
    leat_client_subscribed_cb done; /* NULL: a client asked, and is answered on the wire */
    void *done_arg;
} leat_sub_request;

/* Begins a handshake. The request's slices are copied. */
leat_sub *leat_sub_new(leat_client *client, const leat_sub_request *request);

/* Ends it from the client's side: without a word on the wire, but an answer to a request that is
 * still open, if tell. Frees it. */
void leat_sub_close(leat_sub *s, bool tell);

/* The caller that leat_client_subscribe answers is gone. */
void leat_sub_forget(leat_sub *s, void *done_arg);

/* Moves the cursor as far as the client takes events. */
void leat_sub_pump(leat_sub *s);
void leat_sub_on_armed(leat_sub *s);
/* Sends a signal, if the subscription is live and its client takes it. */
void leat_sub_signal(leat_sub *s, leat_event *e);
/* What the client has is to be replaced by a fresh snapshot; reason: LEAT_RESET_*. */
void leat_sub_resync(leat_sub *s, int reason);
/* The topic's numbers begin anew: whatever is read from now on is not behind what the client has,
 * no event follows that, and revocations may have gone with the old numbers. */
void leat_sub_renumber(leat_sub *s);
/* The right to it is to be proved anew: the identity has changed. */
void leat_sub_reauthorize(leat_sub *s);

#endif
