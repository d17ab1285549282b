/* sub_replay_test.c - the cursor: from the ring, from the outbox, and where it stops. */
#include "core_fixture.h"

static leat_history_row row_of(int64_t seq)
{
    return (leat_history_row){
        .topic = leat_slice_of("t"),
        .after = seq - 1,
        .head = {.epoch = leat_slice_of("e"), .seq = 14, .revoked = LEAT_NEVER_REVOKED},
        .has_event = true,
        .seq = seq,
        .kind = LEAT_EVENT_DATA,
        .data = leat_slice_of("1"),
    };
}

static void stops_while_there_is_no_room(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_expect_silence(f);
    assert_int_equal(11, core_fixture_sub(f)->cursor.next_seq);

    core_fixture_drain(f);

    core_fixture_expect_sent(f, "\"seq\":11");
    assert_int_equal(12, core_fixture_sub(f)->cursor.next_seq);
}

static void begin_fan_out(core_fixture *f)
{
    leat_topic *t = core_fixture_topic(f);
    t->flow_->runs = leat_runs_new(&t->ring); /* a topic makes it if it has several cursors */
}

static void takes_a_run_of_events(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_event(f, LEAT_EVENT_DATA, 12, "2");
    int64_t before = core_fixture_metric(f, LEAT_M_DELIVERIES);
    begin_fan_out(f);

    core_fixture_drain(f);

    assert_int_equal(before + 2, core_fixture_metric(f, LEAT_M_DELIVERIES));
    assert_int_equal(13, core_fixture_sub(f)->cursor.next_seq);
    assert_int_equal(1, f->conn.n_shared);
    assert_true(core_fixture_was_sent(f, "\"seq\":11"));
    assert_true(core_fixture_was_sent(f, "\"seq\":12"));
}

static void takes_single_events_where_a_run_does_not_fit(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_event(f, LEAT_EVENT_DATA, 12, "2");
    begin_fan_out(f);
    f->conn.queued = f->limits.max_send_buffer_bytes - 1;
    f->client->peer->output = LEAT_PEER_OPEN;

    leat_sub_move_all(&f->client->base);

    assert_int_equal(2, f->conn.n_shared);
    assert_int_equal(13, core_fixture_sub(f)->cursor.next_seq);
}

/* It stays as long as the event does. */
static void makes_the_ring_hold_the_compressed_form_of_an_event(void **state)
{
    core_fixture *f = *state;
    f->core.net.deflate = leat_deflate_new(6, 1);
    f->window_bits = 15;
    core_fixture_reach(f, SUB_LIVE);

    core_fixture_event(f, LEAT_EVENT_DATA, 11, "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]");

    const leat_event *e = leat_ring_event(&core_fixture_topic(f)->ring, 11);
    const leat_event *twin = leat_event_in_form(e, LEAT_FORM_COMPRESSED);
    assert_non_null(twin);
    assert_ptr_not_equal(e, twin);
    assert_int_equal(leat_event_bytes(e) + leat_event_bytes(twin),
                     core_fixture_metric(f, LEAT_M_RING_BYTES));
    leat_deflate_free(f->core.net.deflate);
}

static void takes_from_the_outbox_what_the_ring_lacks(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_CATCHING_UP);
    leat_history_row row = row_of(11);

    core_fixture_outbox(f, &row);

    core_fixture_expect_sent(f, "\"seq\":11");
    core_fixture_expect_state(f, SUB_CATCHING_UP); /* the ring lacks 12, too */
}

static void is_owed_a_snapshot_where_the_outbox_does_not_lead_on(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_CATCHING_UP);
    core_fixture_outbox(f, NULL);
    core_fixture_expect_state(f, SUB_REREADING);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_RESYNCS_HISTORY));
}

static void takes_nothing_from_the_outbox_that_has_not_passed_the_hook(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_CATCHING_UP);
    f->hooked = true; /* new scripts have one */
    leat_core_set_script(&f->core, &f->script);
    leat_history_row row = row_of(11);

    core_fixture_outbox(f, &row);

    assert_false(core_fixture_was_sent(f, "\"seq\":11"));
    core_fixture_expect_state(f, SUB_REREADING);
}

static void stops_before_an_event_that_asks_for_a_snapshot(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_RESYNC, 11, "null");
    core_fixture_expect_state(f, SUB_REREADING);
    assert_int_equal(12, core_fixture_sub(f)->cursor.next_seq);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_RESYNCS_REQUESTED));
}

static void counts_the_signals_that_it_drops(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_signal(f);
    core_fixture_expect_silence(f);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_SIGNALS_DROPPED));
}

static void gives_conflating_signals_at_once_to_who_reads(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    assert_int_equal(0, f->conn.unsent_limit);
    for (int i = 0; i < 3; i++) {
        core_fixture_conflating(f, "a", "[7]");
        core_fixture_expect_sent(f, "{\"op\":\"signal\",\"topic\":\"t\",\"data\":[7]}");
    }
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_SIGNALS_CONFLATED));
    assert_int_equal(f->limits.max_signal_backlog, f->conn.unsent_limit);
}

