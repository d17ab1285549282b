#include "script_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "base/mem.h"
#include "core/admission.h"
#include "core/client_round.h"
#include "core/subscribe.h"

/* The fakes of the core are called by the scripts of whichever test runs. */
script_fixture_subscribed script_fixture_asked;

static leat_buf load_error;

static void copy(char *out, size_t size, leat_slice text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.at == NULL ? "" : text.at);
}

uint32_t leat_admission_retry_ms(leat_core *core)
{
    (void)core;
    return 1000;
}

leat_code leat_subscribe_begin(leat_subscriber *to, const leat_sub_request *request,
                               leat_failure *why)
{
    (void)to;
    copy(script_fixture_asked.topic, sizeof(script_fixture_asked.topic), request->topic);
    copy(script_fixture_asked.params, sizeof(script_fixture_asked.params), request->params);
    copy(script_fixture_asked.epoch, sizeof(script_fixture_asked.epoch), request->since.epoch);
    script_fixture_asked.seq = request->since.seq;
    script_fixture_asked.done = request->done;
    script_fixture_asked.arg = request->done_arg;
    if (leat_slice_is(request->topic, "taken")) {
        *why = (leat_failure){.code = LEAT_CODE_ALREADY_SUBSCRIBED,
                              .message = leat_slice_of("there already")};
        return why->code;
    }
    return LEAT_CODE_OK;
}

void client_round_join(leat_core *core, client_holder *h, leat_peer *peer)
{
    (void)core;
    (void)peer;
    leat_list_init(&h->link_);
}

void client_round_leave(client_holder *h)
{
    leat_list_unlink(&h->link_);
}

void leat_sub_forget(leat_subscriber *to, void *done_arg)
{
    (void)to;
    if (script_fixture_asked.arg == done_arg)
        script_fixture_asked.forgotten = true;
}

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    (void)level;
    script_fixture *f = arg;
    leat_buf_append(&f->lines, line, len);
    leat_buf_char(&f->lines, '\n');
}

int script_fixture_open(void **state)
{
    script_fixture *f = leat_calloc(1, sizeof(*f));
    *state = f;
    script_fixture_asked = (script_fixture_subscribed){.done = NULL};
    if (uv_loop_init(&f->uv) < 0 || leat_loop_new(&f->loop, &f->uv) < 0)
        return -1;
    f->log = leat_log_new(LEAT_LOG_LEVEL_DEBUG, on_line, f);
    leat_log_bind(f->log);
    f->registry = leat_metrics_registry_new();
    f->metrics = leat_metrics_new(f->registry);
    f->limits = (leat_limits){
        .control_timeout_ms = 5000,
        .max_message_bytes = 64 * 1024,
        .max_message_values = 10000,
        .max_snapshot_bytes = 64 * 1024,
        .max_send_buffer_bytes = 256 * 1024,
        .ping_interval_ms = 10000,
        .pong_timeout_ms = 5000,
        .close_timeout_ms = 500,
    };
    f->core = (leat_core){.loop = f->loop, .metrics = f->metrics, .limits = &f->limits};
    f->core.net = (leat_net){.loop = f->loop, .metrics = f->metrics, .limits = &f->limits};
    leat_last_errors_init(&f->core.last_errors);
    f->budget_ms = 2000;
    f->deadline_ms = 5000;
    uv_timer_init(&f->uv, &f->limit);
    f->limit.data = f;
    snprintf(f->dir, sizeof(f->dir), "/tmp/leat-script-XXXXXX");
    return mkdtemp(f->dir) == NULL ? -1 : 0;
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void close_pool(script_fixture *f)
{
    bool closed = false;
    leat_pg_pool_close(f->core.pool, set_true, &closed);
    SCRIPT_UNTIL(f, closed);
}

static void remove_files(script_fixture *f)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", f->dir);
    if (system(command) != 0)
        fail_msg("%s", command);
}

