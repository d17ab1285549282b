/* sub_start_test.c - from the grant to the first read, or on from the position that the client
 * brings. */
#include "core_fixture.h"

#include <stdio.h>

static const char unsubscribe[] = "{\"op\":\"unsubscribe\",\"id\":2,\"topic\":\"t\"}";

static void resume_from(core_fixture *f, int seq)
{
    char text[120];
    snprintf(
        text, sizeof(text),
        "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"t\",\"since\":{\"epoch\":\"e\",\"seq\":%d}}",
        seq);
    core_fixture_say(f, text);
}

static void reads_nothing_before_it_is_armed(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_ARMING);
    assert_true(leat_list_empty(&f->reads));
    core_fixture_arm(f);
    core_fixture_read(f);
}

static void resumes_from_the_ring(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_say(f, unsubscribe);
    f->conn.sent.len = 0;

    resume_from(f, 10);
    core_fixture_allow(f);

    assert_true(core_fixture_was_sent(f, "\"op\":\"resumed\",\"id\":1"));
    core_fixture_expect_sent(f, "\"op\":\"event\",\"topic\":\"t\",\"seq\":11");
    assert_true(leat_list_empty(&f->reads));
}

static void resumes_from_the_outbox(void **state)
{
    core_fixture *f = *state;
    leat_history_row row = {.after = 7, .head = {leat_slice_of("e"), 7, -1}};
    core_fixture_reach(f, SUB_RESUMING);
    core_fixture_outbox(f, &row);
    core_fixture_expect_sent(f, "\"op\":\"resumed\",\"id\":1");
    core_fixture_expect_state(f, SUB_LIVE);
}

static void reads_where_the_outbox_does_not_lead_on(void **state)
{
    core_fixture *f = *state;
    leat_history_row row = {.after = 7, .head = {leat_slice_of("e"), 9, -1}};
    core_fixture_reach(f, SUB_RESUMING);
    core_fixture_outbox(f, &row);
    core_fixture_expect_state(f, SUB_READING);
}

static void is_refused_what_never_gets_armed(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_ARMING);
    core_fixture_wait(f, f->limits.control_timeout_ms + 1);
    core_fixture_expect_sent(f, "\"code\":\"deadline_exceeded\"");
}

static void is_told_that_nobody_listens(void **state)
{
    core_fixture *f = *state;
    f->core.confirmed = false;
    core_fixture_reach(f, SUB_ARMING);
    core_fixture_wait(f, f->limits.control_timeout_ms + 1);
    core_fixture_expect_sent(f, "\"code\":\"unavailable\"");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_nothing_before_it_is_armed), TEST(resumes_from_the_ring),
        TEST(resumes_from_the_outbox),          TEST(reads_where_the_outbox_does_not_lead_on),
        TEST(is_refused_what_never_gets_armed), TEST(is_told_that_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
