/* sub_answer_test.c - a subscribe is answered once, counted once, and what it held is released. */
#include "core_fixture.h"

static void expect_outcome(core_fixture *f, leat_metric outcome)
{
    for (int m = LEAT_M_HANDSHAKES_OK; m <= LEAT_M_HANDSHAKES_GONE; m++)
        assert_int_equal(m == (int)outcome, core_fixture_metric(f, (leat_metric)m));
    assert_int_equal(0, f->client->base.n_inflight);
}

static void counts_a_snapshot(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    expect_outcome(f, LEAT_M_HANDSHAKES_OK);
}

static void counts_a_refusal(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_AUTHORIZING);
    core_fixture_refuse(f, LEAT_CODE_NOT_FOUND, false);
    core_fixture_expect_sent(f, "\"op\":\"error\",\"id\":1,\"code\":\"not_found\"");
    expect_outcome(f, LEAT_M_HANDSHAKES_REFUSED);
}

static void counts_a_database_that_is_away(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_unread(f, LEAT_CODE_UNAVAILABLE, true);
    core_fixture_expect_sent(f, "\"code\":\"unavailable\"");
    expect_outcome(f, LEAT_M_HANDSHAKES_UNAVAILABLE);
}

static void counts_a_deadline(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_unread(f, LEAT_CODE_DEADLINE_EXCEEDED, true);
    core_fixture_expect_sent(f, "\"code\":\"deadline_exceeded\"");
    expect_outcome(f, LEAT_M_HANDSHAKES_DEADLINE);
}

static void counts_a_client_that_gives_up(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    core_fixture_say(f, "{\"op\":\"unsubscribe\",\"id\":2,\"topic\":\"t\"}");
    assert_true(core_fixture_was_sent(f, "\"id\":1,\"code\":\"bad_request\""));
    core_fixture_expect_sent(f, "\"op\":\"ok\",\"id\":2");
    expect_outcome(f, LEAT_M_HANDSHAKES_GONE);
}

static void says_closed_once_it_was_answered(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_REREADING);
    f->conn.sent.len = 0;
    core_fixture_unread(f, LEAT_CODE_NOT_FOUND, false);
    core_fixture_expect_sent(f, "\"op\":\"closed\",\"topic\":\"t\",\"code\":\"not_found\"");
    expect_outcome(f, LEAT_M_HANDSHAKES_OK);
}

static void calls_the_loss_of_a_right_a_revocation(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_REAUTHORIZING);
    f->conn.sent.len = 0;
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    core_fixture_expect_sent(f, "\"op\":\"closed\",\"topic\":\"t\",\"code\":\"revoked\"");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_a_snapshot),
        TEST(counts_a_refusal),
        TEST(counts_a_database_that_is_away),
        TEST(counts_a_deadline),
        TEST(counts_a_client_that_gives_up),
        TEST(says_closed_once_it_was_answered),
        TEST(calls_the_loss_of_a_right_a_revocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
