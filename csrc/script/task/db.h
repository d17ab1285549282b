/* db.h - the use that one task makes of Postgres: one statement at a time, or several that are sent
 * together.
 *
 * Ownership  a leat_db is embedded in its task. A connection that it has leased goes back to the
 *            pool after each statement, or with the end of the transaction, or in leat_db_end,
 *            whichever comes first. A borrowed connection stays its lender's. It is lent at once
 *            (leat_db_borrow), or when the first statement needs it (leat_db_borrow_later).
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock.
 * Errors     negative: LEAT_E*, LEAT_EPG_* and those of pg_pool.h. A statement's error comes to
 *            the callback; one that cannot be started returns its error, and no callback follows.
 *
 * The statement and its parameters are put in first (leat_db_set_statement, leat_db_param_begin,
 * ..). One of leat_db_run, leat_db_run_begin and leat_db_run_end starts it. When the callback has
 * run, the result is there. This file knows neither tasks nor Lua: db_wait.h joins it to both.
 *
 * Several statements take one round trip (leat_db_add_statement). Outside of a transaction they are
 * a transaction of their own. The callback gets the error of the first one that failed.
 */
#ifndef LEAT_SCRIPT_TASK_DB_H
#define LEAT_SCRIPT_TASK_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/core.h"
#include "pg/pg_pool.h"
#include "script/task/db_ask.h"

typedef struct leat_db leat_db;
typedef void (*leat_db_cb)(leat_db *db, int err);

typedef enum leat_db_state {
    LEAT_DB_UNUSED,                /* has no connection; nothing is under way */
    LEAT_DB_ACQUIRING,             /* waits for a connection, for one statement */
    LEAT_DB_ACQUIRING_TRANSACTION, /* waits for a connection, for a transaction */
    LEAT_DB_STATEMENT,             /* a statement runs on a connection leased for it alone */
    LEAT_DB_TRANSACTION,           /* has a leased connection in a transaction; nothing runs */
    LEAT_DB_TRANSACTION_STATEMENT, /* a statement runs in the transaction */
    LEAT_DB_TRANSACTION_END,       /* COMMIT or ROLLBACK runs */
    LEAT_DB_PROMISED,              /* the caller will lend a connection if it is asked for one */
    LEAT_DB_PROMISED_STATEMENT,    /* a statement waits for that connection */
    LEAT_DB_BORROWED,              /* has the caller's connection; nothing runs */
    LEAT_DB_BORROWED_STATEMENT,    /* a statement runs on the caller's connection */
    LEAT_DB_STATES
} leat_db_state;

/* A statement: the only one that is sent, or one of several that are sent together. */
typedef struct leat_db_statement {
    leat_db *db;
    size_t sql_at;      /* in db->sql */
    size_t first_param; /* of those in db->params */
    size_t n_params;
    int max_rows; /* how many rows of the result will be looked at */
    leat_pg_query query;
    leat_pg_result *result; /* owned */
    leat_db_ask ask;
} leat_db_statement;

enum { LEAT_DB_NONE = -1 };

struct leat_db {
    leat_db_state state;
    const leat_core *core; /* has the pool */
    leat_db_cb cb;
    void (*want)(leat_db *db); /* of PROMISED: asks for the connection */
    leat_pg_conn *conn;        /* NULL in UNUSED, ACQUIRING* and PROMISED* */
    leat_pg_bill bill;         /* for whom connections are acquired */
    bool started;              /* it has had a connection before: it is billed as started */
    leat_pg_waiter waiter;
    leat_pg_query begin; /* BEGIN, which leaves together with the first statement */

    /* Of the transaction. */
    bool aborted; /* a statement failed since the last savepoint: Postgres refuses further ones */
    int broken;   /* the error that made the connection unusable; 0: it is usable */
    size_t sent;  /* statements so far */
    int depth;    /* open db:transaction calls, one inside the other */
    uint64_t transaction; /* the number of this one, among those that were begun here */
    uint64_t begin_deadline_ms;

    /* The statements, and their results. */
    leat_db_statement *statements;
    size_t n_statements;
    size_t cap_statements;
    size_t n_awaited; /* results, then answers to questions about them */
    int err;          /* of the statement that failed first */
    int failed;       /* which one that is; LEAT_DB_NONE: none */
    size_t repeats;   /* how often they were sent again, because one was out of date */
    leat_buf sql;     /* the texts of the statements, each with its terminator */
    leat_buf texts;   /* the texts of the parameters, one after another */
    leat_buf params;  /* a leat_db_param each */
    uint64_t deadline_ms;
    leat_slice request_id; /* that the statement carries; at == NULL: none. Borrowed */
    leat_buf written; /* the positions of what the task's transactions published (wire/written.h) */
};

typedef struct leat_db_param {
    size_t at; /* in texts */
    size_t len;
    bool is_null;
} leat_db_param;

void leat_db_init(leat_db *db, const leat_core *core, leat_db_cb cb);
void leat_db_free(leat_db *db);

/* All statements run on conn until leat_db_end, in the transaction that is open there. */
void leat_db_borrow(leat_db *db, leat_pg_conn *conn);
/* The same, but the connection comes later: want asks for it when the first statement is started,
 * and leat_db_lend brings it. */
void leat_db_borrow_later(leat_db *db, void (*want)(leat_db *db));
void leat_db_lend(leat_db *db, leat_pg_conn *conn);

/* Gives up what is pending, returns the connection, and drops the result. The callback will not
 * run. */
void leat_db_end(leat_db *db);

/* True while it waits for a connection and the server cannot be reached. */
bool leat_db_is_cut_off(const leat_db *db);

/* True if the next statement runs in a transaction that is not its own. */
bool leat_db_in_transaction(const leat_db *db);

/* Sets the statement (copied), and forgets the last ones with their parameters and results. No row
 * of its result will be looked at, unless leat_db_want_rows says otherwise. */
void leat_db_set_statement(leat_db *db, leat_slice sql, uint64_t deadline_ms);
/* Adds a statement that is sent together with it. Parameters and wanted rows belong to the
 * statement that was added last. */
void leat_db_add_statement(leat_db *db, leat_slice sql);
void leat_db_want_rows(leat_db *db, int max_rows);
/* Returns the buffer to which the text of the next parameter is appended. _param_end takes the
 * length that the buffer had before. */
leat_buf *leat_db_param_begin(leat_db *db);
void leat_db_param_end(leat_db *db, size_t began_at, bool is_null);
const leat_db_param *leat_db_params(const leat_db *db, const leat_db_statement *s);

/* Starts the statement, or all of them: in the transaction if one is open, otherwise on a
 * connection of its own. */
LEAT_MUST_CHECK int leat_db_run(leat_db *db);
/* Acquires a connection by the statement's deadline and opens a transaction on it. BEGIN ends by
 * begin_deadline_ms. */
void leat_db_run_begin(leat_db *db, uint64_t begin_deadline_ms);
/* Runs the statement as the last of the transaction, and returns the connection with its result, or
 * at once if the connection is broken. */
LEAT_MUST_CHECK int leat_db_run_end(leat_db *db);

/* Frees the last results early. */
void leat_db_drop_results(leat_db *db);

#endif
