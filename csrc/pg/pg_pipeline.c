/* pg_pipeline.c - the life of a query.
 *
 * leat_pg_conn_query copies the query into an entry and queues the entry. The sweep at the end of
 * the turn sends all queued entries (leat_pg_pipeline_send) in libpq's pipeline mode, each with a
 * sync of its own, unless it leads on to the next one. take_results reads the input; take_result
 * stores a result in the first entry of the flight. When the sync of that entry arrives, or, if it
 * has none, the end of its results, finish_entry calls back. A sync costs a system call: libpq
 * sends what it holds.
 *
 * An entry may outlive its query: a query that is forgotten, or whose deadline passed, leaves its
 * entry in the flight until the server has answered.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg/pg_conn.h"
#include "pg/pg_conn_private.h"
#include "pg/pg_result_private.h"
#include "pg/pg_text.h"

enum {
    MAX_PARAMS = 65535, /* the protocol's */
    DEALLOCATE_AT_ONCE = 16,
};

typedef enum entry_state {
    QUEUED,
    SENT,      /* without a Prepare */
    PREPARING, /* sent with a Prepare in front, which the server has not answered */
    PREPARED,  /* the Prepare has succeeded */
} entry_state;

typedef struct entry {
    leat_list link;
    entry_state state;
    leat_pg_query *query;         /* NULL: the query was forgotten, or there is none */
    leat_pg_statement *statement; /* NULL: text is sent, and not prepared */
    const char *text;
    bool is_last_try; /* it was repeated already, or a query before it would have to be, too */
    bool is_own;      /* not a script's */
    bool leads;       /* it needs no sync if another entry is sent with it; once sent: has none */
    uint8_t n_due;    /* commands of it whose results have not ended */
    PGresult *result; /* for the query's callback */
    int n_params;
    Oid *types; /* of the parameters; NULL: the server infers them */
    const char *values[];
} entry;

/* Copies the parameters, and the text unless it is NULL, behind the entry. Each gets a terminator,
 * because libpq expects one. */
static entry *make_entry(const char *text, const leat_pg_param *params, int n_params)
{
    size_t text_size = text != NULL ? strlen(text) + 1 : 0;
    size_t bytes = text_size;
    for (int i = 0; i < n_params; i++)
        bytes += params[i].len + 1;
    entry *e = leat_calloc(1, sizeof(*e) + (size_t)n_params * sizeof(e->values[0]) + bytes);
    char *at = (char *)&e->values[n_params];
    for (int i = 0; i < n_params; i++) {
        if (params[i].at == NULL)
            continue;
        memcpy(at, params[i].at, params[i].len);
        e->values[i] = at;
        at += params[i].len + 1;
    }
    if (text != NULL)
        e->text = memcpy(at, text, text_size);
    e->n_params = n_params;
    leat_list_init(&e->link);
    return e;
}

static void free_entry(leat_pg_conn *c, entry *e)
{
    leat_list_unlink(&e->link);
    if (e->statement != NULL)
        leat_pg_statements_let_go(&c->statements, e->statement);
    PQclear(e->result);
    free(e->types);
    free(e);
}

static void complete(leat_pg_conn *c, leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_deadline_cancel(&q->deadline_);
    q->conn_ = NULL;
    q->entry_ = NULL;
    uint64_t took_ns = uv_hrtime() - q->started_ns_;
    leat_metrics_observe(c->metrics, LEAT_H_QUERY, (double)took_ns / 1e9);
    if (q->tally_ != NULL)
        leat_tally_add(q->tally_, took_ns, err < 0);
    q->cb_(q, res, err);
}

static void on_query_deadline(leat_deadline *d)
{
    leat_pg_query *q = LEAT_CONTAINER_OF(d, leat_pg_query, deadline_);
    leat_pg_conn *c = q->conn_;
    leat_pg_conn_forget(q);
    complete(c, q, NULL, LEAT_EDEADLINE);
}

static bool has_zero_byte(const leat_pg_param *params, int n_params)
{
    for (int i = 0; i < n_params; i++)
        if (params[i].len > 0 && memchr(params[i].at, '\0', params[i].len) != NULL)
            return true;
    return false;
}

