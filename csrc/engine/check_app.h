/* check_app.h - what is wrong with the app, before it serves.
 *
 * Ownership  a statement list owns its texts; leat_check_app_free frees them.
 * Threads    main thread; it blocks.
 * Units      lines count from 1.
 * Errors     LEAT_ESCRIPT: the app does not load; why is a finding.
 */
#ifndef LEAT_ENGINE_CHECK_APP_H
#define LEAT_ENGINE_CHECK_APP_H

#include "engine/config.h"
#include "engine/doctor.h"

typedef struct leat_app_statement {
    char *place; /* "app.lua:12" */
    char *sql;
} leat_app_statement;

typedef struct leat_app_statements {
    leat_app_statement *at;
    size_t n;
} leat_app_statements;

/* Loads the app as a server would. Finds topics and routes that share names, and SQL that is made
 * of variables. Writes the statements whose text is known, in either case. */
LEAT_MUST_CHECK int leat_check_app(const leat_config *config, const leat_doctor *doctor,
                                   leat_app_statements *out);

/* Lets Postgres prepare each statement, which finds tables, columns and functions that are not
 * there, and explain it, which finds rights that the server's role lacks. Runs none of them. A
 * database that does not answer in time is a finding, too. */
void leat_check_app_statements(const leat_config *config, const leat_doctor *doctor,
                               const leat_app_statements *statements);

void leat_check_app_free(leat_app_statements *statements);

#endif
