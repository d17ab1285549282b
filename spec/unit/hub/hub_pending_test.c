/* hub_pending_test.c - events that wait are kept in order, each once, within their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub_pending.h"
#include "wire/leat_v1.h"

enum { MAX_BYTES = 1 << 20 };

static int set_up(void **state)
{
    *state = calloc(1, sizeof(hub_pending));
    return 0;
}

static int tear_down(void **state)
{
    hub_pending *p = *state;
    hub_pending_clear(p);
    assert_int_equal(0, p->n);
    assert_int_equal(0, p->bytes);
    free(p);
    return 0;
}

static leat_event *event(int64_t seq)
{
    return leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), seq, leat_slice_of("1"));
}

static void add(hub_pending *p, int64_t seq)
{
    hub_pending_add(p, event(seq), MAX_BYTES);
}

static int64_t take(hub_pending *p, int64_t seq)
{
    leat_event *e = hub_pending_take(p, seq);
    if (e == NULL)
        return 0;
    int64_t taken = leat_event_seq(e);
    leat_event_unref(e);
    return taken;
}

static void gives_them_back_in_order(void **state)
{
    static const int64_t order[] = {7, 3, 5, 4, 9, 6};
    for (size_t i = 0; i < 6; i++)
        add(*state, order[i]);
    for (int64_t seq = 3; seq <= 7; seq++)
        assert_int_equal(seq, take(*state, seq));
    assert_int_equal(0, take(*state, 8));
    assert_int_equal(9, take(*state, 9));
}

static void holds_each_once(void **state)
{
    hub_pending *p = *state;
    add(p, 3);
    add(p, 4);
    add(p, 3);
    assert_int_equal(2, p->n);
}

static void drops_what_is_before_the_one_that_is_taken(void **state)
{
    hub_pending *p = *state;
    add(p, 3);
    add(p, 4);
    add(p, 6);
    assert_int_equal(0, take(p, 5));
    assert_int_equal(1, p->n);
}

static void drops_the_latest_beyond_its_bytes(void **state)
{
    hub_pending *p = *state;
    leat_event *first = event(10);
    size_t bytes = leat_event_bytes(first);
    hub_pending_add(p, first, 2 * bytes);
    hub_pending_add(p, event(11), 2 * bytes);
    hub_pending_add(p, event(12), 2 * bytes);
    assert_int_equal(2, p->n);
    assert_int_equal(2 * bytes, p->bytes);
    assert_int_equal(10, take(p, 10));
    assert_int_equal(11, take(p, 11));
}

static void says_how_far_back_it_reaches(void **state)
{
    hub_pending *p = *state;
    assert_int_equal(5, hub_pending_reaches_back(p, 5));
    add(p, 2);
    add(p, 4);
    add(p, 5);
    add(p, 6);
    assert_int_equal(3, hub_pending_reaches_back(p, 5));
    assert_int_equal(3, hub_pending_reaches_back(p, 6));
    assert_int_equal(7, hub_pending_reaches_back(p, 7));
    assert_int_equal(3, hub_pending_reaches_back(p, 3));
}

/* What is taken at the front makes room for what is added at the end. */
static void stays_small_however_many_pass_through(void **state)
{
    hub_pending *p = *state;
    for (int64_t seq = 1; seq <= 4; seq++)
        add(p, seq);
    for (int64_t seq = 5; seq <= 1000; seq++) {
        add(p, seq);
        assert_int_equal(seq - 4, take(p, seq - 4));
    }
    assert_in_range(p->capacity_, 5, 16);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(gives_them_back_in_order),
        TEST(holds_each_once),
        TEST(drops_what_is_before_the_one_that_is_taken),
        TEST(drops_the_latest_beyond_its_bytes),
        TEST(says_how_far_back_it_reaches),
        TEST(stays_small_however_many_pass_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
