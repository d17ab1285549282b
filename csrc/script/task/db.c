/* db.c - leat_db_run -> (on_acquired ->) send_all -> on_result (-> on_asked) -> the callback.
 *
 * A statement outside of a transaction leases a connection and returns it before the script goes
 * on. So a script that computes, or waits for something else, holds none. In a transaction the
 * connection is held until COMMIT or ROLLBACK is answered (leat_db_run_end). If the task ends
 * sooner, the pool rolls back. Connections are returned here and never in a function that Lua
 * calls, because the pool may give a returned connection to another task at once.
 */
#include "script/task/db.h"

#include <stdlib.h>
#include <strings.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/written.h"

/* What an ended task keeps. */
enum { MAX_SPARE_BYTES = 16 * 1024 /* of a buffer */, MAX_SPARE_STATEMENTS = 8 };

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err);
static void on_result(leat_pg_query *q, leat_pg_result *result, int err);
static void on_begun(leat_pg_query *q, leat_pg_result *result, int err);
static void on_asked(leat_db_ask *a, int err, leat_pg_result *failed);
static void finish(leat_db *db, int err);

/* --- states --- */

#define TO(state) (1u << LEAT_DB_##state)

static void set_state(leat_db *db, leat_db_state next)
{
    static const unsigned edges[LEAT_DB_STATES] = {
        [LEAT_DB_UNUSED] = TO(ACQUIRING) | TO(ACQUIRING_TRANSACTION) | TO(PROMISED) | TO(BORROWED),
        [LEAT_DB_ACQUIRING] = TO(STATEMENT) | TO(UNUSED),
        [LEAT_DB_ACQUIRING_TRANSACTION] = TO(TRANSACTION) | TO(UNUSED),
        [LEAT_DB_STATEMENT] = TO(UNUSED),
        [LEAT_DB_TRANSACTION] = TO(TRANSACTION_STATEMENT) | TO(TRANSACTION_END) | TO(UNUSED),
        [LEAT_DB_TRANSACTION_STATEMENT] = TO(TRANSACTION) | TO(UNUSED),
        [LEAT_DB_TRANSACTION_END] = TO(UNUSED),
        [LEAT_DB_PROMISED] = TO(PROMISED_STATEMENT) | TO(UNUSED),
        [LEAT_DB_PROMISED_STATEMENT] = TO(BORROWED_STATEMENT) | TO(UNUSED),
        [LEAT_DB_BORROWED] = TO(BORROWED_STATEMENT) | TO(UNUSED),
        [LEAT_DB_BORROWED_STATEMENT] = TO(BORROWED) | TO(UNUSED),
    };
    LEAT_ASSERT((edges[db->state] & (1u << next)) != 0);
    db->state = next;
}

static bool is_leased(const leat_db *db)
{
    switch (db->state) {
    case LEAT_DB_STATEMENT:
    case LEAT_DB_TRANSACTION:
    case LEAT_DB_TRANSACTION_STATEMENT:
    case LEAT_DB_TRANSACTION_END:
        return true;
    case LEAT_DB_UNUSED:
    case LEAT_DB_ACQUIRING:
    case LEAT_DB_ACQUIRING_TRANSACTION:
    case LEAT_DB_PROMISED:
    case LEAT_DB_PROMISED_STATEMENT:
    case LEAT_DB_BORROWED:
    case LEAT_DB_BORROWED_STATEMENT:
    case LEAT_DB_STATES:
        break;
    }
    return false;
}

bool leat_db_in_transaction(const leat_db *db)
{
    return db->conn != NULL || db->state == LEAT_DB_PROMISED;
}

static void forget_queries(leat_db *db)
{
    for (size_t i = 0; i < db->n_statements; i++) {
        leat_db_statement *s = &db->statements[i];
        if (leat_pg_query_pending(&s->query))
            leat_pg_conn_forget(&s->query);
        leat_db_ask_stop(&s->ask);
    }
}

