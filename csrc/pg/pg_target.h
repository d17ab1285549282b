/* pg_target.h - the servers that a connection string names, to be tried one at a time.
 *
 * libpq alone would look host names up on the spot, which blocks, and applies no timeout to each
 * host when it is driven asynchronously: a first host that never answers would keep the others from
 * being tried.
 *
 * Ownership  targets own their strings until _close.
 * Threads    the owner's.
 * Units      none.
 * Errors     LEAT_ECONFIG: not a connection string that libpq understands.
 */
#ifndef LEAT_PG_PG_TARGET_H
#define LEAT_PG_PG_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>

#include "base/err.h"

typedef struct leat_pg_target {
    char *host; /* NULL: what libpq defaults to; likewise below */
    char *hostaddr;
    char *port;
} leat_pg_target;

typedef struct leat_pg_targets {
    leat_pg_target *at;
    size_t count;
    bool prefer_standby; /* every target is to be tried as a standby first, then as anything */
    PQconninfoOption *options_;
} leat_pg_targets;

LEAT_MUST_CHECK int leat_pg_targets_parse(leat_pg_targets *out, const char *conninfo);
void leat_pg_targets_close(leat_pg_targets *t);

/* The host is a name that must be looked up before connecting. */
bool leat_pg_target_is_name(const leat_pg_target *target);

/* Begins to connect, as PQconnectStart does. hostaddr: where the lookup led; NULL: the target's
 * own. session_attrs replaces target_session_attrs unless NULL. */
PGconn *leat_pg_target_connect(const leat_pg_targets *t, const leat_pg_target *target,
                               const char *hostaddr, const char *session_attrs,
                               const char *application_name);

#endif
