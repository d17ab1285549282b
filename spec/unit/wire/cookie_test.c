#include "wire/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEW "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define OLD "oooooooooooooooooooooooooooooooo"

static leat_cookie_result verify(leat_slice text, int64_t now, int64_t *expires_at)
{
    leat_slice value;
    leat_cookie_check check = {.secrets = {{NEW, 32}, {OLD, 32}},
                               .n_secrets = 2,
                               .name = leat_slice_of("session"),
                               .now = now};
    leat_cookie_result result = leat_cookie_verify(text, &check, &value, expires_at);
    if (result == LEAT_COOKIE_OK)
        assert_true(leat_slice_is(value, "a.b"));
    return result;
}

/* The signature was made by the openssl program:
 * printf 'leat.cookie.v1\nsession\na.b.1000' | openssl dgst -sha256 -hmac nnn... -binary */
#define SIGNED "a.b.1000.8H0G8xsOvTX2qPUoN2G2rOAlvwK3TKWjL3mrjE3YAMY"

static void signs_in_the_documented_format(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_slice secret = leat_slice_of(NEW);
    assert_int_equal(
        leat_cookie_sign(&out, secret, leat_slice_of("session"), leat_slice_of("a.b"), 1000), 0);
    assert_true(leat_slice_is(leat_buf_view(&out), SIGNED));
    leat_buf_close(&out);
}

static void holds_until_it_expires(void **state)
{
    (void)state;
    int64_t expires_at = 0;
    assert_int_equal(verify(leat_slice_of(SIGNED), 999, &expires_at), LEAT_COOKIE_OK);
    assert_int_equal(expires_at, 1000);
    assert_int_equal(verify(leat_slice_of(SIGNED), 1000, &expires_at), LEAT_COOKIE_EXPIRED);
}

static void takes_no_other_text(void **state)
{
    (void)state;
    int64_t expires_at = 0;
    size_t len = strlen(SIGNED);
    char *text = strdup(SIGNED);
    for (size_t at = 0; at < len; at++) {
        text[at] ^= 1;
        assert_int_not_equal(verify((leat_slice){text, len}, 1, &expires_at), LEAT_COOKIE_OK);
        text[at] ^= 1;
        assert_int_not_equal(verify((leat_slice){text, at}, 1, &expires_at), LEAT_COOKIE_OK);
    }
    free(text);
}

static void refuses_what_a_cookie_cannot_hold(void **state)
{
    (void)state;
    static const char *const values[] = {"",     " ",    "a;b",   "a,b",
                                         "a\"b", "a\\b", "a\x7f", "\xc3\xa4"};
    leat_buf out = LEAT_BUF_INIT;
    leat_slice secret = leat_slice_of(NEW);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        assert_int_equal(
            leat_cookie_sign(&out, secret, leat_slice_of(""), leat_slice_of(values[i]), 0),
            LEAT_EBADMSG);
    assert_int_equal(leat_cookie_sign(&out, secret, leat_slice_of("a\nb"), leat_slice_of("1"), 0),
                     LEAT_EBADMSG);
    assert_int_equal(out.len, 0);
    leat_buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_in_the_documented_format),
        cmocka_unit_test(holds_until_it_expires),
        cmocka_unit_test(takes_no_other_text),
        cmocka_unit_test(refuses_what_a_cookie_cannot_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