static int check_query(const leat_pg_conn *c, const leat_pg_query *q, const leat_pg_param *params,
                       int n_params, uint64_t deadline_ms)
{
    LEAT_ASSERT(deadline_ms != LEAT_DEADLINE_NEVER && q->conn_ == NULL && !leat_pg_clean_is_on(c));
    if (c->state != LEAT_PG_CONN_READY)
        return LEAT_EPG_LOST;
    if (has_zero_byte(params, n_params))
        return LEAT_EBADMSG;
    return n_params > MAX_PARAMS ? LEAT_ETOOLARGE : 0;
}

static leat_tally_entry *tally_of_text(const leat_pg_conn *c, const char *text)
{
    leat_tally *t = c->options->statements;
    return t == NULL ? NULL : leat_tally_find(t, text);
}

/* A prepared statement knows its own, so that its text is looked up once. */
static leat_tally_entry *find_tally(const leat_pg_conn *c, const entry *e)
{
    if (e->statement == NULL)
        return tally_of_text(c, e->text);
    if (e->statement->tally == NULL)
        e->statement->tally = tally_of_text(c, e->statement->sql);
    return e->statement->tally;
}

static void queue_entry(leat_pg_conn *c, entry *e, leat_pg_query *q, leat_tally_entry *tally,
                        uint64_t deadline_ms, leat_pg_query_cb cb)
{
    e->query = q;
    q->conn_ = c;
    q->entry_ = e;
    q->cb_ = cb;
    q->started_ns_ = uv_hrtime();
    q->tally_ = tally;
    leat_deadline_init(&q->deadline_);
    leat_loop_at(c->loop, &q->deadline_, deadline_ms, on_query_deadline);
    leat_list_push(&c->queued, &e->link);
    leat_sweep_schedule_output(c->loop, &c->sweep);
}

int leat_pg_conn_query_once(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                            const char *counted_as, const leat_pg_param *params, int n_params,
                            uint64_t deadline_ms, leat_pg_query_cb cb)
{
    int err = check_query(c, q, params, n_params, deadline_ms);
    if (err == 0)
        queue_entry(c, make_entry(sql, params, n_params), q, tally_of_text(c, counted_as),
                    deadline_ms, cb);
    return err;
}

int leat_pg_conn_query(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                       const leat_pg_param *params, int n_params, uint64_t deadline_ms,
                       leat_pg_query_cb cb)
{
    int err = check_query(c, q, params, n_params, deadline_ms);
    if (err < 0)
        return err;
    bool prepares = c->options->max_statements > 0;
    entry *e = make_entry(prepares ? NULL : sql, params, n_params);
    if (prepares)
        e->statement = leat_pg_statements_hold(&c->statements, sql);
    queue_entry(c, e, q, find_tally(c, e), deadline_ms, cb);
    return 0;
}

void leat_pg_conn_lead_on(leat_pg_query *q)
{
    entry *e = q->entry_;
    e->leads = true;
}

int leat_pg_conn_query_typed(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                             const leat_pg_param *params, const uint32_t *types, int n_params,
                             bool guarded, uint64_t deadline_ms, leat_pg_query_cb cb)
{
    int err = check_query(c, q, params, n_params, deadline_ms);
    if (err < 0)
        return err;
    entry *e = make_entry(sql, params, n_params);
    e->types = leat_calloc((size_t)n_params + 1, sizeof(*e->types));
    for (int i = 0; i < n_params; i++)
        e->types[i] = types[i];
    if (guarded)
        leat_pg_pipeline_send_own(c, "savepoint leat_guard");
    queue_entry(c, e, q, find_tally(c, e), deadline_ms, cb);
    if (guarded) {
        leat_pg_pipeline_send_own(c, "rollback to savepoint leat_guard");
        leat_pg_pipeline_send_own(c, "release savepoint leat_guard");
    }
    return 0;
}

void leat_pg_pipeline_send_own(leat_pg_conn *c, const char *sql)
{
    entry *e = make_entry(sql, NULL, 0);
    e->is_own = true;
    leat_list_push(&c->queued, &e->link);
    leat_sweep_schedule_output(c->loop, &c->sweep);
}

void leat_pg_pipeline_send_first(leat_pg_conn *c, const char *sql)
{
    entry *e = make_entry(sql, NULL, 0);
    e->is_own = true;
    leat_list_push(c->queued.next, &e->link);
}

void leat_pg_conn_send(leat_pg_conn *c, const char *sql)
{
    if (c->state == LEAT_PG_CONN_READY)
        leat_pg_pipeline_send_own(c, sql);
}

