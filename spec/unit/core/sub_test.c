/* sub_test.c - a subscription from the subscribe to its answer or its end.
 */
#include "core_fixture.h"

#include <stdlib.h>

static const char unsubscribe[] = "{\"op\":\"unsubscribe\",\"id\":2,\"topic\":\"t\"}";

static void is_answered_with_a_snapshot(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);

    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);

    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"id\":1");
    core_fixture_expect_state(f, SUB_LIVE);
    assert_null(core_fixture_sub(f)->work);
    assert_int_equal(0, f->client->base.n_inflight);
}

static void gets_each_event_once(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_expect_sent(f, "\"seq\":11");
    core_fixture_event(f, LEAT_EVENT_DATA, 12, "1");
    core_fixture_expect_sent(f, "\"seq\":12");
}

static void is_refused_by_its_handler(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_AUTHORIZING);
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    core_fixture_expect_sent(f, "\"op\":\"error\",\"id\":1,\"code\":\"forbidden\"");
    assert_int_equal(0, f->core.topics.count);
}

static void reads_another_numbering_again_soon(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_WAITING_NUMBERING);
    core_fixture_expect_silence(f);
    core_fixture_wait(f, 51);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"id\":1");
}

static void is_refused_a_snapshot_for_which_there_is_no_room(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    f->conn.queued = f->limits.max_send_buffer_bytes + f->limits.max_snapshot_bytes;
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"code\":\"unavailable\"");
}

static void answers_a_subscribe_that_is_given_up(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_say(f, unsubscribe);
    assert_true(core_fixture_was_sent(f, "\"op\":\"error\",\"id\":1"));
    core_fixture_expect_sent(f, "\"op\":\"ok\",\"id\":2");
    assert_true(leat_list_empty(&f->reads));
}

static void ends_while_it_is_parked(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_PARKED);
    core_fixture_say(f, unsubscribe);
    assert_null(core_fixture_sub(f));
    core_fixture_drain(f);
}

static void gives_its_slot_back_when_its_client_is_gone(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_REREADING);
    assert_int_equal(1, f->core.slots.n_taken);
    core_fixture_gone(f);
    assert_int_equal(0, f->core.slots.n_taken);
}

static int n_told;
static leat_code told;

static void on_subscribed(void *arg, const leat_failure *failure)
{
    core_fixture *f = arg;
    n_told++;
    told = failure->code;
    core_fixture_gone(f);
}

static leat_code subscribe_for_script(core_fixture *f, leat_failure *why)
{
    leat_sub_request request = {
        .topic = leat_slice_of("t"),
        .deadline_ms = f->now_ms + 1000,
        .done = on_subscribed,
        .done_arg = f,
    };
    return leat_subscribe_begin(&f->client->base, &request, why);
}

/* leat.subscribe goes on inside the answer, and may end its own client. */
static void outlives_a_client_that_ends_inside_its_answer(void **state)
{
    core_fixture *f = *state;
    leat_failure why;
    n_told = 0;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    leat_code code = subscribe_for_script(f, &why);
    assert_int_equal(LEAT_CODE_OK, code);
    core_fixture_allow(f);
    core_fixture_arm(f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);

    assert_int_equal(1, n_told);
    assert_int_equal(LEAT_CODE_OK, told);
    assert_null(f->client);
}

static void tells_the_scripts_why_not(void **state)
{
    core_fixture *f = *state;
    leat_failure why;
    n_told = 0;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    leat_code code = subscribe_for_script(f, &why);
    assert_int_equal(LEAT_CODE_OK, code);
    core_fixture_refuse(f, LEAT_CODE_NOT_FOUND, false);
    assert_int_equal(1, n_told);
    assert_int_equal(LEAT_CODE_NOT_FOUND, told);
}

/* The right was proved before the upgrade. */
static void begin_stream(core_fixture *f, int64_t expires_at)
{
    core_fixture_connect(f, LEAT_TRANSPORT_SSE);
    leat_grant *grant = calloc(1, sizeof(*grant));
    grant->expires_at = expires_at;
    f->n_grants++;
    leat_client_stream(f->client, &(leat_sub_request){
                                      .topic = leat_slice_of("t"),
                                      .deadline_ms = f->now_ms + 1000,
                                      .grant = grant,
                                      .seen = leat_topic_mark_now(&f->core, leat_slice_of("t")),
                                  });
    core_fixture_arm(f);
}

static void ends_its_stream(void **state)
{
    core_fixture *f = *state;
    begin_stream(f, 0);
    core_fixture_unread(f, LEAT_CODE_NOT_FOUND, false);
    assert_true(
        core_fixture_was_sent(f, "\"op\":\"error\",\"topic\":\"t\",\"code\":\"not_found\""));
    assert_true(f->conn.finished);
}

