/* db.h - a task's use of Postgres: one query at a time, on a connection of its own, of its
 * transaction, or of whoever asked.
 *
 * Ownership  the state is embedded in its task. A leased connection goes back to the pool after
 *            each query, or with the transaction, or when the task ends, whichever comes first.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock.
 * Errors     the task is woken with a negative error; leat_db_raise makes it a Lua error value.
 *
 * A db function puts statement and parameters into the state (leat_db_statement, leat_db_param_*)
 * and waits with one of the leat_db_..._wait; its continuation finds the result in the state.
 */
#ifndef LEAT_SCRIPT_TASK_DB_H
#define LEAT_SCRIPT_TASK_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "base/buf.h"
#include "pg/pg_pool.h"
#include "script/value/lua_json.h"

struct leat_task;

typedef struct leat_db {
    leat_pg_conn
        *conn;      /* of the transaction, or given with the call; NULL: each query leases one */
    bool leased;    /* conn is the pool's, and ours to give back */
    bool aborted;   /* a statement failed since the last savepoint: Postgres refuses further ones */
    int statements; /* sent in the transaction */
    int depth;      /* open transactions, one inside the other */
    int broken;     /* why conn cannot be used any more; 0: it can */
    leat_pg_waiter waiter;
    leat_pg_query query;
    leat_pg_query begin; /* BEGIN leaves together with the first statement */
    leat_buf sql;
    leat_buf texts;  /* the parameters' texts, one after another */
    leat_buf params; /* struct param each (db.c) */
    uint64_t deadline_ms;
    leat_pg_result *result; /* of the query that was waited for */
    int max_rows;           /* of it that will be looked at */
    leat_lua_answers answers;
    int ask_row; /* the next value that Postgres is asked about */
    int ask_column;
} leat_db;

void leat_db_init(leat_db *db, struct leat_task *t);

/* Waits for a connection that cannot be had, because the server is not to be reached. */
bool leat_db_is_cut_off(const leat_db *db, const struct leat_task *t);

/* The task is over: whatever is pending is given up, the connection given back, nothing kept. */
void leat_db_end(leat_db *db, struct leat_task *t);
void leat_db_free(leat_db *db);

/* Sets the statement (copied) and forgets the parameters of the last. No row of its result will be
 * looked at. */
void leat_db_statement(leat_db *db, leat_slice sql, uint64_t deadline_ms);
/* So many will. */
void leat_db_want_rows(leat_db *db, int max_rows);
/* The buffer to which a parameter's text is appended; then _param_end, which says where it began.
 */
leat_buf *leat_db_param_begin(leat_db *db);
void leat_db_param_end(leat_db *db, size_t began_at, bool is_null);

/* Waits (leat_task_wait): for the statement's result; for a connection, on which BEGIN is then
 * sent; for the result of the leased connection's last statement, with which it is given back (at
 * once, without the statement, if it is broken). */
int leat_db_wait(lua_State *L, struct leat_task *t, lua_KFunction k);
int leat_db_begin_wait(lua_State *L, struct leat_task *t, lua_KFunction k);
int leat_db_end_wait(lua_State *L, struct leat_task *t, lua_KFunction k);

/* Frees the last result early. */
void leat_db_drop_result(leat_db *db);

/* Raises the error that the task was woken with as a read error value. [-0, +0, e] */
int leat_db_raise(lua_State *L, struct leat_task *t);

/* Raises that a value which the client has sent cannot be a parameter. [-0, +0, e] */
int leat_db_raise_parameter(lua_State *L, leat_slice reason);

/* Raises that the transaction can only be rolled back, because one of its statements failed and the
 * script went on. [-0, +0, e] */
int leat_db_raise_aborted(lua_State *L);

#endif
