/* db_ask.c - leat_db_ask_start -> send_question -> on_answers -> send_question ... -> the callback.
 *
 * The values go back to Postgres as they came, as parameters of their own types, and to_jsonb makes
 * JSON of them. A type whose input function does not accept its own output makes the question fail.
 * Such a failure must not end the transaction, so a question in a transaction is guarded by a
 * savepoint.
 */
#include "script/task/db_ask.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "script/value/column.h"

enum { MAX_VALUES = 500, MAX_BYTES = 1 << 20 }; /* of one question */

static bool is_asked(const leat_pg_result *result, int column)
{
    return leat_column_form_of(leat_pg_result_column_type(result, column)) == LEAT_COLUMN_ASK;
}

/* Takes the next values, at most MAX_VALUES. Returns how many. */
static int take_values(leat_db_ask *a, leat_pg_param *values, uint32_t *types)
{
    const leat_pg_result *result = a->subject_.result;
    int n = 0;
    size_t bytes = 0;
    int columns = leat_pg_result_columns(result);
    for (; a->row_ < a->subject_.rows; a->row_++, a->column_ = 0) {
        for (; a->column_ < columns; a->column_++) {
            bool is_null = leat_pg_result_is_null(result, a->row_, a->column_);
            if (is_null || !is_asked(result, a->column_))
                continue;
            if (n == MAX_VALUES || bytes > MAX_BYTES)
                return n;
            values[n] = leat_pg_result_value(result, a->row_, a->column_);
            types[n] = leat_pg_result_column_type(result, a->column_);
            bytes += values[n++].len;
        }
    }
    return n;
}

static void on_answers(leat_pg_query *q, leat_pg_result *result, int err);

/* Returns 1 if a question was sent, 0 if nothing is left to ask, or a negative error. */
static int send_question(leat_db_ask *a)
{
    leat_pg_param values[MAX_VALUES];
    uint32_t types[MAX_VALUES];
    int n = take_values(a, values, types);
    if (n == 0)
        return 0;
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf_text(&sql, "values ");
    for (int i = 1; i <= n; i++)
        leat_buf_printf(&sql, "%s(pg_catalog.to_jsonb($%d))", i > 1 ? "," : "", i);
    leat_buf_char(&sql, '\0');
    const leat_db_ask_subject *s = &a->subject_;
    int err = leat_pg_conn_query_typed(s->conn, &a->query_, sql.at, values, types, n,
                                       s->in_transaction, s->deadline_ms, on_answers);
    leat_buf_close(&sql);
    return err < 0 ? err : 1;
}

static void forget_answers(leat_db_ask *a)
{
    a->answers.texts.len = a->answers.ends.len = 0;
}

static void keep_answers(leat_db_ask *a, const leat_pg_result *result)
{
    leat_lua_answers *to = &a->answers;
    for (int row = 0; row < leat_pg_result_rows(result); row++) {
        if (leat_pg_result_is_null(result, row, 0))
            leat_buf_text(&to->texts, "null");
        else
            leat_buf_slice(&to->texts, leat_pg_result_value(result, row, 0));
        leat_buf_append(&to->ends, &to->texts.len, sizeof(to->texts.len));
    }
}

static void on_answers(leat_pg_query *q, leat_pg_result *result, int err)
{
    leat_db_ask *a = LEAT_CONTAINER_OF(q, leat_db_ask, query_);
    bool have_no_json =
        err == LEAT_EPG_SERVER && !leat_sqlstate_is_passing(leat_pg_result_sqlstate(result));
    if (have_no_json) {
        forget_answers(a);
        a->cb_(a, 0, NULL);
        return;
    }
    if (err < 0) {
        a->cb_(a, err, result);
        return;
    }
    keep_answers(a, result);
    int sent = send_question(a);
    if (sent <= 0)
        a->cb_(a, sent, NULL);
}

int leat_db_ask_start(leat_db_ask *a, const leat_db_ask_subject *subject, leat_db_ask_cb cb)
{
    forget_answers(a);
    bool asks = false;
    if (subject->rows > 0) {
        for (int c = 0; c < leat_pg_result_columns(subject->result) && !asks; c++)
            asks = is_asked(subject->result, c);
    }
    if (!asks)
        return 0;
    a->subject_ = *subject;
    a->cb_ = cb;
    a->row_ = a->column_ = 0;
    return send_question(a);
}

void leat_db_ask_stop(leat_db_ask *a)
{
    if (leat_pg_query_pending(&a->query_))
        leat_pg_conn_forget(&a->query_);
}

void leat_db_ask_drop_answers(leat_db_ask *a)
{
    leat_buf_close(&a->answers.texts);
    leat_buf_close(&a->answers.ends);
}
