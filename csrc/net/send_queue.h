/* send_queue.h - bytes that wait to be sent, in pieces that are copied as seldom as possible.
 *
 * Ownership  the queue owns what _copy and _take give it and holds a reference of each event,
 *            until the bytes are consumed or the queue is closed.
 * Threads    the owner's.
 * Units      bytes.
 * Errors     none (out of memory aborts): the owner limits what it queues.
 */
#ifndef LEAT_NET_SEND_QUEUE_H
#define LEAT_NET_SEND_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#include "base/buf.h"
#include "base/event.h"
#include "base/slice.h"

typedef struct leat_send_piece {
    const char *at_; /* the next byte of it */
    uint32_t len_;
    uint32_t kind_;
    void *owner_;
} leat_send_piece;

/* One piece fits the struct itself, so that what is sent in most turns costs no allocation: events
 * of one topic are one piece (core/run). For more, it becomes a ring, until the queue is empty. */
typedef struct leat_send_queue {
    size_t bytes;
    uint32_t count_;
    uint32_t cap_; /* of the ring, a power of two; 0: there is none */
    union {
        leat_send_piece one_;
        struct leat_send_ring {
            leat_send_piece *at;
            uint32_t head;
        } ring_;
    };
} leat_send_queue;

void leat_send_queue_init(leat_send_queue *q);

/* Releases everything; the queue is empty and usable afterwards. */
void leat_send_queue_close(leat_send_queue *q);

/* Adds a copy of the bytes; small ones that follow each other share a block. */
void leat_send_queue_copy(leat_send_queue *q, leat_slice bytes);

/* Adds what begins at `from` (which is not beyond the end), takes the buffer's memory and leaves it
 * empty. */
void leat_send_queue_take(leat_send_queue *q, leat_buf *bytes, size_t from);

/* Adds part, which lies in e or in static memory, and a reference of e. */
void leat_send_queue_event(leat_send_queue *q, leat_event *e, leat_slice part);

/* Writes the front of the queue to iov, at most max pieces. Returns how many; *total is their sum.
 * Valid until the queue is changed. */
size_t leat_send_queue_gather(const leat_send_queue *q, struct iovec *iov, size_t max,
                              size_t *total);

/* Drops n bytes from the front (n <= bytes). */
void leat_send_queue_consume(leat_send_queue *q, size_t n);

#endif
