/* history_test.c - what is asked of the outbox, and what its rows mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_job.h"
#include "outbox/history.h"

enum { COLUMNS = 12, MAX_ROWS = 4 };

static struct {
    int n;
    int err;
    int n_rows;
    char sqlstate[8];
    leat_history_row rows[MAX_ROWS];
} seen;

static void on_history(leat_history *h, int err, int n_rows, void *arg)
{
    assert_ptr_equal(&seen, arg);
    seen.n++;
    seen.err = err;
    seen.n_rows = n_rows;
    strncpy(seen.sqlstate, leat_history_sqlstate(h), sizeof(seen.sqlstate) - 1);
    for (int i = 0; i < n_rows; i++)
        seen.rows[i] = leat_history_row_at(h, i);
}

static int start(void **state)
{
    static const leat_history_bounds bounds = {10, 20, 30, 40};
    leat_history *h = leat_history_new(NULL);
    memset(&seen, 0, sizeof(seen));
    leat_history_ask(h, leat_slice_of("a"), 6);
    leat_history_ask(h, leat_slice_of("b\""), 0);
    assert_int_equal(2, leat_history_count(h));
    leat_history_start(h, &bounds, 500, on_history, &seen);
    assert_int_equal(0, seen.n);
    *state = h;
    return 0;
}

/* Two events of "a", none of "b". */
static const char *const good[] = {
    "a",   "6", "E1", "8", "5",  "7",  "event",  "{}",   "100", "f", "f", "f", /* next */
    "a",   "6", "E1", "8", "5",  "8",  "revoke", "null", "101", "f", "t", "f",
    "b\"", "0", "E2", "0", "-1", NULL, NULL,     NULL,   NULL,  "f", "f", "f",
};

static void asks_for_each_topic(void **state)
{
    assert_string_equal("[{\"name\":\"a\",\"after\":6},{\"name\":\"b\\\"\",\"after\":0}]",
                        running_job.params[0]);
    assert_string_equal("10", running_job.params[1]);
    assert_string_equal("20", running_job.params[2]);
    assert_string_equal("30", running_job.params[3]);
    assert_string_equal("40", running_job.params[4]);
    assert_int_equal(500, running_job.deadline_ms);
    leat_history_cancel(*state);
    assert_null(running_job.job);
    assert_int_equal(0, seen.n);
}

static void tells_where_each_topic_stands(void **state)
{
    (void)state;
    fake_job_answer(3, COLUMNS, good);
    assert_int_equal(0, seen.err);
    assert_int_equal(3, seen.n_rows);
    assert_true(leat_slice_is(seen.rows[0].topic, "a"));
    assert_int_equal(6, seen.rows[0].after);
    assert_true(leat_slice_is(seen.rows[0].head.epoch, "E1"));
    assert_int_equal(8, seen.rows[0].head.seq);
    assert_int_equal(5, seen.rows[0].head.revoked);
    assert_int_equal(-1, seen.rows[2].head.revoked);
    assert_false(seen.rows[2].has_event);
}

static void tells_what_came_after(void **state)
{
    (void)state;
    fake_job_answer(3, COLUMNS, good);
    assert_true(seen.rows[0].has_event);
    assert_int_equal(7, seen.rows[0].seq);
    assert_int_equal(100, seen.rows[0].at);
    assert_int_equal(LEAT_EVENT_DATA, seen.rows[0].kind);
    assert_true(leat_slice_is(seen.rows[0].data, "{}"));
    assert_false(seen.rows[0].left_out);
    assert_int_equal(LEAT_EVENT_REVOKE, seen.rows[1].kind);
    assert_true(seen.rows[1].left_out);
}

static void keeps_no_data_of_what_is_too_large(void **state)
{
    (void)state;
    static const char *const large[] = {
        "a",   "6", "E1", "7", "5",  "7",  "event", NULL, "100", "t", "f", "f", /* next */
        "b\"", "0", "E2", "0", "-1", NULL, NULL,    NULL, NULL,  "f", "f", "f",
    };
    fake_job_answer(2, COLUMNS, large);
    assert_int_equal(LEAT_EVENT_OVERSIZE, seen.rows[0].kind);
    assert_true(leat_slice_is(seen.rows[0].data, "null"));
}

/* A missing row is never taken for "nothing new". */
static void fails_where_a_topic_has_no_row(void **state)
{
    (void)state;
    fake_job_answer(2, COLUMNS, good);
    assert_int_equal(LEAT_EMISSING, seen.err);
    assert_int_equal(0, seen.n_rows);
}

static void fails_where_rows_may_be_hidden(void **state)
{
    (void)state;
    const char *hidden[3 * COLUMNS];
    memcpy(hidden, good, sizeof(hidden));
    hidden[COLUMNS - 1] = "t";
    fake_job_answer(3, COLUMNS, hidden);
    assert_int_equal(LEAT_EHIDDEN, seen.err);
}

static void says_what_the_server_said(void **state)
{
    (void)state;
    fake_job_fail(LEAT_EPG_SERVER, LEAT_UNCONFIRMED);
    assert_int_equal(LEAT_EPG_SERVER, seen.err);
    assert_string_equal(LEAT_UNCONFIRMED, seen.sqlstate);
}

static void says_nothing_for_a_lost_server(void **state)
{
    (void)state;
    fake_job_fail(LEAT_EPG_LOST, "08006");
    assert_int_equal(LEAT_EPG_LOST, seen.err);
    assert_string_equal("", seen.sqlstate);
}

static void counts_failures_by_their_reason(void **state)
{
    (void)state;
    static const struct {
        int err;
        const char *sqlstate;
        leat_metric counter;
    } cases[] = {
        {LEAT_EHIDDEN, "", LEAT_M_FETCH_FAILURES_HIDDEN},
        {LEAT_EMISSING, "", LEAT_M_FETCH_FAILURES_MISSING},
        {LEAT_EDEADLINE, "", LEAT_M_FETCH_FAILURES_DEADLINE},
        {LEAT_EPG_LOST, "", LEAT_M_FETCH_FAILURES_UNAVAILABLE},
        {LEAT_EBUSY, "", LEAT_M_FETCH_FAILURES_UNAVAILABLE},
        {LEAT_EPG_SERVER, "57P03", LEAT_M_FETCH_FAILURES_UNCONFIRMED},
        {LEAT_EPG_SERVER, "42501", LEAT_M_FETCH_FAILURES_DENIED},
        {LEAT_EPG_SERVER, "XX000", LEAT_M_FETCH_FAILURES_OTHER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_metrics_registry *registry = leat_metrics_registry_new();
        leat_metrics *m = leat_metrics_new(registry);
        leat_history_count_failure(m, cases[i].err, cases[i].sqlstate);
        assert_int_equal(1, leat_metrics_get(m, cases[i].counter));
        leat_metrics_registry_free(registry);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, start)
    const struct CMUnitTest tests[] = {
        TEST(asks_for_each_topic),
        TEST(tells_where_each_topic_stands),
        TEST(tells_what_came_after),
        TEST(keeps_no_data_of_what_is_too_large),
        TEST(fails_where_a_topic_has_no_row),
        TEST(fails_where_rows_may_be_hidden),
        TEST(says_what_the_server_said),
        TEST(says_nothing_for_a_lost_server),
        cmocka_unit_test(counts_failures_by_their_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
