/* pg_fixture.h - a loop with its metrics, and a second, blocking connection to look at the server
 * from outside.
 *
 * Ownership  cmocka's setup and teardown, pg_fixture_open and pg_fixture_close, own everything.
 * Threads    the test's.
 * Units      milliseconds.
 * Errors     a failed assertion; a test without LEAT_TEST_DATABASE_URL is skipped.
 */
#ifndef LEAT_SPEC_PG_FIXTURE_H
#define LEAT_SPEC_PG_FIXTURE_H

#include <stdbool.h>

#include <libpq-fe.h>
#include <uv.h>

#include "base/metrics.h"
#include "loop/loop.h"
#include "pg/pg_conn.h"

typedef struct pg_fixture {
    uv_loop_t uv;
    leat_loop *loop;
    leat_metrics_registry *registry;
    leat_metrics *metrics;
    PGconn *admin;
    leat_pg_options options;
    uv_timer_t tick;
    uint64_t limit_ms;
    bool timed_out;
    char conninfo[512];
} pg_fixture;

int pg_fixture_open(void **state);

/* Fails if a handle is left on the loop. */
int pg_fixture_close(void **state);

/* Returns the fixture, or skips the test if there is no server to test against. */
pg_fixture *pg_fixture_use(void **state);

/* As pg_fixture_use, for a test that stops backends: skips it if they are not ours to signal. */
pg_fixture *pg_fixture_use_signals(void **state);

/* One turn; false once the limit has passed since pg_fixture_start_limit. */
bool pg_fixture_turn(pg_fixture *f);
void pg_fixture_start_limit(pg_fixture *f);

/* Turns the loop until the condition holds. */
#define RUN_UNTIL(f, condition)                                                                    \
    do {                                                                                           \
        pg_fixture_start_limit(f);                                                                 \
        while (!(condition))                                                                       \
            if (!pg_fixture_turn(f))                                                               \
                fail_msg("not in time: %s", #condition);                                           \
    } while (0)

/* Turns the loop for that long. */
void pg_fixture_run_for(pg_fixture *f, uint64_t ms);

/* The first value that sql returns, as a number; through the second connection. */
long pg_fixture_number(pg_fixture *f, const char *sql);
void pg_fixture_exec(pg_fixture *f, const char *sql);

/* Fills f->conninfo with what leads to that database as key=value pairs, and returns it. hosts,
 * ports: put in front of the server's own, as in "other,"; else "". */
const char *pg_fixture_conninfo(pg_fixture *f, const char *hosts, const char *ports,
                                const char *database);

/* 1 if the backend still exists. */
long pg_fixture_backend_exists(pg_fixture *f, int pid);

void pg_fixture_terminate(pg_fixture *f, int pid);

#endif
