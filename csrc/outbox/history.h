/* history.h - the one question that is asked of the outbox: where does each of these topics stand,
 * and which events came after the one that is known?
 *
 * Ownership  a fetch belongs to its starter until its callback ran or it was cancelled; the answer
 *            is borrowed during the callback.
 * Threads    the loop thread of the pool.
 * Units      seq; bytes; absolute milliseconds.
 * Errors     as the pool's and the connection's (LEAT_EDEADLINE, LEAT_EPG_LOST, LEAT_EPG_SERVER,
 *            LEAT_EBUSY, LEAT_ECLOSED); LEAT_EHIDDEN and LEAT_EMISSING for an answer that cannot
 *            be whole: a missing row is never taken for "nothing new".
 *
 * Every repair is this: a hole in seq, an announcement without data, a reconnect, the regular
 * comparison, a client that fell off the ring. Positions and events of one fetch are of
 * one MVCC snapshot.
 */
#ifndef LEAT_OUTBOX_HISTORY_H
#define LEAT_OUTBOX_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/event.h"
#include "pg/pg_job.h"

typedef struct leat_history leat_history;

/* One row of the answer. Rows of a topic follow each other, by seq. */
typedef struct leat_history_row {
    leat_slice topic;
    int64_t after;            /* as asked */
    leat_named_position head; /* where the topic stands; the epoch is as clients see it */
    bool has_event;           /* false: nothing after `after` is stored */
    bool left_out; /* the answer was full: ask again for this event and what follows it */
    int64_t seq;
    int64_t at;           /* when the entry was made: microseconds since 1970 */
    leat_event_kind kind; /* LEAT_EVENT_OVERSIZE: larger than event_bytes, and read without data */
    leat_slice data;      /* JSON */
} leat_history_row;

typedef struct leat_history_bounds {
    int64_t events;      /* rows a topic */
    int64_t topic_bytes; /* of data in a topic's rows but its first */
    int64_t total_bytes; /* of data in all rows but the very first: what does not fit is left out */
    int64_t event_bytes; /* a larger event is LEAT_EVENT_OVERSIZE */
} leat_history_bounds;

/* err < 0: n_rows is 0. The fetch is freed after the callback. */
typedef void (*leat_history_cb)(leat_history *h, int err, int n_rows, void *arg);

/* A new, empty question. */
leat_history *leat_history_new(leat_pg_pool *pool);
void leat_history_ask(leat_history *h, leat_slice topic, int64_t after);
size_t leat_history_count(const leat_history *h); /* topics asked for */

/* Takes h. cb runs exactly once, never from inside this call. */
void leat_history_start(leat_history *h, const leat_history_bounds *bounds, uint64_t deadline_ms,
                        leat_history_cb cb, void *arg);
/* Frees h, whether it was started or not: cb will not run. */
void leat_history_cancel(leat_history *h);

/* Row i of the answer, within the callback. */
leat_history_row leat_history_row_at(const leat_history *h, int i);

/* Within the callback of a fetch that failed: why, for the log, and the SQLSTATE of a server that
 * refused, else "". */
const char *leat_history_reason(const leat_history *h);
const char *leat_history_sqlstate(const leat_history *h);

/* Counts a read of the outbox, or of a position, that failed (leat_fetch_failures_total). */
void leat_history_count_failure(leat_metrics *m, int err, const char *sqlstate);

/* The SQLSTATE of leat_internal.position while the history is not confirmed. */
#define LEAT_UNCONFIRMED "57P03"

/* SQL: whether row security applies to the current role in the tables that every answer is read
 * from. It is asked once a query, and reads no table. */
#define LEAT_HISTORY_HIDDEN_SQL                                                                    \
    "(select pg_catalog.row_security_active('leat_internal.installation'::pg_catalog.regclass)"    \
    " or pg_catalog.row_security_active('leat.topic'::pg_catalog.regclass)"                        \
    " or pg_catalog.row_security_active('leat.event'::pg_catalog.regclass))"

#endif
