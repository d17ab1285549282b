/* history.h - the one question asked of the outbox: "where does each of these topics stand, and
 * what came after?"
 *
 * Ownership  a fetch belongs to its starter until its callback ran or it was cancelled; the answer
 *            is borrowed during the callback.
 * Threads    the loop thread of the pool.
 * Units      seq; bytes; absolute milliseconds.
 * Errors     as the pool's and the connection's (LEAT_EDEADLINE, LEAT_EPG_LOST, LEAT_EPG_SERVER,
 *            LEAT_EBUSY, LEAT_ECLOSED).
 *
 * Every repair is this: a hole in seq, an announcement without data, a reconnect, the regular
 * comparison, a resume, a client that fell off the ring. Positions and events of one fetch are of
 * one MVCC snapshot.
 */
#ifndef LEAT_CORE_HISTORY_H
#define LEAT_CORE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"
#include "pg/pg_pool.h"

typedef struct leat_history leat_history;

/* One row of the answer. Rows of a topic follow each other, by seq. */
typedef struct leat_history_row {
    leat_slice topic;
    int64_t after;    /* as asked */
    leat_slice epoch; /* timeline and topic's epoch, as clients see it */
    int64_t head;     /* where the topic stands */
    int64_t revoked;  /* its last revocation (LEAT_NEVER_REVOKED) */
    bool has_event;   /* false: nothing after `after` is stored */
    int64_t seq;
    leat_event_kind kind;
    leat_slice data; /* JSON */
} leat_history_row;

/* err < 0: n_rows is 0. The fetch is freed after the callback. */
typedef void (*leat_history_cb)(leat_history *h, int err, int n_rows, void *arg);

/* A new, empty question. */
leat_history *leat_history_new(leat_loop *loop, leat_pg_pool *pool);
void leat_history_ask(leat_history *h, leat_slice topic, int64_t after);
size_t leat_history_count(const leat_history *h); /* topics asked for */

/* At most max_events rows a topic and, beyond the first, about max_bytes of data. Takes h. cb runs
 * exactly once, never from inside this call. */
void leat_history_start(leat_history *h, int64_t max_events, int64_t max_bytes,
                        uint64_t deadline_ms, leat_history_cb cb, void *arg);
/* cb will not run; frees h. For a fetch not started, too. */
void leat_history_cancel(leat_history *h);

/* Row i of the answer, within the callback. */
leat_history_row leat_history_row_at(const leat_history *h, int i);

#endif
