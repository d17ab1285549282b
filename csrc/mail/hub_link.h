/* hub_link.h - a worker's end of what passes between it and the hub.
 *
 * Ownership  a leat_hub_link belongs to the core of one worker.
 * Threads    the worker's loop thread; callbacks run there too, through the link's mailbox.
 * Units      seq counts from 1.
 * Errors     _open returns negative errors; nothing fails after that.
 */
#ifndef LEAT_MAIL_HUB_LINK_H
#define LEAT_MAIL_HUB_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"
#include "base/limits.h"
#include "loop/mailbox.h"

typedef struct leat_hub_link leat_hub_link;

typedef struct leat_hub_handler {
    /* The topic's interest is registered and the broker is listening. */
    void (*on_armed)(void *arg, leat_slice topic, uint64_t generation);
    /* Here the hub begins with the topic, or goes on after a pause: what is given next is seq + 1,
     * and nothing up to seq will come. revoked: the last revocation up to there. */
    void (*on_begin)(void *arg, leat_slice topic, uint64_t generation, leat_slice epoch,
                     int64_t seq, int64_t revoked);
    /* The next event, contiguous with the last one given for the topic, or with where the hub
     * began. Takes a reference. */
    void (*on_event)(void *arg, leat_event *e);
    /* A signal. Takes a reference. */
    void (*on_signal)(void *arg, leat_event *e);
    /* Whether the database is known to have the history that was told before; false at first. While
     * it is not, nobody may go on from a position without asking the database. */
    void (*on_confirmed)(void *arg, bool confirmed);
    /* The numbering cannot be continued (history gone, other epoch): positions start anew. */
    void (*on_reset)(void *arg, leat_slice topic, uint64_t generation, int reason);
} leat_hub_handler;

/* Why positions start anew. The last three are no resets of the hub's: a worker's hook failed, the
 * application asked for it, an event is larger than max_event_bytes. */
enum {
    LEAT_RESET_HISTORY,
    LEAT_RESET_EPOCH,
    LEAT_RESET_HOOK,
    LEAT_RESET_REQUESTED,
    LEAT_RESET_TOO_LARGE,
};

/* hub: the hub's mailbox. It and handler outlive the link. */
LEAT_MUST_CHECK int leat_hub_link_open(leat_hub_link **out, leat_mailbox *hub,
                                       const leat_limits *limits, uv_loop_t *uv,
                                       const leat_hub_handler *handler, void *arg);
/* done runs on the worker's loop once nothing of the link is left. */
void leat_hub_link_close(leat_hub_link *l, void (*done)(void *arg), void *arg);

/* Registers interest; on_armed follows once the broker is listening. generation comes back with it,
 * and separates one life of a topic on a worker from the next. */
void leat_hub_link_arm(leat_hub_link *l, leat_slice topic, uint64_t generation);
void leat_hub_link_disarm(leat_hub_link *l, leat_slice topic, uint64_t generation);

/* A read has seen the topic at this position, and its last revocation there. The first one told
 * after arming lets the hub begin to deliver; a later one beyond what has been delivered tells
 * the hub of events that it missed. */
void leat_hub_link_position(leat_hub_link *l, leat_slice topic, leat_slice epoch, int64_t seq,
                            int64_t revoked);

/* The server refused to say where a topic stands: the hub sees for itself whether the outbox can be
 * read. */
void leat_hub_link_unread(leat_hub_link *l, const char *sqlstate);

#endif
