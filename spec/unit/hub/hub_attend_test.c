/* hub_attend_test.c - nothing goes on before the history is confirmed; and what follows then.
 *
 * The test plays the database, the broker and the topics.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "fake_job.h"
#include "hub/hub_attend.h"
#include "hub/hub_topic.h"
#include "hub/hub_want.h"

static struct {
    int n_resets;
    int n_confirmed;
    int n_probes;
    int n_compared;
    int trust; /* what the broker answers */
} seen;

leat_random *leat_loop_random(leat_loop *l)
{
    (void)l;
    static leat_random random;
    return &random;
}

void hub_topic_reset_all(leat_hub *h)
{
    (void)h;
    seen.n_resets++;
}

void hub_topic_confirm_all(leat_hub *h)
{
    assert_int_equal(HUB_READY, h->phase);
    seen.n_confirmed++;
}

void hub_want_probe(leat_hub *h)
{
    (void)h;
    seen.n_probes++;
}

void hub_want_all(leat_hub *h)
{
    (void)h;
    seen.n_compared++;
}

void hub_worker_tell_confirmed(hub_worker *w, bool confirmed)
{
    (void)w, (void)confirmed;
}

static int trust(leat_broker *b, leat_slice key)
{
    (void)b;
    assert_int_equal(LEAT_ANNOUNCEMENT_KEY_LEN, key.len);
    return seen.trust;
}

enum { COLUMNS = 10 };

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char *const same[] = {"00000001", "aaaaaaaa", KEY,  "F1", "kept",
                                   NULL,       NULL,       NULL, NULL, "f"};

static leat_hub hub;
static leat_limits limits;
static leat_broker broker = {.trust = trust};
static leat_metrics_registry *registry;

static int set_up(void **state)
{
    (void)state;
    memset(&hub, 0, sizeof(hub));
    memset(&seen, 0, sizeof(seen));
    memset(&running_job, 0, sizeof(running_job));
    clock_now = 10000;
    limits = (leat_limits){.control_timeout_ms = 100};
    hub.limits = &limits;
    hub.broker = &broker;
    hub.schema_version = 12;
    registry = leat_metrics_registry_new();
    hub.metrics = leat_metrics_new(registry);
    leat_list_init(&hub.workers);
    assert_int_equal(0, hub_health_init(&hub.health));
    hub_attend_init(&hub);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hub_attend_stop(&hub);
    assert_null(running_job.job);
    assert_null(hub.attend.deadline.cb_);
    hub_health_close(&hub.health);
    leat_metrics_registry_free(registry);
    free(hub.fingerprint);
    return 0;
}

/* The schema is asked for first. */
static void answer_schema(const char *version, const char *oldest_server)
{
    const char *const row[] = {version, oldest_server};
    fake_job_answer(1, 2, row);
}

static void answer_with(size_t column, const char *value)
{
    const char *values[COLUMNS];
    answer_schema("12", "9");
    memcpy(values, same, sizeof(values));
    if (column < COLUMNS)
        values[column] = value;
    fake_job_answer(1, COLUMNS, values);
}

/* The history is confirmed for the first time, a while ago. */
static void become_ready(void)
{
    hub_attend_start(&hub);
    answer_with(COLUMNS, NULL);
    assert_int_equal(HUB_READY, hub.phase);
    memset(&seen, 0, sizeof(seen));
    clock_now += 5000;
}

static void is_ready_once_the_history_is_confirmed(void **state)
{
    (void)state;
    hub_attend_start(&hub);
    assert_int_equal(HUB_UNCONFIRMED, hub.phase);
    assert_int_equal(clock_now + 100, running_job.deadline_ms);
    answer_with(COLUMNS, NULL);
    assert_int_equal(HUB_READY, hub.phase);
    assert_string_equal("00000001", hub.timeline);
    assert_string_equal("aaaaaaaa", hub.history);
    assert_int_equal(0, seen.n_resets); /* no position was given before */
    assert_int_equal(1, seen.n_confirmed);
    assert_int_equal(1, seen.n_probes);
    assert_int_equal(1, seen.n_compared);
}

static void tells_what_it_knows_when_it_asks_again(void **state)
{
    (void)state;
    become_ready();
    hub_attend_check(&hub);
    clock_fire(&hub.attend.deadline);
    answer_schema("12", "9");
    assert_string_equal("F1", running_job.params[0]);
    assert_string_equal("aaaaaaaa", running_job.params[1]);
    assert_string_equal("[]", running_job.params[2]);
    fake_job_answer(1, COLUMNS, same);
    assert_int_equal(0, seen.n_resets + seen.n_confirmed + seen.n_probes + seen.n_compared);
}

static void begins_anew_under_another_history_or_timeline(void **state)
{
    (void)state;
    for (size_t column = 0; column < 2; column++) {
        become_ready();
        hub_attend_check(&hub);
        clock_fire(&hub.attend.deadline);
        answer_with(column, "00000009");
        assert_int_equal(1, seen.n_resets);
        tear_down(state);
        set_up(state);
    }
}

