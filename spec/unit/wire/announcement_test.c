/* What a notification's payload may say, and whose word it is. The MACs were computed with Python's
 * hmac module, under the key 00 01 02 ... 1f. */
#include "wire/announcement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC "0123456789abcdef0123456789abcdef\n"
#define SEALED                                                                                     \
    "47535fc32b176e9f8e7cd2bfd124b579\n"                                                           \
    "e\n0badcafe-x1\n17\n1700000000000001\nchat:42\n{\"a\":\"b\"}"

enum { SENDER = 4711 };

static leat_announcement parsed(const char *payload)
{
    leat_announcement a;
    assert_int_equal(0, leat_announcement_parse(&a, leat_slice_of(payload)));
    return a;
}

static void test_reads_an_event_with_data(void **state)
{
    (void)state;
    leat_announcement a =
        parsed(MAC "e\n0badcafe-x1\n17\n1700000000000001\nchat:42\n{\"a\":\n\"b\"}");
    assert_int_equal(LEAT_ANNOUNCE_EVENT, a.kind);
    assert_true(leat_slice_is(a.epoch, "0badcafe-x1"));
    assert_int_equal(17, a.seq);
    assert_int_equal(1700000000000001, a.at);
    assert_true(leat_slice_is(a.topic, "chat:42"));
    assert_true(leat_slice_is(a.data, "{\"a\":\n\"b\"}"));
}

static void test_reads_the_other_kinds(void **state)
{
    (void)state;
    leat_announcement a = parsed(MAC "E\nx1\n9007199254740991\n1\nt\n");
    assert_int_equal(LEAT_ANNOUNCE_EVENT, a.kind);
    assert_null(a.data.at);
    assert_int_equal(LEAT_ANNOUNCE_REVOKE, parsed(MAC "r\nx1\n2\n1\nt\nnull").kind);
    assert_int_equal(LEAT_ANNOUNCE_SIGNAL, parsed(MAC "s\n\n0\n0\nt\n1").kind);
    assert_null(parsed(MAC "s\n\n0\n0\nt\n1").key.at);
    assert_int_equal(LEAT_ANNOUNCE_RESYNC, parsed(MAC "y\na\n9\n1\nt\nnull").kind);
    assert_int_equal(LEAT_ANNOUNCE_HISTORY, parsed(MAC "h\n0badcafe\n0\n0\n\n").kind);
}

static void test_reads_a_conflating_signal(void **state)
{
    (void)state;
    leat_announcement a = parsed(MAC "c\ncursor:7\n0\n0\nt\n1");
    assert_int_equal(LEAT_ANNOUNCE_CONFLATING, a.kind);
    assert_true(leat_slice_is(a.key, "cursor:7"));
    assert_int_equal(0, a.epoch.len);
    a = parsed(MAC "c\n\n0\n0\nt\n1");
    assert_true(a.key.at != NULL && a.key.len == 0);
}

static void test_refuses_what_is_not_of_the_form(void **state)
{
    static const char *const bad[] = {
        "",
        "e",
        "e\nx1\n17\nchat:42\n1",                               /* no MAC */
        "0123456789abcdef0123456789abcde\ne\nx1\n1\n1\nt\n1",  /* a short one */
        "0123456789ABCDEF0123456789abcdef\ne\nx1\n1\n1\nt\n1", /* upper case */
        MAC "e\nx1\n17\n1\nchat:42",                           /* no data field */
        MAC "x\nx1\n17\n1\nt\n1",                              /* no such kind */
        MAC "ee\nx1\n17\n1\nt\n1",
        MAC "\nx1\n17\n1\nt\n1",
        MAC "e\nx1\n0\n1\nt\n1", /* an event is stored, and has a number */
        MAC "e\nx1\n-1\n1\nt\n1",
        MAC "e\nx1\n1x\n1\nt\n1",
        MAC "e\nx1\n1\n-1\nt\n1",
        MAC "e\nx1\n1\n\nt\n1",
        MAC "e\nx1\n9007199254740992\n1\nt\n1", /* 2^53 */
        MAC "e\nx1\n99999999999999999999\n1\nt\n1",
        MAC "e\nx1\n1\n1\n\n1",      /* no topic */
        MAC "e\nx1\n1\n1\nt\x01\n1", /* a control character in it */
        MAC "e\nx1\n1\n1\nt\xff\n1", /* not UTF-8 */
        MAC "e\nx1\n1\n1\nt\n",      /* an event with data has data */
        MAC "E\nx1\n1\n1\nt\n1",     /* one without has none */
        MAC "s\n\n3\n0\nt\n1",       /* a signal has no number */
        MAC "c\nk\n3\n0\nt\n1",      /* nor has a conflating one */
        MAC "c\nk\n0\n0\nt\n",
        MAC "h\n\n0\n0\nt\n", /* a change of history names no topic */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        leat_announcement a;
        assert_int_equal(LEAT_EBADMSG, leat_announcement_parse(&a, leat_slice_of(bad[i])));
    }
}

