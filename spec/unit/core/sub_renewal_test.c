/* sub_renewal_test.c - a stale snapshot is replaced, while the cursor moves on. */
#include "core_fixture.h"

static void reach_stale(core_fixture *f)
{
    core_fixture_reach(f, SUB_READING);
    core_fixture_stale(f, 10);
    core_fixture_expect_sent(f, "\"stale\":true");
    core_fixture_expect_state(f, SUB_LIVE);
}

static void replaces_a_stale_snapshot(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    core_fixture_wait(f, 1001);
    assert_int_equal(core_fixture_read(f)->need, LEAT_READ_FRESH);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_expect_sent(f, "\"seq\":11"); /* nothing is held up */

    core_fixture_snapshot(f, "e", 11, LEAT_NEVER_REVOKED);

    core_fixture_expect_sent(f, "\"op\":\"snapshot\"");
    assert_null(core_fixture_sub(f)->work);
}

static void tries_again_to_replace_a_stale_snapshot(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    core_fixture_wait(f, 1001);
    core_fixture_unread(f, LEAT_CODE_UNAVAILABLE, true);
    core_fixture_expect_silence(f);
    assert_int_equal(0, f->core.slots.n_taken);
    core_fixture_wait(f, 1001);
    core_fixture_read(f);
}

/* What was read lies behind the cursor: the next one holds it. */
static void holds_the_cursor_for_a_fresh_snapshot(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    core_fixture_wait(f, 1001);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    f->conn.sent.len = 0;
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_REREADING);
    assert_int_equal(core_fixture_read(f)->need, LEAT_READ_FRESH);
    core_fixture_event(f, LEAT_EVENT_DATA, 12, "1");
    core_fixture_expect_silence(f);

    core_fixture_unread(f, LEAT_CODE_UNAVAILABLE, true); /* the stale state stands */

    core_fixture_expect_sent(f, "\"seq\":12");
    core_fixture_expect_state(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_REVOKE, 13, "null");
    core_fixture_allow(f);
    core_fixture_expect_state(f, SUB_LIVE); /* no snapshot is due any more */
}

/* What replaces the snapshot, and what catches up, do not know of each other. */
static void goes_on_replacing_while_it_catches_up(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    core_fixture_wait(f, 1001);
    leat_read *running = core_fixture_read(f);
    core_fixture_fill(f);
    for (int seq = 11; seq <= 14; seq++)
        core_fixture_event(f, LEAT_EVENT_DATA, seq, "1");
    core_fixture_drain(f);
    core_fixture_expect_state(f, SUB_CATCHING_UP);
    assert_ptr_equal(running, core_fixture_read(f));

    core_fixture_snapshot(f, "e", 14, LEAT_NEVER_REVOKED);

    core_fixture_expect_sent(f, "\"op\":\"snapshot\"");
    core_fixture_expect_state(f, SUB_LIVE);
    assert_true(leat_list_empty(&f->histories));
}

static void gives_up_the_replacement_at_a_resync(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    core_fixture_wait(f, 1001);
    core_fixture_reset(f, LEAT_RESET_HISTORY);
    assert_int_equal(core_fixture_read(f)->need,
                     LEAT_READ_LATER); /* the only one: the other was cancelled */
    assert_int_equal(1, f->core.slots.n_taken);
    assert_int_equal(0, f->core.slots.n_repetitions);
}

/* The stale state is of the old numbering: where it cannot be replaced, it does not stand. */
static void keeps_no_stale_state_of_an_old_numbering(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    core_fixture_wait(f, 1001);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    assert_int_equal(core_fixture_read(f)->need, LEAT_READ_FRESH);

    core_fixture_reset(f, LEAT_RESET_EPOCH);
    core_fixture_unread(f, LEAT_CODE_UNAVAILABLE, true);

    core_fixture_expect_state(f, SUB_WAITING_READ_RETRY);
    f->conn.sent.len = 0;
    core_fixture_signal(f);
    core_fixture_expect_silence(f);
    core_fixture_wait(f, 101);
    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    core_fixture_allow(f);
    assert_int_equal(core_fixture_read(f)->need, LEAT_READ_LATER);
}

static void runs_its_handler_before_a_fresh_snapshot_behind_a_revocation(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    core_fixture_wait(f, 1001);
    core_fixture_snapshot(f, "e", 12, 11);
    core_fixture_expect_silence(f);
    core_fixture_expect_state(f, SUB_REAUTHORIZING);
    core_fixture_allow(f);
    assert_int_equal(core_fixture_read(f)->need, LEAT_READ_FRESH);
}

static void asks_new_scripts_to_replace_a_stale_snapshot(void **state)
{
    core_fixture *f = *state;
    reach_stale(f);
    f->old_scripts = true;
    core_fixture_wait(f, 1001);
    core_fixture_expect_state(f, SUB_REAUTHORIZING);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replaces_a_stale_snapshot),
        TEST(tries_again_to_replace_a_stale_snapshot),
        TEST(holds_the_cursor_for_a_fresh_snapshot),
        TEST(goes_on_replacing_while_it_catches_up),
        TEST(gives_up_the_replacement_at_a_resync),
        TEST(keeps_no_stale_state_of_an_old_numbering),
        TEST(runs_its_handler_before_a_fresh_snapshot_behind_a_revocation),
        TEST(asks_new_scripts_to_replace_a_stale_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
