/* The life of a query: leat_pg_conn_query copies it into a slot and queues that; the end-of-turn
 * sweep sends all queued slots (leat_pg_pipeline_send), each with a sync of its own, in libpq's
 * pipeline mode; take_results reads what has arrived, and take_result gathers it into the
 * slot at the head of the flight until its sync arrives; then finish_slot calls back.
 *
 * The slot outlives its query's interest in it: a query that is forgotten, or past its deadline,
 * lets go of its slot, which stays in the flight until the server has answered.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg/pg_conn_private.h"
#include "pg/pg_result_private.h"

enum {
    MAX_PARAMS = 65535, /* the protocol's */
    DEALLOCATE_AT_ONCE = 16,
};

typedef struct slot {
    leat_list link;
    leat_pg_query *query;         /* NULL: nobody waits for it */
    leat_pg_statement *statement; /* NULL: text is sent, unprepared */
    const char *text;
    bool sent;
    bool prepares; /* sent with a Prepare in front */
    bool parsed;   /* which has succeeded */
    bool retried;
    PGresult *result; /* what the query will be told */
    int n_params;
    Oid *types; /* of the parameters; NULL: the server infers them */
    const char *values[];
} slot;

/* Copies the parameters and, unless it is NULL, the text behind the slot, each with a terminator,
 * as libpq wants them. */
static slot *make_slot(const char *text, const leat_pg_param *params, int n_params)
{
    size_t text_size = text != NULL ? strlen(text) + 1 : 0;
    size_t bytes = text_size;
    for (int i = 0; i < n_params; i++)
        bytes += params[i].len + 1;
    slot *s = leat_calloc(1, sizeof(*s) + (size_t)n_params * sizeof(s->values[0]) + bytes);
    char *at = (char *)&s->values[n_params];
    for (int i = 0; i < n_params; i++) {
        if (params[i].at == NULL)
            continue;
        memcpy(at, params[i].at, params[i].len);
        s->values[i] = at;
        at += params[i].len + 1;
    }
    if (text != NULL)
        s->text = memcpy(at, text, text_size);
    s->n_params = n_params;
    leat_list_init(&s->link);
    return s;
}

static void free_slot(leat_pg_conn *c, slot *s)
{
    leat_list_unlink(&s->link);
    if (s->statement != NULL)
        leat_pg_statements_let_go(&c->statements, s->statement);
    PQclear(s->result);
    free(s->types);
    free(s);
}

static void complete(leat_pg_conn *c, leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_deadline_cancel(&q->deadline_);
    q->conn_ = NULL;
    q->slot_ = NULL;
    leat_metrics_observe(c->metrics, LEAT_H_QUERY, (double)(uv_hrtime() - q->started_ns_) / 1e9);
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
    LEAT_ASSERT(deadline_ms != LEAT_DEADLINE_NEVER && q->conn_ == NULL && c->clean.cb == NULL);
    if (c->state != LEAT_PG_CONN_READY)
        return LEAT_EPG_LOST;
    if (has_zero_byte(params, n_params))
        return LEAT_EBADMSG;
    return n_params > MAX_PARAMS ? LEAT_ETOOLARGE : 0;
}

static void queue_slot(leat_pg_conn *c, slot *s, leat_pg_query *q, uint64_t deadline_ms,
                       leat_pg_query_cb cb)
{
    s->query = q;
    q->conn_ = c;
    q->slot_ = s;
    q->cb_ = cb;
    q->started_ns_ = uv_hrtime();
    leat_deadline_init(&q->deadline_);
    leat_loop_at(c->loop, &q->deadline_, deadline_ms, on_query_deadline);
    leat_list_push(&c->queued, &s->link);
    leat_sweep_schedule(c->loop, &c->sweep);
}