static leat_announcement_seal *seal(void)
{
    char key[LEAT_ANNOUNCEMENT_KEY_LEN];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (char)i;
    leat_announcement_seal *s = leat_announcement_seal_new();
    assert_int_equal(1, leat_announcement_seal_key(s, (leat_slice){key, sizeof(key)}));
    return s;
}

static void test_knows_its_own_seal_again_and_again(void **state)
{
    (void)state;
    leat_announcement_seal *s = seal();
    for (int i = 0; i < 3; i++) {
        assert_true(leat_announcement_is_sealed(s, leat_slice_of(SEALED), SENDER));
        assert_true(leat_announcement_is_sealed(
            s, leat_slice_of("f60f3b491e851190a1ffd208d2184140\nh\n\n0\n0\n\n"), 1));
    }
    leat_announcement_seal_free(s);
}

static void test_refuses_another_sender(void **state)
{
    (void)state;
    leat_announcement_seal *s = seal();
    assert_false(leat_announcement_is_sealed(s, leat_slice_of(SEALED), SENDER + 1));
    assert_false(leat_announcement_is_sealed(s, leat_slice_of(SEALED), 471));
    assert_true(leat_announcement_is_sealed(s, leat_slice_of(SEALED), SENDER));
    leat_announcement_seal_free(s);
}

static void test_refuses_every_change_of_one_byte(void **state)
{
    (void)state;
    leat_announcement_seal *s = seal();
    char text[] = SEALED;
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        text[i] ^= 1;
        bool separator = i == LEAT_ANNOUNCEMENT_MAC_LEN; /* parsing has seen to that one */
        assert_int_equal(separator, leat_announcement_is_sealed(s, leat_slice_of(text), SENDER));
        text[i] ^= 1;
    }
    for (size_t len = 0; len + 1 < sizeof(text); len++)
        assert_false(leat_announcement_is_sealed(s, (leat_slice){text, len}, SENDER));
    leat_announcement_seal_free(s);
}

static void test_believes_nobody_without_a_key_or_with_another(void **state)
{
    (void)state;
    char other[LEAT_ANNOUNCEMENT_KEY_LEN] = {1};
    leat_announcement_seal *s = leat_announcement_seal_new();
    assert_false(leat_announcement_is_sealed(s, leat_slice_of(SEALED), SENDER));
    assert_int_equal(LEAT_EBADMSG, leat_announcement_seal_key(s, (leat_slice){other, 31}));
    assert_false(leat_announcement_is_sealed(s, leat_slice_of(SEALED), SENDER));
    assert_int_equal(1, leat_announcement_seal_key(s, (leat_slice){other, sizeof(other)}));
    assert_int_equal(0, leat_announcement_seal_key(s, (leat_slice){other, sizeof(other)}));
    assert_false(leat_announcement_is_sealed(s, leat_slice_of(SEALED), SENDER));
    leat_announcement_seal_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_an_event_with_data),
        cmocka_unit_test(test_reads_the_other_kinds),
        cmocka_unit_test(test_reads_a_conflating_signal),
        cmocka_unit_test(test_refuses_what_is_not_of_the_form),
        cmocka_unit_test(test_knows_its_own_seal_again_and_again),
        cmocka_unit_test(test_refuses_another_sender),
        cmocka_unit_test(test_refuses_every_change_of_one_byte),
        cmocka_unit_test(test_believes_nobody_without_a_key_or_with_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
