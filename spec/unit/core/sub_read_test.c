/* sub_read_test.c - snapshots that replace what a client has.
 */
#include "core_fixture.h"

static void gets_a_snapshot_without_id_for_a_resync(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_RESYNC, 11, "null");
    core_fixture_expect_state(f, SUB_REREADING);
    core_fixture_snapshot(f, "e", 11, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\",\"topic\"");
    assert_null(core_fixture_sub(f)->work);
}

static void takes_no_older_snapshot_for_a_resync(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_RESYNC, 11, "null");
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_WAITING_READ_RETRY);
    assert_int_equal(0, f->core.slots.n_taken);
}

static void waits_with_a_resync_for_its_client(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_PARKED);
    assert_int_equal(0, f->core.slots.n_taken);
    core_fixture_drain(f);
    core_fixture_expect_state(f, SUB_REREADING);
}

static void ends_what_it_fetches_at_a_reset(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_CATCHING_UP);
    assert_false(leat_list_empty(&f->histories));
    core_fixture_reset(f, LEAT_RESET_HISTORY);
    assert_true(leat_list_empty(&f->histories));
    core_fixture_expect_state(f, SUB_REREADING);
}

static void tries_again_what_could_not_be_read(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_WAITING_READ_RETRY);
    assert_int_equal(0, f->core.slots.n_taken);
    core_fixture_wait(f, 101);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"op\":\"snapshot\"");
}

static void asks_new_scripts_before_it_reads(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    f->old_scripts = true;
    core_fixture_reset(f, LEAT_RESET_HISTORY);
    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    f->old_scripts = false;
    core_fixture_allow(f);
    core_fixture_expect_state(f, SUB_REREADING);
}

/* A read of the old numbering runs; its snapshot is of no use any more, and the right unproved. */
static void is_renumbered_while_it_reads(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_REREADING);
    core_fixture_reset(f, LEAT_RESET_EPOCH);
    core_fixture_snapshot(f, "later", 1, LEAT_NEVER_REVOKED);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_REAUTHORIZING);

    core_fixture_allow(f);
    core_fixture_snapshot(f, "later", 1, LEAT_NEVER_REVOKED);

    core_fixture_expect_sent(f, "\"epoch\":\"later\"");
}

static void runs_its_handler_when_its_topic_is_renumbered(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_reset(f, LEAT_RESET_EPOCH);
    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    core_fixture_allow(f);
    core_fixture_expect_state(f, SUB_REREADING);
}

/* The fakes answer when the test does; nothing else bounds these states. */
static void is_bound_by_no_deadline_of_a_state_that_it_left(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING); /* by way of ARMING */
    core_fixture_wait(f, 2 * f->limits.control_timeout_ms);
    core_fixture_expect_state(f, SUB_READING);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(gets_a_snapshot_without_id_for_a_resync),
        TEST(takes_no_older_snapshot_for_a_resync),
        TEST(waits_with_a_resync_for_its_client),
        TEST(ends_what_it_fetches_at_a_reset),
        TEST(tries_again_what_could_not_be_read),
        TEST(asks_new_scripts_before_it_reads),
        TEST(is_renumbered_while_it_reads),
        TEST(runs_its_handler_when_its_topic_is_renumbered),
        TEST(is_bound_by_no_deadline_of_a_state_that_it_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
