/* sub.h - one subscription: from the subscribe to its end, and the cursor.
 *
 * Ownership  a subscription belongs to its client; it attaches to its topic while armed. It frees
 *            itself when it ends.
 * Threads    loop thread only.
 * Units      absolute milliseconds; seq.
 * Errors     an end is told to the client (error, closed) or to the script that asked for it.
 *
 * Which states there are, and what leads from one to the next, is said by sub_table.h and decided
 * by the table in sub_table.c. A settled (LIVE) subscription is this struct and nothing else: what
 * any other state needs hangs from `work`.
 */
#ifndef LEAT_CORE_SUB_H
#define LEAT_CORE_SUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "core/subscriber.h"
#include "core/topic.h"

/* What the client is owed before events go on. It is no state: it is true while the right is proved
 * anew, and while the snapshot is waited for and read. */
typedef enum leat_sub_due {
    LEAT_SUB_DUE_NOTHING,
    LEAT_SUB_DUE_SNAPSHOT,
    LEAT_SUB_DUE_FRESH, /* one that replaces a stale one: without the fallback to the old row */
} leat_sub_due;

typedef struct leat_sub leat_sub;
struct leat_sub {
    leat_map_entry entry; /* in the subscriber's subs; key: the topic's name */
    leat_list topic_link; /* in topic->subs or ->pending while attached */
    leat_subscriber *subscriber;
    leat_topic *topic; /* NULL before ARMING */
    char *params;      /* of the subscribe, for when it is authorised anew; NULL: none */
    leat_grant *grant; /* NULL before it is authorised */
    int64_t next_seq;  /* the event it takes next */
    uint8_t state;     /* a sub_state (sub_table.h) */
    uint8_t due;       /* a leat_sub_due */
    /* What the client has was composed from the authorised row. It is no state: it stays so while
     * the cursor moves, the handler runs or another snapshot is read. */
    bool stale;
    /* The handler is to run before anything of the topic's new numbering is given. It is no state:
     * the topic may be numbered anew whatever the subscription does. */
    bool renumbered;
    struct sub_work *work;
};

/* A position as a client writes it. */
typedef struct leat_since {
    leat_slice epoch; /* at == NULL: no position */
    int64_t seq;
} leat_since;

/* The outcome of a subscribe (LEAT_CODE_OK: subscribed). */
typedef void (*leat_subscribed_cb)(void *arg, const leat_failure *failure);

typedef struct leat_sub_request {
    leat_slice topic;
    leat_slice id;     /* raw JSON; at == NULL: none */
    leat_slice params; /* raw JSON; at == NULL: none */
    leat_since since;
    uint64_t deadline_ms;
    leat_grant *grant;       /* taken; NULL: to be authorised */
    leat_topic_mark seen;    /* with a grant: when its handler began */
    leat_subscribed_cb done; /* NULL: a client asked, and is answered on the wire */
    void *done_arg;
} leat_sub_request;

/* Begins a handshake. The request's slices are copied. */
void leat_sub_new(leat_subscriber *subscriber, const leat_sub_request *request);

/* Ends it from the client's side: without a word on the wire, but an answer to a request that is
 * still open, if tell. Frees it. */
void leat_sub_close(leat_sub *s, bool tell);

/* The caller that leat_subscribe answers is gone. */
void leat_sub_forget(leat_sub *s, void *done_arg);

/* Moves the cursor as far as the client takes events. */
void leat_sub_pump(leat_sub *s);
/* The hub listens for its topic. */
void leat_sub_on_armed(leat_sub *s);
/* Sends a signal, if the subscription is live and its client takes it. */
void leat_sub_signal(leat_sub *s, leat_event *e);
/* What the client has is to be replaced by a fresh snapshot. reason: LEAT_RESET_*. */
void leat_sub_resync(leat_sub *s, int reason);
/* The topic's numbers begin anew: whatever is read from now on is not behind what the client has,
 * no event follows that, and revocations may have gone with the old numbers. */
void leat_sub_renumber(leat_sub *s);
/* The right to it is to be proved anew: the identity has changed, or the grant has expired. */
void leat_sub_reauthorize(leat_sub *s);
/* When its right expires, in seconds since 1970; 0: never, or the handler is deciding anyway. */
int64_t leat_sub_expires_at(const leat_sub *s);

#endif
