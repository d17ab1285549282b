#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_holds(const leat_buf *b, const char *text)
{
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->at, text, b->len);
}

static void appends_in_order(void **state)
{
    (void)state;
    leat_buf b = LEAT_BUF_INIT;

    leat_buf_text(&b, "ab");
    leat_buf_char(&b, 'c');
    leat_buf_slice(&b, leat_slice_of("de"));
    leat_buf_append(&b, "fgh", 2);
    leat_buf_append(&b, NULL, 0);

    assert_holds(&b, "abcdefg");
    leat_buf_close(&b);
    assert_int_equal(b.len, 0);
    assert_null(b.at);
}

static void prints_integers_at_their_limits(void **state)
{
    (void)state;
    leat_buf b = LEAT_BUF_INIT;

    leat_buf_int(&b, 0);
    leat_buf_char(&b, ' ');
    leat_buf_int(&b, -7);
    leat_buf_char(&b, ' ');
    leat_buf_int(&b, INT64_MAX);
    leat_buf_char(&b, ' ');
    leat_buf_int(&b, INT64_MIN);

    assert_holds(&b, "0 -7 9223372036854775807 -9223372036854775808");
    leat_buf_close(&b);
}

static void prints_text_longer_than_its_room(void **state)
{
    (void)state;
    leat_buf b = LEAT_BUF_INIT;
    char expected[1001];
    memset(expected, 'x', 1000);
    expected[1000] = '\0';

    leat_buf_printf(&b, "%d:%s", 42, expected);

    assert_int_equal(b.len, 1003);
    assert_memory_equal(b.at, "42:", 3);
    assert_memory_equal(b.at + 3, expected, 1000);
    leat_buf_close(&b);
}

static void prints_text_that_fills_its_room_exactly(void **state)
{
    (void)state;
    for (int len = 60; len <= 70; len++) {
        leat_buf b = LEAT_BUF_INIT;

        leat_buf_printf(&b, "%0*d", len, 5);

        assert_int_equal(b.len, len);
        assert_int_equal(b.at[len - 1], '5');
        leat_buf_close(&b);
    }
}

static void reserves_room_to_write_into(void **state)
{
    (void)state;
    leat_buf b = LEAT_BUF_INIT;
    leat_buf_text(&b, "head");

    char *at = leat_buf_reserve(&b, 100000);
    memset(at, 'y', 100000);
    b.len += 100000;

    assert_memory_equal(b.at, "heady", 5);
    assert_int_equal(b.at[b.len - 1], 'y');
    leat_buf_close(&b);
}

static void consumes_from_the_front(void **state)
{
    (void)state;
    leat_buf b = LEAT_BUF_INIT;
    leat_buf_text(&b, "abcdef");

    leat_buf_consume(&b, 0);
    leat_buf_consume(&b, 2);

    assert_holds(&b, "cdef");
    leat_buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    leat_buf_close(&b);
}

static void detaches_terminated_bytes(void **state)
{
    (void)state;
    leat_buf b = LEAT_BUF_INIT;
    leat_buf_text(&b, "abc");
    size_t len = 0;

    char *owned = leat_buf_detach(&b, &len);
    char *empty = leat_buf_detach(&b, NULL);

    assert_string_equal(owned, "abc");
    assert_int_equal(len, 3);
    assert_string_equal(empty, "");
    assert_null(b.at);
    free(owned);
    free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_in_order),
        cmocka_unit_test(prints_integers_at_their_limits),
        cmocka_unit_test(prints_text_longer_than_its_room),
        cmocka_unit_test(prints_text_that_fills_its_room_exactly),
        cmocka_unit_test(reserves_room_to_write_into),
        cmocka_unit_test(consumes_from_the_front),
        cmocka_unit_test(detaches_terminated_bytes),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
