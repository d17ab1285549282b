/* pg_target.h - the servers that a connection string names, to be tried one at a time.
 *
 * libpq itself looks host names up in the calling thread, which blocks. And when it connects
 * asynchronously, it has no timeout for each host: if the first host never answered, the others
 * would not be tried.
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
    char *host; /* NULL: libpq's default; the same below */
    char *hostaddr;
    char *port;
} leat_pg_target;

typedef struct leat_pg_targets {
    leat_pg_target *at;
    size_t count;
    bool prefer_standby; /* all targets are tried as standbys first, then as any server */
    PQconninfoOption *options_;
} leat_pg_targets;

LEAT_MUST_CHECK int leat_pg_targets_parse(leat_pg_targets *out, const char *conninfo);
void leat_pg_targets_close(leat_pg_targets *t);

/* True if the host is a name, which must be looked up before connecting. */
bool leat_pg_target_is_name(const leat_pg_target *target);

/* Begins to connect, as PQconnectStart does. hostaddr is the address that the lookup found; NULL:
 * the target's own. session_attrs replaces target_session_attrs unless it is NULL. */
PGconn *leat_pg_target_connect(const leat_pg_targets *t, const leat_pg_target *target,
                               const char *hostaddr, const char *session_attrs,
                               const char *application_name);

#endif
