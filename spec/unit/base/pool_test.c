#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

enum { MANY = 20000, CHUNK_BYTES = 64 * 1024 };

static const unsigned char zeros[LEAT_POOL_MAX];

static void all_are_given_back(leat_pool *p, unsigned char **objects, size_t n)
{
    for (size_t i = 0; i < n; i++)
        leat_pool_give(p, objects[i]);
}

/* Objects of many sizes, taken and given back in a scattered order: none overlaps another. */
static void takes_objects_apart(leat_pool *p)
{
    unsigned char **objects = leat_calloc(MANY, sizeof(*objects));
    for (size_t step = 0; step < (size_t)4 * MANY; step++) {
        size_t i = step * 7919 % MANY;
        size_t size = 1 + i % LEAT_POOL_MAX;
        if (objects[i] == NULL) {
            objects[i] = leat_pool_take(p, size);
            assert_int_equal((uintptr_t)objects[i] % 8, 0);
            assert_memory_equal(objects[i], zeros, size);
            memset(objects[i], (int)(i % 251) + 1, size);
            continue;
        }
        for (size_t at = 0; at < size; at++)
            assert_int_equal(objects[i][at], i % 251 + 1);
        leat_pool_give(p, objects[i]);
        objects[i] = NULL;
    }
    all_are_given_back(p, objects, MANY);
    free(objects);
}

static void keeps_objects_apart(void **state)
{
    (void)state;
    for (int plain = 0; plain <= 1; plain++) {
        leat_pool *p = leat_pool_new(plain);
        takes_objects_apart(p);
        leat_pool_free(p);
        p = leat_pool_new_bounded(plain, (size_t)50 * CHUNK_BYTES); /* less than they need */
        takes_objects_apart(p);
        leat_pool_free(p);
    }
}

static void gives_chunks_back_but_one_of_a_size(void **state)
{
    (void)state;
    leat_pool *p = leat_pool_new(0);
    unsigned char **objects = leat_calloc(MANY, sizeof(*objects));
    for (size_t i = 0; i < MANY; i++)
        objects[i] = leat_pool_take(p, 200);
    assert_true(leat_pool_bytes(p) >= (size_t)MANY * 200);
    assert_true(leat_pool_bytes(p) < (size_t)MANY * 200 * 102 / 100 + CHUNK_BYTES);

    all_are_given_back(p, objects, MANY);

    assert_int_equal(leat_pool_bytes(p), CHUNK_BYTES);
    free(objects);
    leat_pool_free(p);
}

/* One object at a time, beside many that stay: nothing is mapped and unmapped for it. */
static void uses_memory_again(void **state)
{
    (void)state;
    leat_pool *p = leat_pool_new(0);
    unsigned char *kept[1000];
    for (size_t i = 0; i < 1000; i++)
        kept[i] = leat_pool_take(p, 64);
    size_t before = leat_pool_bytes(p);

    for (int i = 0; i < MANY; i++)
        leat_pool_give(p, leat_pool_take(p, 64));

    assert_int_equal(leat_pool_bytes(p), before);
    all_are_given_back(p, kept, 1000);
    leat_pool_give(p, NULL);
    leat_pool_free(p);
}

/* Of each size there are many first, and few later, which keep their chunks. */
static void holds_no_more_than_its_bound(void **state)
{
    (void)state;
    const size_t max_bytes = (size_t)20 * CHUNK_BYTES;
    leat_pool *p = leat_pool_new_bounded(0, max_bytes);
    unsigned char **objects = leat_calloc(MANY, sizeof(*objects));
    unsigned char *kept[40][LEAT_POOL_MAX / 64] = {{0}};
    for (size_t size = 64, k = 0; size <= LEAT_POOL_MAX; size += 64, k++) {
        for (size_t i = 0; i < 1000; i++) {
            objects[i] = leat_pool_take(p, size);
            assert_memory_equal(objects[i], zeros, size);
            memset(objects[i], 1, size);
            assert_true(leat_pool_bytes(p) <= max_bytes);
        }
        for (size_t i = 0; i < 1000; i++)
            if (i % 25 == 0)
                kept[i / 25][k] = objects[i];
            else
                leat_pool_give(p, objects[i]);
    }
    assert_int_equal(leat_pool_bytes(p), max_bytes);
    for (size_t i = 0; i < 40; i++)
        all_are_given_back(p, kept[i], LEAT_POOL_MAX / 64);
    assert_true(leat_pool_bytes(p) <= max_bytes);
    free(objects);
    leat_pool_free(p);
}

/* A chunk that is gone makes room for another one, and its memory is zeroed then. */
static void uses_room_again(void **state)
{
    (void)state;
    const size_t max_bytes = (size_t)4 * CHUNK_BYTES;
    leat_pool *p = leat_pool_new_bounded(0, max_bytes);
    unsigned char *objects[300];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 300; i++) {
            objects[i] = leat_pool_take(p, 1024);
            assert_memory_equal(objects[i], zeros, 1024);
            memset(objects[i], 1, 1024);
        }
        assert_int_equal(leat_pool_bytes(p), max_bytes);
        all_are_given_back(p, objects, 300);
        assert_int_equal(leat_pool_bytes(p), CHUNK_BYTES);
    }
    leat_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_objects_apart),
        cmocka_unit_test(gives_chunks_back_but_one_of_a_size),
        cmocka_unit_test(uses_memory_again),
        cmocka_unit_test(holds_no_more_than_its_bound),
        cmocka_unit_test(uses_room_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