int leat_pg_conn_query(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                       const leat_pg_param *params, int n_params, uint64_t deadline_ms,
                       leat_pg_query_cb cb)
{
    int err = check_query(c, q, params, n_params, deadline_ms);
    if (err < 0)
        return err;
    bool prepares = c->options->max_statements > 0;
    slot *s = make_slot(prepares ? NULL : sql, params, n_params);
    if (prepares)
        s->statement = leat_pg_statements_hold(&c->statements, sql);
    queue_slot(c, s, q, deadline_ms, cb);
    return 0;
}

int leat_pg_conn_query_typed(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                             const leat_pg_param *params, const uint32_t *types, int n_params,
                             bool guarded, uint64_t deadline_ms, leat_pg_query_cb cb)
{
    int err = check_query(c, q, params, n_params, deadline_ms);
    if (err < 0)
        return err;
    slot *s = make_slot(sql, params, n_params);
    s->types = leat_calloc((size_t)n_params + 1, sizeof(*s->types));
    for (int i = 0; i < n_params; i++)
        s->types[i] = types[i];
    if (guarded)
        leat_pg_pipeline_send_own(c, "savepoint leat_guard");
    queue_slot(c, s, q, deadline_ms, cb);
    if (guarded) {
        leat_pg_pipeline_send_own(c, "rollback to savepoint leat_guard");
        leat_pg_pipeline_send_own(c, "release savepoint leat_guard");
    }
    return 0;
}

void leat_pg_pipeline_send_own(leat_pg_conn *c, const char *sql)
{
    slot *s = make_slot(sql, NULL, 0);
    leat_list_push(&c->queued, &s->link);
    leat_sweep_schedule(c->loop, &c->sweep);
}

void leat_pg_pipeline_send_first(leat_pg_conn *c, const char *sql)
{
    slot *s = make_slot(sql, NULL, 0);
    leat_list_push(c->queued.next, &s->link);
}

void leat_pg_conn_send(leat_pg_conn *c, const char *sql)
{
    if (c->state == LEAT_PG_CONN_READY)
        leat_pg_pipeline_send_own(c, sql);
}

void leat_pg_conn_forget(leat_pg_query *q)
{
    leat_pg_conn *c = q->conn_;
    if (c == NULL)
        return;
    slot *s = q->slot_;
    leat_deadline_cancel(&q->deadline_);
    q->conn_ = NULL;
    q->slot_ = NULL;
    s->query = NULL;
    if (!s->sent)
        free_slot(c, s);
}

void leat_pg_conn_forget_all(leat_pg_conn *c)
{
    while (!leat_list_empty(&c->queued)) {
        slot *s = LEAT_CONTAINER_OF(c->queued.next, slot, link);
        if (s->query != NULL)
            leat_pg_conn_forget(s->query);
        else
            free_slot(c, s);
    }
    /* When the connection was lost, those that were never sent are here, too, and go at once. */
    for (leat_list *link = c->flight.next, *next = link->next; link != &c->flight;
         link = next, next = link->next) {
        slot *s = LEAT_CONTAINER_OF(link, slot, link);
        if (s->query != NULL)
            leat_pg_conn_forget(s->query);
    }
}

bool leat_pg_query_pending(const leat_pg_query *q)
{
    return q->conn_ != NULL;
}

static bool send_slot(leat_pg_conn *c, slot *s)
{
    leat_list_unlink(&s->link);
    leat_list_push(&c->flight, &s->link);
    s->sent = true;
    leat_pg_statement *statement = s->statement;
    int ok = 1;
    if (statement == NULL) {
        ok = PQsendQueryParams(c->pg, s->text, s->n_params, s->types, s->values, NULL, NULL, 0);
    } else {
        if (!statement->sent) {
            statement->sent = s->prepares = true;
            ok = PQsendPrepare(c->pg, statement->name, statement->sql, 0, NULL);
        }
        ok = ok &&
             PQsendQueryPrepared(c->pg, statement->name, s->n_params, s->values, NULL, NULL, 0);
    }
    return ok && PQpipelineSync(c->pg);
}

