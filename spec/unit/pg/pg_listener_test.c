#include "pg/pg_listener.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pg_fixture.h"

struct listener {
    leat_pg_listener_options options;
    leat_pg_listener *pg;
    int ups;
    int downs;
    int down_err;
    char trouble[128];
    int notifications;
    char payload[64];
    int closed;
    bool close_when_notified;
};

static void on_closed(void *arg)
{
    ((struct listener *)arg)->closed++;
}

static void on_up(void *arg)
{
    struct listener *l = arg;
    assert_int_equal(l->ups, l->downs);
    l->ups++;
}

static void on_down(void *arg, int err)
{
    struct listener *l = arg;
    l->downs++;
    l->down_err = err;
    assert_int_equal(l->ups, l->downs);
}

static void on_trouble(void *arg, const char *why)
{
    struct listener *l = arg;
    snprintf(l->trouble, sizeof(l->trouble), "%s", why);
}

static void on_notify(void *arg, const char *payload, int sender_pid)
{
    assert_int_not_equal(sender_pid, 0);
    struct listener *l = arg;
    l->notifications++;
    snprintf(l->payload, sizeof(l->payload), "%s", payload);
    if (l->close_when_notified)
        leat_pg_listener_close(l->pg, on_closed, l);
}

static const leat_pg_listener_handler handler = {on_up, on_down, on_trouble, on_notify};

static void open_listener(pg_fixture *f, struct listener *l)
{
    *l = (struct listener){.options = {
                               .pg = f->options,
                               .channel = "Leat \"unit\"",
                               .max_backoff_ms = 200,
                               .keepalive_ms = 60000,
                               .keepalive_timeout_ms = 1000,
                           }};
    l->options.pg.application_name = "leat-unit-listener";
    assert_int_equal(leat_pg_listener_new(&l->pg, f->loop, f->metrics, &l->options, &handler, l),
                     0);
    assert_int_equal(l->ups, 0);
}

static void open_up(pg_fixture *f, struct listener *l)
{
    open_listener(f, l);
    RUN_UNTIL(f, l->ups == 1);
}

static void close_listener(pg_fixture *f, struct listener *l)
{
    int downs = l->downs;
    leat_pg_listener_close(l->pg, on_closed, l);
    assert_int_equal(l->closed, 0);
    RUN_UNTIL(f, l->closed == 1);
    assert_int_equal(l->downs, downs);
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_LISTENER_CONNECTED), 0);
}

static void announce(pg_fixture *f, const char *payload)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "notify \"Leat \"\"unit\"\"\", '%s'", payload);
    pg_fixture_exec(f, sql);
}

static int backend_pid(pg_fixture *f)
{
    return (int)pg_fixture_number(f, "select max(pid) from pg_stat_activity "
                                     "where application_name = 'leat-unit-listener'");
}

static void it_comes_up_and_hears(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct listener l;
    open_up(f, &l);
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_LISTENER_CONNECTED), 1);
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_LISTENER_RECONNECTS), 0);

    announce(f, "hello");
    RUN_UNTIL(f, l.notifications == 1);

    assert_string_equal(l.payload, "hello");
    close_listener(f, &l);
}

static void the_fences_of_others_are_not_heard(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct listener l, other;
    open_up(f, &l);

    open_up(f, &other);
    announce(f, "after");
    RUN_UNTIL(f, l.notifications > 0 && other.notifications > 0);

    assert_int_equal(l.notifications, 1);
    assert_int_equal(other.notifications, 1);
    assert_string_equal(l.payload, "after");
    leat_pg_listener_close(other.pg, on_closed, &other);
    close_listener(f, &l);
    RUN_UNTIL(f, other.closed == 1);
}

static void it_reconnects_by_itself(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct listener l;
    open_up(f, &l);

    for (int i = 1; i <= 3; i++) {
        pg_fixture_terminate(f, backend_pid(f));
        RUN_UNTIL(f, l.downs == i);
        assert_int_equal(l.down_err, LEAT_EPG_LOST);
        RUN_UNTIL(f, l.ups == i + 1);
        assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_LISTENER_CONNECTED), 1);
        assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_LISTENER_RECONNECTS), i);
    }

    announce(f, "still here");
    RUN_UNTIL(f, l.notifications == 1);
    close_listener(f, &l);
}

