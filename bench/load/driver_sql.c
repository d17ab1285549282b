/* driver_sql.c - publishes through Postgres. One call of send is one statement, so one transaction.
 *
 * One message is bound as it is; several are bound as two arrays.
 */
#include <libpq-fe.h>
#include <stdlib.h>

#include "common/tool.h"
#include "load/driver.h"
#include "load/text.h"

typedef struct session {
    PGconn *conn;
    text topics;
    text data;
} session;

typedef struct words {
    const char *one;
    const char *many;
} words;

static const words publish_words = {
    "select leat.publish($1, $2::jsonb)",
    "select leat.publish(t, d::jsonb) from unnest($1::text[], $2::text[]) as e(t, d)"};
static const words notify_words = {
    "select pg_notify('bench', $1 || ' ' || $2)",
    "select pg_notify('bench', t || ' ' || d) from unnest($1::text[], $2::text[]) as e(t, d)"};
static const words both_words = {
    "select leat.publish($1, $2::jsonb), pg_notify('bench', $1 || ' ' || $2)",
    "select leat.publish(t, d::jsonb), pg_notify('bench', t || ' ' || d)"
    " from unnest($1::text[], $2::text[]) as e(t, d)"};

static void check(const session *s, PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        tool_fail("publishing: %s", PQerrorMessage(s->conn));
    PQclear(r);
}

static void *open_session(const plan *p, const words *w)
{
    session *s = tool_calloc(1, sizeof(*s));
    s->conn = PQconnectdb(p->target);
    if (PQstatus(s->conn) != CONNECTION_OK)
        tool_fail("publishing: %s", PQerrorMessage(s->conn));
    check(s, PQprepare(s->conn, "one", w->one, 0, NULL));
    check(s, PQprepare(s->conn, "many", w->many, 0, NULL));
    return s;
}

static void *open_publish(const plan *p)
{
    return open_session(p, &publish_words);
}

static void *open_notify(const plan *p)
{
    return open_session(p, &notify_words);
}

static void *open_both(const plan *p)
{
    return open_session(p, &both_words);
}

/* The data of the bench holds quotes, and no backslashes. */
static void add_element(text *array, const char *value, size_t n, bool is_first)
{
    text_add(array, is_first ? "{\"" : ",\"", 2);
    for (size_t i = 0; i < n; i++) {
        if (value[i] == '"')
            text_add(array, "\\", 1);
        text_add(array, &value[i], 1);
    }
    text_add(array, "\"", 1);
}

static void fill_arrays(session *s, const message *messages, int n)
{
    text_clear(&s->topics);
    text_clear(&s->data);
    for (int i = 0; i < n; i++) {
        text_print(&s->topics, "%s\"%s\"", i == 0 ? "{" : ",", messages[i].topic);
        add_element(&s->data, messages[i].data, messages[i].length, i == 0);
    }
    text_add(&s->topics, "}", 1);
    text_add(&s->data, "}", 1);
}

static void send_messages(void *self, const message *messages, int n)
{
    session *s = self;
    const char *values[2] = {messages[0].topic, messages[0].data};
    if (n > 1) {
        fill_arrays(s, messages, n);
        values[0] = s->topics.bytes;
        values[1] = s->data.bytes;
    }
    check(s, PQexecPrepared(s->conn, n > 1 ? "many" : "one", 2, values, NULL, NULL, 0));
}

static void close_session(void *self)
{
    session *s = self;
    PQfinish(s->conn);
    text_free(&s->topics);
    text_free(&s->data);
    free(s);
}

const driver driver_sql = {"sql", open_publish, send_messages, close_session};
const driver driver_notify = {"notify", open_notify, send_messages, close_session};
const driver driver_both = {"both", open_both, send_messages, close_session};