void leat_pg_conn_send_leading(leat_pg_conn *c, const char *sql)
{
    if (c->state != LEAT_PG_CONN_READY)
        return;
    leat_pg_pipeline_send_own(c, sql);
    LEAT_CONTAINER_OF(c->queued.prev, entry, link)->leads = true;
}

void leat_pg_conn_forget(leat_pg_query *q)
{
    leat_pg_conn *c = q->conn_;
    if (c == NULL)
        return;
    entry *e = q->entry_;
    leat_deadline_cancel(&q->deadline_);
    q->conn_ = NULL;
    q->entry_ = NULL;
    e->query = NULL;
    if (e->state == QUEUED)
        free_entry(c, e);
}

void leat_pg_conn_forget_all(leat_pg_conn *c)
{
    for (leat_list *link; (link = leat_list_shift(&c->queued)) != NULL;) {
        entry *e = LEAT_CONTAINER_OF(link, entry, link);
        if (e->query != NULL)
            leat_pg_conn_forget(e->query);
        else
            free_entry(c, e);
    }
    /* If the connection was lost, entries that were never sent are here, too; they are freed. */
    for (leat_list *link = c->flight.next, *next = link->next; link != &c->flight;
         link = next, next = link->next) {
        entry *e = LEAT_CONTAINER_OF(link, entry, link);
        if (e->query != NULL)
            leat_pg_conn_forget(e->query);
    }
}

bool leat_pg_query_pending(const leat_pg_query *q)
{
    return q->conn_ != NULL;
}

static bool send_entry(leat_pg_conn *c, entry *e)
{
    if (e->link.next == &c->queued)
        e->leads = false;
    if (e->leads && !e->is_own)
        LEAT_CONTAINER_OF(e->link.next, entry, link)->is_last_try = true;
    leat_list_unlink(&e->link);
    leat_list_push(&c->flight, &e->link);
    e->state = SENT;
    e->n_due = 1;
    leat_pg_statement *statement = e->statement;
    int ok = 1;
    if (statement == NULL) {
        ok = PQsendQueryParams(c->pg, e->text, e->n_params, e->types, e->values, NULL, NULL, 0);
    } else {
        if (statement->state == LEAT_PG_STATEMENT_NEW) {
            statement->state = LEAT_PG_STATEMENT_PREPARING;
            e->state = PREPARING;
            e->n_due = 2;
            ok = PQsendPrepare(c->pg, statement->name, statement->sql, 0, NULL);
        }
        ok = ok &&
             PQsendQueryPrepared(c->pg, statement->name, e->n_params, e->values, NULL, NULL, 0);
    }
    return ok && (e->leads || PQpipelineSync(c->pg));
}

/* Sends DEALLOCATE for statements that are no longer kept. Only between transactions: in a failed
 * one, the server would refuse it. */
static bool deallocate(leat_pg_conn *c)
{
    if (!leat_list_empty(&c->flight) || PQtransactionStatus(c->pg) != PQTRANS_IDLE)
        return true;
    char sql[64];
    for (int i = 0; i < DEALLOCATE_AT_ONCE; i++) {
        if (!leat_pg_statements_next_deallocate(&c->statements, sql, sizeof(sql)))
            return true;
        leat_pg_pipeline_send_own(c, sql);
        if (!send_entry(c, LEAT_CONTAINER_OF(c->queued.prev, entry, link)))
            return false;
    }
    return true;
}

void leat_pg_pipeline_send(leat_pg_conn *c)
{
    if (leat_list_empty(&c->queued))
        return;
    leat_pg_session_restore(c);
    bool ok = deallocate(c);
    while (ok && !leat_list_empty(&c->queued))
        ok = send_entry(c, LEAT_CONTAINER_OF(c->queued.next, entry, link));
    if (!ok) {
        leat_pg_conn_lose(c, NULL);
        return;
    }
    /* libpq also reads while it writes. What it has read will not wake the poll handle again. */
    if (leat_pg_conn_flush(c))
        (void)leat_pg_pipeline_take_input(c);
}

static bool is_error(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE ||
           status == PGRES_NONFATAL_ERROR || status == PGRES_PIPELINE_ABORTED;
}

/* True if the prepared statement is no longer at the server (DISCARD, DEALLOCATE ALL). */
static bool is_forgotten(const entry *e)
{
    if (e->statement == NULL || e->state != SENT)
        return false;
    const char *state = PQresultErrorField(e->result, PG_DIAG_SQLSTATE);
    return state != NULL && strcmp(state, "26000") == 0;
}