int script_fixture_close(void **state)
{
    script_fixture *f = *state;
    for (size_t i = 0; i < f->n_grants; i++)
        script_fixture_ops(f)->grant_free(f->grants[i]);
    for (size_t i = 0; i < f->n_sessions; i++)
        script_fixture_ops(f)->session_unref(f->sessions[i]);
    bool retired = f->lua == NULL;
    if (f->lua != NULL)
        leat_lua_retire(f->lua, set_true, &retired);
    assert_true(retired);
    if (f->core.pool != NULL)
        close_pool(f);
    leat_loop_close(f->loop, NULL, NULL);
    uv_close((uv_handle_t *)&f->limit, NULL);
    uv_run(&f->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->uv), 0);
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_SCRIPT_MEMORY), 0);
    leat_last_errors_close(&f->core.last_errors);
    leat_metrics_registry_free(f->registry);
    leat_log_bind(NULL);
    leat_log_free(f->log);
    leat_buf_close(&f->lines);
    leat_buf_close(&load_error);
    remove_files(f);
    free(f);
    return 0;
}

/* --- the database --- */

/* The program's own database: its conninfo ("" without a server), and a connection to it. */
static leat_buf database;
static PGconn *admin;

static void run(PGconn *conn, const char *before, const char *after)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "%s leat_script_%d %s", before, getpid(), after);
    PGresult *res = PQexec(conn, sql);
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(conn));
    PQclear(res);
}

/* The conninfo of the given URL, but for its database. */
static void set_database(const char *url, int number)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (o->val != NULL && strcmp(o->keyword, "dbname") != 0)
            leat_buf_printf(&database, "%s='%s' ", o->keyword, o->val);
    }
    PQconninfoFree(options);
    leat_buf_printf(&database, "dbname=leat_script_%d", number);
    leat_buf_char(&database, '\0');
}

int script_fixture_make_database(void **state)
{
    (void)state;
    const char *url = getenv("LEAT_TEST_DATABASE_URL");
    if (url == NULL)
        return 0;
    PGconn *conn = PQconnectdb(url);
    run(conn, "create database", "template template0");
    PQfinish(conn);
    set_database(url, getpid());
    admin = PQconnectdb(database.at);
    if (PQstatus(admin) == CONNECTION_OK)
        return 0;
    fprintf(stderr, "%s", PQerrorMessage(admin));
    return -1;
}

int script_fixture_drop_database(void **state)
{
    (void)state;
    if (admin == NULL)
        return 0;
    PQfinish(admin);
    PGconn *conn = PQconnectdb(getenv("LEAT_TEST_DATABASE_URL"));
    run(conn, "drop database", "with (force)");
    PQfinish(conn);
    leat_buf_close(&database);
    return 0;
}

long script_fixture_number(const char *sql)
{
    PGresult *res = PQexec(admin, sql);
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(admin));
    long value = strtol(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    return value;
}

void script_fixture_exec(const char *sql)
{
    PGresult *res = PQexec(admin, sql);
    if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(admin));
    PQclear(res);
}

bool script_fixture_pool_is_quiet(const script_fixture *f)
{
    return leat_metrics_get(f->metrics, LEAT_M_POOL_WAITERS) == 0 &&
           leat_metrics_get(f->metrics, LEAT_M_POOL_BUSY) == 0;
}

void script_fixture_use_pool(script_fixture *f, size_t size)
{
    const char *url = database.at;
    if (url == NULL) {
        print_message("LEAT_TEST_DATABASE_URL is not set\n");
        skip();
    }
    f->pool_options = (leat_pg_pool_options){
        .pg = {.conninfo = url,
               .application_name = "leat-script-unit",
               .max_statements = 16,
               .connect_timeout_ms = 3000,
               .max_result_bytes = 1024 * 1024},
        .size = size,
        .max_waiters = 2,
        .idle_timeout_ms = 60000,
        .clean_timeout_ms = 3000,
        .max_backoff_ms = 500,
    };
    assert_int_equal(leat_pg_pool_new(&f->core.pool, f->loop, f->metrics, &f->pool_options), 0);
    SCRIPT_UNTIL(f, leat_pg_pool_healthy(f->core.pool));
}

