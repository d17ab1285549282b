/* excerpt.h - some of a topic's stored events, for a client that asks for its history.
 *
 * Ownership  a read belongs to its starter until its callback ran or it was cancelled; the answer
 *            is borrowed during the callback.
 * Threads    the loop thread of the pool.
 * Units      seq; bytes; absolute milliseconds.
 * Errors     as those of history.h.
 *
 * The position and the events are of one MVCC snapshot. Revocations and resyncs are left out, and
 * events that are larger than event_bytes, which no client gets.
 */
#ifndef LEAT_OUTBOX_EXCERPT_H
#define LEAT_OUTBOX_EXCERPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/epoch.h"
#include "pg/pg_job.h"

typedef struct leat_excerpt leat_excerpt;

typedef struct leat_excerpt_ask {
    leat_slice topic;
    bool reverse;        /* the events before `since`, the newest first; else those after it */
    int64_t since;       /* reverse: LEAT_SEQ_MAX for the newest; else -1 for the oldest */
    int64_t events;      /* at most; 0: nothing but the position */
    int64_t bytes;       /* of data in all events but the first */
    int64_t event_bytes; /* of one event */
} leat_excerpt_ask;

typedef struct leat_excerpt_event {
    int64_t seq;
    leat_slice data; /* JSON */
} leat_excerpt_event;

/* err < 0: n is 0. The read is freed after the callback. */
typedef void (*leat_excerpt_cb)(leat_excerpt *e, int err, size_t n, void *arg);

/* Returns owned. cb runs exactly once, never from inside this call. bill: on whose account. */
leat_excerpt *leat_excerpt_start(leat_pg_pool *pool, const leat_excerpt_ask *ask, leat_pg_bill bill,
                                 uint64_t deadline_ms, leat_excerpt_cb cb, void *arg);
/* Frees e: cb will not run. */
void leat_excerpt_cancel(leat_excerpt *e);

/* Within the callback of a read that has not failed: where the topic stands, with its epoch as
 * clients see it. */
leat_named_position leat_excerpt_head(const leat_excerpt *e);
/* Returns true if no entry between `since` and the first event after it has been trimmed. */
bool leat_excerpt_leads_on(const leat_excerpt *e);
leat_excerpt_event leat_excerpt_event_at(const leat_excerpt *e, size_t i);

/* Within the callback of a read that has failed: why, for the log, and the SQLSTATE of a server
 * that refused, else "". */
const char *leat_excerpt_reason(const leat_excerpt *e);
const char *leat_excerpt_sqlstate(const leat_excerpt *e);

#endif
