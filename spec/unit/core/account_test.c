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
    leat_account_set all;
    leat_account_set_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    leat_account *b = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    leat_account *other = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("8"));
    leat_account *tenant = leat_account_open(&all, LEAT_ACCOUNT_TENANT, leat_slice_of("7"));
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    assert_ptr_not_equal(a, tenant);
    assert_int_equal(3, leat_account_set_held(&all));
    leat_account_close(a, 1000);
    leat_account_close(other, 1000);
    leat_account_close(tenant, 1000);
    assert_int_equal(1, leat_account_set_held(&all));
    leat_account_close(b, 1000);
    assert_int_equal(0, leat_account_set_held(&all));
    leat_account_close(NULL, 1000);
    leat_account_set_close(&all);
}

static void publishes_to_each_topic_at_its_rate(void **state)
{
    (void)state;
    leat_account_set all;
    leat_account_set_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    assert_int_equal(0, publish(a, "x", 1000));
    assert_int_equal(0, publish(a, "x", 1000));
    assert_int_equal(1000, publish(a, "x", 1000));
    assert_int_equal(0, publish(a, "y", 1000));
    assert_int_equal(1, publish(a, "x", 1999));
    assert_int_equal(0, publish(a, "x", 2000));
    assert_int_equal(1000, publish(a, "x", 2000));
    leat_account_close(a, 1000);
    leat_account_set_close(&all);
}

static void remembers_a_bounded_number_of_topics(void **state)
{
    (void)state;
    leat_account_set all;
    leat_account_set_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    char topic[20];
    int let_in = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(topic, sizeof(topic), "t%d", i);
        let_in += publish(a, topic, 1000) == 0;
    }
    assert_int_equal(256, let_in);
    assert_int_equal(0, publish(a, "another", 2000)); /* the first ones are full again */
    leat_account_close(a, 1000);
    leat_account_set_close(&all);
}

/* Who comes back has not got a new burst. */
static void is_remembered_while_it_owes(void **state)
{
    (void)state;
    leat_account_set all;
    leat_account_set_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    assert_int_equal(0, publish(a, "x", 1000));
    assert_int_equal(0, publish(a, "x", 1000));
    leat_account_close(a, 1000);
    assert_int_equal(0, leat_account_set_held(&all));

    a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    assert_int_equal(600, publish(a, "x", 1400));
    assert_int_equal(0, publish(a, "y", 1400));
    leat_account_close(a, 1400);
    leat_account *tenant = leat_account_open(&all, LEAT_ACCOUNT_TENANT, leat_slice_of("7"));
    leat_bucket_charge(&tenant->publishes, &TWO, 2, 1400);
    leat_account_close(tenant, 1400);

    tenant = leat_account_open(&all, LEAT_ACCOUNT_TENANT, leat_slice_of("7"));
    assert_int_equal(1000, leat_bucket_wait_ms(&tenant->publishes, &TWO, 1400));
    assert_int_equal(2, all.all_.count);
    leat_account_close(tenant, 5000); /* all is full again */
    assert_int_equal(0, all.all_.count);
    leat_account_set_close(&all);
}

static void of_those_that_are_left_a_bounded_number_is_remembered(void **state)
{
    (void)state;
    leat_account_set all;
    char text[20];
    leat_account_set_init(&all);
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "u%d", i);
        leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of(text));
        for (int n = 0; n < 3; n++) {
            snprintf(text, sizeof(text), "t%d", n);
            assert_int_equal(0, publish(a, text, 1000));
        }
        leat_account_close(a, 1000);
    }
    assert_int_equal(8192 / 4, all.all_.count);
    leat_account *guest = leat_account_open(&all, LEAT_ACCOUNT_GUEST, leat_slice_of("1"));
    assert_int_equal(0, publish(guest, "x", 1000));
    leat_account_close(guest, 1000);
    assert_int_equal(8192 / 4, all.all_.count);
    leat_account_set_close(&all);
}

/* The topic that was used longest ago is not the first one that is full again. */
static void waits_for_the_first_topic_that_is_full(void **state)
{
    (void)state;
    leat_account_set all;
    leat_account_set_init(&all);
    leat_account *a = leat_account_open(&all, LEAT_ACCOUNT_USER, leat_slice_of("7"));
    char topic[20];
    assert_int_equal(0, publish(a, "busy", 1000));
    assert_int_equal(0, publish(a, "busy", 1000)); /* full at 3000 */
    for (int i = 1; i < 256; i++) {
        snprintf(topic, sizeof(topic), "t%d", i);
        assert_int_equal(0, publish(a, topic, 1100)); /* full at 2100 */
    }
    assert_int_equal(701, publish(a, "another", 1400));
    assert_int_equal(0, publish(a, "another", 2100));
    assert_int_equal(0, publish(a, "busy", 2100));
    assert_int_equal(900, publish(a, "busy", 2100)); /* what was taken before is not forgotten */
    leat_account_close(a, 2100);
    leat_account_set_close(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_one_for_all_of_a_user),
        cmocka_unit_test(publishes_to_each_topic_at_its_rate),
        cmocka_unit_test(is_remembered_while_it_owes),
        cmocka_unit_test(of_those_that_are_left_a_bounded_number_is_remembered),
        cmocka_unit_test(waits_for_the_first_topic_that_is_full),
        cmocka_unit_test(remembers_a_bounded_number_of_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
