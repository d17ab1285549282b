/* embed_sub.h - the inside of a leat_subscription, which its files share: embed_sub.c begins it on
 * the program's side, embed_sub_worker.c has its course on a worker, embed_sub_tell.c what the
 * program is told of it.
 *
 * Ownership  a subscription belongs to its worker until it ends there; then `closed` is put into
 *            the inbox, the last of its items. When the program has been told, the memory goes
 *            back to the worker (embed_sub_release), behind all jobs that name it.
 * Threads    as each member says. The program's are those of its callbacks.
 * Units      bytes.
 * Errors     none: `closed` tells why.
 *
 * What waits for the program is counted in bytes. At `window` the cursor stops; when the program
 * has taken half of it, the worker is told, and the cursor moves on. */
#ifndef LEAT_EMBED_EMBED_SUB_H
#define LEAT_EMBED_EMBED_SUB_H

#include "core/snapshot.h"
#include "core/subscriber.h"
#include "embed/embed.h"

struct leat_subscription {
    leat_subscriber base; /* first: subscriptions of the core see only this. The worker's */
    leat_list link;       /* in worker->subs; the worker's */
    leat_deadline expiry; /* of the grant; the worker's */
    bool ended;           /* `closed` was put; the worker's */

    leat_server *server;
    size_t worker;
    size_t window;
    atomic_size_t waiting;    /* bytes in the inbox, and held */
    atomic_bool awaits;       /* a conflating signal waits until nothing does */
    atomic_bool unsubscribed; /* the program wants nothing but `closed` */

    leat_subscriber_callbacks callbacks; /* the program's, from here on */
    void *arg;
    enum {
        EMBED_SUB_TELLS,
        EMBED_SUB_PAUSED, /* by leat_pause */
        EMBED_SUB_OVER,   /* `closed` was told: the memory goes once `resume` is not in the inbox */
    } phase;
    leat_list held;    /* items that came while paused, or behind one that did */
    inbox_item resume; /* tells what is held */
    bool resuming;     /* it is in the inbox */
};

/* --- on any thread: messages to the subscription's worker (embed_sub_worker.c) --- */

/* The program has room again. */
void embed_sub_give_room(leat_subscription *sub);
void embed_sub_ask_end(leat_subscription *sub);
/* The program is done with it. */
void embed_sub_release(leat_subscription *sub);
/* Frees it at once: no worker knows of it. */
void embed_sub_free(leat_subscription *sub);

/* The job that begins it. Texts are copied. */
leat_worker_job *embed_sub_new_beginning(leat_subscription *sub, const leat_subscribe_options *o,
                                         leat_slice user_id);
void embed_sub_free_beginning(leat_worker_job *job);

/* What a subscription in process answers to the core. */
const leat_subscriber_ops *embed_sub_ops(void);

/* --- on the worker: what is to be told (embed_sub_tell.c) --- */

void embed_sub_tell_snapshot(leat_subscription *sub, const leat_snapshot *snapshot);
void embed_sub_tell_resumed(leat_subscription *sub, const leat_position *at);
/* An event, a skip or a signal; epoch is NULL for a signal. */
void embed_sub_tell_event(leat_subscription *sub, leat_event *e, const leat_epoch *epoch);
/* `closed`. */
void embed_sub_tell_end(leat_subscription *sub, const leat_failure *why);

#endif
