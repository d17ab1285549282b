/* script_fixture.h - an app's scripts in a worker without clients: a loop, limits, a core whose own
 * functions are replaced by notes of how they were called, and, where there is a server to test
 * against, a pool.
 *
 * Ownership  cmocka's setup and teardown, script_fixture_open and _close, own everything; sessions
 *            and grants of answers are given back by script_fixture_close, too.
 * Threads    the test's.
 * Units      milliseconds.
 * Errors     fail the test.
 */
#ifndef LEAT_SPEC_SCRIPT_FIXTURE_H
#define LEAT_SPEC_SCRIPT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "core/core.h"
#include "core/subscribe.h"
#include "script/route/raw.h"
#include "script/route/route.h"
#include "script/script.h"

enum { SCRIPT_FIXTURE_LIMIT_MS = 10000 };

typedef struct script_fixture {
    uv_loop_t uv;
    leat_loop *loop;
    leat_metrics_registry *registry;
    leat_metrics *metrics;
    leat_log *log;
    leat_buf lines; /* what was logged */
    leat_limits limits;
    leat_core core;
    leat_lua *lua;
    leat_pg_pool_options pool_options;
    uint64_t budget_ms;
    uint64_t deadline_ms; /* of the next calls, from now */
    char dir[64];         /* of the app's file */
    uv_timer_t limit;
    uint64_t limit_ms;
    bool timed_out;
    leat_session *sessions[16]; /* to be given back */
    size_t n_sessions;
    leat_grant *grants[16];
    size_t n_grants;
} script_fixture;

/* What came back from a call. */
typedef struct script_answer {
    leat_call call;
    script_fixture *f;
    bool done;
    int times;
    leat_code code;
    char message[200];
    uint32_t retry_after_ms;
    bool read_failed;
    leat_session *session;
    leat_grant *grant;
    bool has_json;
    char *json; /* freed by script_answer_free */
} script_answer;

/* leat_subscribe_begin as the scripts called it. */
typedef struct script_fixture_subscribed {
    char topic[256];
    char params[256];
    char epoch[64];
    int64_t seq;
    leat_subscribed_cb done;
    void *arg;
    bool forgotten;
} script_fixture_subscribed;

extern script_fixture_subscribed script_fixture_asked;

int script_fixture_open(void **state);
int script_fixture_close(void **state);

/* Group setup and teardown of tests that want a database: makes and drops one for this program, if
 * LEAT_TEST_DATABASE_URL is set. */
int script_fixture_make_database(void **state);
int script_fixture_drop_database(void **state);

/* Opens the pool and waits for its first connection, so that a test's deadlines do not count the
 * time to connect. Skips the test if there is no database. */
void script_fixture_use_pool(script_fixture *f, size_t size);

/* Through a connection of the test's own: runs sql; the first value it returns, as a number. */
long script_fixture_number(const char *sql);
void script_fixture_exec(const char *sql);

/* The pool is as it was: nobody waits, nothing is leased or cleaned. */
bool script_fixture_pool_is_quiet(const script_fixture *f);

/* Loads an app. body comes after `local leat = require "leat"; local app = leat.app()` on the same
 * line, and before `return app`. */
void script_fixture_load(script_fixture *f, const char *body);
/* Loads the whole text, which must fail, and returns the message; freed by the next load. */
const char *script_fixture_load_error(script_fixture *f, const char *text);
void script_fixture_write(script_fixture *f, const char *name, const char *text);

bool script_fixture_turn(script_fixture *f);
void script_fixture_start_limit(script_fixture *f);
#define SCRIPT_UNTIL(f, condition)                                                                 \
    do {                                                                                           \
        script_fixture_start_limit(f);                                                             \
        while (!(condition))                                                                       \
            if (!script_fixture_turn(f))                                                           \
                fail_msg("not in time: %s", #condition);                                           \
    } while (0)
void script_fixture_run_for(script_fixture *f, uint64_t ms);

/* Prepares a call; script_answer_wait turns the loop until it is answered. */
script_answer *script_answer_new(script_fixture *f);
void script_answer_wait(script_answer *a);
void script_answer_free(script_answer *a);

uint64_t script_fixture_deadline(script_fixture *f);
const leat_script_ops *script_fixture_ops(script_fixture *f);
leat_script *script_fixture_script(script_fixture *f);

/* Whole calls, waited for. Arguments may be NULL for "none". */
script_answer *script_fixture_connect(script_fixture *f, const leat_http_request *request);
script_answer *script_fixture_authorize(script_fixture *f, leat_session *session, const char *topic,
                                        const char *params);
script_answer *script_fixture_snapshot(script_fixture *f, leat_grant *grant, leat_pg_conn *conn);
script_answer *script_fixture_refresh(script_fixture *f, leat_grant *grant, leat_pg_conn *conn);
script_answer *script_fixture_publish(script_fixture *f, leat_session *session, const char *topic,
                                      const char *data);
script_answer *script_fixture_method(script_fixture *f, leat_session *session, const char *name,
                                     const char *params);
script_answer *script_fixture_event(script_fixture *f, const char *topic, int64_t seq,
                                    const char *data);

/* Fails unless the method answers with that JSON. */
void script_fixture_expect(script_fixture *f, const char *method, const char *json);
/* Fails unless the method is refused with that code. */
void script_fixture_expect_code(script_fixture *f, const char *method, leat_code code);

/* Fails unless a log line holds the text. */
void script_fixture_expect_logged(script_fixture *f, const char *text);

#endif
