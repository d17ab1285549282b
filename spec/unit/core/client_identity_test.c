/* client_identity_test.c - a client that brings its token in its first message: each state with all
 * that can happen in it. */
#include "core_fixture.h"

static int ended;

static void on_end(void *arg)
{
    (void)arg;
    ended++;
}

static core_fixture *open_guest(void **state)
{
    core_fixture *f = *state;
    ended = 0;
    f->limits.authenticate_timeout_ms = 1000;
    f->limits.max_first_message_bytes = 100;
    f->conn = (leat_conn){.reading = true};
    f->n_sessions++;
    leat_opening opening = {.conn = &f->conn};
    f->client =
        leat_client_new_guest(&f->core, &opening, &leat_v1_codec, &f->session, on_end, NULL);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_UNAUTHENTICATED));
    return f;
}

static void authenticate(core_fixture *f)
{
    core_fixture_say(f, "{\"op\":\"authenticate\",\"id\":9,\"token\":\"x\"}");
}

static void let_in(core_fixture *f)
{
    leat_call *call = f->call;
    f->n_running--;
    f->n_sessions++;
    call->task_ = NULL;
    call->cb(call, &(leat_verdict){.session = &f->session});
}

static void expect_end(core_fixture *f, leat_metric outcome)
{
    assert_int_equal(1, ended);
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_UNAUTHENTICATED));
    assert_int_equal(1, core_fixture_metric(f, outcome));
}

static void is_let_in_by_its_token(void **state)
{
    core_fixture *f = open_guest(state);
    authenticate(f);
    assert_int_equal(1, f->n_calls);
    assert_int_equal(0, ended);
    assert_int_equal(4096, f->conn.read_size);

    let_in(f);

    core_fixture_expect_sent(f, "\"op\":\"ok\",\"id\":9");
    expect_end(f, LEAT_M_AUTHENTICATED);
    assert_int_equal(0, f->conn.read_size);
    core_fixture_say(f, "{\"op\":\"call\",\"id\":1,\"method\":\"m\"}");
    assert_int_equal(2, f->n_calls);
    core_fixture_refuse(f, LEAT_CODE_NOT_FOUND, false);
}

static void has_its_next_messages_wait_until_it_is_known(void **state)
{
    core_fixture *f = open_guest(state);
    core_fixture_say_both(f, "{\"op\":\"authenticate\",\"token\":\"x\"}",
                          "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"t\"}");
    assert_int_equal(1, f->n_calls);
    assert_false(f->conn.reading);

    let_in(f);
    core_fixture_round(f);

    assert_int_equal(2, f->n_calls);
    assert_true(f->conn.reading);
}

static void may_say_nothing_else_first(void **state)
{
    static const char *const others[] = {
        "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"t\"}",
        "{\"op\":\"call\",\"id\":1,\"method\":\"m\"}",
        "{\"op\":\"unsubscribe\",\"id\":1,\"topic\":\"t\"}",
        "{\"op\":\"publish\",\"id\":1,\"topic\":\"t\",\"data\":1}",
        "{\"op\":\"authenticate\",\"id\":1}",
        "{\"op\":\"authenticate\",\"id\":1,\"token\":1}",
        "{\"op\":\"authenticate\",\"id\":1,\"token\":\"x\",\"timeout_ms\":999999999}",
        "{\"id\":1,",
        "[]",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        core_fixture *f = open_guest(state);
        core_fixture_say(f, others[i]);
        assert_true(core_fixture_was_sent(f, "\"code\":\"unauthenticated\""));
        core_fixture_expect_close(f, LEAT_CLOSE_IDENTITY);
        assert_int_equal(0, f->n_calls);
        assert_int_equal(1, ended);
        assert_int_equal((int)i + 1, core_fixture_metric(f, LEAT_M_AUTHENTICATION_REFUSED));
        core_fixture_gone(f);
    }
}

static void may_say_no_long_first_message(void **state)
{
    core_fixture *f = open_guest(state);
    f->conn.sent.len = 0;
    core_fixture_say(
        f, "{\"op\":\"authenticate\",\"token\":"
           "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}");
    core_fixture_expect_close(f, LEAT_CLOSE_TOO_BIG);
    assert_int_equal(1, ended);
    assert_int_equal(0, f->n_calls);
}