/* Back to UNUSED, whatever the state was: what a state holds is given back here. */
static void give_back(leat_db *db)
{
    leat_pg_conn *leased = is_leased(db) ? db->conn : NULL;
    leat_pg_waiter_cancel(&db->waiter);
    forget_queries(db);
    if (leat_pg_query_pending(&db->begin))
        leat_pg_conn_forget(&db->begin);
    db->conn = NULL;
    db->aborted = false;
    db->depth = 0;
    db->broken = 0;
    if (db->state != LEAT_DB_UNUSED)
        set_state(db, LEAT_DB_UNUSED);
    if (leased != NULL)
        leat_pg_pool_release(db->core->pool, leased);
}

/* --- making and ending --- */

void leat_db_init(leat_db *db, const leat_core *core, leat_db_cb cb)
{
    db->core = core;
    db->cb = cb;
    leat_pg_waiter_init(&db->waiter);
}

void leat_db_borrow(leat_db *db, leat_pg_conn *conn)
{
    set_state(db, LEAT_DB_BORROWED);
    db->conn = conn;
}

void leat_db_borrow_later(leat_db *db, void (*want)(leat_db *db))
{
    set_state(db, LEAT_DB_PROMISED);
    db->want = want;
}

static void drop_result(leat_db_statement *s)
{
    leat_pg_result_free(s->result);
    s->result = NULL;
    leat_db_ask_drop_answers(&s->ask);
}

void leat_db_drop_results(leat_db *db)
{
    for (size_t i = 0; i < db->n_statements; i++)
        drop_result(&db->statements[i]);
}

static void free_statements(leat_db *db)
{
    free(db->statements);
    db->statements = NULL;
    db->cap_statements = 0;
}

void leat_db_end(leat_db *db)
{
    if (db->state != LEAT_DB_UNUSED)
        give_back(db);
    leat_db_drop_results(db);
    db->started = false;
    leat_buf *buffers[] = {&db->sql, &db->texts, &db->params};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        if (buffers[i]->cap > MAX_SPARE_BYTES)
            leat_buf_close(buffers[i]);
    }
    db->n_statements = 0;
    if (db->cap_statements > MAX_SPARE_STATEMENTS)
        free_statements(db);
}

void leat_db_free(leat_db *db)
{
    free_statements(db);
    leat_buf_close(&db->sql);
    leat_buf_close(&db->texts);
    leat_buf_close(&db->params);
    leat_buf_close(&db->written);
}

bool leat_db_is_cut_off(const leat_db *db)
{
    bool waits = leat_pg_waiter_waiting(&db->waiter) || db->state == LEAT_DB_PROMISED_STATEMENT;
    return waits && !leat_pg_pool_healthy(db->core->pool);
}

/* --- the statement --- */

void leat_db_set_statement(leat_db *db, leat_slice sql, uint64_t deadline_ms)
{
    leat_db_drop_results(db);
    db->n_statements = db->repeats = 0;
    db->failed = LEAT_DB_NONE;
    db->sql.len = db->texts.len = db->params.len = 0;
    db->deadline_ms = deadline_ms;
    leat_db_add_statement(db, sql);
}

void leat_db_add_statement(leat_db *db, leat_slice sql)
{
    if (db->n_statements == db->cap_statements) {
        db->cap_statements = db->cap_statements == 0 ? 1 : 2 * db->cap_statements;
        db->statements = leat_realloc(db->statements, db->cap_statements * sizeof(*db->statements));
    }
    db->statements[db->n_statements++] = (leat_db_statement){
        .db = db,
        .sql_at = db->sql.len,
        .first_param = db->params.len / sizeof(leat_db_param),
    };
    leat_buf_slice(&db->sql, sql);
    leat_buf_char(&db->sql, '\0');
}

static leat_db_statement *last_statement(leat_db *db)
{
    return &db->statements[db->n_statements - 1];
}

void leat_db_want_rows(leat_db *db, int max_rows)
{
    last_statement(db)->max_rows = max_rows;
}

