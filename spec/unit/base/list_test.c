#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct item {
    int n;
    leat_list link;
} item;

static int take(leat_list *head)
{
    leat_list *link = leat_list_shift(head);
    return link == NULL ? 0 : LEAT_CONTAINER_OF(link, item, link)->n;
}

static void shifts_in_the_order_of_pushing(void **state)
{
    (void)state;
    leat_list head;
    leat_list_init(&head);
    item a = {.n = 1}, b = {.n = 2};

    leat_list_push(&head, &a.link);
    leat_list_push(&head, &b.link);

    assert_int_equal(take(&head), 1);
    assert_int_equal(take(&head), 2);
    assert_int_equal(take(&head), 0);
    assert_true(leat_list_empty(&head));
}

static void unlinks_anywhere_and_twice(void **state)
{
    (void)state;
    leat_list head;
    leat_list_init(&head);
    item a = {.n = 1}, b = {.n = 2}, c = {.n = 3};
    leat_list_push(&head, &a.link);
    leat_list_push(&head, &b.link);
    leat_list_push(&head, &c.link);

    leat_list_unlink(&b.link);
    leat_list_unlink(&b.link);

    assert_true(leat_list_empty(&b.link));
    assert_int_equal(take(&head), 1);
    assert_int_equal(take(&head), 3);
}

static void moves_all_links(void **state)
{
    (void)state;
    leat_list from, to;
    leat_list_init(&from);
    item a = {.n = 1}, b = {.n = 2};
    leat_list_push(&from, &a.link);
    leat_list_push(&from, &b.link);

    leat_list_move(&to, &from);

    assert_true(leat_list_empty(&from));
    assert_int_equal(take(&to), 1);
    assert_int_equal(take(&to), 2);
    leat_list_move(&to, &from);
    assert_true(leat_list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shifts_in_the_order_of_pushing),
        cmocka_unit_test(unlinks_anywhere_and_twice),
        cmocka_unit_test(moves_all_links),
    };
    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
