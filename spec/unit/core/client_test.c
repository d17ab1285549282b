/* client_test.c - a client: what it may ask at a time, in which order it is answered, and how it is
 * let go.
 */
#include "core_fixture.h"

#include <stdio.h>
#include <string.h>

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
    f->limits.max_subscriptions = 1;
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

static void reads_no_more_than_it_may_ask(void **state)
{
    core_fixture *f;
    char topic[] = "a";
    leat_call *calls[4];
    open_client(state, &f);
    for (int i = 0; i < 3; i++, topic[0]++) {
        publish(f, i, topic);
        calls[i] = f->call;
    }
    core_fixture_say_both(f, "{\"op\":\"publish\",\"topic\":\"y\",\"data\":1}",
                          "{\"op\":\"publish\",\"topic\":\"z\",\"data\":1}");
    calls[3] = f->call;
    assert_int_equal(4, f->n_calls);
    assert_false(f->conn.reading);

    ok(f, calls[0]);
    core_fixture_round(f);

    assert_int_equal(5, f->n_calls);
    ok(f, f->call);
    assert_true(f->conn.reading);
    for (int i = 1; i < 4; i++)
        ok(f, calls[i]);
}

static void stops_reading_while_its_answers_are_not_taken(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    core_fixture_fill(f);
    core_fixture_say(f, "{\"op\":\"fly\"}");
    assert_false(f->conn.reading);
    core_fixture_drain(f);
    assert_true(f->conn.reading);
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

static void keeps_only_the_cursor_while_its_socket_is_full(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_expect_silence(f);
    core_fixture_drain(f);
    core_fixture_expect_sent(f, "\"seq\":11");
}

static void is_closed_when_it_does_not_read(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    core_fixture_fill(f);
    f->limits.slow_client_timeout_ms = 0; /* the tick's clock is the loop's, which stands still */
    core_fixture_wait(f, 60000);
    core_fixture_expect_close(f, LEAT_CLOSE_TOO_SLOW);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_SLOW_CLOSED));
}

static void is_closed_when_its_answers_pile_up(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    f->conn.queued = f->limits.max_send_buffer_bytes + f->limits.max_snapshot_bytes + 1;
    core_fixture_unread(f, LEAT_CODE_NOT_FOUND, false);
    core_fixture_expect_silence(f);
    core_fixture_round(f);
    core_fixture_expect_close(f, LEAT_CLOSE_TOO_SLOW);
}

static void is_let_go_when_the_server_drains(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    leat_client_drain_all(&f->core, 0);
    core_fixture_expect_close(f, LEAT_CLOSE_GOING_AWAY);
    assert_int_equal(0, f->client->base.subs.count);
    assert_true(core_fixture_was_sent(f, "retry_after_ms="));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(refuses_what_is_no_message),
        TEST(refuses_a_second_subscription_to_a_topic),
        TEST(refuses_more_subscriptions_than_it_may_have),
        TEST(refuses_to_leave_what_it_has_not),
        TEST(publishes_to_one_topic_in_order),
        TEST(publishes_to_several_topics_at_once),
        TEST(refuses_a_publish_that_waits_too_long),
        TEST(reads_no_more_than_it_may_ask),
        TEST(stops_reading_while_its_answers_are_not_taken),
        TEST(lets_a_publish_run_on_when_it_goes),
        TEST(lets_no_publish_run_on_for_ever),
        TEST(gives_up_an_authentication_when_it_goes),
        TEST(proves_every_right_anew_for_another_identity),
        TEST(closes_a_client_that_is_somebody_no_more),
        TEST(keeps_its_identity_when_the_database_is_away),
        TEST(keeps_only_the_cursor_while_its_socket_is_full),
        TEST(is_closed_when_it_does_not_read),
        TEST(is_closed_when_its_answers_pile_up),
        TEST(is_let_go_when_the_server_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