static void asks_again_also_while_the_server_drains(void **state)
{
    core_fixture *f = *state;
    begin_stream(f, 1); /* in 1970 */
    leat_client_drain_all(&f->core, f->now_ms + 1000000000);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_state(f, SUB_LIVE);

    core_fixture_wait(f, 10);

    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    assert_true(f->conn.finished);
}

static void asks_again_when_the_grant_of_its_stream_expires(void **state)
{
    core_fixture *f = *state;
    begin_stream(f, 1); /* in 1970 */
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_state(f, SUB_LIVE);

    core_fixture_wait(f, 10);

    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    assert_true(f->conn.finished);
}

/* A script may say any number: its own, or what a client gave it. */
static void takes_no_impossible_position(void **state)
{
    core_fixture *f = *state;
    static const int64_t impossible[] = {INT64_MAX, INT64_MIN, LEAT_SEQ_MAX + 1, -1};
    core_fixture_reach(f, SUB_LIVE);
    for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
        leat_failure why;
        core_fixture_say(f, unsubscribe);
        leat_sub_request request = {
            .topic = leat_slice_of("t"),
            .since = {leat_slice_of("e"), impossible[i]},
            .deadline_ms = f->now_ms + 1000,
        };
        leat_code code = leat_subscribe_begin(&f->client->base, &request, &why);
        assert_int_equal(LEAT_CODE_OK, code);
        core_fixture_allow(f);
        core_fixture_expect_state(f, SUB_READING); /* the outbox is not asked */
    }
}

static void passes_signals_to_those_who_are_current(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_signal(f);
    core_fixture_expect_sent(f, "\"op\":\"signal\"");
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_signal(f);
    core_fixture_expect_silence(f);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_SIGNALS_DROPPED));
}

/* A right that is in doubt shows nothing of the topic's past. */
static void is_shown_history_while_it_has_the_right(void **state)
{
    static const struct {
        sub_state state;
        leat_code code;
    } cases[] = {
        {SUB_AUTHORIZING, LEAT_CODE_FORBIDDEN},
        {SUB_READING, LEAT_CODE_FORBIDDEN},
        {SUB_LIVE, LEAT_CODE_OK},
        {SUB_CATCHING_UP, LEAT_CODE_OK},
        {SUB_REREADING, LEAT_CODE_OK},
        {SUB_WAITING_HANDLER_SLOT, LEAT_CODE_UNAVAILABLE},
        {SUB_REAUTHORIZING, LEAT_CODE_UNAVAILABLE},
        {SUB_HELD, LEAT_CODE_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        core_fixture *f = *state;
        leat_failure why = {.code = LEAT_CODE_OK};
        core_fixture_reach(f, cases[i].state);
        bool may = leat_sub_may_look_back(core_fixture_sub(f), &why);
        assert_int_equal(cases[i].code == LEAT_CODE_OK, may);
        assert_int_equal(cases[i].code, why.code);
        assert_int_equal(0, core_fixture_close(state));
        assert_int_equal(0, core_fixture_open(state));
    }
}

static void is_shown_no_history_beyond_a_revocation(void **state)
{
    core_fixture *f = *state;
    leat_failure why;
    int64_t end = 0;
    core_fixture_reach(f, SUB_LIVE);
    leat_sub *s = core_fixture_sub(f);
    int64_t passed = s->cursor.next_seq - 1;
    leat_named_position head = {leat_epoch_text(s->cursor.topic->ring.epoch), passed + 5, passed};
    assert_true(leat_sub_history_end(s, &head, &end, &why));
    assert_int_equal(passed + 5, end);
    head.revoked = passed + 2;
    assert_true(leat_sub_history_end(s, &head, &end, &why));
    assert_int_equal(passed, end);
    head.epoch = leat_slice_of("another");
    assert_false(leat_sub_history_end(s, &head, &end, &why));
    assert_int_equal(LEAT_CODE_UNAVAILABLE, why.code);
    assert_false(leat_sub_may_look_back(NULL, &why));
    assert_int_equal(LEAT_CODE_FORBIDDEN, why.code);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(is_answered_with_a_snapshot),
        TEST(gets_each_event_once),
        TEST(is_refused_by_its_handler),
        TEST(reads_another_numbering_again_soon),
        TEST(is_refused_a_snapshot_for_which_there_is_no_room),
        TEST(answers_a_subscribe_that_is_given_up),
        TEST(ends_while_it_is_parked),
        TEST(gives_its_slot_back_when_its_client_is_gone),
        TEST(outlives_a_client_that_ends_inside_its_answer),
        TEST(tells_the_scripts_why_not),
        TEST(ends_its_stream),
        TEST(asks_again_when_the_grant_of_its_stream_expires),
        TEST(asks_again_also_while_the_server_drains),
        TEST(takes_no_impossible_position),
        TEST(passes_signals_to_those_who_are_current),
        TEST(is_shown_history_while_it_has_the_right),
        TEST(is_shown_no_history_beyond_a_revocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
