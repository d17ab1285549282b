/* catch_up.h - events that a topic's ring no longer holds, fetched once for all cursors that lack
 * them.
 *
 * Ownership  a catch-up belongs to its topic, made when the first cursor needs one; a
 *            leat_catch_up_wait is embedded in its owner. Events are borrowed during the callback.
 * Threads    loop thread only.
 * Units      seq; milliseconds.
 * Errors     a fetch that fails is tried again, with back-off, until no waiter is left. If its
 *            answer is too large, it would always fail: the waiters are told that nothing leads
 *            on.
 *
 * One fetch of a topic runs at a time. It begins at the cursor that has waited longest. It serves
 * the cursors whose events it has brought, up to some thousand in a turn of the loop. The other
 * cursors come next; a cursor that joins again comes after them. */
#ifndef LEAT_CORE_CATCH_UP_H
#define LEAT_CORE_CATCH_UP_H

#include "core/ring.h"

typedef struct leat_catch_up leat_catch_up;
typedef struct leat_catch_up_wait leat_catch_up_wait;

/* The events first_seq, first_seq + 1 ..., among them the one at the cursor. n == 0: the outbox
 * does not lead on from there. */
typedef struct leat_caught {
    int64_t first_seq;
    leat_event **events;
    size_t n;
} leat_caught;

typedef void (*leat_catch_up_cb)(leat_catch_up_wait *w, const leat_caught *caught);

struct leat_catch_up_wait {
    leat_list link;
    leat_catch_up *of; /* NULL: not waiting */
    int64_t next_seq;
    leat_catch_up_cb cb;
    void *data; /* the owner's */
};

/* Returns owned. The ring is borrowed; it adopts the positions that the fetches bring. */
leat_catch_up *leat_catch_up_new(leat_ring *ring);
/* No waiter is left. */
void leat_catch_up_free(leat_catch_up *c);

/* Waits for the event next_seq. cb runs once, never from inside this call. */
void leat_catch_up_join(leat_catch_up_wait *w, leat_catch_up *c, int64_t next_seq,
                        leat_catch_up_cb cb);
/* Harmless if not waiting. */
void leat_catch_up_leave(leat_catch_up_wait *w);

#endif
