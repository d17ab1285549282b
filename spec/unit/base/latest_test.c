/* latest_test.c - the newest event of each key. */
#include "base/latest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

typedef struct world {
    leat_metrics_registry *registry;
    leat_metrics *metrics;
    leat_latest_store store;
    leat_latest *latest;
} world;

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    w->registry = leat_metrics_registry_new();
    w->metrics = leat_metrics_new(w->registry);
    leat_latest_store_init(&w->store, SIZE_MAX, w->metrics);
    w->latest = leat_latest_new(&w->store);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    leat_latest_free(w->latest);
    leat_latest_free(NULL);
    assert_int_equal(0, w->store.bytes);
    assert_int_equal(0, leat_metrics_get(w->metrics, LEAT_M_KEPT_SIGNAL_BYTES));
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static uint64_t put(leat_latest *l, const char *key)
{
    leat_event *e = leat_event_new_conflating(leat_slice_of("t"), leat_slice_of(key), 8, 0, 0, 8);
    uint64_t replaced = leat_latest_put(l, e);
    leat_event_unref(e);
    return replaced;
}

/* What is kept after that number: the keys, with a comma behind each. */
static void expect_after(const leat_latest *l, uint64_t number, const char *keys)
{
    for (const leat_latest_entry *e = leat_latest_after(l, number); e != NULL;
         e = leat_latest_next(e)) {
        leat_slice key = leat_event_key(e->event);
        assert_true(e->number > number);
        assert_memory_equal(key.at, keys, key.len);
        assert_int_equal(',', keys[key.len]);
        keys += key.len + 1;
        number = e->number;
    }
    assert_string_equal("", keys);
}

static void keeps_one_of_each_key(void **state)
{
    world *w = *state;
    expect_after(w->latest, 0, "");
    assert_int_equal(0, put(w->latest, "a"));
    assert_int_equal(0, put(w->latest, ""));
    assert_int_equal(1, put(w->latest, "a"));
    assert_int_equal(3, put(w->latest, "a"));
    assert_int_equal(0, put(w->latest, "b"));
    assert_int_equal(5, w->latest->last);
    expect_after(w->latest, 0, ",a,b,");
}

static void knows_what_came_after_a_number(void **state)
{
    world *w = *state;
    put(w->latest, "a");
    put(w->latest, "b");
    put(w->latest, "c");
    expect_after(w->latest, 1, "b,c,");
    put(w->latest, "b");
    expect_after(w->latest, 2, "c,b,");
    expect_after(w->latest, 3, "b,");
    expect_after(w->latest, 4, "");
}

static void drops_what_is_taken(void **state)
{
    world *w = *state;
    put(w->latest, "a");
    put(w->latest, "b");
    put(w->latest, "c");
    leat_latest_drop(w->latest, 2);
    expect_after(w->latest, 0, "c,");
    assert_int_equal(0, put(w->latest, "a"));
    expect_after(w->latest, 0, "c,a,");
}

/* The store's bound is for all: what is oldest goes, wherever it is. */
static void drops_the_oldest_beyond_the_bound(void **state)
{
    world *w = *state;
    leat_latest *other = leat_latest_new(&w->store);
    put(w->latest, "a");
    size_t one = w->store.bytes;
    assert_int_equal(one, leat_metrics_get(w->metrics, LEAT_M_KEPT_SIGNAL_BYTES));
    w->store.max_bytes = 2 * one;
    put(other, "b");
    put(w->latest, "c");
    expect_after(w->latest, 0, "c,");
    expect_after(other, 0, "b,");
    assert_int_equal(1, leat_metrics_get(w->metrics, LEAT_M_SIGNALS_DROPPED));
    w->store.max_bytes = 1;
    put(other, "d");
    expect_after(w->latest, 0, "");
    expect_after(other, 0, "d,");
    leat_latest_free(other);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(keeps_one_of_each_key),
        TEST(knows_what_came_after_a_number),
        TEST(drops_what_is_taken),
        TEST(drops_the_oldest_beyond_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
