/* positions.h - where topics stand, and whether the outbox leads on there from where a client is:
 * all who ask in one turn of the loop share a query.
 *
 * Ownership  an ask is embedded in its owner, who keeps it, and the topic's name, until its
 *            callback or leat_positions_cancel. The answer is borrowed by the callback.
 * Threads    the loop thread of the pool.
 * Units      seq; absolute milliseconds; nanoseconds (_ns).
 * Errors     as leat_pg_job's, and LEAT_EHIDDEN and LEAT_EMISSING as in history.h, to the callback.
 *
 * Clients that subscribe to new topics, or that come back to them, all at once have a question
 * each. One query for many of them costs Postgres a small part of what a query for each would, and
 * at most two queries of each question run at a time. An ask that comes while both run waits for
 * the next one. So a position is always read after it was asked for, never before. Bare positions
 * have queries of their own, which are read without leat.event and wait for no lock on it.
 */
#ifndef LEAT_OUTBOX_POSITIONS_H
#define LEAT_OUTBOX_POSITIONS_H

#include "base/epoch.h"
#include "pg/pg_job.h"

typedef struct leat_positions leat_positions; /* of a worker */
typedef struct leat_position_ask leat_position_ask;

typedef struct leat_position_answer {
    int err;                /* < 0: there is no position */
    bool no_connection;     /* of an error: no query was sent, because no connection was free */
    const char *reason;     /* of an error, for the log */
    const char *sqlstate;   /* of LEAT_EPG_SERVER, else "" */
    leat_named_position at; /* the epoch is as clients see it */
    bool leads_on;          /* the topic stands at `after`, or the event after + 1 is stored */
    uint64_t queued_ns;     /* how long the ask has waited for a connection */
} leat_position_answer;

typedef void (*leat_position_cb)(leat_position_ask *a, const leat_position_answer *answer);

struct leat_position_ask {
    leat_list link_; /* of those that wait for the next query */
    struct positions_line *line_;
    struct positions_query *query_; /* the one that asks for it, or NULL */
    leat_slice topic_;
    int64_t after_;
    leat_deadline deadline_;
    uint64_t deadline_ms_;
    uint64_t since_ns_;
    leat_position_cb cb_; /* NULL: nothing is asked */
    void *data;           /* the owner's */
};

leat_positions *leat_positions_new(leat_pg_pool *pool, leat_loop *loop);
/* All asks have been answered or cancelled. */
void leat_positions_free(leat_positions *p);

void leat_position_ask_init(leat_position_ask *a);

/* cb runs exactly once, never from inside this call, and no later than deadline_ms. */
void leat_positions_ask(leat_positions *p, leat_position_ask *a, leat_slice topic,
                        uint64_t deadline_ms, leat_position_cb cb);
/* Likewise, of one MVCC snapshot with the position: does the outbox lead on from seq `after`? */
void leat_positions_ask_after(leat_positions *p, leat_position_ask *a, leat_slice topic,
                              int64_t after, uint64_t deadline_ms, leat_position_cb cb);

/* The callback will not run. Harmless if nothing is asked. */
void leat_positions_cancel(leat_position_ask *a);

#endif
