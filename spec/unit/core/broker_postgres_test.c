/* broker_postgres_test.c - what a notification's payload may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/broker_postgres.h"

static void test_reads_an_event_with_data(void **state)
{
    (void)state;
    leat_announcement a;
    assert_int_equal(
        0, leat_broker_postgres_parse(&a, leat_slice_of("e\nx1\n17\nchat:42\n{\"a\":\"b\"}")));
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
    assert_int_equal(0,
                     leat_broker_postgres_parse(&a, leat_slice_of("E\nx1\n9007199254740991\nt\n")));
    assert_int_equal(LEAT_ANNOUNCE_EVENT, a.kind);
    assert_null(a.data.at);
    assert_int_equal(0, leat_broker_postgres_parse(&a, leat_slice_of("r\nx1\n2\nt\nnull")));
    assert_int_equal(LEAT_ANNOUNCE_REVOKE, a.kind);
    assert_int_equal(0, leat_broker_postgres_parse(&a, leat_slice_of("s\n\n0\nt\n1")));
    assert_int_equal(LEAT_ANNOUNCE_SIGNAL, a.kind);
    assert_int_equal(0, leat_broker_postgres_parse(&a, leat_slice_of("y\na\n9\nt\nnull")));
    assert_int_equal(LEAT_ANNOUNCE_RESYNC, a.kind);
}

static void test_refuses_what_is_not_of_the_form(void **state)
{
    static const char *const bad[] = {
        "",
        "e",
        "e\nx1\n17\nchat:42", /* no data field */
        "x\nx1\n17\nt\n1",    /* no such kind */
        "ee\nx1\n17\nt\n1",
        "e\nx1\n0\nt\n1", /* an event is stored, and has a number */
        "e\nx1\n-1\nt\n1",
        "e\nx1\n1x\nt\n1",
        "e\nx1\n9007199254740992\nt\n1", /* 2^53 */
        "e\nx1\n99999999999999999999\nt\n1",
        "e\nx1\n1\n\n1",      /* no topic */
        "e\nx1\n1\nt\x01\n1", /* a control character in it */
        "e\nx1\n1\nt\xff\n1", /* not UTF-8 */
        "e\nx1\n1\nt\n",      /* an event with data has data */
        "s\n\n3\nt\n1",       /* a signal has no number */
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
