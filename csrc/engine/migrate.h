/* migrate.h - installs and upgrades schema leat; says whether it fits this binary.
 *
 * Ownership  nothing is kept.
 * Threads    main thread; it blocks.
 * Units      versions count from 1; 0: not installed.
 * Errors     LEAT_ESCHEMA, LEAT_EPG_*, LEAT_ECONFIG (the migration files), with a message for
 *            people.
 *
 * A migration is a file NNNN_name.sql of the schema folder. Each runs in a transaction of its own,
 * together with the row in leat_internal.migration that records it, while the session holds an
 * advisory lock: two that run at once wait for each other.
 */
#ifndef LEAT_ENGINE_MIGRATE_H
#define LEAT_ENGINE_MIGRATE_H

#include "base/buf.h"
#include "base/err.h"
#include "pg/pg_sync.h"

/* Appends who holds the lock of migrations at this moment, "process 4711 (psql, of ann)"; nothing
 * if nobody does. leat_migrate_run waits for it, whoever it is: any role may take the lock. */
LEAT_MUST_CHECK int leat_migrate_holder(leat_pg_sync *db, leat_buf *holder, leat_buf *error);

/* Brings the database up to the newest file. Appends a line for each thing done to report. */
LEAT_MUST_CHECK int leat_migrate_run(leat_pg_sync *db, const char *schema_dir, leat_buf *report,
                                     leat_buf *error);

/* Appends what leat_migrate_run would do, a line for each migration with the sentence that its file
 * begins with. Changes nothing, and waits for no other migration. */
LEAT_MUST_CHECK int leat_migrate_plan(leat_pg_sync *db, const char *schema_dir, leat_buf *report,
                                      leat_buf *error);

/* Why a server cannot work with what is installed. The caller closes the problem. */
typedef struct leat_schema_trouble {
    leat_buf problem;   /* a sentence without its full stop */
    const char *remedy; /* likewise, static; NULL: there is none to name */
} leat_schema_trouble;

/* Returns 0 and writes *installed and *known, the version of the files, if the installed schema
 * belongs to the files, or is a newer one that says that it goes with them. Else LEAT_ESCHEMA. */
LEAT_MUST_CHECK int leat_migrate_check(leat_pg_sync *db, const char *schema_dir, int *installed,
                                       int *known, leat_schema_trouble *why);

/* Returns the version of the newest file; if the files cannot be read, a version that no schema has
 * passed. */
int leat_migrate_known(const char *schema_dir);

/* Calls leat_internal.FUNCTION(role), for a function that grants rights. Appends a line to report.
 */
LEAT_MUST_CHECK int leat_migrate_grant(leat_pg_sync *db, const char *function, const char *role,
                                       leat_buf *report, leat_buf *error);

/* Appends a line for each row of leat_internal.problems(), "severity: problem: remedy"; none if all
 * is well. A role that may not call it is told so in a line. */
LEAT_MUST_CHECK int leat_migrate_problems(leat_pg_sync *db, leat_buf *report, leat_buf *error);

#endif
