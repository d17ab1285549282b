/* db.c - leat_db_wait -> start_query -> (on_acquired ->) send_query -> on_result -> leat_task_wake.
 *
 * Without a transaction each query leases a connection and gives it back before the handler goes
 * on: a script that computes, or waits for something else, holds none. In a transaction the
 * connection stays until COMMIT or ROLLBACK has been answered (start_end), and if the task ends
 * sooner, the pool rolls back. Connections are given back from here and never from a Lua function,
 * because that may hand them to another task at once.
 */
#include "script/task/db.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "script/task/db_ask.h"
#include "script/task/origin.h"
#include "script/task/task.h"
#include "script/value/refusal.h"

struct param {
    size_t at; /* in texts */
    size_t len;
    bool is_null;
};

enum {
    UNAVAILABLE_RETRY_MS = 1000,
    MAX_SPARE_BYTES = 16 * 1024 /* of a buffer that an ended task keeps */
};

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err);
static void on_result(leat_pg_query *q, leat_pg_result *result, int err);
static void on_begun(leat_pg_query *q, leat_pg_result *result, int err);

/* --- the statement --- */

void leat_db_init(leat_db *db, leat_task *t)
{
    leat_pg_waiter_init(&db->waiter);
    db->waiter.data = t;
    db->query.data = t;
    db->begin.data = t;
}

void leat_db_statement(leat_db *db, leat_slice sql, uint64_t deadline_ms)
{
    db->sql.len = db->texts.len = db->params.len = 0;
    leat_buf_slice(&db->sql, sql);
    leat_buf_char(&db->sql, '\0');
    db->deadline_ms = deadline_ms;
    db->max_rows = 0;
}

void leat_db_want_rows(leat_db *db, int max_rows)
{
    db->max_rows = max_rows;
}

leat_buf *leat_db_param_begin(leat_db *db)
{
    return &db->texts;
}

void leat_db_param_end(leat_db *db, size_t began_at, bool is_null)
{
    struct param p = {.at = began_at, .len = db->texts.len - began_at, .is_null = is_null};
    leat_buf_append(&db->params, &p, sizeof(p));
}

/* --- the connection --- */

static void release(leat_db *db, leat_task *t)
{
    leat_pg_conn *conn = db->conn;
    bool leased = db->leased;
    db->conn = NULL;
    db->leased = db->aborted = false;
    db->depth = 0;
    db->broken = 0;
    if (leat_pg_query_pending(&db->begin))
        leat_pg_conn_forget(&db->begin);
    if (leased)
        leat_pg_pool_release(t->lua->core->pool, conn);
}

void leat_db_drop_result(leat_db *db)
{
    leat_pg_result_free(db->result);
    db->result = NULL;
    leat_buf_close(&db->answers.texts);
    leat_buf_close(&db->answers.ends);
}

static void stop_waiting(leat_task *t)
{
    leat_pg_waiter_cancel(&t->db.waiter);
    if (leat_pg_query_pending(&t->db.query))
        leat_pg_conn_forget(&t->db.query);
}

bool leat_db_is_cut_off(const leat_db *db, const leat_task *t)
{
    return leat_pg_waiter_waiting(&db->waiter) && !leat_pg_pool_healthy(t->lua->core->pool);
}

void leat_db_end(leat_db *db, leat_task *t)
{
    stop_waiting(t);
    if (db->conn != NULL)
        release(db, t);
    leat_db_drop_result(db);
    leat_buf *buffers[] = {&db->sql, &db->texts, &db->params};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        if (buffers[i]->cap > MAX_SPARE_BYTES)
            leat_buf_close(buffers[i]);
    }
}

void leat_db_free(leat_db *db)
{
    leat_buf_close(&db->sql);
    leat_buf_close(&db->texts);
    leat_buf_close(&db->params);
}

/* --- one query --- */

static int send_query(leat_task *t)
{
    leat_db *db = &t->db;
    size_t n = db->params.len / sizeof(struct param);
    const struct param *params = (const struct param *)(const void *)db->params.at;
    leat_pg_param *bound = n == 0 ? NULL : malloc(n * sizeof(*bound));
    if (n > 0 && bound == NULL)
        return LEAT_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        bound[i] = (leat_pg_param){NULL, 0};
        if (!params[i].is_null)
            bound[i] = (leat_pg_param){params[i].len == 0 ? "" : db->texts.at + params[i].at,
                                       params[i].len};
    }
    int err = leat_pg_conn_query(db->conn, &db->query, db->sql.at, bound, (int)n, db->deadline_ms,
                                 on_result);
    free(bound);
    return err;
}

