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

static void say_rpcs(core_fixture *f, int n)
{
    leat_buf frame = LEAT_BUF_INIT;
    for (int i = 1; i <= n; i++)
        leat_buf_printf(&frame, "{\"id\":%d,\"rpc\":{\"method\":\"a\"}}\n", i);
    leat_buf_char(&frame, '\0');
    core_fixture_say(f, frame.at);
    leat_buf_close(&frame);
}

/* However many commands are in a frame, those of other clients come in between. */
static void takes_turns_with_a_frame_of_many_commands(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    f->limits.max_inflight = 100;

    say_rpcs(f, 40);

    assert_int_equal(16, f->n_calls);
    assert_false(f->conn.reading);
    for (int i = 0; i < 3; i++) /* a turn has half a millisecond for this */
        core_fixture_round(f);
    assert_int_equal(40, f->n_calls);
    assert_true(f->conn.reading);
}

static void drops_the_rest_of_a_frame_with_its_client(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    f->limits.max_inflight = 100;
    say_rpcs(f, 40);
    core_fixture_gone(f);
    core_fixture_round(f);
    assert_int_equal(16, f->n_calls);
}

/* The rest of a frame stays where it is, however much of it is done with. */
static void counts_what_is_held_for_the_rest_of_a_frame(void **state)
{
    core_fixture *f = *state;
    f->limits.max_inflight = 1;
    open_client(state, &f);
    say_rpcs(f, 20);
    uint64_t held = core_fixture_metric(f, LEAT_M_RECEIVED_BYTES);
    assert_true(held > 19 * 30);
    for (int i = 1; i < 19; i++) {
        ok(f);
        core_fixture_round(f);
        assert_int_equal(held, core_fixture_metric(f, LEAT_M_RECEIVED_BYTES));
    }
    ok(f);
    core_fixture_round(f);
    assert_int_equal(20, f->n_calls);
    ok(f);
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_RECEIVED_BYTES));
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

static void takes_several_events_in_one_block(void **state)
{
    core_fixture *f;
    reach_reading(state, &f);
    f->limits.ring_events = 3;
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_event(f, LEAT_EVENT_SKIP, 12, "null");
    core_fixture_event(f, LEAT_EVENT_DATA, 13, "3");
    leat_topic *t = core_fixture_topic(f);
    t->flow_->runs = leat_runs_new(&t->ring); /* a topic makes it if it has several cursors */
    f->conn.sent.len = 0;

    core_fixture_drain(f);

    assert_int_equal(1, f->conn.n_shared);
    assert_int_equal(14, core_fixture_sub(f)->cursor.next_seq);
    assert_true(core_fixture_was_sent(f, "\"pub\":{\"data\":1,\"offset\":11}"));
    assert_true(core_fixture_was_sent(f, "\"pub\":{\"data\":3,\"offset\":13}"));
}

static void sends_nothing_for_events_that_show_nothing(void **state)
{
    core_fixture *f;
    reach_reading(state, &f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_SKIP, 11, "null");
    core_fixture_event(f, LEAT_EVENT_SKIP, 12, "null");
    leat_topic *t = core_fixture_topic(f);
    t->flow_->runs = leat_runs_new(&t->ring);
    f->conn.sent.len = 0;

    core_fixture_drain(f);

    core_fixture_expect_silence(f);
    assert_int_equal(0, f->conn.n_shared);
    assert_int_equal(13, core_fixture_sub(f)->cursor.next_seq);
}

/* They stay as long as the event does. */
static void makes_the_ring_hold_its_own_form_of_an_event(void **state)
{
    core_fixture *f;
    reach_reading(state, &f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    f->conn.sent.len = 0;

    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");

    core_fixture_expect_sent(f, "\"offset\":11");
    const leat_event *e = leat_ring_event(&core_fixture_topic(f)->ring, 11);
    assert_true(leat_event_form_bytes(e) > 0);
    assert_int_equal(leat_event_bytes(e) + leat_event_form_bytes(e),
                     core_fixture_metric(f, LEAT_M_RING_BYTES));
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

/* Its SDK would take the silence for a dead network, and not wait for the close. */
static void is_pinged_while_the_server_drains(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    core_fixture_say(f, "{\"id\":1,\"rpc\":{\"method\":\"a\"}}"); /* so it is not closed yet */
    leat_client_drain_all(&f->core, f->now_ms + 100000);
    f->limits.ping_interval_ms = 1000; /* due before the next look at all clients is over */
    f->conn.sent.len = 0;

    core_fixture_wait(f, 1000);

    core_fixture_expect_sent(f, "{}");
    ok(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(looks_at_no_more_commands_than_it_may_ask),
        TEST(takes_turns_with_a_frame_of_many_commands),
        TEST(drops_the_rest_of_a_frame_with_its_client),
        TEST(counts_what_is_held_for_the_rest_of_a_frame),
        TEST(charges_each_command_of_a_frame),
        TEST(closes_for_a_flood_within_a_frame),
        TEST(is_answered_within_four_seconds),
        TEST(gets_a_snapshot_when_it_subscribes_anew_after_a_resync),
        TEST(takes_several_events_in_one_block),
        TEST(sends_nothing_for_events_that_show_nothing),
        TEST(makes_the_ring_hold_its_own_form_of_an_event),
        TEST(forgets_the_oldest_of_too_many_void_positions),
        TEST(gets_conflating_signals_that_are_not_old),
        TEST(is_pinged_while_the_server_drains),
    };
    return cmocka_run_group_tests_name("client_foreign", tests, NULL, NULL);
}
