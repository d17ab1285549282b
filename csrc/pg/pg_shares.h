/* pg_shares.h - who of those that wait for a connection is next: fair, and nobody takes all.
 *
 * Ownership  a pool owns its shares. A turn is embedded in whoever waits; a lease in whatever holds
 *            the connection.
 * Threads    loop thread only.
 * Units      counts of connections and of waiters.
 * Errors     LEAT_EBUSY: too many wait already.
 *
 * Each client has two lines: one of control (handshakes and Leat's own reads) and one of calls.
 * Lines of a kind take turns, and so do the two kinds; within a line it is first come, first
 * served. Calls together never hold more than size - reserve connections, a client never more than
 * per_client, all clients of one user never more than per_user. Of these shares, calls leave one
 * connection to handshakes. A line that these bounds hold back stands aside, and costs the others
 * nothing.
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

typedef enum leat_pg_kind { LEAT_PG_CONTROL, LEAT_PG_CALL, LEAT_PG_KINDS } leat_pg_kind;

/* On whose account a connection is held. */
typedef struct leat_pg_bill {
    leat_pg_kind kind;
    uint64_t client; /* 0: nobody's; no share applies */
    leat_slice user; /* at == NULL: none. Copied. */
} leat_pg_bill;

typedef struct leat_pg_shares_limits {
    size_t size; /* connections of the pool */
    size_t reserve;
    size_t per_client; /* 0: size */
    size_t per_user;   /* 0: size */
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
/* Nobody waits, and nothing is leased. */
void leat_pg_shares_free(leat_pg_shares *s);

/* Stands in line. idle: connections that are free at this moment; so many more may wait than
 * max_waiters says. */
LEAT_MUST_CHECK int leat_pg_shares_wait(leat_pg_shares *s, leat_pg_place *t,
                                        const leat_pg_bill *bill, size_t idle);
/* Waits no more. */
void leat_pg_shares_leave(leat_pg_shares *s, leat_pg_place *t);

/* Takes who is next out of line, into a lease; NULL: nobody may have a connection now. */
leat_pg_place *leat_pg_shares_next(leat_pg_shares *s, leat_pg_lease *lease);
/* The connection is free again, or gone. Harmless without a lease. */
void leat_pg_shares_return(leat_pg_shares *s, leat_pg_lease *lease);

/* Takes anybody out of line, for a pool that closes; NULL: nobody waits. */
leat_pg_place *leat_pg_shares_drain(leat_pg_shares *s);

#endif