static void acquire(leat_task *t)
{
    t->db.waiter.bill = leat_session_bill(t->session, t->kind->bill);
    if (t->session == NULL)
        t->db.waiter.bill.client = t->client;
    leat_pg_pool_acquire(t->lua->core->pool, &t->db.waiter, t->db.deadline_ms, on_acquired);
}

static int start_query(leat_task *t)
{
    leat_db *db = &t->db;
    leat_db_drop_result(db);
    if (db->conn == NULL) {
        acquire(t);
        return 0;
    }
    db->statements++;
    return db->broken != 0 ? db->broken : send_query(t);
}

static const leat_task_wait_kind query_wait = {start_query, stop_waiting};

int leat_db_wait(lua_State *L, leat_task *t, lua_KFunction k)
{
    return leat_task_wait(L, t, &query_wait, k);
}

/* BEGIN needs no answer of its own: it leaves together with the first statement. It is not
 * prepared, so that it cannot be out of date, with that statement then outside of the transaction.
 */
static int send_begin(leat_task *t)
{
    return leat_pg_conn_query_typed(t->db.conn, &t->db.begin, "begin", NULL, NULL, 0, false,
                                    t->deadline_ms, on_begun);
}

static int start_begin(leat_task *t)
{
    leat_db_drop_result(&t->db);
    acquire(t);
    return 0;
}

static const leat_task_wait_kind begin_wait = {start_begin, stop_waiting};

int leat_db_begin_wait(lua_State *L, leat_task *t, lua_KFunction k)
{
    return leat_task_wait(L, t, &begin_wait, k);
}

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    leat_task *t = w->data;
    if (err < 0) {
        leat_task_wake(t, err);
        return;
    }
    t->db.conn = conn;
    t->db.leased = true;
    t->db.statements = 0;
    bool begins = t->wait == &begin_wait;
    err = begins ? send_begin(t) : send_query(t);
    if (err < 0)
        release(&t->db, t);
    if (begins || err < 0)
        leat_task_wake(t, err);
}

/* A connection on which something was lost or left running is of no more use to a transaction. */
static void note_break(leat_db *db, int err)
{
    if (err < 0 && err != LEAT_EPG_SERVER && err != LEAT_ETOOLARGE && err != LEAT_EBADMSG)
        db->broken = LEAT_EPG_LOST;
}

static void on_begun(leat_pg_query *q, leat_pg_result *result, int err)
{
    (void)result;
    leat_task *t = q->data;
    if (err < 0)
        t->db.broken = LEAT_EPG_LOST;
}

/* --- the end of a transaction --- */

static int start_end(leat_task *t)
{
    leat_db *db = &t->db;
    leat_db_drop_result(db);
    int err = db->broken != 0 ? db->broken : send_query(t);
    if (err < 0)
        release(db, t);
    return err;
}

static const leat_task_wait_kind end_wait = {start_end, stop_waiting};

int leat_db_end_wait(lua_State *L, leat_task *t, lua_KFunction k)
{
    return leat_task_wait(L, t, &end_wait, k);
}

static void end_wait_for_result(leat_task *t, int err)
{
    leat_db *db = &t->db;
    if (db->leased && (db->depth == 0 || t->wait == &end_wait))
        release(db, t);
    leat_task_wake(t, err);
}

/* The first statement of a transaction was out of date: nothing has been done yet, so that the
 * transaction can begin anew, and nobody need know. */
static bool begin_again(leat_task *t, const leat_pg_result *result, int err)
{
    leat_db *db = &t->db;
    bool first = db->leased && db->depth == 1 && db->statements == 1 && t->wait == &query_wait;
    if (err != LEAT_EPG_SERVER || !leat_pg_result_is_outdated(result) || !first)
        return false;
    db->statements++;
    leat_pg_conn_send(db->conn, "rollback");
    return send_begin(t) == 0 && send_query(t) == 0;
}

