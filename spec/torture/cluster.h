/* cluster.h - Postgres: the primary and, where failovers are among the faults, its standby.
 *
 * Ownership  cluster_new makes the standby; cluster_free forgets the cluster, which runs on.
 * Threads    cluster_connect and cluster_primary: any. Faults: the fault-thrower's.
 *            cluster_failovers: when that has ended.
 * Units      nanoseconds; milliseconds.
 * Errors     a Postgres that does not come up ends the test.
 */
#ifndef TORTURE_CLUSTER_H
#define TORTURE_CLUSTER_H

#include <libpq-fe.h>

#include "torture.h"

typedef struct failover {
    uint32_t timeline; /* that ended */
    bool clean;        /* the standby had everything; never so for a restore */
    bool restore;      /* the timeline went on, from an earlier point */
    uint64_t dead_ns;  /* by then, nothing was confirmed any more */
} failover;

cluster *cluster_new(torture *t);
void cluster_free(cluster *c);

/* Which node takes writes: 0 or 1. */
int cluster_primary(const cluster *c);
/* A connection straight to the primary, waiting for it as long as the test runs; NULL if it ends.
 */
PGconn *cluster_connect(torture *t);
/* The same, and one that there is not is the end. */
PGconn *cluster_connect_or_die(torture *t);

/* Restarts the primary in that mode of pg_ctl's. */
void cluster_restart(cluster *c, const char *mode);
/* The primary's processes stop for a while. */
void cluster_stall(cluster *c, unsigned for_ms);
/* The primary ends, the standby is promoted, and in the background the old primary becomes the new
 * one's standby. lag_ms: for so long before its crash, nothing has reached the standby; 0: the
 * primary is stopped cleanly. False if the test is to end, and nothing was done. */
bool cluster_fail_over(cluster *c, unsigned lag_ms);

/* Makes a base backup of the primary. False if the test is to end. */
bool cluster_back_up(cluster *c);
/* The primary is what it was at the backup: what was committed since is gone, the timeline is the
 * same. In the background the standby is made anew. */
void cluster_put_back(cluster *c);
/* The rebuilding that a failover began has ended, when this returns. The test is stopping; no fault
 * is thrown any more. */
void cluster_rest(cluster *c);

const failover *cluster_failovers(const cluster *c, int *n);

#endif
