#include "pg_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

enum { TICK_MS = 5, LIMIT_MS = 10000 };

/* The loop may have nothing else to wake it, and conditions may hold from its first moment on. */
static void on_tick(uv_timer_t *timer)
{
    pg_fixture *f = timer->data;
    if (uv_now(&f->uv) >= f->limit_ms)
        f->timed_out = true;
}

static void start_limit(pg_fixture *f, uint64_t ms)
{
    f->timed_out = false;
    uv_update_time(&f->uv);
    f->limit_ms = uv_now(&f->uv) + ms;
    uv_timer_start(&f->tick, on_tick, TICK_MS, TICK_MS);
}

int pg_fixture_open(void **state)
{
    *state = NULL;
    const char *url = getenv("LEAT_TEST_DATABASE_URL");
    if (url == NULL)
        return 0;
    pg_fixture *f = leat_calloc(1, sizeof(*f));
    *state = f;
    f->options = (leat_pg_options){
        .conninfo = url,
        .application_name = "leat-unit",
        .max_statements = 8,
        .connect_timeout_ms = 3000,
    };
    f->registry = leat_metrics_registry_new();
    f->metrics = leat_metrics_new(f->registry);
    f->admin = PQconnectdb(url);
    if (PQstatus(f->admin) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(f->admin));
        return -1;
    }
    if (uv_loop_init(&f->uv) < 0 || leat_loop_new(&f->loop, &f->uv) < 0)
        return -1;
    uv_timer_init(&f->uv, &f->tick);
    f->tick.data = f;
    return 0;
}

int pg_fixture_close(void **state)
{
    pg_fixture *f = *state;
    if (f == NULL)
        return 0;
    leat_loop_close(f->loop, NULL, NULL);
    start_limit(f, LIMIT_MS);
    uv_unref((uv_handle_t *)&f->tick);
    while (!f->timed_out && uv_run(&f->uv, UV_RUN_ONCE) != 0)
        continue;
    uv_close((uv_handle_t *)&f->tick, NULL);
    uv_run(&f->uv, UV_RUN_NOWAIT);
    int left = uv_loop_close(&f->uv);
    PQfinish(f->admin);
    leat_metrics_registry_free(f->registry);
    free(f);
    return left;
}

pg_fixture *pg_fixture_use(void **state)
{
    if (*state == NULL) {
        print_message("LEAT_TEST_DATABASE_URL is not set\n");
        skip();
    }
    return *state;
}

void pg_fixture_start_limit(pg_fixture *f)
{
    start_limit(f, LIMIT_MS);
}

bool pg_fixture_turn(pg_fixture *f)
{
    uv_run(&f->uv, UV_RUN_ONCE);
    return !f->timed_out;
}

void pg_fixture_run_for(pg_fixture *f, uint64_t ms)
{
    start_limit(f, ms);
    while (!f->timed_out)
        uv_run(&f->uv, UV_RUN_ONCE);
}

long pg_fixture_number(pg_fixture *f, const char *sql)
{
    PGresult *res = PQexec(f->admin, sql);
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(f->admin));
    long value = strtol(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    return value;
}

void pg_fixture_exec(pg_fixture *f, const char *sql)
{
    PGresult *res = PQexec(f->admin, sql);
    if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(f->admin));
    PQclear(res);
}

const char *pg_fixture_conninfo(pg_fixture *f, const char *hosts, const char *ports,
                                const char *database)
{
    snprintf(f->conninfo, sizeof(f->conninfo),
             "host='%s%s' port='%s%s' dbname='%s' user='%s' password='%s'", hosts, PQhost(f->admin),
             ports, PQport(f->admin), database, PQuser(f->admin), PQpass(f->admin));
    return f->conninfo;
}

void pg_fixture_terminate(pg_fixture *f, int pid)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d)::int", pid);
    assert_int_equal(pg_fixture_number(f, sql), 1);
}

long pg_fixture_backend_exists(pg_fixture *f, int pid)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "select count(*) from pg_stat_activity where pid = %d", pid);
    return pg_fixture_number(f, sql);
}

pg_fixture *pg_fixture_use_signals(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    if (PQhost(f->admin)[0] == '/' && kill(PQbackendPID(f->admin), 0) == 0)
        return f;
    print_message("the server runs elsewhere, or as somebody else: it cannot be stopped\n");
    skip();
    return NULL;
}
