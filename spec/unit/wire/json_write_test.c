#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/json.h"

static void expect(leat_buf *out, const char *text)
{
    leat_buf_char(out, '\0');
    assert_string_equal(out->at, text);
    out->len = 0;
}

/* Strings are read in words of eight bytes, so the place within a word must make no difference. */
static void writes_a_special_character_at_any_place(void **state)
{
    static const char *const pairs[][2] = {{"\"", "\\\""},
                                           {"\\", "\\\\"},
                                           {"\n", "\\n"},
                                           {"\x1f", "\\u001f"},
                                           {"\x7f", "\x7f"},
                                           {" ", " "},
                                           {"\xc3\xa9", "\xc3\xa9"},
                                           {"\xe6\x97\xa5\n", "\xe6\x97\xa5\\n"}};
    (void)state;
    leat_buf text = LEAT_BUF_INIT, json = LEAT_BUF_INIT, out = LEAT_BUF_INIT;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        for (int before = 0; before < 20; before++)
            for (int after = 0; after < 20; after++) {
                text.len = json.len = out.len = 0;
                leat_buf_printf(&text, "%.*s%s%.*s", before, "aaaaaaaaaaaaaaaaaaaa", pairs[i][0],
                                after, "!!!!!!!!!!!!!!!!!!!!");
                leat_buf_printf(&json, "\"%.*s%s%.*s\"", before, "aaaaaaaaaaaaaaaaaaaa",
                                pairs[i][1], after, "!!!!!!!!!!!!!!!!!!!!");
                leat_buf_char(&json, '\0');
                assert_int_equal(leat_json_write_string(&out, leat_buf_view(&text)), 0);
                leat_buf_char(&out, '\0');
                assert_string_equal(out.at, json.at);
            }
    leat_buf_close(&text);
    leat_buf_close(&json);
    leat_buf_close(&out);
}

static void writes_strings(void **state)
{
    (void)state;
    static const struct {
        leat_slice text;
        const char *json;
    } strings[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"plain", 5}, "\"plain\""},
        {{"\"quoted\" \\ /", 12}, "\"\\\"quoted\\\" \\\\ /\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x01\x0b\x1f", 4}, "\"\\u0000\\u0001\\u000b\\u001f\""},
        {{"\x7f", 1}, "\"\x7f\""},
        {{"\xc2\x80\xe2\x80\xa8\xf0\x9f\x98\x80", 9}, "\"\xc2\x80\xe2\x80\xa8\xf0\x9f\x98\x80\""},
        {{"</script>", 9}, "\"</script>\""},
    };
    leat_buf out = LEAT_BUF_INIT;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        assert_int_equal(leat_json_write_string(&out, strings[i].text), 0);
        expect(&out, strings[i].json);
    }
    leat_buf_close(&out);
}

static void appends_nothing_that_is_not_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {"\xff", "ok\xc3", "\xed\xa0\x80", "\xc0\x80"};
    leat_buf out = LEAT_BUF_INIT;
    leat_buf_text(&out, "[");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(leat_json_write_string(&out, leat_slice_of(texts[i])), LEAT_EBADMSG);
    expect(&out, "[");
    leat_buf_close(&out);
}

static void writes_integers(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_json_write_int(&out, 0);
    expect(&out, "0");
    leat_json_write_int(&out, INT64_MAX);
    expect(&out, "9223372036854775807");
    leat_json_write_int(&out, INT64_MIN);
    expect(&out, "-9223372036854775808");
    leat_buf_close(&out);
}

static void writes_doubles_short_and_exact(void **state)
{
    (void)state;
    static const struct {
        double n;
        const char *json;
    } doubles[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-17.0, "-17.0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3.0, "0.3333333333333333"},
        {100000.0, "100000.0"},
        {9007199254740992.0, "9007199254740992.0"},
        {1e15, "1e+15"},
        {1e22, "1e+22"},
        {1.5e300, "1.5e+300"},
        {123456789.125, "123456789.125"},
        {1e-7, "1e-07"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {1.5e-320, "1.5e-320"},
    };
    leat_buf out = LEAT_BUF_INIT;
    for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        assert_int_equal(leat_json_write_double(&out, doubles[i].n), 0);
        assert_int_equal(leat_json_validate(leat_buf_view(&out), 0), 0);
        expect(&out, doubles[i].json);
    }
    assert_int_equal(leat_json_write_double(&out, NAN), LEAT_EBADMSG);
    assert_int_equal(leat_json_write_double(&out, INFINITY), LEAT_EBADMSG);
    assert_int_equal(leat_json_write_double(&out, -INFINITY), LEAT_EBADMSG);
    assert_int_equal(out.len, 0);
    leat_buf_close(&out);
}

static void doubles_read_back_the_same(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    uint64_t random = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double n;
        memcpy(&n, &random, sizeof(n));
        if (!isfinite(n))
            continue;
        out.len = 0;
        assert_int_equal(leat_json_write_double(&out, n), 0);
        leat_buf_char(&out, '\0');
        assert_true(strtod(out.at, NULL) == n);
        assert_non_null(strpbrk(out.at, ".e"));
    }
    leat_buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_strings),
        cmocka_unit_test(writes_a_special_character_at_any_place),
        cmocka_unit_test(appends_nothing_that_is_not_utf8),
        cmocka_unit_test(writes_integers),
        cmocka_unit_test(writes_doubles_short_and_exact),
        cmocka_unit_test(doubles_read_back_the_same),
    };
    return cmocka_run_group_tests_name("wire/json_write", tests, NULL, NULL);
}
