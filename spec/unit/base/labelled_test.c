#include "base/labelled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics_text.h"

static int set_up(void **state)
{
    *state = leat_metrics_registry_new();
    return 0;
}

static int tear_down(void **state)
{
    leat_metrics_registry_free(*state);
    return 0;
}

static void assert_has(leat_metrics_registry *r, const char *text)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_metrics_render(r, &out);
    leat_buf_char(&out, '\0');
    if (strstr(out.at, text) == NULL)
        fail_msg("not there: %s", text);
    leat_buf_close(&out);
}

static void sums_the_sets_of_all_threads_that_have_a_label(void **state)
{
    leat_metrics *a = leat_metrics_new(*state);
    leat_metrics *b = leat_metrics_new(*state);
    leat_metrics_new(*state);
    leat_slice chat = leat_slice_of("chat:{id}");
    leat_labelled_sums sums[3];

    leat_labelled_add(leat_labelled_pattern(b, leat_slice_of("lounge")), LEAT_L_TOPICS, 1);
    leat_labelled_add(leat_labelled_pattern(a, chat), LEAT_L_DELIVERIES, 2);
    leat_labelled_add(leat_labelled_pattern(b, chat), LEAT_L_DELIVERIES, 3);

    assert_ptr_equal(leat_labelled_pattern(a, chat), leat_labelled_pattern(a, chat));
    assert_int_equal(2, leat_labelled_sum(*state, LEAT_LABELLED_PATTERN, sums, 3));
    assert_string_equal("pattern=\"lounge\"", sums[0].label);
    assert_int_equal(1, sums[0].values[LEAT_L_TOPICS]);
    assert_int_equal(5, sums[1].values[LEAT_L_DELIVERIES]);
    assert_has(*state, "\nleat_pattern_deliveries_total{pattern=\"chat:{id}\"} 5\n");
    assert_has(*state, "\nleat_pattern_topics{pattern=\"chat:{id}\"} 0\n");
}

static void keeps_the_time_of_handlers(void **state)
{
    leat_metrics *a = leat_metrics_new(*state);
    leat_labelled *set = leat_labelled_handler(a, "route", leat_slice_of("GET /a"));

    leat_labelled_observe(set, 0.002);
    leat_labelled_add(set, LEAT_L_ERRORS, 1);

    assert_has(*state, "\nleat_handler_errors_total{handler=\"route\",name=\"GET /a\"} 1\n");
    assert_has(
        *state,
        "\nleat_handler_seconds_bucket{handler=\"route\",name=\"GET /a\",le=\"0.0025\"} 1\n");
    assert_has(*state, "\nleat_handler_seconds_count{handler=\"route\",name=\"GET /a\"} 1\n");
}

static void counts_labels_beyond_the_limit_together(void **state)
{
    leat_metrics *a = leat_metrics_new(*state);
    leat_metrics *b = leat_metrics_new(*state);
    char name[16];
    for (int i = 0; i < LEAT_LABELLED_MAX + 5; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        leat_labelled_add(leat_labelled_pattern(a, leat_slice_of(name)), LEAT_L_TOPICS, 1);
    }
    leat_labelled_add(leat_labelled_pattern(b, leat_slice_of("p0")), LEAT_L_TOPICS, 1);

    assert_int_equal(LEAT_LABELLED_MAX + 1,
                     leat_labelled_sum(*state, LEAT_LABELLED_PATTERN, NULL, 0));
    assert_has(*state, "\nleat_pattern_topics{pattern=\"p0\"} 2\n");
    assert_has(*state, "\nleat_pattern_topics{pattern=\"(other)\"} 5\n");
}

static void escapes_what_a_pattern_contains(void **state)
{
    leat_metrics *a = leat_metrics_new(*state);
    leat_buf json = LEAT_BUF_INIT;
    leat_labelled_sums sums;

    leat_labelled_handler(a, "route", leat_slice_of("a\"=,\\b\nc"));
    leat_labelled_sum(*state, LEAT_LABELLED_HANDLER, &sums, 1);
    leat_labelled_write_json(sums.label, &json);
    leat_buf_char(&json, '\0');

    assert_string_equal("handler=\"route\",name=\"a\\\"=,\\\\b\\nc\"", sums.label);
    assert_string_equal("\"handler\":\"route\",\"name\":\"a\\\"=,\\\\b\\nc\"", json.at);
    leat_buf_close(&json);
}

static void counts_nothing_for_nobody(void **state)
{
    (void)state;
    leat_labelled_add(NULL, LEAT_L_TOPICS, 1);
    leat_labelled_observe(NULL, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sums_the_sets_of_all_threads_that_have_a_label),
        TEST(keeps_the_time_of_handlers),
        TEST(counts_labels_beyond_the_limit_together),
        TEST(escapes_what_a_pattern_contains),
        TEST(counts_nothing_for_nobody),
    };
    return cmocka_run_group_tests_name("base/labelled", tests, NULL, NULL);
}
