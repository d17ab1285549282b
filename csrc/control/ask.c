/* ask.c - leat_ask_begin reads the request; the look asks the workers (look.c); on_looked writes
 * the answer, or asks again. */
#include "control/ask.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "http/http_answer.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

enum { USUAL_LIMIT = 20, MAX_LIMIT = 500 };

#define JSON "application/json"
#define NO_STORE "Cache-Control: no-store\r\n"

static const leat_ask_kind *const kinds[] = {
    &leat_ask_summary,    &leat_ask_ready,     &leat_ask_topics,     &leat_ask_topic,
    &leat_ask_clients,    &leat_ask_client,    &leat_ask_pool,       &leat_ask_config,
    &leat_ask_script,     &leat_ask_watches,   &leat_ask_postgres,   &leat_ask_publish,
    &leat_ask_resync,     &leat_ask_reload,    &leat_ask_disconnect, &leat_ask_history,
    &leat_ask_log,        &leat_ask_log_level, &leat_ask_handlers,   &leat_ask_patterns,
    &leat_ask_statements,
};

static void on_looked(leat_look *look);

static void free_ask(leat_ask *ask)
{
    leat_look_end(&ask->look);
    leat_topic_rows_close(&ask->names);
    free(ask->asked.name);
    free(ask->asked.data);
    free(ask->by);
    free(ask);
}

/* What was asked of a worker is done all the same. */
static void on_cancel(void *arg)
{
    leat_ask *ask = arg;
    if (ask->kind->log_asked != NULL)
        ask->kind->log_asked(ask);
    free_ask(ask);
}

static void refuse(leat_http_conn *conn, int status, const char *code, const char *message)
{
    leat_http_answer_refusal(conn, status, code, leat_slice_of(message), 0, NULL);
}

/* --- the request --- */

static const leat_ask_kind *find_kind(leat_slice path)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (path.len == strlen(kinds[i]->name) + 1 && path.at[0] == '/' &&
            memcmp(path.at + 1, kinds[i]->name, path.len - 1) == 0)
            return kinds[i];
    return NULL;
}

/* Returns owned; NULL: the query has no such parameter. */
static char *parameter(leat_slice query, const char *name)
{
    leat_buf value = LEAT_BUF_INIT;
    bool there = query.at != NULL && leat_http_query_get(query, name, &value);
    char *text = there ? leat_buf_detach(&value, NULL) : NULL;
    leat_buf_close(&value);
    return text;
}

/* The place of the word among those that are separated by blanks; -1: it is none of them. */
static int place_of(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (int i = 0; *words != '\0'; i++) {
        size_t n = strcspn(words, " ");
        if (n == len && memcmp(words, word, n) == 0)
            return i;
        words += n + (words[n] == ' ');
    }
    return -1;
}

static const char *read_order(leat_ask *ask, leat_slice query)
{
    char *by = parameter(query, "by");
    int place = by == NULL ? 0 : ask->kind->orders == NULL ? -1 : place_of(ask->kind->orders, by);
    free(by);
    ask->asked.order = place < 0 ? 0 : place;
    if (place >= 0)
        return NULL;
    return ask->kind->orders == NULL ? "by: this question has no orders" : ask->kind->order_problem;
}

static const char *read_limit(leat_ask *ask, leat_slice query)
{
    char *text = parameter(query, "limit");
    int64_t n = USUAL_LIMIT;
    bool good = text == NULL || (leat_json_int(leat_slice_of(text), &n) && n > 0);
    free(text);
    ask->asked.limit = (size_t)(n < MAX_LIMIT ? n : MAX_LIMIT);
    return good ? NULL : "limit: expected a number above 0";
}

/* "WORKER-NUMBER" */
static const char *read_client(leat_ask *ask, leat_slice query, int *only)
{
    char *text = parameter(query, "client");
    char *end = text;
    unsigned long worker = text == NULL ? 0 : strtoul(text, &end, 10);
    bool good = text != NULL && end != text && *end == '-' && end[1] >= '0' && end[1] <= '9' &&
                worker < leat_engine_n_workers(ask->inside->engine);
    if (good) {
        ask->asked.number = strtoull(end + 1, &end, 10);
        good = *end == '\0';
    }
    *only = good ? (int)worker : 0;
    free(text);
    return good ? NULL : "client: expected WORKER-NUMBER, as `clients` tells it";
}

