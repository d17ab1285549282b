#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

enum {
    MANY = 5000,
};

typedef struct item {
    leat_map_entry entry; /* first: an entry is an item */
    char name[16];
    int seen;
} item;

static item *make_items(leat_map *m)
{
    item *items = leat_calloc(MANY, sizeof(*items));
    for (int i = 0; i < MANY; i++) {
        snprintf(items[i].name, sizeof(items[i].name), "key:%d", i);
        leat_map_add(m, &items[i].entry, leat_slice_of(items[i].name));
    }
    return items;
}

static void is_empty_at_first(void **state)
{
    (void)state;
    leat_map m;
    leat_map_init(&m);

    assert_int_equal(m.count, 0);
    assert_null(leat_map_get(&m, leat_slice_of("a")));
    assert_null(leat_map_next(&m, NULL));
    leat_map_close(&m);
}

static void finds_what_was_added(void **state)
{
    (void)state;
    leat_map m;
    leat_map_init(&m);
    item *items = make_items(&m);

    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(leat_map_get(&m, leat_slice_of(items[i].name)), &items[i].entry);

    assert_null(leat_map_get(&m, leat_slice_of("key:")));
    assert_null(leat_map_get(&m, leat_slice_of("")));
    assert_int_equal(m.count, MANY);
    leat_map_close(&m);
    free(items);
}

static void tells_keys_of_any_bytes_apart(void **state)
{
    (void)state;
    static const char bytes[17] = {0};
    leat_map m;
    leat_map_init(&m);
    item items[17] = {0};

    for (size_t len = 0; len < 17; len++)
        leat_map_add(&m, &items[len].entry, (leat_slice){bytes, len});

    for (size_t len = 0; len < 17; len++)
        assert_ptr_equal(leat_map_get(&m, (leat_slice){bytes, len}), &items[len].entry);
    leat_map_close(&m);
}

static void forgets_what_was_removed_and_shrinks(void **state)
{
    (void)state;
    leat_map m;
    leat_map_init(&m);
    item *items = make_items(&m);
    uint32_t largest = m.n_buckets_;

    for (int i = 0; i < MANY; i++) {
        if (i % 1000 != 7)
            leat_map_remove(&m, &items[i].entry);
    }

    assert_int_equal(m.count, 5);
    assert_true(m.n_buckets_ < largest / 8);
    assert_null(leat_map_get(&m, leat_slice_of("key:8")));
    assert_ptr_equal(leat_map_get(&m, leat_slice_of("key:1007")), &items[1007].entry);
    leat_map_close(&m);
    free(items);
}

static void walks_over_each_entry_once(void **state)
{
    (void)state;
    leat_map m;
    leat_map_init(&m);
    item *items = make_items(&m);

    for (leat_map_entry *e = leat_map_next(&m, NULL); e != NULL; e = leat_map_next(&m, e))
        ((item *)e)->seen++;

    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].seen, 1);
    leat_map_close(&m);
    free(items);
}

static void walks_on_while_entries_are_removed(void **state)
{
    (void)state;
    leat_map m;
    leat_map_init(&m);
    item *items = make_items(&m);

    leat_map_entry *next = NULL;
    for (leat_map_entry *e = leat_map_next(&m, NULL); e != NULL; e = next) {
        next = leat_map_next(&m, e);
        ((item *)e)->seen++;
        if (((item *)e)->name[4] != '3')
            leat_map_remove(&m, e);
    }

    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].seen, 1);
    assert_int_equal(m.count, 1111);
    leat_map_close(&m);
    free(items);
}

static void count_seen(void *arg, leat_map_entry *e)
{
    (void)arg;
    ((item *)e)->seen++;
}

