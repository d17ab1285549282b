/* db_ask.c - the values go back to Postgres as they came, as parameters of their types, and
 * to_jsonb makes their JSON: leat_db_ask -> send_some -> on_answers -> send_some ... ->
 * leat_db_asked.
 *
 * A type that does not read what it has written fails the question. That must not fail the
 * transaction: in one, the question is guarded by a savepoint.
 */
#include "script/task/db_ask.h"

#include <stdlib.h>

#include "base/mem.h"
#include "script/value/column.h"

enum { MAX_VALUES = 500, MAX_BYTES = 1 << 20 }; /* of one question */

static int n_rows(const leat_db *db)
{
    int rows = leat_pg_result_rows(db->result);
    return rows < db->max_rows ? rows : db->max_rows;
}

static bool is_asked(const leat_db *db, int column)
{
    return leat_column_form_of(leat_pg_result_column_type(db->result, column)) == LEAT_COLUMN_ASK;
}

/* Takes the next values, at most MAX_VALUES. */
static int take_values(leat_db *db, leat_pg_param *values, uint32_t *types)
{
    int n = 0;
    size_t bytes = 0;
    int columns = leat_pg_result_columns(db->result);
    for (; db->ask_row < n_rows(db); db->ask_row++, db->ask_column = 0) {
        for (; db->ask_column < columns; db->ask_column++) {
            bool is_null = leat_pg_result_is_null(db->result, db->ask_row, db->ask_column);
            if (is_null || !is_asked(db, db->ask_column))
                continue;
            if (n == MAX_VALUES || bytes > MAX_BYTES)
                return n;
            values[n] = leat_pg_result_value(db->result, db->ask_row, db->ask_column);
            types[n] = leat_pg_result_column_type(db->result, db->ask_column);
            bytes += values[n++].len;
        }
    }
    return n;
}

static void on_answers(leat_pg_query *q, leat_pg_result *result, int err);

/* 1: nothing is left to ask. */
static int send_some(leat_task *t)
{
    leat_db *db = &t->db;
    leat_pg_param values[MAX_VALUES];
    uint32_t types[MAX_VALUES];
    int n = take_values(db, values, types);
    if (n == 0)
        return 1;
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf_text(&sql, "values ");
    for (int i = 1; i <= n; i++)
        leat_buf_printf(&sql, "%s(pg_catalog.to_jsonb($%d))", i > 1 ? "," : "", i);
    leat_buf_char(&sql, '\0');
    bool in_transaction = !db->leased || db->depth > 0;
    int err = leat_pg_conn_query_typed(db->conn, &db->query, sql.at, values, types, n,
                                       in_transaction, db->deadline_ms, on_answers);
    leat_buf_close(&sql);
    return err;
}

static void go_on(leat_task *t)
{
    int err = send_some(t);
    if (err != 0)
        leat_db_asked(t, err < 0 ? err : 0);
}

static void on_answers(leat_pg_query *q, leat_pg_result *result, int err)
{
    leat_task *t = q->data;
    leat_lua_answers *a = &t->db.answers;
    bool no_json =
        err == LEAT_EPG_SERVER && !leat_sqlstate_is_passing(leat_pg_result_sqlstate(result));
    if (no_json) {
        a->texts.len = a->ends.len = 0;
        leat_db_asked(t, 0);
        return;
    }
    if (err < 0) {
        leat_db_drop_result(&t->db);
        if (result != NULL)
            t->db.result = leat_pg_result_keep(result);
        leat_db_asked(t, err);
        return;
    }
    for (int row = 0; row < leat_pg_result_rows(result); row++) {
        leat_slice json = leat_pg_result_value(result, row, 0);
        leat_buf_slice(&a->texts, json.at != NULL ? json : leat_slice_of("null"));
        leat_buf_append(&a->ends, &a->texts.len, sizeof(a->texts.len));
    }
    go_on(t);
}

bool leat_db_ask(leat_task *t)
{
    leat_db *db = &t->db;
    bool asks = false;
    db->answers.texts.len = db->answers.ends.len = 0;
    if (n_rows(db) == 0)
        return false;
    for (int c = 0; c < leat_pg_result_columns(db->result) && !asks; c++)
        asks = is_asked(db, c);
    if (!asks)
        return false;
    db->ask_row = db->ask_column = 0;
    int err = send_some(t);
    if (err < 0)
        leat_db_asked(t, err);
    return err <= 0;
}