/* Returns what is wrong with the request; NULL: nothing. */
static const char *read_parameters(leat_ask *ask, const leat_http_request *r, int *only)
{
    ask->asked.name = parameter(r->query, ask->kind == &leat_ask_clients ? "user" : "name");
    if (ask->kind->needs_name &&
        (ask->asked.name == NULL || !leat_v1_topic_ok(leat_slice_of(ask->asked.name))))
        return "name: expected a topic's name";
    const char *problem = read_order(ask, r->query);
    if (problem == NULL)
        problem = read_limit(ask, r->query);
    if (problem == NULL && ask->kind->needs_client)
        problem = read_client(ask, r->query, only);
    return problem;
}

/* --- the answer --- */

static void write_silent(const leat_ask *ask, leat_buf *json)
{
    const leat_look *look = &ask->look;
    const char *comma = "";
    leat_buf_text(json, ",\"silent\":[");
    for (size_t i = 0; i < look->n_parts; i++) {
        bool asked = ask->kind->only == LEAT_LOOK_ALL || look->parts[i] != NULL;
        if (!asked || (look->parts[i] != NULL && look->parts[i]->answered))
            continue;
        leat_buf_printf(json, "%s%zu", comma, i);
        comma = ",";
    }
    leat_buf_char(json, ']');
}

void leat_ask_write_failures(const leat_ask *ask, leat_buf *json)
{
    for (size_t i = 0; i < ask->look.n_parts; i++) {
        const leat_part *p = ask->look.parts[i];
        if (p == NULL || !p->answered || p->failure.len == 0)
            continue;
        leat_buf_text(json, ",\"error\":");
        leat_json_write_text(json, leat_buf_view(&p->failure));
    }
}

static void answer(leat_ask *ask)
{
    leat_http_conn *conn = ask->conn;
    leat_buf json = LEAT_BUF_INIT;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    leat_buf_printf(&json, "{\"question\":\"%s\",\"at_ms\":%" PRId64, ask->kind->name,
                    (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    write_silent(ask, &json);
    int status = ask->kind->write(ask, &json);
    leat_buf_text(&json, "}\n");
    free_ask(ask);
    leat_http_answer(conn, status, JSON, NO_STORE, leat_buf_view(&json));
    leat_buf_close(&json);
}

static void on_looked(leat_look *look)
{
    leat_ask *ask = (leat_ask *)look;
    if (ask->kind->go_on == NULL || ask->kind->go_on(ask))
        answer(ask);
}

static void start(leat_ask *ask)
{
    if (ask->kind->question == NULL)
        answer(ask);
    else
        leat_look_begin(&ask->look, ask->inside->lookout, ask->kind->question, &ask->asked,
                        ask->only);
}

static void on_body(void *arg)
{
    leat_ask *ask = arg;
    leat_http_conn *conn = ask->conn;
    leat_slice body = leat_http_conn_request(conn)->body;
    if (leat_json_validate(body, LEAT_JSON_MAX_DEPTH) < 0) {
        free_ask(ask);
        refuse(conn, 400, "bad_request", "the data is not JSON");
        return;
    }
    ask->asked.data = leat_memdup(body.at, body.len);
    start(ask);
}

static void begin(leat_ask *ask, const leat_http_request *r)
{
    leat_http_conn *conn = ask->conn;
    const char *problem = read_parameters(ask, r, &ask->only);
    if (problem == NULL && ask->kind->needs_body && !r->has_body)
        problem = "expected JSON as the body";
    if (problem != NULL) {
        free_ask(ask);
        refuse(conn, 400, "bad_request", problem);
        return;
    }
    leat_http_conn_set_task(conn,
                            (leat_http_task){.cancel = on_cancel, .on_body = on_body, .arg = ask});
    if (ask->kind->needs_body)
        leat_http_conn_read_body(conn);
    else
        start(ask);
}

void leat_ask_begin(const leat_inside *inside, leat_http_conn *conn, leat_slice path,
                    const char *door)
{
    const leat_http_request *r = leat_http_conn_request(conn);
    const leat_ask_kind *kind = find_kind(path);
    if (kind == NULL) {
        refuse(conn, 404, "not_found", "there is no such question");
        return;
    }
    if (!leat_slice_is(r->method, kind->method)) {
        refuse(conn, 405, "bad_request", "this path has another method");
        return;
    }
    leat_ask *ask = leat_calloc(1, sizeof(*ask));
    ask->inside = inside;
    ask->conn = conn;
    ask->door = door;
    ask->by = leat_strdup(leat_http_conn_remote(conn));
    ask->kind = kind;
    ask->only = kind->only;
    ask->look.done = on_looked;
    begin(ask, r);
}