static void walks_in_parts_while_it_grows_and_shrinks(void **state)
{
    (void)state;
    leat_map m;
    leat_map_init(&m);
    item *items = make_items(&m);
    item *more = leat_calloc(MANY, sizeof(*more));
    uint64_t place = 0;
    size_t parts = 0;
    for (bool goes_on = true; goes_on; parts++) {
        goes_on = leat_map_walk(&m, &place, 100, count_seen, NULL);
        for (int i = 0; parts == 3 && i < MANY; i++) {
            snprintf(more[i].name, sizeof(more[i].name), "more%d", i);
            leat_map_add(&m, &more[i].entry, leat_slice_of(more[i].name));
        }
        for (int i = 0; parts == 6 && i < MANY; i++) /* back, and beyond */
            leat_map_remove(&m, &more[i].entry);
        for (int i = MANY / 16; parts == 9 && i < MANY; i++) {
            leat_map_remove(&m, &items[i].entry);
            items[i].seen = 1;
        }
    }

    assert_true(parts > 10);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].seen, 1);
    leat_map_close(&m);
    free(items);
    free(more);
}

static void seeds_each_map_differently(void **state)
{
    (void)state;
    leat_map a, b;
    leat_map_init(&a);
    leat_map_init(&b);
    item *in_a = make_items(&a);
    item *in_b = make_items(&b);

    assert_true(in_a[0].entry.hash_ != in_b[0].entry.hash_);
    leat_map_close(&a);
    leat_map_close(&b);
    free(in_a);
    free(in_b);
}

/* A map has no table while it has few entries; then it gets one, and keeps it. */
static void finds_entries_while_they_become_more_and_fewer(void **state)
{
    (void)state;
    static const char names[12][3] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};
    leat_map m;
    leat_map_init(&m);
    item items[12] = {0};

    for (size_t n = 0; n < 12; n++) {
        leat_map_add(&m, &items[n].entry, leat_slice_of(names[n]));
        assert_int_equal(m.n_buckets_ == 0, n < 4);
        for (size_t i = 0; i < 12; i++)
            assert_ptr_equal(leat_map_get(&m, leat_slice_of(names[i])),
                             i <= n ? &items[i].entry : NULL);
    }
    for (size_t n = 0; n < 12; n++) {
        leat_map_remove(&m, &items[n].entry);
        for (size_t i = 0; i < 12; i++)
            assert_ptr_equal(leat_map_get(&m, leat_slice_of(names[i])),
                             i > n ? &items[i].entry : NULL);
    }

    assert_null(leat_map_next(&m, NULL));
    leat_map_close(&m);
}

static void walks_over_a_few(void **state)
{
    (void)state;
    leat_map m;
    leat_map_init(&m);
    item items[3] = {0};
    uint64_t place = 0;
    leat_map_add(&m, &items[0].entry, leat_slice_of("a"));
    leat_map_add(&m, &items[1].entry, leat_slice_of("b"));
    leat_map_add(&m, &items[2].entry, leat_slice_of("c"));

    assert_false(leat_map_walk(&m, &place, 1, count_seen, NULL));
    for (leat_map_entry *e = leat_map_next(&m, NULL); e != NULL; e = leat_map_next(&m, e))
        count_seen(NULL, e);

    for (int i = 0; i < 3; i++)
        assert_int_equal(items[i].seen, 2);
    leat_map_remove(&m, &items[1].entry);
    assert_null(leat_map_get(&m, leat_slice_of("b")));
    assert_ptr_equal(leat_map_get(&m, leat_slice_of("a")), &items[0].entry);
    leat_map_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_empty_at_first),
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(tells_keys_of_any_bytes_apart),
        cmocka_unit_test(forgets_what_was_removed_and_shrinks),
        cmocka_unit_test(walks_over_each_entry_once),
        cmocka_unit_test(walks_on_while_entries_are_removed),
        cmocka_unit_test(walks_in_parts_while_it_grows_and_shrinks),
        cmocka_unit_test(seeds_each_map_differently),
        cmocka_unit_test(finds_entries_while_they_become_more_and_fewer),
        cmocka_unit_test(walks_over_a_few),
    };
    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
