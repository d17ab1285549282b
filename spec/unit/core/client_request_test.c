/* client_request_test.c - publish, call and authenticate: their order, and what becomes of them
 * when the client goes. */
#include "core_fixture.h"

#include <stdio.h>

static void open_client(void **state, core_fixture **f)
{
    *f = *state;
    core_fixture_connect(*f, LEAT_TRANSPORT_WS);
}

static void publish(core_fixture *f, int id, const char *topic)
{
    char text[120];
    snprintf(text, sizeof(text), "{\"op\":\"publish\",\"id\":%d,\"topic\":\"%s\",\"data\":1}", id,
             topic);
    core_fixture_say(f, text);
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

static void ok(core_fixture *f, leat_call *call)
{
    f->n_running--;
    answer(call, &(leat_verdict){.failure.code = LEAT_CODE_OK});
}

static void publishes_to_one_topic_in_order(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    publish(f, 1, "t");
    leat_call *first = f->call;
    publish(f, 2, "t");
    assert_int_equal(1, f->n_calls);

    ok(f, first);

    core_fixture_expect_sent(f, "\"op\":\"ok\",\"id\":1");
    assert_int_equal(2, f->n_calls);
    ok(f, f->call);
    core_fixture_expect_sent(f, "\"op\":\"ok\",\"id\":2");
}

static void publishes_to_several_topics_at_once(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    publish(f, 1, "t");
    leat_call *first = f->call;
    publish(f, 2, "u");
    assert_int_equal(2, f->n_calls);
    ok(f, f->call);
    ok(f, first);
}

/* It is in line behind another one, and its own time is over. */
static void refuses_a_publish_that_waits_too_long(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    publish(f, 1, "t");
    leat_call *first = f->call;
    core_fixture_say(f,
                     "{\"op\":\"publish\",\"id\":2,\"topic\":\"t\",\"data\":1,\"timeout_ms\":50}");
    core_fixture_wait(f, 51);
    core_fixture_expect_sent(f, "\"op\":\"error\",\"id\":2,\"code\":\"deadline_exceeded\"");
    ok(f, first);
    assert_int_equal(1, f->n_calls);
}

static void lets_a_publish_run_on_when_it_goes(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    publish(f, 1, "t");
    leat_call *call = f->call;
    core_fixture_gone(f);
    assert_int_equal(1, f->n_running);
    ok(f, call);
    assert_true(leat_list_empty(&f->core.orphans));
}

static void lets_no_publish_run_on_for_ever(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    publish(f, 1, "t");
    core_fixture_gone(f);
    core_fixture_wait(f, f->limits.control_timeout_ms + 1);
    assert_int_equal(0, f->n_running);
    assert_true(leat_list_empty(&f->core.orphans));
}

static void gives_up_an_authentication_when_it_goes(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    authenticate(f);
    core_fixture_gone(f);
    assert_int_equal(0, f->n_running);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(publishes_to_one_topic_in_order),       TEST(publishes_to_several_topics_at_once),
        TEST(refuses_a_publish_that_waits_too_long), TEST(lets_a_publish_run_on_when_it_goes),
        TEST(lets_no_publish_run_on_for_ever),       TEST(gives_up_an_authentication_when_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