static void is_closed_if_it_is_refused(void **state)
{
    static const struct {
        leat_code code;
        int close;
    } cases[] = {
        {LEAT_CODE_UNAUTHENTICATED, LEAT_CLOSE_IDENTITY},
        {LEAT_CODE_FORBIDDEN, LEAT_CLOSE_IDENTITY},
        {LEAT_CODE_UNAVAILABLE, LEAT_CLOSE_TRY_LATER},
        {LEAT_CODE_DEADLINE_EXCEEDED, LEAT_CLOSE_DEADLINE},
        {LEAT_CODE_INTERNAL, LEAT_CLOSE_INTERNAL},
        {LEAT_CODE_RATE_LIMITED, LEAT_CLOSE_TOO_MANY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        core_fixture *f = open_guest(state);
        authenticate(f);
        core_fixture_refuse(f, cases[i].code, false);
        assert_true(core_fixture_was_sent(f, "\"op\":\"error\",\"id\":9"));
        core_fixture_expect_close(f, cases[i].close);
        assert_int_equal(1, ended);
        core_fixture_gone(f);
    }
}

static void is_closed_if_its_identity_has_expired(void **state)
{
    core_fixture *f = open_guest(state);
    authenticate(f);
    f->session.expires_at = 1;
    let_in(f);
    f->session.expires_at = 0;
    core_fixture_expect_close(f, LEAT_CLOSE_IDENTITY);
    expect_end(f, LEAT_M_AUTHENTICATION_REFUSED);
}

static void is_closed_if_it_says_nothing(void **state)
{
    core_fixture *f = open_guest(state);
    core_fixture_wait(f, 999);
    assert_int_equal(0, ended);

    core_fixture_wait(f, 2);

    core_fixture_expect_close(f, LEAT_CLOSE_DEADLINE);
    expect_end(f, LEAT_M_AUTHENTICATION_LATE);
}

static void is_not_late_once_the_handler_runs(void **state)
{
    core_fixture *f = open_guest(state);
    core_fixture_wait(f, 999);
    authenticate(f);
    core_fixture_wait(f, 2);
    assert_false(f->conn.finished);
    let_in(f);
    expect_end(f, LEAT_M_AUTHENTICATED);
    core_fixture_wait(f, 2000);
    assert_false(f->conn.finished);
}

static void takes_its_handler_along_when_it_goes(void **state)
{
    core_fixture *f = open_guest(state);
    authenticate(f);
    core_fixture_gone(f);
    assert_int_equal(0, f->n_running);
    assert_int_equal(1, ended);
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_UNAUTHENTICATED));
}

static void leaves_nothing_when_it_goes_before(void **state)
{
    core_fixture *f = open_guest(state);
    core_fixture_gone(f);
    assert_int_equal(1, ended);
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_UNAUTHENTICATED));
}

static void is_closed_at_once_when_the_server_drains(void **state)
{
    core_fixture *f = open_guest(state);
    leat_client_drain_all(&f->core, f->now_ms + 100000);
    core_fixture_expect_close(f, LEAT_CLOSE_GOING_AWAY);
    core_fixture_gone(f);

    f = open_guest(state);
    authenticate(f);
    leat_client_drain_all(&f->core, f->now_ms + 100000);
    core_fixture_expect_close(f, LEAT_CLOSE_GOING_AWAY);
    assert_int_equal(0, f->n_running);
    assert_int_equal(1, ended);
}

static void renews_its_identity_later_as_everybody_does(void **state)
{
    core_fixture *f = open_guest(state);
    core_fixture_say_both(f, "{\"op\":\"authenticate\",\"id\":1,\"token\":\"x\"}",
                          "{\"op\":\"authenticate\",\"id\":2,\"token\":\"y\"}");
    let_in(f);
    core_fixture_round(f);
    assert_int_equal(2, f->n_calls);
    core_fixture_refuse(f, LEAT_CODE_UNAVAILABLE, true);
    assert_false(f->conn.finished); /* it keeps the one it has */
    expect_end(f, LEAT_M_AUTHENTICATED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_let_in_by_its_token),
        TEST(has_its_next_messages_wait_until_it_is_known),
        TEST(may_say_nothing_else_first),
        TEST(may_say_no_long_first_message),
        TEST(is_closed_if_it_is_refused),
        TEST(is_closed_if_its_identity_has_expired),
        TEST(is_closed_if_it_says_nothing),
        TEST(is_not_late_once_the_handler_runs),
        TEST(takes_its_handler_along_when_it_goes),
        TEST(leaves_nothing_when_it_goes_before),
        TEST(is_closed_at_once_when_the_server_drains),
        TEST(renews_its_identity_later_as_everybody_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
