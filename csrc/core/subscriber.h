/* subscriber.h - what a subscription needs of its subscriber. The subscriber is a client,
 * or a program that embeds the server.
 *
 * Ownership  the head of the subscriber's own struct. It outlives its subscriptions.
 * Threads    loop thread of the worker.
 * Units      bytes; seq.
 * Errors     none: a subscriber that cannot be sent anything more drops it and ends by itself.
 *
 * The subscriber writes the messages of its protocol; a subscription says what they are about. */
#ifndef LEAT_CORE_SUBSCRIBER_H
#define LEAT_CORE_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/event.h"
#include "base/failure.h"
#include "base/map.h"
#include "core/core.h"
#include "core/run.h"
#include "core/script.h"
#include "core/snapshot.h"
#include "wire/codec.h"

typedef struct leat_subscriber leat_subscriber;
typedef struct leat_sub leat_sub;

/* The outcome of a subscribe that a script asked for (LEAT_CODE_OK: subscribed). */
typedef void (*leat_subscribed_cb)(void *arg, const leat_failure *failure);

typedef struct leat_subscriber_ops {
    /* A snapshot; id is that of the subscribe that it answers, absent for one that replaces what
     * the subscriber has. Returns false if the subscriber cannot take it: it was told to subscribe
     * anew, and this subscription ends. */
    bool (*snapshot)(leat_subscriber *to, leat_slice id, leat_slice topic,
                     const leat_snapshot *snapshot);
    /* The answer to a subscribe: the events after the subscriber's own position follow. */
    void (*resumed)(leat_subscriber *to, leat_slice id, leat_slice topic, const leat_position *at);
    /* An event or a signal; epoch is NULL for a signal. */
    void (*event)(leat_subscriber *to, leat_event *e, const leat_epoch *epoch);
    /* Several events, if the subscriber can take them in one block now. Returns false if not. NULL:
     * it never can. */
    bool (*run)(leat_subscriber *to, const leat_run *run);
    /* The answer to a subscribe: no. topic is absent if the answer need not name it. */
    void (*refused)(leat_subscriber *to, leat_slice id, leat_slice topic,
                    const leat_failure *failure);
    /* The handler has allowed the subscription, at first or again, until until_s (seconds since
     * 1970; 0: for ever). NULL: this subscriber need not know. */
    void (*granted)(leat_subscriber *to, leat_slice topic, int64_t until_s);
    /* The server ended a subscription that was answered before. */
    void (*closed)(leat_subscriber *to, leat_slice topic, const leat_failure *failure);

    /* True if an event may be sent. After false, the subscriber calls leat_sub_move_all as soon as
     * one may be sent again. */
    bool (*takes_more)(const leat_subscriber *to);
    /* True if a conflating signal may be sent: hardly anything waits to be sent before it. */
    bool (*takes_signal)(const leat_subscriber *to);
    /* A conflating signal waits: leat_sub_move_all is called once it may be sent. */
    void (*awaits_signal)(leat_subscriber *to);
    /* True if a snapshot of that size may be sent. */
    bool (*takes_snapshot)(const leat_subscriber *to, size_t bytes);

    /* Counts a subscribe by the subscriber's address. Returns 0, or, if its rate does not allow one
     * now, the milliseconds until it does, and writes *address. NULL: there is no address. */
    uint64_t (*charge_subscribe)(leat_subscriber *to, const char **address);
    /* True if that address is a crowd now: it subscribes faster than it may in the long run. NULL:
     * it has none. */
    bool (*is_in_crowd)(const leat_subscriber *to);
    /* A subscribe was answered, or has ended without an answer. */
    void (*answered)(leat_subscriber *to);
    /* The subscription has a grant that expires at at_s, in seconds since 1970. */
    void (*grant_expires)(leat_subscriber *to, int64_t at_s);
    /* The subscription of a stream has ended. The caller uses nothing of it afterwards. */
    void (*stream_ended)(leat_subscriber *to, leat_code code);
} leat_subscriber_ops;

struct leat_subscriber {
    const leat_subscriber_ops *ops;
    const leat_codec *codec; /* its protocol; NULL: it subscribes inside this process */
    leat_core *core;
    leat_session *session;
    struct leat_account *user;   /* what its user has on this worker; NULL: it has none */
    struct leat_account *tenant; /* likewise */
    leat_map subs;               /* leat_sub by topic */
    uint32_t n_handshakes;       /* subscribes that are not yet answered */
    uint32_t n_inflight;         /* requests and subscribes that are not yet answered */
    uint32_t params_bytes;       /* what subscriptions hold */
    bool is_stream;              /* it has one subscription, and ends with it */
};

/* The protocol that encodes events of its own; NULL: the subscriber takes them as they are. */
static inline const leat_codec *leat_subscriber_encoder(const leat_subscriber *s)
{
    return s->codec != NULL && s->codec->event != NULL ? s->codec : NULL;
}

#endif
