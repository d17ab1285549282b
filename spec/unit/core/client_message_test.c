/* client_message_test.c - what a client asks for, and how it is answered. */
#include "core_fixture.h"

static void open_client(void **state, core_fixture **f)
{
    *f = *state;
    core_fixture_connect(*f, LEAT_TRANSPORT_WS);
}

static void authenticate(core_fixture *f)
{
    core_fixture_say(f, "{\"op\":\"authenticate\",\"id\":9,\"token\":\"x\"}");
}

static void answer(leat_call *call, const leat_verdict *v)
{
    call->task_ = NULL;
    call->cb(call, v);
}

static void refuses_what_is_no_message(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    core_fixture_say(f, "{\"op\":\"fly\"}");
    core_fixture_expect_sent(f, "\"code\":\"bad_request\"");
    assert_false(f->conn.finished);
}

static void refuses_a_second_subscription_to_a_topic(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":5,\"topic\":\"t\"}");
    core_fixture_expect_sent(f, "\"op\":\"error\",\"id\":5,\"code\":\"already_subscribed\"");
    core_fixture_expect_state(f, SUB_LIVE);
}

static void refuses_more_subscriptions_than_it_may_have(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    f->limits.allowance.max_subscriptions = 1;
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":5,\"topic\":\"u\"}");
    core_fixture_expect_sent(f, "\"code\":\"limit\"");
}

static void refuses_to_leave_what_it_has_not(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    core_fixture_say(f, "{\"op\":\"unsubscribe\",\"id\":5,\"topic\":\"t\"}");
    core_fixture_expect_sent(f, "\"code\":\"not_found\"");
}

static void proves_every_right_anew_for_another_identity(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    authenticate(f);
    leat_call *call = f->call;
    f->n_running--;
    f->n_sessions++;
    answer(call, &(leat_verdict){.session = &f->session});
    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    core_fixture_expect_sent(f, "\"op\":\"ok\",\"id\":9");
}

static void closes_a_client_that_is_somebody_no_more(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    authenticate(f);
    core_fixture_refuse(f, LEAT_CODE_UNAUTHENTICATED, false);
    core_fixture_expect_close(f, LEAT_CLOSE_IDENTITY);
}

static void keeps_its_identity_when_the_database_is_away(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    authenticate(f);
    core_fixture_refuse(f, LEAT_CODE_UNAVAILABLE, true);
    core_fixture_expect_sent(f, "\"code\":\"unavailable\"");
    assert_false(f->conn.finished);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_what_is_no_message),
        TEST(refuses_a_second_subscription_to_a_topic),
        TEST(refuses_more_subscriptions_than_it_may_have),
        TEST(refuses_to_leave_what_it_has_not),
        TEST(proves_every_right_anew_for_another_identity),
        TEST(closes_a_client_that_is_somebody_no_more),
        TEST(keeps_its_identity_when_the_database_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