/* Only between transactions: in one that failed, the server would refuse it. */
static bool deallocate(leat_pg_conn *c)
{
    if (!leat_list_empty(&c->flight) || PQtransactionStatus(c->pg) != PQTRANS_IDLE)
        return true;
    char sql[64];
    for (int i = 0; i < DEALLOCATE_AT_ONCE; i++) {
        if (!leat_pg_statements_next_doomed(&c->statements, sql, sizeof(sql)))
            return true;
        leat_pg_pipeline_send_own(c, sql);
        if (!send_slot(c, LEAT_CONTAINER_OF(c->queued.prev, slot, link)))
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
        ok = send_slot(c, LEAT_CONTAINER_OF(c->queued.next, slot, link));
    if (!ok) {
        leat_pg_conn_lose(c, NULL);
        return;
    }
    /* While it writes, libpq also reads: what it has read will not wake the poll handle again. */
    if (leat_pg_conn_flush(c))
        leat_pg_pipeline_take_input(c);
}

static bool is_error(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE ||
           status == PGRES_NONFATAL_ERROR;
}

/* The statement is no longer at the server (DISCARD, DEALLOCATE ALL), or what it returns or is
 * given has changed since it was prepared. Messages of internal errors are never translated. */
static bool is_outdated(const slot *s)
{
    if (s->statement == NULL || s->prepares)
        return false;
    const char *state = PQresultErrorField(s->result, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(s->result, PG_DIAG_SOURCE_FUNCTION);
    const char *message = PQresultErrorField(s->result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == NULL)
        return false;
    if (strcmp(state, "0A000") == 0)
        return function != NULL && strcmp(function, "RevalidateCachedQuery") == 0;
    if (strcmp(state, "XX000") == 0)
        return message != NULL && strstr(message, "cache lookup failed") != NULL;
    if (strcmp(state, "26000") == 0)
        s->statement->at_server = false;
    return strcmp(state, "26000") == 0;
}

/* The statement may be out of date: it was analysed once, and is refused now (class 42, but not for
 * a right that is missing), or a parameter is refused, whose type was inferred when it was
 * prepared. */
static bool may_be_outdated(const slot *s)
{
    if (s->statement == NULL || s->prepares)
        return false;
    const char *state = PQresultErrorField(s->result, PG_DIAG_SQLSTATE);
    if (state == NULL || strcmp(state, "42501") == 0)
        return false;
    return strncmp(state, "42", 2) == 0 || strcmp(state, "22P02") == 0 ||
           strcmp(state, "22003") == 0;
}

/* Out of date is said before a query has done anything. Still it is repeated only where nobody can
 * tell: outside a transaction block, with nothing sent behind it. */
static bool retry(leat_pg_conn *c, slot *s)
{
    if (s->retried || s->query == NULL || !leat_list_empty(&c->flight) ||
        PQtransactionStatus(c->pg) != PQTRANS_IDLE)
        return false;
    leat_pg_statement *fresh = leat_pg_statements_hold(&c->statements, s->statement->sql);
    leat_pg_statements_let_go(&c->statements, s->statement);
    s->statement = fresh;
    s->sent = s->prepares = s->parsed = false;
    s->retried = true;
    PQclear(s->result);
    s->result = NULL;
    leat_list_push(c->queued.next, &s->link); /* in front of all others */
    leat_sweep_schedule(c->loop, &c->sweep);
    return true;
}

static void finish_slot(leat_pg_conn *c, slot *s)
{
    leat_list_unlink(&s->link);
    bool failed = is_error(s->result);
    if (s->prepares && !s->parsed) {
        s->statement->sent = false;
        leat_pg_statements_drop(&c->statements, s->statement);
    }
    bool outdated = failed && is_outdated(s);
    if (outdated || (failed && may_be_outdated(s))) {
        if (outdated && !s->statement->at_server)
            leat_pg_statements_lost(&c->statements);
        leat_pg_statements_drop(&c->statements, s->statement);
        if (retry(c, s))
            return;
    }

    leat_pg_result res;
    leat_pg_result_open(&res, s->result);
    res.outdated = outdated;
    s->result = NULL;
    leat_pg_query *q = s->query;
    free_slot(c, s);
    if (!failed)
        leat_pg_session_note(c, res.pg);
    if (q == NULL) {
        leat_pg_result_close(&res);
        if (c->clean.cb != NULL)
            leat_pg_clean_go_on(c);
        return;
    }
    size_t limit = c->options->max_result_bytes;
    if (limit > 0 && PQresultMemorySize(res.pg) > limit)
        complete(c, q, NULL, LEAT_ETOOLARGE);
    else
        complete(c, q, &res, failed ? LEAT_EPG_SERVER : 0);
    leat_pg_result_close(&res);
}

/* One result of the slot at the head of the flight. Returns false if it cannot go on. */
static bool take_result(leat_pg_conn *c, PGresult *res)
{
    slot *s = LEAT_CONTAINER_OF(c->flight.next, slot, link);
    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(res);
        if (s->result == NULL) {
            leat_pg_conn_lose(c, "the server answered a query with nothing");
            return false;
        }
        finish_slot(c, s);
        return c->state == LEAT_PG_CONN_READY;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        PQclear(res);
        leat_pg_conn_lose(c, "COPY is not supported");
        return false;
    case PGRES_PIPELINE_ABORTED: /* the query, after its Prepare has failed */
        PQclear(res);
        return true;
    default:
        break;
    }
    if (s->prepares && !s->parsed && !is_error(res)) {
        s->parsed = s->statement->at_server = true;
        PQclear(res);
    } else if (s->result == NULL) {
        s->result = res;
    } else {
        PQclear(res);
    }
    return true;
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
        if (res != NULL && !take_result(c, res)) /* NULL: the end of one command of several */
            return false;
    }
    return true;
}