static void it_keeps_trying_while_the_server_is_away(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct listener l;
    f->options.conninfo = "host=127.0.0.1 port=1";
    open_listener(f, &l);

    pg_fixture_run_for(f, 300);

    assert_int_equal(l.ups, 0);
    assert_int_equal(l.downs, 0);
    assert_non_null(strstr(l.trouble, "Connection refused"));
    close_listener(f, &l);
}

static void a_stopped_backend_is_noticed_by_the_keepalive(void **state)
{
    pg_fixture *f = pg_fixture_use_signals(state);
    struct listener l;
    open_listener(f, &l);
    l.options.keepalive_ms = 20;
    l.options.keepalive_timeout_ms = 100;
    RUN_UNTIL(f, l.ups == 1);
    pg_fixture_run_for(f, 200);
    assert_int_equal(l.downs, 0);
    int pid = backend_pid(f);

    kill(pid, SIGSTOP);
    RUN_UNTIL(f, l.downs == 1);
    assert_int_equal(l.down_err, LEAT_EDEADLINE);
    RUN_UNTIL(f, l.ups == 2);
    kill(pid, SIGCONT);

    close_listener(f, &l);
    RUN_UNTIL(f, pg_fixture_backend_exists(f, pid) == 0);
}

static int64_t confirmed(const pg_fixture *f)
{
    return leat_metrics_get(f->metrics, LEAT_M_LISTENER_CONFIRMED);
}

static void it_tells_up_to_when_all_has_arrived(void **state)
{
    pg_fixture *f = pg_fixture_use_signals(state);
    struct listener l;
    int64_t began = (int64_t)time(NULL);
    open_listener(f, &l);
    assert_int_equal(confirmed(f), 0);
    l.options.keepalive_ms = 20;
    l.options.keepalive_timeout_ms = 1500;
    RUN_UNTIL(f, l.ups == 1);
    assert_in_range(confirmed(f), began, time(NULL));

    leat_metrics_set(f->metrics, LEAT_M_LISTENER_CONFIRMED, 0);
    RUN_UNTIL(f, confirmed(f) != 0);

    int pid = backend_pid(f);
    kill(pid, SIGSTOP);
    int64_t stopped = (int64_t)time(NULL);
    RUN_UNTIL(f, time(NULL) > stopped);
    kill(pid, SIGCONT);
    leat_metrics_set(f->metrics, LEAT_M_LISTENER_CONFIRMED, 0);
    RUN_UNTIL(f, confirmed(f) != 0);
    assert_in_range(confirmed(f), began, stopped); /* when it was asked, not when it answered */
    close_listener(f, &l);
}

static void a_callback_may_close_it(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct listener l;
    open_up(f, &l);
    l.close_when_notified = true;

    announce(f, "one");
    announce(f, "two");
    RUN_UNTIL(f, l.closed == 1);

    assert_int_equal(l.notifications, 1);
}

static void it_may_be_closed_before_it_is_up(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct listener l;
    for (int turns = 0; turns < 6; turns++) {
        open_listener(f, &l);
        for (int i = 0; i < turns && l.ups == 0; i++)
            uv_run(&f->uv, UV_RUN_ONCE);
        close_listener(f, &l);
    }
}

#define PG_TEST(t) cmocka_unit_test_setup_teardown(t, pg_fixture_open, pg_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(it_comes_up_and_hears),
        PG_TEST(the_fences_of_others_are_not_heard),
        PG_TEST(it_reconnects_by_itself),
        PG_TEST(it_keeps_trying_while_the_server_is_away),
        PG_TEST(a_stopped_backend_is_noticed_by_the_keepalive),
        PG_TEST(it_tells_up_to_when_all_has_arrived),
        PG_TEST(a_callback_may_close_it),
        PG_TEST(it_may_be_closed_before_it_is_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
