/* hub.h - the process's one place where announcements become topics' events: contiguous, in order,
 * repaired.
 *
 * Ownership  a leat_hub belongs to the server; a leat_hub_link to the core of one worker.
 * Threads    the hub runs a loop and a thread of its own. leat_hub_new, _start, _stop: the
 *            server's main thread. _link functions: the worker's loop thread; callbacks of a link
 *            run there too, through its mailbox.
 * Units      seq counts from 1; milliseconds.
 * Errors     _new and _start return negative errors; after that the hub heals by itself.
 */
#ifndef LEAT_HUB_HUB_H
#define LEAT_HUB_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/event.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "pg/pg_listener.h"
#include "pg/pg_pool.h"

typedef struct leat_hub leat_hub;
typedef struct leat_hub_link leat_hub_link;

typedef struct leat_hub_options {
    const leat_limits *limits;
    leat_pg_pool_options pool;         /* the hub's own small pool: repair, comparison, trimming */
    leat_pg_listener_options listener; /* broker "postgres" */
    leat_log *log;
    leat_metrics_registry *metrics;
} leat_hub_options;

/* options are copied; what they point at is borrowed for the hub's lifetime. */
LEAT_MUST_CHECK int leat_hub_new(leat_hub **out, const leat_hub_options *options);
/* Starts the hub's thread. */
LEAT_MUST_CHECK int leat_hub_start(leat_hub *h);
/* Ends the thread and waits for it; all links must be closed. */
void leat_hub_stop(leat_hub *h);
void leat_hub_free(leat_hub *h);

/* True while topics can be armed: the broker is up and the history confirmed. Any thread. */
bool leat_hub_ready(leat_hub *h);

/* What the hub's work rests on. */
typedef enum leat_hub_part {
    LEAT_HUB_LISTENER, /* announcements arrive */
    LEAT_HUB_HISTORY,  /* the database has been asked whether its history is still the same */
    LEAT_HUB_OUTBOX,   /* events can be read */
    LEAT_HUB_PARTS,
} leat_hub_part;

/* For /readyz: true if all is well with it; else it appends the reason. Any thread. */
bool leat_hub_check(leat_hub *h, leat_hub_part part, leat_buf *reason);

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

LEAT_MUST_CHECK int leat_hub_link_open(leat_hub_link **out, leat_hub *h, uv_loop_t *uv,
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

/* The SQLSTATE of leat.position while the history is not confirmed. */
#define LEAT_UNCONFIRMED "57P03"

#endif
