/* sub_right_test.c - the right to a topic: revocations, and another identity.
 */
#include "core_fixture.h"

static void runs_its_handler_at_a_revocation(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_REVOKE, 11, "null");
    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    core_fixture_event(f, LEAT_EVENT_DATA, 12, "1");
    core_fixture_expect_silence(f);

    core_fixture_allow(f);

    core_fixture_expect_sent(f, "\"seq\":12");
    assert_int_equal(0, f->core.slots.n_taken);
}

static void is_closed_as_revoked(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_REVOKE, 11, "null");
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    core_fixture_expect_sent(f, "\"op\":\"closed\",\"topic\":\"t\",\"code\":\"revoked\"");
    assert_null(core_fixture_sub(f));
}

static void passes_a_revocation_of_somebody_else(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_REVOKE, 11, "\"another\"");
    core_fixture_expect_sent(f, "\"op\":\"skip\"");
    core_fixture_expect_state(f, SUB_LIVE);
}

static void is_given_nothing_while_the_handler_cannot_read(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_HELD);
    assert_int_equal(0, f->core.slots.n_taken);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_expect_silence(f);

    core_fixture_wait(f, 101);
    core_fixture_allow(f);

    core_fixture_expect_sent(f, "\"seq\":11");
}

/* The handler began before the revocation, and the snapshot lies behind it. */
static void runs_its_handler_before_a_snapshot_behind_a_revocation(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_snapshot(f, "e", 10, 9);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_AUTHORIZING);

    core_fixture_allow(f);
    core_fixture_snapshot(f, "e", 10, 9);

    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"id\":1");
}

static void runs_its_handler_before_it_resumes_behind_a_revocation(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = {.at = {leat_slice_of("e"), 7, 5}, .leads_on = true};
    core_fixture_reach(f, SUB_RESUMING);
    core_fixture_told(f, &answer);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_AUTHORIZING);
}

/* The handler saw a state that a restore took back before the read, and nothing was revoked. */
static void runs_its_handler_again_for_another_history(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_snapshot(f, "1-a-e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"id\":1");
    core_fixture_say(f, "{\"op\":\"unsubscribe\",\"id\":2,\"topic\":\"t\"}");
    core_fixture_expect_sent(f, "\"op\":\"ok\"");
    core_fixture_wait(f, f->limits.topic_linger_ms + 1); /* nothing is known of the topic now */
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":3,\"topic\":\"t\"}");
    core_fixture_allow(f);
    core_fixture_arm(f);

    core_fixture_snapshot(f, "1-b-e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_AUTHORIZING);

    core_fixture_allow(f);
    core_fixture_snapshot(f, "1-b-e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"id\":3");
}

/* Its handler ran for the new history: what is due later needs it no more. */
static void runs_its_handler_once_for_another_history(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_snapshot(f, "1-a-e", 10, LEAT_NEVER_REVOKED);
    core_fixture_reset(f, LEAT_RESET_EPOCH);
    for (int i = 0; i < 2; i++) { /* which history it is, the first read tells */
        core_fixture_allow(f);
        core_fixture_snapshot(f, "1-b-e", 10, LEAT_NEVER_REVOKED);
    }
    assert_null(core_fixture_sub(f)->work);
    f->conn.sent.len = 0;

    core_fixture_event(f, LEAT_EVENT_RESYNC, 11, "null");
    core_fixture_snapshot(f, "1-b-e", 11, LEAT_NEVER_REVOKED);

    core_fixture_expect_state(f, SUB_LIVE);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\"");
}

static void is_revoked_while_its_snapshot_is_read(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_REREADING);
    core_fixture_snapshot(f, "e", 12, 11);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_REAUTHORIZING);

    core_fixture_allow(f);

    core_fixture_expect_state(f, SUB_REREADING);
    core_fixture_snapshot(f, "e", 12, 11);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"topic\"");
}

static void keeps_its_place_when_the_identity_changes(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_WAITING_HANDLER_SLOT);
    int before = f->n_calls;
    leat_sub_reauthorize_all(&f->client->base);
    core_fixture_expect_state(f, SUB_WAITING_HANDLER_SLOT);
    assert_int_equal(before, f->n_calls);
}

static void starts_over_for_another_identity(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    leat_sub_reauthorize_all(&f->client->base);
    assert_true(leat_list_empty(&f->reads));
    core_fixture_allow(f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"id\":1");
}

static void reads_on_after_another_identity(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_REREADING);
    leat_sub_reauthorize_all(&f->client->base);
    core_fixture_allow(f);
    core_fixture_expect_state(f, SUB_REREADING);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(runs_its_handler_at_a_revocation),
        TEST(is_closed_as_revoked),
        TEST(passes_a_revocation_of_somebody_else),
        TEST(is_given_nothing_while_the_handler_cannot_read),
        TEST(runs_its_handler_before_a_snapshot_behind_a_revocation),
        TEST(runs_its_handler_before_it_resumes_behind_a_revocation),
        TEST(runs_its_handler_again_for_another_history),
        TEST(runs_its_handler_once_for_another_history),
        TEST(is_revoked_while_its_snapshot_is_read),
        TEST(keeps_its_place_when_the_identity_changes),
        TEST(starts_over_for_another_identity),
        TEST(reads_on_after_another_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