static void gives_the_newest_of_each_key_once_the_client_reads(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_conflating(f, "a", "[0]");
    core_fixture_expect_sent(f, "[0]");
    core_fixture_lag(f);
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_conflating(f, "a", "[2]");
    core_fixture_conflating(f, "", "[3]");
    core_fixture_conflating(f, "a", "[4]");
    core_fixture_round(f);
    core_fixture_expect_silence(f);

    core_fixture_drain(f);

    assert_false(core_fixture_was_sent(f, "[1]") || core_fixture_was_sent(f, "[2]"));
    assert_true(core_fixture_was_sent(f, "[4]"));
    core_fixture_expect_sent(f, "[3]");
    assert_int_equal(2, core_fixture_metric(f, LEAT_M_SIGNALS_CONFLATED));
    core_fixture_drain(f);
    core_fixture_expect_silence(f);
}

static void gives_them_again_once_little_is_queued(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    f->conn.queued = f->limits.max_signal_backlog; /* of this turn: the socket is not blocked */
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_expect_silence(f);
    f->conn.queued = 0;
    core_fixture_wait(f, 1);
    core_fixture_expect_sent(f, "[1]");
}

static void gives_them_after_the_events_before_which_they_wait(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_fill(f);
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_expect_silence(f);
    core_fixture_drain(f);
    assert_true(core_fixture_was_sent(f, "\"seq\":11"));
    core_fixture_expect_sent(f, "[1]");
}

static void gives_them_after_the_snapshot_that_is_being_read(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_conflating(f, "a", "[2]");
    core_fixture_expect_silence(f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    assert_false(core_fixture_was_sent(f, "[1]"));
    core_fixture_expect_sent(f, "[2]");
}

static void keeps_them_from_who_may_be_revoked(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_REVOKE, 11, "null");
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_expect_silence(f);
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    assert_false(core_fixture_was_sent(f, "[1]"));
    core_fixture_expect_state(f, SUB_CLOSED);
}

/* A read of somebody else was faster than the announcement of the revocation. */
static void keeps_them_from_who_is_behind_a_revocation_that_is_known(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    leat_position at = {leat_epoch_of(&f->core.epochs, leat_slice_of("e")), 12, 11};
    assert_true(leat_ring_adopt(&core_fixture_topic(f)->ring, &at));
    leat_epoch_unref(at.epoch);
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_signal(f);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_LIVE);

    core_fixture_event(f, LEAT_EVENT_REVOKE, 11, "\"somebody else\"");
    core_fixture_round(f);
    assert_true(core_fixture_was_sent(f, "\"op\":\"skip\""));
    core_fixture_expect_sent(f, "[1]");
}

/* Those that were sent before it was authorised are nothing for a subscription. */
static void gives_none_that_were_sent_before_it_subscribed(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_lag(f);
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_expect_silence(f);
    core_fixture_say(f, "{\"op\":\"unsubscribe\",\"id\":2,\"topic\":\"t\"}");
    core_fixture_drain(f);
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":3,\"topic\":\"t\"}");
    core_fixture_allow(f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_state(f, SUB_LIVE);
    assert_false(core_fixture_was_sent(f, "[1]"));
}

static void keeps_none_that_all_have_taken(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_conflating(f, "a", "[1]");
    int64_t bytes_of_one = core_fixture_metric(f, LEAT_M_KEPT_SIGNAL_BYTES);
    assert_true(bytes_of_one > 0);
    core_fixture_conflating(f, "b", "[2]");
    core_fixture_conflating(f, "c", "[3]");
    assert_int_equal(bytes_of_one, core_fixture_metric(f, LEAT_M_KEPT_SIGNAL_BYTES));
}

static void keeps_them_for_who_passes_again(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_REVOKE, 11, "null");
    core_fixture_conflating(f, "a", "[1]");
    core_fixture_expect_silence(f);
    core_fixture_allow(f);
    core_fixture_expect_sent(f, "[1]");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stops_while_there_is_no_room),
        TEST(takes_a_run_of_events),
        TEST(takes_single_events_where_a_run_does_not_fit),
        TEST(makes_the_ring_hold_the_compressed_form_of_an_event),
        TEST(takes_from_the_outbox_what_the_ring_lacks),
        TEST(is_owed_a_snapshot_where_the_outbox_does_not_lead_on),
        TEST(takes_nothing_from_the_outbox_that_has_not_passed_the_hook),
        TEST(stops_before_an_event_that_asks_for_a_snapshot),
        TEST(counts_the_signals_that_it_drops),
        TEST(gives_conflating_signals_at_once_to_who_reads),
        TEST(gives_the_newest_of_each_key_once_the_client_reads),
        TEST(gives_them_again_once_little_is_queued),
        TEST(gives_them_after_the_events_before_which_they_wait),
        TEST(gives_them_after_the_snapshot_that_is_being_read),
        TEST(keeps_them_from_who_may_be_revoked),
        TEST(keeps_them_from_who_is_behind_a_revocation_that_is_known),
        TEST(gives_none_that_were_sent_before_it_subscribed),
        TEST(keeps_none_that_all_have_taken),
        TEST(keeps_them_for_who_passes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
