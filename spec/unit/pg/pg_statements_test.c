#include "pg/pg_statements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void one_text_is_one_statement(void **state)
{
    (void)state;
    leat_pg_statements s;
    leat_pg_statements_init(&s, 2);

    leat_pg_statement *a = leat_pg_statements_hold(&s, "a");
    leat_pg_statement *again = leat_pg_statements_hold(&s, "a");
    leat_pg_statement *b = leat_pg_statements_hold(&s, "b");

    assert_ptr_equal(a, again);
    assert_ptr_not_equal(a, b);
    assert_string_equal(a->sql, "a");
    assert_string_not_equal(a->name, b->name);
    leat_pg_statements_let_go(&s, a);
    leat_pg_statements_let_go(&s, again);
    leat_pg_statements_let_go(&s, b);
    leat_pg_statements_close(&s);
}

static void the_least_recently_used_goes_and_is_deallocated_once_unused(void **state)
{
    (void)state;
    leat_pg_statements s;
    char sql[64], expected[64];
    leat_pg_statements_init(&s, 2);
    leat_pg_statement *a = leat_pg_statements_hold(&s, "a");
    leat_pg_statement *b = leat_pg_statements_hold(&s, "b");
    a->state = b->state = LEAT_PG_STATEMENT_PREPARED;
    leat_pg_statements_let_go(&s, leat_pg_statements_hold(&s, "a"));
    snprintf(expected, sizeof(expected), "DEALLOCATE %s", b->name);

    leat_pg_statements_let_go(&s, leat_pg_statements_hold(&s, "c"));
    assert_false(leat_pg_statements_next_deallocate(&s, sql, sizeof(sql)));
    leat_pg_statements_let_go(&s, b);

    assert_true(leat_pg_statements_next_deallocate(&s, sql, sizeof(sql)));
    assert_string_equal(sql, expected);
    assert_false(leat_pg_statements_next_deallocate(&s, sql, sizeof(sql)));
    leat_pg_statement *kept = leat_pg_statements_hold(&s, "a");
    assert_ptr_equal(kept, a);
    leat_pg_statements_let_go(&s, kept);
    leat_pg_statements_let_go(&s, a);
    leat_pg_statements_close(&s);
}

static void what_never_reached_the_server_is_not_deallocated(void **state)
{
    (void)state;
    leat_pg_statements s;
    char sql[64];
    leat_pg_statements_init(&s, 8);
    leat_pg_statement *a = leat_pg_statements_hold(&s, "a");

    leat_pg_statements_drop(&s, a);
    leat_pg_statements_drop(&s, a);
    leat_pg_statement *fresh = leat_pg_statements_hold(&s, "a");
    assert_ptr_not_equal(fresh, a);
    leat_pg_statements_let_go(&s, a);

    assert_false(leat_pg_statements_next_deallocate(&s, sql, sizeof(sql)));
    leat_pg_statements_let_go(&s, fresh);
    leat_pg_statements_close(&s);
}

static void without_room_each_use_is_its_own(void **state)
{
    (void)state;
    leat_pg_statements s;
    char sql[64];
    leat_pg_statements_init(&s, 0);

    leat_pg_statement *a = leat_pg_statements_hold(&s, "a");
    leat_pg_statement *again = leat_pg_statements_hold(&s, "a");
    assert_ptr_not_equal(a, again);
    a->state = LEAT_PG_STATEMENT_PREPARED;
    leat_pg_statements_let_go(&s, a);
    leat_pg_statements_let_go(&s, again);

    assert_true(leat_pg_statements_next_deallocate(&s, sql, sizeof(sql)));
    assert_false(leat_pg_statements_next_deallocate(&s, sql, sizeof(sql)));
    leat_pg_statements_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text_is_one_statement),
        cmocka_unit_test(the_least_recently_used_goes_and_is_deallocated_once_unused),
        cmocka_unit_test(what_never_reached_the_server_is_not_deallocated),
        cmocka_unit_test(without_room_each_use_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
