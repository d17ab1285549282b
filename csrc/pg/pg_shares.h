/* pg_shares.h - decides who gets the next connection of a pool, so that nobody takes them all.
 *
 * Ownership  a pool owns its shares. A place is embedded in the waiter, a lease in the pool's
 *            member that holds the connection.
 * Threads    loop thread only.
 * Units      counts of connections and of waiters.
 * Errors     LEAT_EBUSY: too many wait already.
 *
 * Each client has lines of waiters: for control (handshakes and Leat's own reads), for
 * control that has had a connection before (STARTED), and for calls. Calls alternate with the rest,
 * and the lines of a kind with each other; within a line, waiters are served in the order in which
 * they came. What has started goes before what has not, three to one: of a crowd, those who came
 * first get all their reads. Otherwise all would get their first read, and nobody the last one in
 * time. All calls together hold at most size - reserve connections, a client at most per_client,
 * and all clients of a user at most per_user. Calls leave one connection of each of these shares to
 * control. A line that is held back by these bounds stands aside and does not delay the others.
 *
 * Handshakes of a crowd (leat_pg_bill.of_crowd) wait in lines of their own, of two further kinds.
 * All crowds together hold at most `crowd` connections. Where both wait for control, crowds and
 * others alternate. So a crowd is served more slowly, and others hardly notice it.
 */
#ifndef LEAT_PG_PG_SHARES_H
#define LEAT_PG_PG_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/metrics.h"
#include "base/slice.h"

typedef enum leat_pg_kind {
    LEAT_PG_CONTROL,
    LEAT_PG_CALL,
    LEAT_PG_STARTED,
    LEAT_PG_CROWD,         /* CONTROL of a crowd; a bill has of_crowd instead */
    LEAT_PG_CROWD_STARTED, /* STARTED of a crowd, likewise */
    LEAT_PG_KINDS
} leat_pg_kind;

/* Says on whose account a connection is held. */
typedef struct leat_pg_bill {
    leat_pg_kind kind;
    uint64_t client; /* 0: no client's; then no share applies */
    leat_slice user; /* at == NULL: none. Copied. */
    bool of_crowd;   /* its address asks faster than it may in the long run */
} leat_pg_bill;

typedef struct leat_pg_shares_limits {
    size_t size; /* connections of the pool */
    size_t reserve;
    size_t per_client; /* 0: size */
    size_t per_user;   /* 0: size */
    size_t crowd;      /* all crowds together; 0, or size: they are served as all others */
    size_t max_waiters;
} leat_pg_shares_limits;

typedef struct leat_pg_shares leat_pg_shares;

typedef struct leat_pg_place {
    leat_list link_;
    struct leat_pg_line *line_; /* non-NULL while waiting */
} leat_pg_place;

typedef struct leat_pg_lease {
    struct leat_pg_line *line_; /* NULL: none */
} leat_pg_lease;

leat_pg_shares *leat_pg_shares_new(const leat_pg_shares_limits *limits, leat_metrics *metrics);
/* Only when nobody waits and nothing is leased. */
void leat_pg_shares_free(leat_pg_shares *s);

/* Adds the place to the bill's line. idle is the number of connections that are free at this
 * moment; the bound is max_waiters + idle. */
LEAT_MUST_CHECK int leat_pg_shares_wait(leat_pg_shares *s, leat_pg_place *place,
                                        const leat_pg_bill *bill, size_t idle);
/* Takes the place out of its line. */
void leat_pg_shares_leave(leat_pg_shares *s, leat_pg_place *place);

/* Takes the next waiter's place out of its line and fills the lease; NULL: nobody may have a
 * connection now. */
leat_pg_place *leat_pg_shares_next(leat_pg_shares *s, leat_pg_lease *lease);
/* Ends the lease: the connection is free, or closed. Harmless if the lease is empty. */
void leat_pg_shares_return(leat_pg_shares *s, leat_pg_lease *lease);

/* How many are served before somebody who comes now for control, alone or as one of a crowd, and
 * has no share of the pool yet. */
size_t leat_pg_shares_ahead(const leat_pg_shares *s, bool of_crowd);

/* Takes any place out of its line, for a pool that closes; NULL: nobody waits. */
leat_pg_place *leat_pg_shares_drain(leat_pg_shares *s);

/* Whose a lease is, for an operator: "control" or "call", and the number of the client, 0 for none.
 * NULL: the lease is empty. */
const char *leat_pg_shares_holder(const leat_pg_lease *lease, uint64_t *client);

#endif
