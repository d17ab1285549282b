/* line.h - the line between the hub and one worker: a mailbox at each end, and a bound on the
 * events that are on their way to the worker.
 *
 * Ownership  the worker's leat_hub_link owns the line. The hub uses it from LEAT_WORKER_OPEN until
 *            it has posted LEAT_HUB_CLOSED.
 * Threads    the hub's: leat_line_reserve, leat_line_await_room, hub_end. The worker's:
 *            leat_line_release. Any: posting to the mailboxes, and leat_line_bytes.
 * Units      bytes of events (leat_event_bytes).
 * Errors     none.
 */
#ifndef LEAT_MAIL_LINE_H
#define LEAT_MAIL_LINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "loop/mailbox.h"

typedef struct leat_line {
    leat_mailbox *hub;    /* the hub's mailbox: it receives leat_worker_mail */
    leat_mailbox *worker; /* the worker's mailbox: it receives leat_hub_mail */
    leat_loop *shared;    /* the loop of both ends, if they are on the same one; else NULL */
    size_t max_bytes;     /* worker_mail_bytes */
    void *hub_end;        /* a hub_worker, for the hub only; NULL before OPEN, and after CLOSED */
    atomic_size_t bytes_; /* of the events on their way */
    atomic_bool awaits_room_;
} leat_line;

/* One life of a topic on a worker: from the moment at which the worker arms it until it disarms it.
 * A later life of the same topic has another generation. */
typedef struct leat_topic_life {
    leat_slice name;
    uint64_t generation;
} leat_topic_life;

void leat_line_init(leat_line *l, leat_mailbox *hub, leat_loop *shared, size_t max_bytes);

/* Posts a mail to one of the two mailboxes, from the other end. Returns false if it is closed: the
 * mail stays the caller's. */
LEAT_MUST_CHECK bool leat_line_post(const leat_line *l, leat_mailbox *to, leat_mail *mail);

/* Counts an event of that size as on its way. Returns false, and counts nothing, if there would be
 * more than max_bytes. An event that is alone on its way may be larger. */
bool leat_line_reserve(leat_line *l, size_t bytes);

/* The bytes of the events that are on their way to the worker. */
static inline size_t leat_line_bytes(const leat_line *l)
{
    return atomic_load_explicit(&l->bytes_, memory_order_relaxed);
}

/* After leat_line_reserve has returned false: the hub awaits room, and leat_line_release tells when
 * there is. Returns false if there is room already: then the hub awaits nothing. */
bool leat_line_await_room(leat_line *l);

/* Events of that size have arrived. Returns true if the hub awaits room and half of max_bytes is
 * free: the worker then posts LEAT_WORKER_ROOM. */
bool leat_line_release(leat_line *l, size_t bytes);

#endif