leat_buf *leat_db_param_begin(leat_db *db)
{
    return &db->texts;
}

void leat_db_param_end(leat_db *db, size_t began_at, bool is_null)
{
    leat_db_param p = {.at = began_at, .len = db->texts.len - began_at, .is_null = is_null};
    leat_buf_append(&db->params, &p, sizeof(p));
    last_statement(db)->n_params++;
}

const leat_db_param *leat_db_params(const leat_db *db, const leat_db_statement *s)
{
    const leat_db_param *all = (const leat_db_param *)(const void *)db->params.at;
    return s->n_params == 0 ? NULL : all + s->first_param;
}

/* --- running it --- */

/* The comment stands behind the statement, on a line of its own, so that the positions in messages
 * of Postgres stay those of the script's text. With it, each text is another one: prepared, they
 * would drive the application's statements out of the cache. */
static int query_with_id(leat_db_statement *s, const leat_pg_param *bound)
{
    leat_db *db = s->db;
    const char *sql = db->sql.at + s->sql_at;
    leat_buf text = LEAT_BUF_INIT;
    leat_buf_printf(&text, "%s\n/* request=%.*s */", sql, (int)db->request_id.len,
                    db->request_id.at);
    leat_buf_char(&text, '\0');
    int err = leat_pg_conn_query_once(db->conn, &s->query, text.at, sql, bound, (int)s->n_params,
                                      db->deadline_ms, on_result);
    leat_buf_close(&text);
    return err;
}

static int send_statement(leat_db_statement *s)
{
    leat_db *db = s->db;
    size_t n = s->n_params;
    const leat_db_param *params = leat_db_params(db, s);
    leat_pg_param *bound = n == 0 ? NULL : malloc(n * sizeof(*bound));
    if (n > 0 && bound == NULL)
        return LEAT_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        bound[i] = (leat_pg_param){NULL, 0};
        if (!params[i].is_null)
            bound[i] = (leat_pg_param){params[i].len == 0 ? "" : db->texts.at + params[i].at,
                                       params[i].len};
    }
    int err = db->request_id.at != NULL
                  ? query_with_id(s, bound)
                  : leat_pg_conn_query(db->conn, &s->query, db->sql.at + s->sql_at, bound, (int)n,
                                       db->deadline_ms, on_result);
    free(bound);
    return err;
}

static void note_failure(leat_db *db, size_t statement, int err)
{
    if (err < 0 && db->err == 0) {
        db->err = err;
        db->failed = (int)statement;
    }
}

/* Each statement leads on to the next one: they leave in one system call, and none runs after one
 * that has failed. */
static int send_all(leat_db *db)
{
    db->err = db->broken;
    db->failed = LEAT_DB_NONE;
    db->n_awaited = 0;
    for (size_t i = 0; db->err == 0 && i < db->n_statements; i++) {
        leat_db_statement *s = &db->statements[i];
        note_failure(db, i, send_statement(s));
        if (db->err == 0 && i + 1 < db->n_statements)
            leat_pg_conn_lead_on(&s->query);
        db->n_awaited++;
    }
    if (db->err < 0)
        forget_queries(db);
    return db->err;
}

/* A CALL may only stand outside of a transaction, and so may some commands that scripts do not
 * need: only these are made one transaction with the query before them. */
