/* pg_session.c - the settings of a session.
 *
 * They are set by a query after connecting, because poolers refuse the start-up parameter `options`
 * or ignore it. The connection is ready once the server has answered that query. A pooler accepts a
 * client before it has a server for it, so this answer is also the first proof of a database behind
 * the pooler. The answer includes the process id of the server, because a pooler gives its clients
 * another number in its place.
 *
 * A script's RESET, DISCARD ALL or SET may change settings. The command tag of the result shows it,
 * and the settings are set again in front of the next query (leat_pg_session_restore). Inside a
 * transaction block this is repeated until the block has ended, because ROLLBACK TO SAVEPOINT may
 * undo it again. A function that calls set_config has no tag of its own; but the server reports
 * changes of the formats of times.
 *
 * What a script leaves in a session must not reach the next user of the connection: a role, a
 * search path, a lock, a temporary table. The tag and the text of a statement tell whether it may
 * leave something. Then pg_clean.c discards it all when the connection is given back. What a
 * function of the database does inside itself cannot be seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/pg_conn.h"
#include "pg/pg_conn_private.h"
#include "pg/pg_text.h"

/* Results are read in text formats that must not depend on the settings of the database or the
 * role. JIT is off: if the planner overestimates a cost, compiling takes seconds, more than our
 * short queries can ever gain. */
#define SETTINGS_SQL                                                                               \
    "select pg_catalog.pg_backend_pid(), pg_catalog.set_config('DateStyle', 'ISO', false),"        \
    " pg_catalog.set_config('IntervalStyle', 'postgres', false),"                                  \
    " pg_catalog.set_config('TimeZone', 'UTC', false),"                                            \
    " pg_catalog.set_config('extra_float_digits', '1', false),"                                    \
    " pg_catalog.set_config('lc_monetary', 'C', false),"                                           \
    " pg_catalog.set_config('bytea_output', 'hex', false),"                                        \
    " pg_catalog.set_config('standard_conforming_strings', 'on', false),"                          \
    " pg_catalog.set_config('jit', 'off', false),"                                                 \
    " pg_catalog.set_config('leat.report', case pg_catalog.pg_backend_pid() when %d then 'on'"     \
    " else '' end, false)"

enum { SETTINGS_SIZE = 1024 };

/* Transactions report their positions (wire/written.h). Behind a pooler the session is also that of
 * others, who have not asked for it: there the server has another number than libpq was told. */
static const char *write_settings(char out[SETTINGS_SIZE], PGconn *pg)
{
    int len = snprintf(out, SETTINGS_SIZE, SETTINGS_SQL, PQbackendPID(pg));
    LEAT_ASSERT(len < SETTINGS_SIZE);
    return out;
}

bool leat_pg_conn_must_ask_report(const leat_pg_conn *c)
{
    return c->backend_pid != PQbackendPID(c->pg);
}

bool leat_pg_session_send(PGconn *pg)
{
    char sql[SETTINGS_SIZE];
    return PQsendQueryParams(pg, write_settings(sql, pg), 0, NULL, NULL, NULL, NULL, 0) &&
           PQpipelineSync(pg) && PQflush(pg) >= 0;
}

static void copy_reason(char *why, size_t size, const PGresult *res)
{
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    leat_pg_conn_one_line(why, size, message != NULL ? message : PQresultErrorMessage(res));
}

leat_pg_session_answer leat_pg_session_take(PGconn *pg, int *backend_pid, char *why, size_t size)
{
    if (PQconsumeInput(pg) == 0) {
        leat_pg_conn_one_line(why, size, PQerrorMessage(pg));
        return LEAT_PG_SESSION_REFUSED;
    }
    while (!PQisBusy(pg)) {
        PGresult *res = PQgetResult(pg);
        ExecStatusType status = PQresultStatus(res);
        if (res != NULL && status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC)
            copy_reason(why, size, res);
        if (status == PGRES_TUPLES_OK)
            *backend_pid = (int)strtol(PQgetvalue(res, 0, 0), NULL, 10);
        bool absent = res == NULL;
        PQclear(res);
        if (status == PGRES_PIPELINE_SYNC)
            return LEAT_PG_SESSION_SET;
        if (!absent && status != PGRES_TUPLES_OK)
            return LEAT_PG_SESSION_REFUSED;
    }
    return LEAT_PG_SESSION_WAITING;
}

/* True if the server reports the formats of times, and they are the ones that we read. */
static bool reports_formats(PGconn *pg)
{
    static const struct {
        const char *name;
        const char *value; /* or its beginning: "ISO, MDY" */
    } formats[] = {{"DateStyle", "ISO"}, {"IntervalStyle", "postgres"}, {"TimeZone", "UTC"}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        const char *reported = PQparameterStatus(pg, formats[i].name);
        size_t len = strlen(formats[i].value);
        if (reported == NULL || strncmp(reported, formats[i].value, len) != 0 ||
            (reported[len] != '\0' && reported[len] != ','))
            return false;
    }
    return true;
}

void leat_pg_session_begin(leat_pg_conn *c)
{
    c->session.reports = reports_formats(c->pg);
}

static bool is_one_of(const char *tag, const char *const *tags)
{
    for (; *tags != NULL; tags++)
        if (strcmp(tag, *tags) == 0)
            return true;
    return false;
}

/* tag is empty if the statement failed: a lock that it took before stays. */
static bool may_leave_state(const char *tag, const char *sql, bool names_state)
{
    static const char *const tags[] = {"LISTEN", "PREPARE", "DECLARE CURSOR", "LOAD", "DO",
                                       "CALL",   NULL};
    if (strcmp(tag, "SET") == 0)
        return !leat_pg_text_sets_for_transaction(sql);
    return is_one_of(tag, tags) || names_state;
}

void leat_pg_session_note(leat_pg_conn *c, PGresult *res, const char *sql, bool names_state)
{
    static const char *const tags[] = {"SET", "RESET", "DISCARD ALL", "DO", "CALL", NULL};
    const char *tag = PQcmdStatus(res);
    if (is_one_of(tag, tags))
        c->session.undone = true;
    if (sql != NULL && may_leave_state(tag, sql, names_state))
        c->session.left = true;
    if (strcmp(tag, "DISCARD ALL") == 0) {
        c->session.left = false;
        leat_pg_statements_lost(&c->statements);
    }
}

void leat_pg_session_restore(leat_pg_conn *c)
{
    if (!leat_list_empty(&c->flight))
        return;
    if (c->session.reports && !reports_formats(c->pg))
        c->session.undone = true;
    if (!c->session.undone)
        return;
    PGTransactionStatusType status = PQtransactionStatus(c->pg);
    if (status == PQTRANS_INERROR)
        return; /* the server accepts nothing but the end of the block */
    c->session.undone = status != PQTRANS_IDLE;
    char sql[SETTINGS_SIZE];
    leat_pg_pipeline_send_first(c, write_settings(sql, c->pg));
}
