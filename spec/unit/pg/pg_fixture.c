#include "pg_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static void on_limit(uv_timer_t *timer)
{
    ((pg_fixture *)timer->data)->timed_out = true;
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
    uv_timer_init(&f->uv, &f->limit);
    f->limit.data = f;
    return 0;
}

int pg_fixture_close(void **state)
{
    pg_fixture *f = *state;
    if (f == NULL)
        return 0;
    leat_loop_close(f->loop, NULL, NULL);
    uv_close((uv_handle_t *)&f->limit, NULL);
    uv_run(&f->uv, UV_RUN_DEFAULT);
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
    f->timed_out = false;
    uv_update_time(&f->uv);
    uv_timer_start(&f->limit, on_limit, PG_FIXTURE_LIMIT_MS, 0);
}

bool pg_fixture_turn(pg_fixture *f)
{
    uv_run(&f->uv, UV_RUN_ONCE);
    return !f->timed_out;
}

void pg_fixture_run_for(pg_fixture *f, uint64_t ms)
{
    f->timed_out = false;
    uv_update_time(&f->uv);
    uv_timer_start(&f->limit, on_limit, ms, 0);
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

long pg_fixture_backend_exists(pg_fixture *f, int pid)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "select count(*) from pg_stat_activity where pid = %d", pid);
    return pg_fixture_number(f, sql);
}

void pg_fixture_signal(int pid, int signal)
{
    if (kill(pid, signal) == 0)
        return;
    print_message("cannot signal the server: it runs elsewhere or as somebody else\n");
    skip();
}
