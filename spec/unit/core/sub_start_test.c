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

static leat_position_answer told(const char *epoch, bool leads_on)
{
    return (leat_position_answer){
        .at = {leat_slice_of(epoch), 9, LEAT_NEVER_REVOKED},
        .leads_on = leads_on,
    };
}

static void resumes_from_the_outbox(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("e", true);
    answer.at.seq = 7;
    core_fixture_reach(f, SUB_RESUMING);
    core_fixture_told(f, &answer);
    core_fixture_expect_sent(f, "\"op\":\"resumed\",\"id\":1");
    core_fixture_expect_state(f, SUB_LIVE);
}

static void resumes_behind_what_it_has(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("e", true);
    core_fixture_reach(f, SUB_RESUMING);
    leat_position_ask *a = LEAT_CONTAINER_OF(f->asks.next, leat_position_ask, link_);
    assert_int_equal(7, a->after_);
    core_fixture_told(f, &answer);
    core_fixture_expect_sent(f, "\"op\":\"resumed\",\"id\":1");
    core_fixture_expect_state(f, SUB_REPLAYING_OUTBOX);
}

static void reads_where_the_outbox_does_not_lead_on(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("e", false);
    core_fixture_reach(f, SUB_RESUMING);
    core_fixture_told(f, &answer);
    core_fixture_expect_state(f, SUB_READING);
}

static void reads_where_the_outbox_is_of_another_numbering(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("f", true);
    core_fixture_reach(f, SUB_RESUMING);
    core_fixture_told(f, &answer);
    core_fixture_expect_state(f, SUB_READING);
}

static void reads_where_the_outbox_cannot_be_asked(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = {.err = LEAT_EPG_LOST};
    core_fixture_reach(f, SUB_RESUMING);
    core_fixture_told(f, &answer);
    core_fixture_expect_state(f, SUB_READING);
}

static void reads_what_has_got_a_hook_meanwhile(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("e", true);
    core_fixture_reach(f, SUB_RESUMING);
    f->hooked = true;
    leat_core_set_script(&f->core, &f->script);
    core_fixture_told(f, &answer);
    core_fixture_expect_state(f, SUB_READING);
}

/* Another client's read shows where the topic is while this one asks. */
static void adopt(core_fixture *f, const char *epoch)
{
    leat_position at = {
        leat_epoch_of(&f->core.epochs, leat_slice_of(epoch)),
        7,
        LEAT_NEVER_REVOKED,
    };
    assert_true(leat_ring_adopt(&core_fixture_topic(f)->ring, &at));
    leat_epoch_unref(at.epoch);
}

static void resumes_from_a_ring_that_leads_on_by_now(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("e", true);
    core_fixture_reach(f, SUB_RESUMING);
    adopt(f, "e");
    core_fixture_event(f, LEAT_EVENT_DATA, 8, "1");
    core_fixture_told(f, &answer);
    assert_true(core_fixture_was_sent(f, "\"op\":\"resumed\",\"id\":1"));
    core_fixture_expect_sent(f, "\"op\":\"event\",\"topic\":\"t\",\"seq\":8");
    core_fixture_expect_state(f, SUB_LIVE);
}

static void reads_where_the_ring_is_of_another_numbering_by_now(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("e", true);
    core_fixture_reach(f, SUB_RESUMING);
    adopt(f, "f");
    core_fixture_told(f, &answer);
    core_fixture_expect_state(f, SUB_READING);
}

/* The database may have gone back to an earlier state. */
static void believes_the_outbox_rather_than_the_ring(void **state)
{
    core_fixture *f = *state;
    leat_position_answer answer = told("e", false);
    core_fixture_reach(f, SUB_RESUMING);
    adopt(f, "e");
    core_fixture_told(f, &answer);
    core_fixture_expect_state(f, SUB_READING);
}

static void asks_no_more_for_a_client_that_has_gone(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_RESUMING);
    assert_false(leat_list_empty(&f->asks));
    core_fixture_gone(f);
    assert_true(leat_list_empty(&f->asks));
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
        TEST(reads_nothing_before_it_is_armed),
        TEST(resumes_from_the_ring),
        TEST(resumes_from_the_outbox),
        TEST(resumes_behind_what_it_has),
        TEST(reads_where_the_outbox_does_not_lead_on),
        TEST(reads_where_the_outbox_is_of_another_numbering),
        TEST(reads_where_the_outbox_cannot_be_asked),
        TEST(reads_what_has_got_a_hook_meanwhile),
        TEST(resumes_from_a_ring_that_leads_on_by_now),
        TEST(reads_where_the_ring_is_of_another_numbering_by_now),
        TEST(believes_the_outbox_rather_than_the_ring),
        TEST(asks_no_more_for_a_client_that_has_gone),
        TEST(is_refused_what_never_gets_armed),
        TEST(is_told_that_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