/* True if the types of the statement's columns or parameters have changed. Messages of internal
 * errors are never translated, so they can be compared. */
static bool is_outdated(const entry *e)
{
    if (e->statement == NULL || e->state != SENT)
        return false;
    const char *state = PQresultErrorField(e->result, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(e->result, PG_DIAG_SOURCE_FUNCTION);
    const char *message = PQresultErrorField(e->result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == NULL)
        return false;
    if (strcmp(state, "0A000") == 0)
        return function != NULL && strcmp(function, "RevalidateCachedQuery") == 0;
    return strcmp(state, "XX000") == 0 && message != NULL &&
           strstr(message, "cache lookup failed") != NULL;
}

/* True if the error may come from an outdated statement: one that was accepted when it was prepared
 * is refused now (class 42, except for a missing right), or a parameter is refused, whose type was
 * inferred then. */
static bool may_be_outdated(const entry *e)
{
    if (e->statement == NULL || e->state != SENT)
        return false;
    const char *state = PQresultErrorField(e->result, PG_DIAG_SQLSTATE);
    if (state == NULL || strcmp(state, "42501") == 0)
        return false;
    return strncmp(state, "42", 2) == 0 || strcmp(state, "22P02") == 0 ||
           strcmp(state, "22003") == 0;
}

/* Sends the query again with a fresh statement. The server refuses an outdated statement before it
 * has done anything. Still, the query is repeated only where the order stays the same: outside a
 * transaction block, with no other query sent after it, and with none before it that failed with
 * it. */
static bool retry(leat_pg_conn *c, entry *e)
{
    if (e->is_last_try || e->query == NULL || !leat_list_empty(&c->flight) ||
        PQtransactionStatus(c->pg) != PQTRANS_IDLE)
        return false;
    leat_pg_statement *fresh = leat_pg_statements_hold(&c->statements, e->statement->sql);
    leat_pg_statements_let_go(&c->statements, e->statement);
    e->statement = fresh;
    e->state = QUEUED;
    e->is_last_try = true;
    PQclear(e->result);
    e->result = NULL;
    leat_list_push(c->queued.next, &e->link); /* in front of all others */
    leat_sweep_schedule_output(c->loop, &c->sweep);
    return true;
}

static void note_session(leat_pg_conn *c, const entry *e)
{
    if (e->is_own)
        leat_pg_session_note(c, e->result, NULL, false);
    else if (e->statement != NULL)
        leat_pg_session_note(c, e->result, e->statement->sql, e->statement->names_state);
    else
        leat_pg_session_note(c, e->result, e->text, leat_pg_text_names_state(e->text));
}

static void finish_entry(leat_pg_conn *c, entry *e)
{
    leat_list_unlink(&e->link);
    bool failed = is_error(e->result);
    if (e->state == PREPARING) {
        e->statement->state = LEAT_PG_STATEMENT_NEW;
        leat_pg_statements_drop(&c->statements, e->statement);
    }
    bool forgotten = failed && is_forgotten(e);
    bool outdated = forgotten || (failed && is_outdated(e));
    bool stale = outdated || (failed && may_be_outdated(e));
    if (stale) {
        if (forgotten) {
            e->statement->state = LEAT_PG_STATEMENT_FORGOTTEN;
            leat_pg_statements_lost(&c->statements);
        }
        leat_pg_statements_drop(&c->statements, e->statement);
        if (retry(c, e))
            return;
    }

    if (failed || strcmp(PQcmdStatus(e->result), "ROLLBACK") == 0)
        leat_pg_conn_drop_report(c);
    note_session(c, e);
    leat_pg_result res;
    leat_pg_result_open(&res, e->result);
    res.outdated = outdated;
    res.stale = stale;
    e->result = NULL;
    leat_pg_query *q = e->query;
    size_t bytes = c->led_bytes + PQresultMemorySize(res.pg);
    c->led_bytes = e->leads ? bytes : 0;
    free_entry(c, e);
    if (q == NULL) {
        leat_pg_result_close(&res);
        if (leat_pg_clean_is_on(c))
            leat_pg_clean_go_on(c);
        return;
    }
    size_t limit = c->options->max_result_bytes;
    if (limit > 0 && bytes > limit)
        complete(c, q, NULL, LEAT_ETOOLARGE);
    else
        complete(c, q, &res, failed ? LEAT_EPG_SERVER : 0);
    leat_pg_result_close(&res);
}

/* Takes a result for the first entry of the flight. Returns false if the connection was lost or
 * closed. */
static bool take_result(leat_pg_conn *c, PGresult *res)
{
    entry *e = LEAT_CONTAINER_OF(c->flight.next, entry, link);
    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(res);
        if (e->result == NULL) {
            leat_pg_conn_lose(c, "the server answered a query with nothing");
            return false;
        }
        finish_entry(c, e);
        return c->state == LEAT_PG_CONN_READY;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        PQclear(res);
        leat_pg_conn_lose(c, "COPY is not supported");
        return false;
    default: /* PGRES_PIPELINE_ABORTED: its Prepare has failed, or the entry that leads on to it */
        break;
    }
    if (e->state == PREPARING && !is_error(res)) {
        e->state = PREPARED;
        e->statement->state = LEAT_PG_STATEMENT_PREPARED;
        PQclear(res);
    } else if (e->result == NULL) {
        e->result = res;
    } else if (is_error(res) && !is_error(e->result)) { /* its implicit COMMIT has failed */
        PQclear(e->result);
        e->result = res;
    } else {
        PQclear(res);
    }
    return true;
}

