/* pg_pool.h - a bounded, fair pool of connections.
 *
 * Ownership  the pool owns its connections; a lease is the right to use one until _release.
 * Threads    loop thread only; one pool a worker.
 * Units      absolute milliseconds; nanoseconds (_ns).
 * Errors     LEAT_EDEADLINE (the deadline passed), LEAT_EPG_LOST (the same, while the server
 *            refuses connections or is unreachable), LEAT_EBUSY (too many wait), LEAT_ECLOSED.
 *
 * pg_shares.h decides who is next, by the waiter's bill. Connections are opened when somebody
 * waits, up to size. After a failure to connect the pool waits before the next attempt (50 ms,
 * doubling up to max_backoff_ms, with jitter); waiters go on waiting, each until its deadline. If a
 * connection is released with work left on it, it is cleaned first (leat_pg_conn_clean). If that
 * takes longer than clean_timeout_ms, it is closed and replaced.
 */
#ifndef LEAT_PG_PG_POOL_H
#define LEAT_PG_PG_POOL_H

#include "base/buf.h"
#include "loop/loop.h"
#include "pg/pg_conn.h"
#include "pg/pg_shares.h"

typedef struct leat_pg_pool leat_pg_pool;
typedef struct leat_pg_waiter leat_pg_waiter;

/* err 0: conn is leased to the waiter's owner. Otherwise conn is NULL. */
typedef void (*leat_pg_acquire_cb)(leat_pg_waiter *w, leat_pg_conn *conn, int err);

struct leat_pg_waiter {
    leat_pg_place place_; /* in a line, or in the pool's list of refused waiters */
    leat_deadline deadline_;
    leat_pg_acquire_cb cb_;
    leat_pg_pool *pool_; /* non-NULL while waiting */
    uint64_t since_ns_;  /* when it began to wait */
    int refused_;        /* the error that the callback will get; 0: the waiter stands in line */
    void *data;          /* the owner's */
    uint64_t waited_ns;  /* how long it has waited, in all: the owner may set it to 0 */
    leat_pg_bill bill;   /* set by the owner before it waits; at first nobody's */
};

typedef struct leat_pg_pool_options {
    leat_pg_options pg;
    size_t size;
    size_t max_waiters;
    size_t reserve;           /* connections, of size, that calls leave to handshakes */
    size_t per_client;        /* connections, of size, that a client may hold; 0: all */
    size_t per_user;          /* the same for a user */
    size_t crowd;             /* the same for all crowds together */
    uint64_t idle_timeout_ms; /* after that an idle connection is closed, unless it is the last */
    uint64_t clean_timeout_ms;
    uint64_t max_backoff_ms;
} leat_pg_pool_options;

/* About how long a handshake that asks for a connection now waits for it, alone or as one of a
 * crowd (pg_shares.h); 0: none waits, or nothing is known yet. */
uint64_t leat_pg_pool_wait_ms(const leat_pg_pool *p, bool of_crowd);

/* options are borrowed for the pool's lifetime. Opens one connection at once, so that the first
 * request need not wait for it. */
LEAT_MUST_CHECK int leat_pg_pool_new(leat_pg_pool **out, leat_loop *loop, leat_metrics *metrics,
                                     const leat_pg_pool_options *options);

void leat_pg_waiter_init(leat_pg_waiter *w);

/* Waits for a connection until deadline_ms. cb runs exactly once, and never from inside this call:
 * a waiter that is refused at once (LEAT_EBUSY, LEAT_ECLOSED) is told on the next turn. */
void leat_pg_pool_acquire(leat_pg_pool *p, leat_pg_waiter *w, uint64_t deadline_ms,
                          leat_pg_acquire_cb cb);

/* Stops waiting: the callback will not run. Harmless if the waiter does not wait. */
void leat_pg_waiter_cancel(leat_pg_waiter *w);
bool leat_pg_waiter_waiting(const leat_pg_waiter *w);

/* Gives a leased connection back. Its pending queries are forgotten: their callbacks will not run.
 */
void leat_pg_pool_release(leat_pg_pool *p, leat_pg_conn *conn);

/* The same for a connection with an open transaction that has only read. The transaction is
 * committed, and the next user need not wait for that: its queries follow the COMMIT. */
void leat_pg_pool_release_reader(leat_pg_pool *p, leat_pg_conn *conn);

/* True if the last attempt to reach the server succeeded. */
bool leat_pg_pool_healthy(const leat_pg_pool *p);
/* Why the last attempt to connect failed, one line; empty: it did not, or there was none. */
leat_slice leat_pg_pool_failure(const leat_pg_pool *p);

/* For an operator: appends members of a JSON object, the first one without a comma, about the pool
 * and at most LEAT_PG_POOL_SHOWN of its connections, those first that are held. */
enum { LEAT_PG_POOL_SHOWN = 100 };
void leat_pg_pool_describe(const leat_pg_pool *p, leat_buf *json);

/* Waiters get LEAT_ECLOSED from inside this call. Connections close, leased ones when they are
 * released. When all are gone, the pool is freed, and done runs. */
void leat_pg_pool_close(leat_pg_pool *p, void (*done)(void *arg), void *arg);

#endif