static void keeps_the_newest_entry_that_it_is_told(void **state)
{
    (void)state;
    const char *values[] = {"00000001", "aaaaaaaa",   KEY, "F1", "kept",
                            "t",        "aaaaaaaa-e", "7", "8",  "f"};
    hub_attend_start(&hub);
    answer_schema("12", "9");
    fake_job_answer(1, COLUMNS, values);
    assert_int_equal(7, hub.anchors.newest.seq);
    assert_int_equal(8, hub.anchors.newest.at);
}

/* What was announced under another key, or before this state of the database was confirmed, is
 * lost. */
static void compares_all_if_announcements_may_be_lost(void **state)
{
    (void)state;
    become_ready();
    hub_attend_check(&hub);
    clock_fire(&hub.attend.deadline);
    seen.trust = 1;
    answer_with(COLUMNS, NULL);
    assert_int_equal(1, seen.n_compared);
    seen.trust = 0;
    clock_now += 5000;
    hub_attend_check(&hub);
    clock_fire(&hub.attend.deadline);
    answer_with(3, "F2");
    assert_int_equal(2, seen.n_compared);
}

static void asks_again_after_a_failure(void **state)
{
    (void)state;
    hub_attend_start(&hub);
    fake_job_fail(LEAT_EPG_LOST, ""); /* the schema's version; attend says why it fails */
    fake_job_fail(LEAT_EPG_LOST, "");
    assert_int_equal(HUB_UNCONFIRMED, hub.phase);
    leat_buf reason = LEAT_BUF_INIT;
    assert_false(hub_health_check(&hub.health, LEAT_HUB_HISTORY, &reason));
    assert_true(leat_slice_is(leat_buf_view(&reason), "lost"));
    leat_buf_close(&reason);
    clock_fire(&hub.attend.deadline);
    answer_with(COLUMNS, NULL);
    assert_int_equal(HUB_READY, hub.phase);
}

static void believes_no_answer_that_is_not_whole(void **state)
{
    (void)state;
    static const struct {
        size_t column;
        const char *value;
    } bad[] = {{0, "1"}, {1, "x"}, {2, "0011"}, {2, "zz" KEY}, {9, "t"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        hub_attend_start(&hub);
        answer_with(bad[i].column, bad[i].value);
        assert_int_equal(HUB_UNCONFIRMED, hub.phase);
        tear_down(state);
        set_up(state);
    }
}

static void asks_at_most_once_a_second(void **state)
{
    (void)state;
    become_ready();
    hub_attend_check(&hub);
    assert_int_equal(0, clock_after);
    clock_fire(&hub.attend.deadline);
    hub_attend_check(&hub); /* while it is being asked */
    hub_attend_check(&hub);
    answer_with(COLUMNS, NULL);
    assert_int_equal(1000, clock_after);
    assert_int_equal(HUB_ATTEND_PLANNED, hub.attend.state);
    clock_fire(&hub.attend.deadline);
    answer_with(COLUMNS, NULL);
    assert_int_equal(HUB_ATTEND_RESTS, hub.attend.state);
}

static void is_unconfirmed_when_a_read_says_so(void **state)
{
    (void)state;
    hub_attend_unconfirmed(&hub); /* not connected: start will ask */
    assert_int_equal(HUB_UNCONNECTED, hub.phase);
    become_ready();
    hub_attend_unconfirmed(&hub);
    assert_int_equal(HUB_UNCONFIRMED, hub.phase);
    hub_attend_check(&hub);
    clock_fire(&hub.attend.deadline);
    answer_with(COLUMNS, NULL);
    assert_int_equal(HUB_READY, hub.phase);
    assert_int_equal(1, seen.n_confirmed);
    assert_int_equal(1, seen.n_compared);
}

/* Whatever the hub was before, it delivers nothing then. */
static void is_unconfirmed_while_the_schema_needs_a_newer_server(void **state)
{
    (void)state;
    become_ready();
    hub_attend_check(&hub);
    for (int i = 0; i < 2; i++) {
        clock_fire(&hub.attend.deadline);
        answer_schema("13", "13");
        assert_int_equal(HUB_UNCONFIRMED, hub.phase);
        assert_null(running_job.job);
    }
    clock_fire(&hub.attend.deadline);
    fake_job_fail(LEAT_EPG_LOST, "");
    assert_int_equal(HUB_UNCONFIRMED, hub.phase);
    assert_null(running_job.job); /* as far as is known */
    clock_fire(&hub.attend.deadline);
    answer_schema("12", "9");
    hub.schema_too_new = true; /* somebody else has asked while attend was called */
    fake_job_answer(1, COLUMNS, same);
    assert_int_equal(HUB_UNCONFIRMED, hub.phase);
    clock_fire(&hub.attend.deadline);
    answer_with(COLUMNS, NULL);
    assert_int_equal(HUB_READY, hub.phase);
    assert_int_equal(1, seen.n_compared);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_ready_once_the_history_is_confirmed),
        TEST(tells_what_it_knows_when_it_asks_again),
        TEST(begins_anew_under_another_history_or_timeline),
        TEST(keeps_the_newest_entry_that_it_is_told),
        TEST(compares_all_if_announcements_may_be_lost),
        TEST(asks_again_after_a_failure),
        TEST(believes_no_answer_that_is_not_whole),
        TEST(asks_at_most_once_a_second),
        TEST(is_unconfirmed_when_a_read_says_so),
        TEST(is_unconfirmed_while_the_schema_needs_a_newer_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