/* The results of one command have ended. Returns false if the connection was lost or closed. */
static bool end_command(leat_pg_conn *c)
{
    entry *e = LEAT_CONTAINER_OF(c->flight.next, entry, link);
    if (e->result == NULL && e->state != PREPARED)
        return true; /* none of it has come */
    if (--e->n_due > 0 || !e->leads)
        return true;
    finish_entry(c, e);
    return c->state == LEAT_PG_CONN_READY;
}

static bool take_results(leat_pg_conn *c)
{
    while (!leat_list_empty(&c->flight) && !PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);
        if (PQstatus(c->pg) == CONNECTION_BAD) {
            PQclear(res);
            leat_pg_conn_lose(c, NULL);
            return false;
        }
        if (!(res == NULL ? end_command(c) : take_result(c, res)))
            return false;
    }
    return true;
}

/* Notifications may lie between results, and libpq sees the ones only after it was asked for the
 * others. */
size_t leat_pg_pipeline_take_input(leat_pg_conn *c)
{
    size_t bytes = 0;
    bool more = true;
    while (more) {
        if (!take_results(c))
            return bytes;
        more = false;
        for (PGnotify *n; (n = PQnotifies(c->pg)) != NULL;) {
            more = true;
            bytes += strlen(n->extra);
            if (c->notify_cb != NULL)
                c->notify_cb(c, n->relname, n->extra, n->be_pid, c->notify_arg);
            PQfreemem(n);
            if (c->state != LEAT_PG_CONN_READY)
                return bytes;
        }
        if (!leat_list_empty(&c->flight) && !PQisBusy(c->pg))
            more = true;
    }
    return bytes;
}

bool leat_pg_pipeline_fail(leat_pg_conn *c, int err)
{
    for (leat_list *link; (link = leat_list_shift(&c->queued)) != NULL;)
        leat_list_push(&c->flight, link);
    leat_pg_conn_state before = c->state;
    for (leat_list *link; (link = leat_list_shift(&c->flight)) != NULL;) {
        entry *e = LEAT_CONTAINER_OF(link, entry, link);
        leat_pg_query *q = e->query;
        free_entry(c, e);
        if (q != NULL)
            complete(c, q, NULL, err);
        if (c->state != before)
            return false;
    }
    return true;
}

/* The server says why it hangs up in a notice, or in the answer to the running query. */
const char *leat_pg_pipeline_reason(const leat_pg_conn *c)
{
    if (c->last_words[0] != '\0')
        return c->last_words;
    if (!leat_list_empty(&c->flight)) {
        const entry *e = LEAT_CONTAINER_OF(c->flight.next, entry, link);
        const char *severity = PQresultErrorField(e->result, PG_DIAG_SEVERITY_NONLOCALIZED);
        if (severity != NULL && strcmp(severity, "FATAL") == 0)
            return PQresultErrorField(e->result, PG_DIAG_MESSAGE_PRIMARY);
    }
    const char *message = PQerrorMessage(c->pg);
    return message[0] != '\0' ? message : "the connection broke";
}
