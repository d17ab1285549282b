/* core_life_test.c - a worker's core: new scripts, drain, stop. (Each test starts and stops one.)
 */
#include "core_fixture.h"

static void note(void *arg)
{
    (*(int *)arg)++;
}

static void drains_at_once_without_clients(void **state)
{
    core_fixture *f = *state;
    int n_done = 0;
    leat_core_drain(&f->core, note, &n_done);
    assert_int_equal(1, n_done);
}

static void waits_for_its_last_client(void **state)
{
    core_fixture *f = *state;
    int n_done = 0;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    leat_core_drain(&f->core, note, &n_done);
    assert_int_equal(0, n_done);
    core_fixture_gone(f);
    assert_int_equal(1, n_done);
    leat_core_check_empty(&f->core);
    assert_int_equal(1, n_done);
}

static void waits_for_a_request_whose_client_has_gone(void **state)
{
    core_fixture *f = *state;
    int n_done = 0;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    core_fixture_say(f, "{\"op\":\"call\",\"id\":1,\"method\":\"m\"}");
    leat_core_drain(&f->core, note, &n_done);
    core_fixture_gone(f);
    assert_int_equal(0, n_done);
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    assert_int_equal(1, n_done);
}

static void begins_no_subscription_while_it_drains(void **state)
{
    core_fixture *f = *state;
    static int n_done; /* told in the teardown */
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    f->limits.drain_ms = 60000;
    leat_core_drain(&f->core, note, &n_done);
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"t\"}");
    core_fixture_expect_sent(f, "\"id\":1,\"code\":\"unavailable\"");
}

static void counts_another_history(void **state)
{
    core_fixture *f = *state;
    leat_epoch *a = leat_epoch_of(&f->core.epochs, leat_slice_of("1-a-e"));
    leat_epoch *b = leat_epoch_of(&f->core.epochs, leat_slice_of("1-b-e"));
    leat_core_note_history(&f->core, a);
    leat_core_note_history(&f->core, a);
    assert_int_equal(0, f->core.histories);
    leat_core_note_history(&f->core, b);
    assert_int_equal(1, f->core.histories);
    leat_epoch_unref(a);
    leat_epoch_unref(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drains_at_once_without_clients),
        TEST(waits_for_its_last_client),
        TEST(waits_for_a_request_whose_client_has_gone),
        TEST(begins_no_subscription_while_it_drains),
        TEST(counts_another_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