static bool may_publish(const char *sql)
{
    static const char *const words[] = {"select", "insert", "update", "delete", "with", "merge"};
    sql += strspn(sql, " \t\r\n(");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strncasecmp(sql, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* The positions of what is published are told to the caller of a publish, a method or a route. */
static bool must_ask_report(const leat_db *db)
{
    return db->bill.kind == LEAT_PG_CALL && leat_pg_conn_must_ask_report(db->conn);
}

static int send_single(leat_db *db)
{
    if (must_ask_report(db) && (db->n_statements > 1 || may_publish(db->sql.at)))
        leat_pg_conn_send_leading(db->conn, LEAT_PG_REPORT_SQL);
    return send_all(db);
}

/* BEGIN needs no answer of its own, so it leaves together with the first statement. It is not a
 * prepared statement: a prepared one can be out of date, and the first statement would then run
 * outside of the transaction. */
static int send_begin(leat_db *db)
{
    int err = leat_pg_conn_query_typed(db->conn, &db->begin, "begin", NULL, NULL, 0, false,
                                       db->begin_deadline_ms, on_begun);
    if (err == 0 && must_ask_report(db))
        leat_pg_conn_send(db->conn, LEAT_PG_REPORT_SQL);
    return err;
}

static void acquire(leat_db *db, leat_db_state next)
{
    set_state(db, next);
    db->waiter.bill = db->bill;
    if (db->started && db->bill.kind == LEAT_PG_CONTROL)
        db->waiter.bill.kind = LEAT_PG_STARTED;
    leat_pg_pool_acquire(db->core->pool, &db->waiter, db->deadline_ms, on_acquired);
}

int leat_db_run(leat_db *db)
{
    if (db->state == LEAT_DB_UNUSED) {
        acquire(db, LEAT_DB_ACQUIRING);
        return 0;
    }
    if (db->state == LEAT_DB_PROMISED) {
        set_state(db, LEAT_DB_PROMISED_STATEMENT);
        db->want(db);
        return 0;
    }
    db->sent += db->n_statements;
    int err = send_all(db);
    if (err == 0)
        set_state(db, db->state == LEAT_DB_BORROWED ? LEAT_DB_BORROWED_STATEMENT
                                                    : LEAT_DB_TRANSACTION_STATEMENT);
    return err;
}

void leat_db_lend(leat_db *db, leat_pg_conn *conn)
{
    set_state(db, LEAT_DB_BORROWED_STATEMENT);
    db->conn = conn;
    db->sent += db->n_statements;
    int err = send_all(db);
    if (err < 0)
        finish(db, err);
}

void leat_db_run_begin(leat_db *db, uint64_t begin_deadline_ms)
{
    db->begin_deadline_ms = begin_deadline_ms;
    db->transaction++;
    acquire(db, LEAT_DB_ACQUIRING_TRANSACTION);
}

int leat_db_run_end(leat_db *db)
{
    int err = send_all(db);
    if (err < 0)
        give_back(db);
    else
        set_state(db, LEAT_DB_TRANSACTION_END);
    return err;
}

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    leat_db *db = LEAT_CONTAINER_OF(w, leat_db, waiter);
    if (err < 0) {
        set_state(db, LEAT_DB_UNUSED);
        db->cb(db, err);
        return;
    }
    bool begins = db->state == LEAT_DB_ACQUIRING_TRANSACTION;
    db->conn = conn;
    db->started = true;
    db->sent = 0;
    set_state(db, begins ? LEAT_DB_TRANSACTION : LEAT_DB_STATEMENT);
    leat_pg_conn_drop_report(conn);
    err = begins ? send_begin(db) : send_single(db);
    if (err < 0)
        give_back(db);
    if (begins || err < 0)
        db->cb(db, err);
}

/* --- its result --- */

static void on_begun(leat_pg_query *q, leat_pg_result *result, int err)
{
    (void)result;
    leat_db *db = LEAT_CONTAINER_OF(q, leat_db, begin);
    if (err < 0)
        db->broken = LEAT_EPG_LOST;
}

/* The transaction, or the statement that is one, is committed. */
static void take_report(leat_db *db)
{
    leat_slice report = leat_pg_conn_report(db->conn);
    if (report.len > 0 && leat_written_add(&db->written, report) < 0)
        LEAT_LOG_WARN("script", "report of positions malformed bytes=%zu", report.len);
    leat_pg_conn_drop_report(db->conn);
}

/* The statement is over. Returns the connection if it was leased for this statement, or if the
 * transaction has ended with it. */
static void finish(leat_db *db, int err)
{
    bool was_refused = err == LEAT_EPG_SERVER || err == LEAT_ETOOLARGE || err == LEAT_EBADMSG;
    if (err < 0 && !was_refused) /* then the state of the connection is not known */
        db->broken = LEAT_EPG_LOST;
    bool ends = db->state == LEAT_DB_STATEMENT || db->state == LEAT_DB_TRANSACTION_END;
    if (err == 0 && ends)
        take_report(db);
    if (db->state == LEAT_DB_TRANSACTION_STATEMENT)
        set_state(db, LEAT_DB_TRANSACTION);
    else if (db->state == LEAT_DB_BORROWED_STATEMENT)
        set_state(db, LEAT_DB_BORROWED);
    else
        give_back(db);
    db->cb(db, err);
}

/* True if the failure has undone all statements before it: none of them was a COMMIT, or a CALL
 * that commits. */
static bool is_undone(const leat_db *db)
{
    for (size_t i = 0; i < (size_t)db->failed; i++)
        if (!leat_pg_result_is_plain(db->statements[i].result))
            return false;
    return true;
}

/* True if a statement may be out of date (its prepared form no longer fits), and nothing is done:
 * the statements are a whole transaction, or the first ones of it. */
static bool can_repeat(const leat_db *db)
{
    bool all = db->state == LEAT_DB_STATEMENT && db->n_statements > 1;
    bool first = db->state == LEAT_DB_TRANSACTION_STATEMENT && db->depth == 1 &&
                 db->sent == db->n_statements;
    return (all || first) && db->err == LEAT_EPG_SERVER && db->repeats < db->n_statements &&
           leat_pg_result_may_be_outdated(db->statements[db->failed].result) && is_undone(db);
}

/* Begins the transaction anew; the script does not notice. Each time at least one more statement is
 * up to date, so there are no more repeats than statements. */
static int repeat(leat_db *db)
{
    db->repeats++;
    leat_db_drop_results(db);
    if (db->state == LEAT_DB_STATEMENT)
        return send_single(db);
    leat_pg_conn_send(db->conn, "rollback");
    int err = send_begin(db);
    return err < 0 ? err : send_all(db);
}

static void ask(leat_db *db)
{
    for (size_t i = 0; i < db->n_statements; i++) {
        leat_db_statement *s = &db->statements[i];
        int rows = leat_pg_result_rows(s->result);
        leat_db_ask_subject subject = {
            .conn = db->conn,
            .result = s->result,
            .rows = rows < s->max_rows ? rows : s->max_rows,
            .in_transaction = db->state != LEAT_DB_STATEMENT,
            .deadline_ms = db->deadline_ms,
        };
        int asked = leat_db_ask_start(&s->ask, &subject, on_asked);
        note_failure(db, i, asked);
        db->n_awaited += asked > 0;
    }
}

static void on_results(leat_db *db)
{
    if (can_repeat(db)) {
        int err = repeat(db);
        if (err < 0)
            finish(db, err);
        return;
    }
    if (db->err == 0)
        ask(db);
    if (db->n_awaited == 0)
        finish(db, db->err);
}

static void on_result(leat_pg_query *q, leat_pg_result *result, int err)
{
    leat_db_statement *s = LEAT_CONTAINER_OF(q, leat_db_statement, query);
    leat_db *db = s->db;
    if (result != NULL)
        s->result = leat_pg_result_keep(result);
    if (err == 0 || err == LEAT_EPG_SERVER) /* in an aborted transaction Postgres answers errors */
        db->aborted = err < 0;
    note_failure(db, (size_t)(s - db->statements), err);
    if (--db->n_awaited == 0)
        on_results(db);
}

static void on_asked(leat_db_ask *a, int err, leat_pg_result *failed)
{
    leat_db_statement *s = LEAT_CONTAINER_OF(a, leat_db_statement, ask);
    leat_db *db = s->db;
    if (err < 0)
        drop_result(s);
    if (failed != NULL)
        s->result = leat_pg_result_keep(failed);
    note_failure(db, (size_t)(s - db->statements), err);
    if (--db->n_awaited == 0)
        finish(db, db->err);
}