static void on_result(leat_pg_query *q, leat_pg_result *result, int err)
{
    leat_task *t = q->data;
    leat_db *db = &t->db;
    if (begin_again(t, result, err))
        return;
    if (result != NULL)
        db->result = leat_pg_result_keep(result);
    if (err == 0 ||
        err == LEAT_EPG_SERVER) /* Postgres answers in an aborted transaction with errors only */
        db->aborted = err < 0;
    note_break(db, err);
    if (err < 0 || !leat_db_ask(t))
        end_wait_for_result(t, err);
}

void leat_db_asked(leat_task *t, int err)
{
    note_break(&t->db, err);
    end_wait_for_result(t, err);
}

/* --- what a failed read is called --- */

/* A value that Postgres cannot take (class 22, data exception), one of which the client has sent.
 * Which parameter it was, Postgres does not say in a way that survives translation. */
static bool is_clients_fault(const leat_task *t, const char *sqlstate)
{
    const leat_db *db = &t->db;
    if (strncmp(sqlstate, "22", 2) != 0)
        return false;
    size_t n = db->params.len / sizeof(struct param);
    const struct param *params = (const struct param *)(const void *)db->params.at;
    for (size_t i = 0; i < n; i++) {
        leat_slice value = {db->texts.at + params[i].at, params[i].len};
        if (!params[i].is_null && leat_origin_is_client(t, value))
            return true;
    }
    return false;
}

static leat_code code_of(const leat_task *t, int err, const char *sqlstate)
{
    switch (err) {
    case LEAT_EDEADLINE:
        return LEAT_CODE_DEADLINE_EXCEEDED;
    case LEAT_ETOOLARGE:
        return LEAT_CODE_TOO_LARGE;
    case LEAT_EBADMSG:
        return LEAT_CODE_INTERNAL;
    case LEAT_EPG_SERVER:
        break;
    default:
        return LEAT_CODE_UNAVAILABLE;
    }
    bool canceled = strcmp(sqlstate, "57014") == 0;
    if (canceled && leat_loop_now(t->lua->core->loop) >= t->db.deadline_ms)
        return LEAT_CODE_DEADLINE_EXCEEDED;
    bool outdated = t->db.result != NULL && leat_pg_result_is_outdated(t->db.result);
    if (outdated || leat_sqlstate_is_passing(sqlstate))
        return LEAT_CODE_UNAVAILABLE;
    return is_clients_fault(t, sqlstate) ? LEAT_CODE_BAD_REQUEST : LEAT_CODE_INTERNAL;
}

static const char *sentence_of(int err)
{
    switch (err) {
    case LEAT_EDEADLINE:
        return "the deadline passed";
    case LEAT_ETOOLARGE:
        return "the result is too large";
    case LEAT_EBADMSG:
        return "a parameter holds a zero byte";
    case LEAT_EBUSY:
        return "too many queries wait for a connection";
    case LEAT_EPG_LOST:
        return "the connection to the database is lost";
    default:
        return "the database is not available";
    }
}

int leat_db_raise(lua_State *L, leat_task *t)
{
    int err = t->err;
    const leat_pg_result *r = t->db.result;
    bool told = err == LEAT_EPG_SERVER && r != NULL;
    const char *sqlstate = told ? leat_pg_result_sqlstate(r) : err == LEAT_EBADMSG ? "22021" : "";
    const char *sentence = told ? leat_pg_result_message(r) : sentence_of(err);
    leat_code code = code_of(t, err, sqlstate);
    leat_refusal_push_read_error(L, code, sqlstate, leat_slice_of(sentence),
                                 code == LEAT_CODE_UNAVAILABLE ? UNAVAILABLE_RETRY_MS : 0);
    return lua_error(L);
}

int leat_db_raise_parameter(lua_State *L, leat_slice reason)
{
    leat_refusal_push_read_error(L, LEAT_CODE_BAD_REQUEST, "22021", reason, 0);
    return lua_error(L);
}

int leat_db_raise_aborted(lua_State *L)
{
    static const char sentence[] =
        "the transaction was rolled back: a statement in it had failed and was ignored";
    leat_refusal_push_read_error(L, LEAT_CODE_INTERNAL, "25P02", leat_slice_of(sentence), 0);
    return lua_error(L);
}