void script_fixture_write(script_fixture *f, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int load(script_fixture *f, const char *text, leat_lua **out)
{
    char path[128];
    script_fixture_write(f, "app.lua", text);
    snprintf(path, sizeof(path), "%s/app.lua", f->dir);
    leat_lua_options options = {.app_path = path,
                                .lua_dir = f->dir,
                                .budget_ms = f->budget_ms,
                                .memory_bytes = 16 * 1024 * 1024,
                                .core = &f->core};
    load_error.len = 0;
    return leat_lua_new(out, &options, &load_error);
}

void script_fixture_load(script_fixture *f, const char *body)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_buf_printf(&text, "local leat = require 'leat'; local app = leat.app() %s\nreturn app",
                    body);
    leat_buf_char(&text, '\0');
    leat_lua *lua = NULL;
    if (load(f, text.at, &lua) < 0)
        fail_msg("%.*s", (int)load_error.len, load_error.at);
    leat_buf_close(&text);
    f->lua = lua;
    f->core.script = leat_lua_script(lua);
}

const char *script_fixture_load_error(script_fixture *f, const char *text)
{
    leat_lua *lua = NULL;
    assert_int_equal(load(f, text, &lua), LEAT_ESCRIPT);
    leat_buf_char(&load_error, '\0');
    return load_error.at;
}

/* Ticks, so that a turn in which an answer came does not wait for the next event. */
static void on_tick(uv_timer_t *timer)
{
    script_fixture *f = timer->data;
    f->timed_out = uv_now(&f->uv) >= f->limit_ms;
}

static void start_limit(script_fixture *f, uint64_t after_ms)
{
    f->timed_out = false;
    uv_update_time(&f->uv);
    f->limit_ms = uv_now(&f->uv) + after_ms;
    uv_timer_start(&f->limit, on_tick, 1, 1);
}

void script_fixture_start_limit(script_fixture *f)
{
    start_limit(f, SCRIPT_FIXTURE_LIMIT_MS);
}

bool script_fixture_turn(script_fixture *f)
{
    uv_run(&f->uv, UV_RUN_ONCE);
    return !f->timed_out;
}

void script_fixture_run_for(script_fixture *f, uint64_t ms)
{
    start_limit(f, ms);
    while (!f->timed_out)
        uv_run(&f->uv, UV_RUN_ONCE);
}

/* --- answers --- */

static void on_answer(leat_call *call, const leat_verdict *v)
{
    script_answer *a = call->data;
    a->done = true;
    a->times++;
    a->code = v->failure.code;
    copy(a->message, sizeof(a->message), v->failure.message);
    a->retry_after_ms = v->failure.retry_after_ms;
    a->read_failed = v->failure.read_failed;
    a->session = v->session;
    a->grant = v->grant;
    a->has_json = v->json.at != NULL;
    if (a->has_json)
        a->json = leat_memdup(v->json.at, v->json.len);
    if (v->session != NULL)
        a->f->sessions[a->f->n_sessions++] = v->session;
    if (v->grant != NULL)
        a->f->grants[a->f->n_grants++] = v->grant;
    assert_null(call->task_);
}

script_answer *script_answer_new(script_fixture *f)
{
    static int a_client; /* the fake core looks at no more than the address */
    script_answer *a = leat_calloc(1, sizeof(*a));
    a->f = f;
    a->call =
        (leat_call){.cb = on_answer, .data = a, .subscriber = (leat_subscriber *)(void *)&a_client};
    uv_update_time(&f->uv);
    return a;
}

void script_answer_wait(script_answer *a)
{
    assert_false(a->done); /* never from inside the request */
    SCRIPT_UNTIL(a->f, a->done);
    assert_int_equal(a->times, 1);
}

