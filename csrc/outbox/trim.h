/* trim.h - deletes old events from the outbox, a batch at a time.
 *
 * Ownership  a leat_trim is embedded in its owner, who keeps it until the callback or
 *            leat_trim_cancel.
 * Threads    the loop thread of the pool.
 * Units      events; seconds; absolute milliseconds.
 * Errors     as leat_pg_job's, to the callback.
 *
 * Of several servers on one database, the one that gets leat_internal.trim's lock works. The others
 * find nothing to do.
 */
#ifndef LEAT_OUTBOX_TRIM_H
#define LEAT_OUTBOX_TRIM_H

#include "pg/pg_job.h"

typedef struct leat_trim leat_trim;

/* What one batch has done. */
typedef struct leat_trimmed {
    int64_t events;    /* deleted */
    int64_t backlog_s; /* age of the oldest event that had not been looked at; 0: none */
    int64_t topics;    /* that the database has, roughly */
    bool full;         /* there may be more to delete */
} leat_trimmed;

/* err < 0: done is all zero, and why tells the reason; it is borrowed. */
typedef void (*leat_trim_cb)(leat_trim *t, const leat_trimmed *done, int err, const char *why);

struct leat_trim {
    leat_pg_job job_;
    leat_trim_cb cb_;
};

void leat_trim_init(leat_trim *t);

/* Deletes a batch of what is older than retention_s, or beyond a topic's latest retention_events.
 * cb runs exactly once, and never from inside this call. */
void leat_trim_start(leat_trim *t, leat_pg_pool *pool, uint64_t retention_s,
                     uint64_t retention_events, uint64_t deadline_ms, leat_trim_cb cb);

/* The callback will not run. Harmless if nothing runs. */
void leat_trim_cancel(leat_trim *t);

#endif
