/* account_test.c - accounts are shared and counted; publishing has a bucket for each topic. */
#include "core/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const leat_rate TWO = {.per_s = 1, .burst = 2};

static uint64_t publish(leat_account *a, const char *topic, uint64_t now_ms)
{
    return leat_account_publish(a, leat_slice_of(topic), &TWO, now_ms);
}

static void is_one_for_all_of_a_user(void **state)
{
    (void)state;
    leat_map all;
    leat_map_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    leat_account *b = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    leat_account *other = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("8"));
    leat_account *tenant = leat_account_open(&all, LEAT_ACCOUNT_TENANT, leat_slice_of("7"));
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    assert_ptr_not_equal(a, tenant);
    assert_int_equal(3, all.count);
    leat_account_close(a);
    leat_account_close(other);
    leat_account_close(tenant);
    assert_int_equal(1, all.count);
    leat_account_close(b);
    assert_int_equal(0, all.count);
    leat_account_close(NULL);
    leat_map_close(&all);
}

static void publishes_to_each_topic_at_its_rate(void **state)
{
    (void)state;
    leat_map all;
    leat_map_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    assert_int_equal(0, publish(a, "x", 1000));
    assert_int_equal(0, publish(a, "x", 1000));
    assert_int_equal(1000, publish(a, "x", 1000));
    assert_int_equal(0, publish(a, "y", 1000));
    assert_int_equal(1, publish(a, "x", 1999));
    assert_int_equal(0, publish(a, "x", 2000));
    assert_int_equal(1000, publish(a, "x", 2000));
    leat_account_close(a);
    leat_map_close(&all);
}

static void remembers_a_bounded_number_of_topics(void **state)
{
    (void)state;
    leat_map all;
    leat_map_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    char topic[20];
    int let_in = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(topic, sizeof(topic), "t%d", i);
        let_in += publish(a, topic, 1000) == 0;
    }
    assert_int_equal(256, let_in);
    assert_int_equal(0, publish(a, "another", 2000)); /* the first ones are full again */
    leat_account_close(a);
    leat_map_close(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_one_for_all_of_a_user),
        cmocka_unit_test(publishes_to_each_topic_at_its_rate),
        cmocka_unit_test(remembers_a_bounded_number_of_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
