/* db_ask.h - asks Postgres for the JSON of values whose types only Postgres knows.
 *
 * Ownership  a leat_db_ask is embedded in its leat_db. It owns the answers; the result whose
 *            values it asks about, and the connection, are borrowed until the callback or _stop.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock.
 * Errors     values that Postgres cannot turn into JSON have no answers; their text is shown
 *            instead. Any other failure (a lost connection, a passed deadline) goes to the
 *            callback.
 */
#ifndef LEAT_SCRIPT_TASK_DB_ASK_H
#define LEAT_SCRIPT_TASK_DB_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "pg/pg_conn.h"
#include "pg/pg_result.h"
#include "script/value/lua_json.h"

typedef struct leat_db_ask leat_db_ask;

/* err 0: the answers are complete. Otherwise failed is what Postgres said; NULL if it said nothing.
 * failed is borrowed. */
typedef void (*leat_db_ask_cb)(leat_db_ask *a, int err, leat_pg_result *failed);

/* What the questions are about. */
typedef struct leat_db_ask_subject {
    leat_pg_conn *conn;
    const leat_pg_result *result;
    int rows;            /* of the result, from the first on: those that will be looked at */
    bool in_transaction; /* conn is in a transaction, which a failing question must not end */
    uint64_t deadline_ms;
} leat_db_ask_subject;

struct leat_db_ask {
    leat_lua_answers answers;
    leat_db_ask_subject subject_;
    leat_db_ask_cb cb_;
    leat_pg_query query_;
    int row_; /* the next value to ask about */
    int column_;
};

/* Starts asking. Returns 1 if cb will run (never from inside), 0 if there is nothing to ask, or a
 * negative error. */
LEAT_MUST_CHECK int leat_db_ask_start(leat_db_ask *a, const leat_db_ask_subject *subject,
                                      leat_db_ask_cb cb);

/* Gives up the question: cb will not run. Harmless if none is pending. */
void leat_db_ask_stop(leat_db_ask *a);

void leat_db_ask_drop_answers(leat_db_ask *a);

#endif
