#include "pg/pg_sync.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "base/mem.h"
#include "pg/pg_target.h"

/* PQexec knows no deadline, and a server that is stopped answers nothing at all: so queries, here
 * too, are made of the non-blocking calls, with poll(2) between them. */

struct leat_pg_sync {
    PGconn *pg;
    char sqlstate[6];
};

#define WAIT_FOREVER UINT64_MAX

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t deadline_of(uint64_t timeout_ms)
{
    return timeout_ms == 0 ? WAIT_FOREVER : now_ms() + timeout_ms;
}

/* Waits for events on libpq's socket; false once the deadline has passed. */
static bool wait_for(PGconn *pg, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = now_ms();
        if (now >= deadline_ms)
            return false;
        int wait_ms = -1;
        if (deadline_ms != WAIT_FOREVER)
            wait_ms = deadline_ms - now > 60000 ? 60000 : (int)(deadline_ms - now);
        struct pollfd fd = {.fd = PQsocket(pg), .events = events};
        int n = poll(&fd, 1, wait_ms);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true; /* libpq finds out what is wrong */
    }
}

/* libpq ends its messages with a newline and sometimes spreads them over several lines. */
static void append_message(leat_buf *error, const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\t')
            continue;
        if (text[i] == '\n')
            leat_buf_text(error, "; ");
        else
            leat_buf_char(error, text[i]);
    }
}

static void drop_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static bool finish_connecting(PGconn *pg, uint64_t deadline_ms)
{
    for (PostgresPollingStatusType next = PGRES_POLLING_WRITING;; next = PQconnectPoll(pg)) {
        if (next == PGRES_POLLING_OK)
            return true;
        if (next == PGRES_POLLING_FAILED || PQstatus(pg) == CONNECTION_BAD ||
            !wait_for(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
            return false;
    }
}

/* Each of several hosts by itself: libpq's own walk ends at one that takes the connection and then
 * hangs up, as a server does that is on its way down. NULL if none will have us. */
static PGconn *connect_to_any(const char *conninfo, const char *application_name,
                              uint64_t timeout_ms)
{
    leat_pg_targets targets;
    PGconn *found = NULL;
    if (leat_pg_targets_parse(&targets, conninfo) < 0)
        return NULL;
    const char *attrs = targets.prefer_standby ? "standby" : NULL;
    size_t tries = targets.count == 1       ? 0
                   : targets.prefer_standby ? 2 * targets.count
                                            : targets.count;
    for (size_t i = 0; i < tries && found == NULL; i++) {
        if (i == targets.count)
            attrs = "any";
        PGconn *pg = leat_pg_target_connect(&targets, &targets.at[i % targets.count], NULL, attrs,
                                            application_name);
        if (pg != NULL && finish_connecting(pg, deadline_of(timeout_ms)))
            found = pg;
        else
            PQfinish(pg);
    }
    leat_pg_targets_close(&targets);
    return found;
}

int leat_pg_sync_open(leat_pg_sync **out, const char *conninfo, const char *application_name,
                      uint64_t timeout_ms, leat_buf *error)
{
    /* The timeout stands before dbname, which is expanded, so that one in the URL wins; the name is
     * a fallback likewise. Connecting blocks inside libpq, because only there the timeout holds for
     * each of several hosts. */
    char seconds[24];
    snprintf(seconds, sizeof(seconds), "%" PRIu64, (timeout_ms + 999) / 1000);
    const char *const names[] = {"connect_timeout", "dbname", "fallback_application_name", NULL};
    const char *const values[] = {seconds, conninfo, application_name, NULL};
    PGconn *pg = PQconnectdbParams(names, values, 1);
    if (pg == NULL)
        return LEAT_ENOMEM;
    if (PQstatus(pg) != CONNECTION_OK) {
        PGconn *other = connect_to_any(conninfo, application_name, timeout_ms);
        if (other == NULL)
            append_message(error, PQerrorMessage(pg));
        PQfinish(pg);
        if (other == NULL)
            return LEAT_EPG_LOST;
        pg = other;
    }
    PQsetNoticeReceiver(pg, drop_notice, NULL);
    leat_pg_sync *c = leat_calloc(1, sizeof(*c));
    c->pg = pg;
    *out = c;
    return 0;
}

void leat_pg_sync_close(leat_pg_sync *c)
{
    if (c == NULL)
        return;
    PQfinish(c->pg);
    free(c);
}

bool leat_pg_sync_in_transaction(const leat_pg_sync *c)
{
    return PQtransactionStatus(c->pg) == PQTRANS_INTRANS;
}

/* --- queries --- */

static int lost(leat_pg_sync *c, leat_buf *error)
{
    append_message(error, PQerrorMessage(c->pg));
    return LEAT_EPG_LOST;
}

static void append_server_error(leat_pg_sync *c, leat_buf *error, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(c->sqlstate, sizeof(c->sqlstate), "%s", sqlstate != NULL ? sqlstate : "");
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    append_message(error, primary != NULL ? primary : PQresultErrorMessage(result));
    if (detail != NULL) {
        leat_buf_text(error, ": ");
        append_message(error, detail);
    }
    if (position != NULL)
        leat_buf_printf(error, " (at character %s)", position);
}

/* Reads until libpq has a whole result, or the end of them. */
static int await_result(leat_pg_sync *c, uint64_t deadline_ms, leat_buf *error)
{
    while (PQisBusy(c->pg)) {
        if (!wait_for(c->pg, POLLIN, deadline_ms)) {
            leat_buf_text(error, "the database did not answer in time");
            return LEAT_EDEADLINE;
        }
        if (PQconsumeInput(c->pg) == 0)
            return lost(c, error);
    }
    return 0;
}

/* Takes one result: an error goes to error; *last gets the latest one with rows. */
static int take(leat_pg_sync *c, PGresult *result, PGresult **last, leat_buf *error)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        PQclear(*last);
        *last = result;
        return 0;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        PQclear(result);
        return 0;
    default:
        append_server_error(c, error, result);
        PQclear(result);
        return LEAT_EPG_SERVER;
    }
}

