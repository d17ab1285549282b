/* slot_test.c - database slots: two lines, of which repetitions get at most half of the slots, and
 * always one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/slot.h"

enum { N = 8, MOST = 4 };

typedef struct world {
    leat_metrics_registry *registry;
    leat_slots slots;
    leat_slot slot[N];
} world;

static int n_given;
static leat_slot *last_given;

static void on_given(leat_slot *slot)
{
    n_given++;
    last_given = slot;
}

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    n_given = 0;
    w->registry = leat_metrics_registry_new();
    leat_slots_init(&w->slots, MOST, leat_metrics_new(w->registry));
    for (int i = 0; i < N; i++)
        leat_slot_init(&w->slot[i]);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    for (int i = N - 1; i >= 0; i--)
        leat_slot_release(&w->slots, &w->slot[i]);
    assert_int_equal(0, w->slots.n_taken);
    assert_int_equal(0, w->slots.n_repetitions);
    assert_int_equal(0, leat_metrics_get(w->slots.metrics, LEAT_M_SLOT_WAITERS));
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static bool take(world *w, int i, bool repetition)
{
    return leat_slot_take(&w->slots, &w->slot[i], repetition, on_given);
}

static void is_taken_at_once_while_there_is_one(void **state)
{
    world *w = *state;
    for (int i = 0; i < MOST; i++)
        assert_true(take(w, i, false));
    assert_false(take(w, MOST, false));
    assert_int_equal(0, n_given); /* never from inside */
    assert_int_equal(1, leat_metrics_get(w->slots.metrics, LEAT_M_SLOT_WAITERS));
}

static void goes_to_the_next_in_line(void **state)
{
    world *w = *state;
    for (int i = 0; i < MOST + 2; i++)
        take(w, i, false);

    leat_slot_release(&w->slots, &w->slot[0]);

    assert_int_equal(1, n_given);
    assert_ptr_equal(&w->slot[MOST], last_given);
    assert_int_equal(MOST, w->slots.n_taken);
}

static void is_kept_when_it_is_asked_for_again(void **state)
{
    world *w = *state;
    assert_true(take(w, 0, false));
    assert_true(take(w, 0, false));
    assert_int_equal(1, w->slots.n_taken);
}

static void keeps_its_place_in_the_line(void **state)
{
    world *w = *state;
    for (int i = 0; i < MOST + 2; i++)
        take(w, i, false);
    assert_false(take(w, MOST, false));

    leat_slot_release(&w->slots, &w->slot[0]);

    assert_ptr_equal(&w->slot[MOST], last_given);
}

static void is_not_given_to_one_who_left_the_line(void **state)
{
    world *w = *state;
    for (int i = 0; i < MOST + 2; i++)
        take(w, i, false);
    leat_slot_release(&w->slots, &w->slot[MOST]);

    leat_slot_release(&w->slots, &w->slot[0]);

    assert_int_equal(1, n_given);
    assert_ptr_equal(&w->slot[MOST + 1], last_given);
}

static void is_left_for_first_attempts(void **state)
{
    world *w = *state;
    for (int i = 0; i < MOST / 2; i++)
        assert_true(take(w, i, true));
    assert_false(take(w, MOST / 2, true));
    assert_true(take(w, MOST / 2 + 1, false));
}

static void is_given_to_a_repetition_if_none_has_one(void **state)
{
    world *w = *state;
    for (int i = 0; i < MOST; i++)
        take(w, i, false);
    take(w, MOST, false);
    take(w, MOST + 1, true);

    leat_slot_release(&w->slots, &w->slot[0]);
    assert_ptr_equal(&w->slot[MOST + 1], last_given);

    leat_slot_release(&w->slots, &w->slot[1]);
    assert_ptr_equal(&w->slot[MOST], last_given);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_taken_at_once_while_there_is_one),      TEST(goes_to_the_next_in_line),
        TEST(is_kept_when_it_is_asked_for_again),       TEST(keeps_its_place_in_the_line),
        TEST(is_not_given_to_one_who_left_the_line),    TEST(is_left_for_first_attempts),
        TEST(is_given_to_a_repetition_if_none_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
