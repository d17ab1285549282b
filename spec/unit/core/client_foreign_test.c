/* client_foreign_test.c - a client of Centrifugo's protocol: a frame of several commands, and what
 * it is sent otherwise than a client of leat.v1. */
#include "core_fixture.h"

#include "wire/centrifuge.h"

static void open_client(void **state, core_fixture **f)
{
    *f = *state;
    core_fixture_connect_with(*f, &leat_centrifuge_json);
}

static void ok(core_fixture *f)
{
    leat_call *call = f->call;
    f->n_running--;
    call->task_ = NULL;
    call->cb(call, &(leat_verdict){.failure.code = LEAT_CODE_OK});
}

static void looks_at_no_more_commands_than_it_may_ask(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    f->limits.max_inflight = 1;
    core_fixture_say(
        f, "{\"id\":1,\"rpc\":{\"method\":\"a\"}}\n{\"id\":2,\"rpc\":{\"method\":\"b\"}}");
    assert_int_equal(1, f->n_calls);
    assert_false(f->conn.reading);

    ok(f);
    assert_int_equal(1, f->n_calls); /* in a later turn */
    core_fixture_round(f);

    assert_int_equal(2, f->n_calls);
    ok(f);
    assert_true(f->conn.reading);
}

/* Also those that had to wait. */
static void charges_each_command_of_a_frame(void **state)
{
    core_fixture *f;
    f = *state;
    f->limits.max_inflight = 1;
    f->limits.allowance.messages = (leat_rate){.per_s = 1, .burst = 3};
    open_client(state, &f);
    core_fixture_say(
        f, "{\"id\":1,\"rpc\":{\"method\":\"a\"}}\n{\"id\":2,\"rpc\":{\"method\":\"a\"}}\n"
           "{\"id\":3,\"rpc\":{\"method\":\"a\"}}\n{\"id\":4,\"rpc\":{\"method\":\"a\"}}");
    for (int i = 0; i < 3; i++) {
        ok(f);
        core_fixture_round(f);
    }

    assert_int_equal(3, f->n_calls);
    assert_true(core_fixture_was_sent(f, "{\"id\":4,\"error\":{\"code\":111"));
}

static void closes_for_a_flood_within_a_frame(void **state)
{
    core_fixture *f;
    f = *state;
    f->limits.allowance.messages = (leat_rate){.per_s = 1, .burst = 5};
    open_client(state, &f);
    core_fixture_say(f, "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}");
    core_fixture_expect_close(f, LEAT_CLOSE_TOO_MANY);
}

static void reach_reading(void **state, core_fixture **f)
{
    open_client(state, f);
    core_fixture_say(*f, "{\"id\":1,\"subscribe\":{\"channel\":\"t\"}}");
    core_fixture_allow(*f);
    core_fixture_arm(*f);
}

/* An SDK gives up after five seconds, and then its whole connection. */
static void is_answered_within_four_seconds(void **state)
{
    core_fixture *f;
    reach_reading(state, &f);
    f->limits.control_timeout_ms = 5000;
    assert_int_equal(4000, core_fixture_read(f)->deadline_ms - leat_loop_now(f->core.loop));
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
}

/* Its own position would lead to the same resync again. */
static void gets_a_snapshot_when_it_subscribes_anew_after_a_resync(void **state)
{
    core_fixture *f;
    reach_reading(state, &f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    f->conn.sent.len = 0;
    core_fixture_event(f, LEAT_EVENT_RESYNC, 11, "null");
    core_fixture_snapshot(f, "e", 11, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"unsubscribe\":{\"code\":2500");
    assert_null(core_fixture_sub(f));

    core_fixture_say(f, "{\"id\":2,\"subscribe\":{\"channel\":\"t\",\"recover\":true,\"offset\":10,"
                        "\"epoch\":\"e\"}}");
    core_fixture_allow(f);
    core_fixture_expect_state(f, SUB_READING);
    core_fixture_snapshot(f, "e", 11, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "{\"id\":2,\"subscribe\":{");
}

static void forgets_the_oldest_of_too_many_void_positions(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    client_foreign *foreign = f->client->foreign;
    f->limits.allowance.max_subscriptions = 2;
    client_foreign_void(foreign, leat_slice_of("a"));
    client_foreign_void(foreign, leat_slice_of("b"));
    client_foreign_void(foreign, leat_slice_of("b"));
    client_foreign_void(foreign, leat_slice_of("c"));
    assert_false(client_foreign_take_void(foreign, leat_slice_of("a")));
    assert_true(client_foreign_take_void(foreign, leat_slice_of("b")));
    assert_false(client_foreign_take_void(foreign, leat_slice_of("b")));
    assert_true(client_foreign_take_void(foreign, leat_slice_of("c")));
}

static void gets_conflating_signals_that_are_not_old(void **state)
{
    core_fixture *f;
    reach_reading(state, &f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    assert_int_equal(0, f->conn.unsent_limit);

    core_fixture_conflating(f, "a", "[1]");

    core_fixture_expect_sent(f, "\"pub\":{\"data\":[1]}");
    assert_int_equal(f->limits.max_signal_backlog, f->conn.unsent_limit);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(looks_at_no_more_commands_than_it_may_ask),
        TEST(charges_each_command_of_a_frame),
        TEST(closes_for_a_flood_within_a_frame),
        TEST(is_answered_within_four_seconds),
        TEST(gets_a_snapshot_when_it_subscribes_anew_after_a_resync),
        TEST(forgets_the_oldest_of_too_many_void_positions),
        TEST(gets_conflating_signals_that_are_not_old),
    };
    return cmocka_run_group_tests_name("client_foreign", tests, NULL, NULL);
}
