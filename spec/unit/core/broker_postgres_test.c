/* broker_postgres_test.c - what a notification's payload may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/broker_postgres.h"

#define MAC "0123456789abcdef0123456789abcdef"

static void test_reads_an_event_with_data(void **state)
{
    (void)state;
    leat_announcement a;
    assert_int_equal(
        0, leat_broker_postgres_parse(
               &a, leat_slice_of(MAC "\ne\nx1\n17\n1700000000000000\nchat:42\n{\"a\":\"b\"}")));
    assert_int_equal(LEAT_ANNOUNCE_EVENT, a.kind);
    assert_true(leat_slice_is(a.epoch, "x1"));
    assert_int_equal(17, a.seq);
    assert_true(leat_slice_is(a.topic, "chat:42"));
    assert_true(leat_slice_is(a.data, "{\"a\":\"b\"}"));
}

static void test_reads_the_other_kinds(void **state)
{
    (void)state;
    leat_announcement a;
    assert_int_equal(
        0, leat_broker_postgres_parse(&a, leat_slice_of(MAC "\nE\nx1\n9007199254740991\n1\nt\n")));
    assert_int_equal(LEAT_ANNOUNCE_EVENT, a.kind);
    assert_null(a.data.at);
    assert_int_equal(0,
                     leat_broker_postgres_parse(&a, leat_slice_of(MAC "\nr\nx1\n2\n1\nt\nnull")));
    assert_int_equal(LEAT_ANNOUNCE_REVOKE, a.kind);
    assert_int_equal(0, leat_broker_postgres_parse(&a, leat_slice_of(MAC "\ns\n\n0\n0\nt\n1")));
    assert_int_equal(LEAT_ANNOUNCE_SIGNAL, a.kind);
    assert_int_equal(0, leat_broker_postgres_parse(&a, leat_slice_of(MAC "\ny\na\n9\n1\nt\nnull")));
    assert_int_equal(LEAT_ANNOUNCE_RESYNC, a.kind);
    assert_int_equal(0, leat_broker_postgres_parse(&a, leat_slice_of(MAC "\nh\na\n0\n0\n\n")));
    assert_int_equal(LEAT_ANNOUNCE_HISTORY, a.kind);
}

static void test_refuses_what_is_not_of_the_form(void **state)
{
    static const char *const bad[] = {
        "",
        "e",
        MAC "\ne\nx1\n17\n1\nchat:42", /* no data field */
        "e\nx1\n17\n1\nchat:42\n1",    /* no signature */
        MAC "\nx\nx1\n17\n1\nt\n1",    /* no such kind */
        MAC "\nee\nx1\n17\n1\nt\n1",
        MAC "\ne\nx1\n0\n1\nt\n1", /* an event is stored, and has a number */
        MAC "\ne\nx1\n-1\n1\nt\n1",
        MAC "\ne\nx1\n1x\n1\nt\n1",
        MAC "\ne\nx1\n9007199254740992\n1\nt\n1", /* 2^53 */
        MAC "\ne\nx1\n99999999999999999999\n1\nt\n1",
        MAC "\ne\nx1\n1\nyesterday\nt\n1",
        MAC "\ne\nx1\n1\n1\n\n1",      /* no topic */
        MAC "\ne\nx1\n1\n1\nt\x01\n1", /* a control character in it */
        MAC "\ne\nx1\n1\n1\nt\xff\n1", /* not UTF-8 */
        MAC "\ne\nx1\n1\n1\nt\n",      /* an event with data has data */
        MAC "\ns\n\n3\n0\nt\n1",       /* a signal has no number */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        leat_announcement a;
        assert_int_equal(LEAT_EBADMSG, leat_broker_postgres_parse(&a, leat_slice_of(bad[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_an_event_with_data),
        cmocka_unit_test(test_reads_the_other_kinds),
        cmocka_unit_test(test_refuses_what_is_not_of_the_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