void script_answer_free(script_answer *a)
{
    free(a->json);
    free(a);
}

uint64_t script_fixture_deadline(script_fixture *f)
{
    uv_update_time(&f->uv);
    return leat_loop_now(f->loop) + f->deadline_ms;
}

leat_script *script_fixture_script(script_fixture *f)
{
    return leat_lua_script(f->lua);
}

const leat_script_ops *script_fixture_ops(script_fixture *f)
{
    return script_fixture_script(f)->ops;
}

script_answer *script_fixture_connect(script_fixture *f, const leat_http_request *request)
{
    static const leat_http_request empty = {.path = {"/ws", 3}, .method = {"GET", 3}};
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->connect(script_fixture_script(f), &a->call,
                                   request != NULL ? request : &empty, "127.0.0.1:4000", NULL,
                                   (leat_slice){NULL, 0}, script_fixture_deadline(f));
    script_answer_wait(a);
    return a;
}

script_answer *script_fixture_authorize(script_fixture *f, leat_session *session, const char *topic,
                                        const char *params)
{
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->authorize(script_fixture_script(f), &a->call, session,
                                     leat_slice_of(topic), leat_slice_of(params),
                                     script_fixture_deadline(f));
    script_answer_wait(a);
    return a;
}

script_answer *script_fixture_snapshot(script_fixture *f, leat_grant *grant, leat_pg_conn *conn)
{
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->snapshot(script_fixture_script(f), &a->call, grant, conn,
                                    script_fixture_deadline(f));
    script_answer_wait(a);
    return a;
}

script_answer *script_fixture_refresh(script_fixture *f, leat_grant *grant, leat_pg_conn *conn)
{
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->refresh(script_fixture_script(f), &a->call, grant, conn,
                                   script_fixture_deadline(f));
    script_answer_wait(a);
    return a;
}

script_answer *script_fixture_publish(script_fixture *f, leat_session *session, const char *topic,
                                      const char *data)
{
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->publish(script_fixture_script(f), &a->call, session,
                                   leat_slice_of(topic), leat_slice_of(data),
                                   script_fixture_deadline(f));
    script_answer_wait(a);
    return a;
}

script_answer *script_fixture_method(script_fixture *f, leat_session *session, const char *name,
                                     const char *params)
{
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->method(script_fixture_script(f), &a->call, session, leat_slice_of(name),
                                  leat_slice_of(params), script_fixture_deadline(f));
    script_answer_wait(a);
    return a;
}

script_answer *script_fixture_event(script_fixture *f, const char *topic, int64_t seq,
                                    const char *data)
{
    script_answer *a = script_answer_new(f);
    script_fixture_ops(f)->event(script_fixture_script(f), &a->call, leat_slice_of(topic), seq,
                                 leat_slice_of(data), script_fixture_deadline(f));
    script_answer_wait(a);
    return a;
}

void script_fixture_expect(script_fixture *f, const char *method, const char *json)
{
    script_answer *a = script_fixture_method(f, NULL, method, NULL);
    if (a->code != LEAT_CODE_OK)
        fail_msg("%s: %s %s\n%.*s", method, leat_code_name(a->code), a->message, (int)f->lines.len,
                 f->lines.at);
    assert_true(a->has_json);
    assert_string_equal(a->json, json);
    script_answer_free(a);
}

void script_fixture_expect_code(script_fixture *f, const char *method, leat_code code)
{
    script_answer *a = script_fixture_method(f, NULL, method, NULL);
    assert_string_equal(leat_code_name(a->code), leat_code_name(code));
    assert_false(a->has_json);
    script_answer_free(a);
}

void script_fixture_expect_logged(script_fixture *f, const char *text)
{
    leat_buf_char(&f->lines, '\0');
    f->lines.len--;
    if (strstr(f->lines.at, text) != NULL)
        return;
    fputs(f->lines.at, stderr); /* it may be longer than a message of cmocka's */
    fail_msg("not logged: %s", text);
}
