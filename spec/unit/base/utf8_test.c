#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct sample {
    const char *bytes;
    size_t len;
    bool valid;
} sample;

#define SAMPLE(text, valid)                                                                        \
    {                                                                                              \
        text, sizeof(text) - 1, valid                                                              \
    }

static const sample samples[] = {
    SAMPLE("", true),
    SAMPLE("plain", true),
    SAMPLE("a longer run of plain characters", true),
    SAMPLE("a\0b", true),
    SAMPLE("\x7f", true),
    SAMPLE("\xc2\x80", true),         /* U+0080 */
    SAMPLE("\xdf\xbf", true),         /* U+07FF */
    SAMPLE("\xe0\xa0\x80", true),     /* U+0800 */
    SAMPLE("\xed\x9f\xbf", true),     /* U+D7FF */
    SAMPLE("\xee\x80\x80", true),     /* U+E000 */
    SAMPLE("\xef\xbf\xbf", true),     /* U+FFFF */
    SAMPLE("\xf0\x90\x80\x80", true), /* U+10000 */
    SAMPLE("\xf1\x80\x80\x80", true),
    SAMPLE("\xf4\x8f\xbf\xbf", true), /* U+10FFFF */
    SAMPLE("12345678\xe2\x82\xac"
           "1234567890",
           true),
    SAMPLE("\x80", false),
    SAMPLE("\xbf", false),
    SAMPLE("\xc0\x80", false), /* overlong */
    SAMPLE("\xc1\xbf", false),
    SAMPLE("\xe0\x9f\xbf", false),
    SAMPLE("\xf0\x8f\xbf\xbf", false),
    SAMPLE("\xed\xa0\x80", false), /* surrogates */
    SAMPLE("\xed\xbf\xbf", false),
    SAMPLE("\xf4\x90\x80\x80", false), /* above U+10FFFF */
    SAMPLE("\xf5\x80\x80\x80", false),
    SAMPLE("\xff", false),
    SAMPLE("\xfe", false),
    SAMPLE("\xc2", false), /* cut short */
    SAMPLE("\xe2\x82", false),
    SAMPLE("\xf0\x90\x80", false),
    SAMPLE("\xc2"
           "a",
           false),
    SAMPLE("\xe2\x82"
           "a",
           false),
    SAMPLE("\xf0\x90\x80\xc0", false),
    SAMPLE("12345678\x80", false),
    SAMPLE("1234567\xff"
           "12345678",
           false),
};

enum {
    N_SAMPLES = sizeof(samples) / sizeof(samples[0]),
};

static void judges_whole_texts(void **state)
{
    (void)state;

    for (size_t i = 0; i < N_SAMPLES; i++)
        assert_int_equal(leat_utf8_valid(samples[i].bytes, samples[i].len), samples[i].valid);
}

static void judges_the_same_byte_by_byte(void **state)
{
    (void)state;

    for (size_t i = 0; i < N_SAMPLES; i++) {
        leat_utf8 u = LEAT_UTF8_INIT;
        bool ok = true;
        for (size_t k = 0; k < samples[i].len; k++)
            ok = leat_utf8_feed(&u, samples[i].bytes + k, 1);
        assert_int_equal(ok && leat_utf8_complete(&u), samples[i].valid);
    }
}

static void fails_at_the_first_wrong_byte(void **state)
{
    (void)state;
    leat_utf8 u = LEAT_UTF8_INIT;

    assert_true(leat_utf8_feed(&u, "\xf4", 1));
    assert_false(leat_utf8_complete(&u));
    assert_false(leat_utf8_feed(&u, "\x90", 1));
    assert_false(leat_utf8_feed(&u, "a", 1));
    assert_false(leat_utf8_complete(&u));
}

/* Decodes by arithmetic, as an independent opinion. */
static bool decodes(const unsigned char *at, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t n = at[i] < 0x80 ? 1 : at[i] < 0xc0 ? 9 : at[i] < 0xe0 ? 2 : at[i] < 0xf0 ? 3 : 4;
        if (n == 9 || at[i] > 0xf7 || i + n > len)
            return false;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t code = n == 1 ? at[i] : at[i] & (0xffu >> (n + 1));
        for (size_t k = 1; k < n; k++) {
            if ((at[i + k] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (at[i + k] & 0x3fu);
        }
        if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        i += n;
    }
    return true;
}

static void agrees_with_arithmetic_on_all_short_texts(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                          0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    size_t n = sizeof(edges);

    for (size_t i = 0; i < n * n * n * n; i++) {
        unsigned char text[4] = {edges[i % n], edges[i / n % n], edges[i / n / n % n],
                                 edges[i / n / n / n]};
        assert_int_equal(leat_utf8_valid((const char *)text, 4), decodes(text, 4));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_whole_texts),
        cmocka_unit_test(judges_the_same_byte_by_byte),
        cmocka_unit_test(fails_at_the_first_wrong_byte),
        cmocka_unit_test(agrees_with_arithmetic_on_all_short_texts),
    };
    return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