/* Takes in all that libpq has read. Notifications may lie between results, and libpq sees either
 * only after it was asked for the other. */
void leat_pg_pipeline_take_input(leat_pg_conn *c)
{
    bool more = true;
    while (more) {
        if (!take_results(c))
            return;
        more = false;
        for (PGnotify *n; (n = PQnotifies(c->pg)) != NULL;) {
            more = true;
            if (c->notify_cb != NULL)
                c->notify_cb(c, n->relname, n->extra, n->be_pid, c->notify_arg);
            PQfreemem(n);
            if (c->state != LEAT_PG_CONN_READY)
                return;
        }
        if (!leat_list_empty(&c->flight) && !PQisBusy(c->pg))
            more = true;
    }
}

/* Ends all that is pending; false if a callback closed the connection. */
bool leat_pg_pipeline_fail(leat_pg_conn *c, int err)
{
    for (leat_list *link; (link = leat_list_shift(&c->queued)) != NULL;)
        leat_list_push(&c->flight, link);
    leat_pg_conn_state before = c->state;
    while (!leat_list_empty(&c->flight)) {
        slot *s = LEAT_CONTAINER_OF(c->flight.next, slot, link);
        leat_pg_query *q = s->query;
        free_slot(c, s);
        if (q != NULL)
            complete(c, q, NULL, err);
        if (c->state != before)
            return false;
    }
    return true;
}

/* The server's last words, if it had any: as a notice, or as the answer to what ran. */
const char *leat_pg_pipeline_reason(const leat_pg_conn *c)
{
    if (c->last_words[0] != '\0')
        return c->last_words;
    if (!leat_list_empty(&c->flight)) {
        const slot *s = LEAT_CONTAINER_OF(c->flight.next, slot, link);
        const char *severity = PQresultErrorField(s->result, PG_DIAG_SEVERITY_NONLOCALIZED);
        if (severity != NULL && strcmp(severity, "FATAL") == 0)
            return PQresultErrorField(s->result, PG_DIAG_MESSAGE_PRIMARY);
    }
    const char *message = PQerrorMessage(c->pg);
    return message[0] != '\0' ? message : "the connection broke";
}