/* PQgetResult would return the same one for ever. */
static bool is_copy(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* What was sent: all its results. */
static int finish(leat_pg_sync *c, uint64_t deadline_ms, PGresult **last, leat_buf *error)
{
    int err = 0;
    for (;;) {
        int waited = await_result(c, deadline_ms, error);
        if (waited < 0)
            return waited;
        PGresult *result = PQgetResult(c->pg);
        if (result == NULL)
            return err;
        if (is_copy(result)) {
            PQclear(result);
            leat_buf_text(error, "COPY is not supported here");
            return LEAT_EPG_SERVER;
        }
        int taken = take(c, result, last, error);
        if (err == 0)
            err = taken;
    }
}

static int run(leat_pg_sync *c, const char *sql, uint64_t timeout_ms, PGresult **last,
               leat_buf *error)
{
    if (PQsendQuery(c->pg, sql) == 0)
        return lost(c, error);
    return finish(c, deadline_of(timeout_ms), last, error);
}

int leat_pg_sync_exec(leat_pg_sync *c, const char *sql, uint64_t timeout_ms, leat_buf *error)
{
    PGresult *last = NULL;
    int err = run(c, sql, timeout_ms, &last, error);
    PQclear(last);
    return err;
}

int leat_pg_sync_value(leat_pg_sync *c, const char *sql, uint64_t timeout_ms, leat_buf *value,
                       bool *is_null, leat_buf *error)
{
    PGresult *last = NULL;
    int err = run(c, sql, timeout_ms, &last, error);
    if (err == 0) {
        bool empty = last == NULL || PQntuples(last) == 0 || PQnfields(last) == 0;
        *is_null = empty || PQgetisnull(last, 0, 0);
        if (!*is_null)
            leat_buf_append(value, PQgetvalue(last, 0, 0), (size_t)PQgetlength(last, 0, 0));
    }
    PQclear(last);
    return err;
}

enum { MAX_COLUMNS = 8 };

int leat_pg_sync_rows(leat_pg_sync *c, const char *sql, uint64_t timeout_ms,
                      leat_pg_sync_row_cb on_row, void *arg, leat_buf *error)
{
    PGresult *last = NULL;
    int err = run(c, sql, timeout_ms, &last, error);
    int columns = err == 0 && last != NULL ? PQnfields(last) : 0;
    LEAT_ASSERT(columns <= MAX_COLUMNS);
    for (int i = 0; columns > 0 && i < PQntuples(last); i++) {
        const char *values[MAX_COLUMNS] = {NULL};
        for (int column = 0; column < columns; column++)
            values[column] = PQgetvalue(last, i, column);
        on_row(arg, values);
    }
    PQclear(last);
    return err;
}

int leat_pg_sync_prepare(leat_pg_sync *c, const char *name, const char *sql, uint64_t timeout_ms,
                         leat_buf *error)
{
    PGresult *last = NULL;
    if (PQsendPrepare(c->pg, name, sql, 0, NULL) == 0)
        return lost(c, error);
    int err = finish(c, deadline_of(timeout_ms), &last, error);
    PQclear(last);
    return err;
}

int leat_pg_sync_execute(leat_pg_sync *c, const char *name, uint64_t timeout_ms, leat_buf *error)
{
    PGresult *last = NULL;
    if (PQsendQueryPrepared(c->pg, name, 0, NULL, NULL, NULL, 0) == 0)
        return lost(c, error);
    int err = finish(c, deadline_of(timeout_ms), &last, error);
    PQclear(last);
    return err;
}

int leat_pg_sync_await(leat_pg_sync *c, const char *payload, uint64_t timeout_ms, leat_buf *error)
{
    uint64_t deadline_ms = deadline_of(timeout_ms);
    for (;;) {
        PGnotify *n = PQnotifies(c->pg);
        bool found = n != NULL && strcmp(n->extra, payload) == 0;
        PQfreemem(n);
        if (found)
            return 0;
        if (n != NULL)
            continue;
        if (!wait_for(c->pg, POLLIN, deadline_ms)) {
            leat_buf_text(error, "it did not come in time");
            return LEAT_EDEADLINE;
        }
        if (PQconsumeInput(c->pg) == 0)
            return lost(c, error);
    }
}

const char *leat_pg_sync_sqlstate(const leat_pg_sync *c)
{
    return c->sqlstate;
}
