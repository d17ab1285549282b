#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* Texts of RFC 8259's grammar, with what the reader makes of them: the tokens without white space,
 * n: before numbers, s: before strings, k: before keys, ; after each. */
static const struct {
    leat_slice text;
    const char *tokens;
} valid[] = {
    {TEXT("null"), "null;"},
    {TEXT(" true\r\n"), "true;"},
    {TEXT("\tfalse "), "false;"},
    {TEXT("0"), "n:0;"},
    {TEXT("-0"), "n:-0;"},
    {TEXT("-0.0e-0"), "n:-0.0e-0;"},
    {TEXT("10"), "n:10;"},
    {TEXT("9007199254740993"), "n:9007199254740993;"},
    {TEXT("123456789012345678901234567890"), "n:123456789012345678901234567890;"},
    {TEXT("1.25"), "n:1.25;"},
    {TEXT("1E5"), "n:1E5;"},
    {TEXT("1e+5"), "n:1e+5;"},
    {TEXT("1.5e-05"), "n:1.5e-05;"},
    {TEXT("\"\""), "s:;"},
    {TEXT("\"plain\""), "s:plain;"},
    {TEXT("\"a longer plain text without any escape at all\""),
     "s:a longer plain text without any escape at all;"},
    {TEXT("\"\x7f\""), "s:\x7f;"},
    {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "s:\"\\/\b\f\n\r\t;"},
    {TEXT("\"12345678\\n12345678\""), "s:12345678\n12345678;"},
    {TEXT("\"\\u0041\\u00e9\\u20aC\\uFFFF\""), "s:A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf;"},
    {TEXT("\"\\u007f\\u0080\\u07ff\\u0800\""), "s:\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80;"},
    {TEXT("\"\\ud834\\udd1e\""), "s:\xf0\x9d\x84\x9e;"},
    {TEXT("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), "s:\xf0\x90\x80\x80\xf4\x8f\xbf\xbf;"},
    {TEXT("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""), "s:\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;"},
    {TEXT("\"1234567\xc3\xa9\\n\xe2\x82\xac\""), "s:1234567\xc3\xa9\n\xe2\x82\xac;"},
    {TEXT("\"\xe2\x80\xa8\""), "s:\xe2\x80\xa8;"}, /* U+2028 needs no escape */
    {TEXT("[]"), "[;];"},
    {TEXT(" [ ] "), "[;];"},
    {TEXT("{}"), "{;};"},
    {TEXT("{ }"), "{;};"},
    {TEXT("[1,2 , 3]"), "[;n:1;n:2;n:3;];"},
    {TEXT("[[],{},[[]]]"), "[;[;];{;};[;[;];];];"},
    {TEXT("{\"a\":1}"), "{;k:a;n:1;};"},
    {TEXT("{\"a\" : [true , null] , \"b\":{\"c\":\"d\"}}"),
     "{;k:a;[;true;null;];k:b;{;k:c;s:d;};};"},
    {TEXT("{\"\\u0061\":1,\"a\":2,\"\":3}"), "{;k:a;n:1;k:a;n:2;k:;n:3;};"},
};

static const struct {
    leat_slice text;
    size_t offset;
    const char *reason;
} invalid[] = {
    {TEXT(""), 0, "expected a value"},
    {TEXT("  "), 2, "expected a value"},
    {TEXT("nul"), 0, "expected a value"},
    {TEXT("nulL"), 0, "expected a value"},
    {TEXT("True"), 0, "expected a value"},
    {TEXT("NaN"), 0, "expected a value"},
    {TEXT("Infinity"), 0, "expected a value"},
    {TEXT("-Infinity"), 1, "malformed number"},
    {TEXT("'a'"), 0, "expected a value"},
    {TEXT("\xef\xbb\xbf{}"), 0, "expected a value"}, /* a byte order mark */
    {TEXT("\0"), 0, "expected a value"},
    {TEXT("null null"), 5, "more text after the value"},
    {TEXT("1,"), 1, "more text after the value"},
    {TEXT("{}\0"), 2, "more text after the value"},
    {TEXT("[1]]"), 3, "more text after the value"},
    {TEXT("/* c */1"), 0, "expected a value"},
    {TEXT("1 // c"), 2, "more text after the value"},
    {TEXT("\v1"), 0, "expected a value"},
    {TEXT("\xc2\xa0"
          "1"),
     0, "expected a value"},
    {TEXT("01"), 1, "a number must not begin with 0"},
    {TEXT("-01"), 2, "a number must not begin with 0"},
    {TEXT("00"), 1, "a number must not begin with 0"},
    {TEXT("0x1f"), 1, "more text after the value"},
    {TEXT("+1"), 0, "expected a value"},
    {TEXT(".5"), 0, "expected a value"},
    {TEXT("-"), 1, "malformed number"},
    {TEXT("-.5"), 1, "malformed number"},
    {TEXT("1."), 2, "malformed number"},
    {TEXT("1.e5"), 2, "malformed number"},
    {TEXT("1e"), 2, "malformed number"},
    {TEXT("1e+"), 3, "malformed number"},
    {TEXT("1e5.5"), 3, "more text after the value"},
    {TEXT("1_000"), 1, "more text after the value"},
    {TEXT("\""), 1, "unterminated string"},
    {TEXT("\"abc"), 4, "unterminated string"},
    {TEXT("\"abc\\\""), 6, "unterminated string"},
    {TEXT("\"abc\\"), 5, "unterminated string"},
    {TEXT("\"a\nb\""), 2, "control character in a string"},
    {TEXT("\"a\0b\""), 2, "control character in a string"},
    {TEXT("\"12345678\x1f\""), 9, "control character in a string"},
    {TEXT("\"\\a\""), 1, "unknown escape in a string"},
    {TEXT("\"\\'\""), 1, "unknown escape in a string"},
    {TEXT("\"\\U0041\""), 1, "unknown escape in a string"},
    {TEXT("\"\\u\""), 1, "malformed \\u escape"},
    {TEXT("\"\\u004\""), 1, "malformed \\u escape"},
    {TEXT("\"\\u00g0\""), 1, "malformed \\u escape"},
    {TEXT("\"\\u004"), 1, "malformed \\u escape"},
    {TEXT("\"\\ud834\""), 1, "lone surrogate in a \\u escape"},
    {TEXT("\"\\ud834x\""), 1, "lone surrogate in a \\u escape"},
    {TEXT("\"\\ud834\\n\""), 1, "lone surrogate in a \\u escape"},
    {TEXT("\"\\ud834\\u0041\""), 1, "lone surrogate in a \\u escape"},
    {TEXT("\"\\ud834\\ud834\""), 1, "lone surrogate in a \\u escape"},
    {TEXT("\"\\ud834\\udd1\""), 1, "lone surrogate in a \\u escape"},
    {TEXT("\"\\udd1e\""), 1, "lone surrogate in a \\u escape"},
    {TEXT("\"\xff\""), 1, "invalid UTF-8"},
    {TEXT("\"ab\xc3\""), 3, "invalid UTF-8"},
    {TEXT("\"\xed\xa0\x80\""), 1, "invalid UTF-8"},
    {TEXT("\"\xc0\xaf\""), 1, "invalid UTF-8"},
    {TEXT("\"\xf4\x90\x80\x80\""), 1, "invalid UTF-8"},
    {TEXT("["), 1, "expected a value"},
    {TEXT("[1"), 2, "expected ',' or ']'"},
    {TEXT("[1,"), 3, "expected a value"},
    {TEXT("[1,]"), 3, "expected a value"},
    {TEXT("[,1]"), 1, "expected a value"},
    {TEXT("[1 2]"), 3, "expected ',' or ']'"},
    {TEXT("[1}"), 2, "expected ',' or ']'"},
    {TEXT("[01]"), 2, "a number must not begin with 0"},
    {TEXT("]"), 0, "expected a value"},
    {TEXT("{"), 1, "expected a member name in quotes"},
    {TEXT("{a:1}"), 1, "expected a member name in quotes"},
    {TEXT("{1:1}"), 1, "expected a member name in quotes"},
    {TEXT("{\"a\"}"), 4, "expected ':'"},
    {TEXT("{\"a\" 1}"), 5, "expected ':'"},
    {TEXT("{\"a\":}"), 5, "expected a value"},
    {TEXT("{\"a\":1"), 6, "expected ',' or '}'"},
    {TEXT("{\"a\":1]"), 6, "expected ',' or '}'"},
    {TEXT("{\"a\":1,}"), 7, "expected a member name in quotes"},
    {TEXT("{,}"), 1, "expected a member name in quotes"},
    {TEXT("{\"a\":1 \"b\":2}"), 7, "expected ',' or '}'"},
    {TEXT("{\"\\x\":1}"), 2, "unknown escape in a string"},
};

static void append_token(leat_buf *out, leat_json_token token, leat_slice text)
{
    static const char *const names[] = {
        [LEAT_JSON_END] = "",          [LEAT_JSON_NULL] = "null",      [LEAT_JSON_TRUE] = "true",
        [LEAT_JSON_FALSE] = "false",   [LEAT_JSON_NUMBER] = "n:",      [LEAT_JSON_STRING] = "s:",
        [LEAT_JSON_KEY] = "k:",        [LEAT_JSON_OBJECT_BEGIN] = "{", [LEAT_JSON_OBJECT_END] = "}",
        [LEAT_JSON_ARRAY_BEGIN] = "[", [LEAT_JSON_ARRAY_END] = "]",
    };
    leat_buf_text(out, names[token]);
    if (token == LEAT_JSON_NUMBER || token == LEAT_JSON_STRING || token == LEAT_JSON_KEY)
        leat_buf_slice(out, text);
    if (token != LEAT_JSON_END)
        leat_buf_char(out, ';');
}

/* Reads all tokens of a text that lies alone in its block, so that reading past it is seen. */
static int read_all(leat_slice text, leat_buf *tokens, leat_json_reader *r, size_t *offset)
{
    char *copy = malloc(text.len + (text.len == 0));
    memcpy(copy, text.at, text.len);
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader_init(r, (leat_slice){copy, text.len}, &scratch, LEAT_JSON_MAX_DEPTH);
    leat_json_token token = LEAT_JSON_NULL;
    int err = 0;
    while (err == 0 && token != LEAT_JSON_END) {
        err = leat_json_next(r, &token);
        if (err == 0)
            append_token(tokens, token, r->text);
    }
    if (err < 0) /* an error is final */
        assert_int_equal(leat_json_next(r, &token), LEAT_EBADMSG);
    else
        assert_int_equal(leat_json_next(r, &token), 0);
    *offset = leat_json_offset(r);
    leat_buf_close(&scratch);
    free(copy);
    return err;
}

static void reads_what_is_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        leat_buf tokens = LEAT_BUF_INIT;
        leat_json_reader r;
        size_t offset = 0;

        int err = read_all(valid[i].text, &tokens, &r, &offset);

        leat_buf_char(&tokens, '\0');
        if (err != 0)
            fail_msg("%s: %s", valid[i].text.at, r.reason);
        assert_string_equal(tokens.at, valid[i].tokens);
        leat_buf_close(&tokens);
        assert_int_equal(leat_json_validate(valid[i].text, LEAT_JSON_MAX_DEPTH), 0);
    }
}

static void refuses_what_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        leat_buf tokens = LEAT_BUF_INIT;
        leat_json_reader r;
        size_t offset = 0;

        int err = read_all(invalid[i].text, &tokens, &r, &offset);

        leat_buf_close(&tokens);
        if (err != LEAT_EBADMSG || offset != invalid[i].offset ||
            strcmp(r.reason, invalid[i].reason) != 0)
            fail_msg("%s: error %d at %zu, %s", invalid[i].text.at, err, offset,
                     err < 0 ? r.reason : "none");
        assert_int_equal(leat_json_validate(invalid[i].text, LEAT_JSON_MAX_DEPTH), LEAT_EBADMSG);
    }
}

/* A structure cut off anywhere is no JSON. */
static void refuses_every_beginning_of_a_text(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\\n\\ud834\\udd1e\":[1,-2.5e+3,\"\xe2\x82\xac\",{\"b\":null}],\"c\":[true,false,[]]}";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        leat_buf tokens = LEAT_BUF_INIT;
        leat_json_reader r;
        size_t offset = 0;

        int err = read_all((leat_slice){text, len}, &tokens, &r, &offset);

        assert_int_equal(err, LEAT_EBADMSG);
        assert_true(offset <= len);
        leat_buf_close(&tokens);
    }
    assert_int_equal(leat_json_validate((leat_slice){text, sizeof(text) - 1}, 4), 0);
}

static void limits_the_depth(void **state)
{
    (void)state;
    char text[2 * LEAT_JSON_MAX_DEPTH + 2];
    memset(text, '[', LEAT_JSON_MAX_DEPTH + 1);
    memset(text + LEAT_JSON_MAX_DEPTH + 1, ']', LEAT_JSON_MAX_DEPTH + 1);
    leat_slice deepest = {text + 1, 2 * LEAT_JSON_MAX_DEPTH};
    leat_slice too_deep = {text, 2 * LEAT_JSON_MAX_DEPTH + 2};

    assert_int_equal(leat_json_validate(deepest, LEAT_JSON_MAX_DEPTH), 0);
    assert_int_equal(leat_json_validate(too_deep, LEAT_JSON_MAX_DEPTH), LEAT_EBADMSG);
    assert_int_equal(leat_json_validate(leat_slice_of("1"), 0), 0);
    assert_int_equal(leat_json_validate(leat_slice_of("[]"), 0), LEAT_EBADMSG);
    assert_int_equal(leat_json_validate(leat_slice_of("{\"a\":[{}]}"), 3), 0);
    assert_int_equal(leat_json_validate(leat_slice_of("{\"a\":[{}]}"), 2), LEAT_EBADMSG);
}

/* Objects and arrays close as what they were opened, at every depth of the bit set. */
static void remembers_what_is_open(void **state)
{
    (void)state;
    leat_buf text = LEAT_BUF_INIT;
    for (int i = 0; i < 64; i++)
        leat_buf_text(&text, i % 3 == 0 ? "[[" : "[{\"\":");
    leat_buf_char(&text, '0');
    for (int i = 63; i >= 0; i--)
        leat_buf_text(&text, i % 3 == 0 ? "]]" : "}]");
    assert_int_equal(leat_json_validate(leat_buf_view(&text), 128), 0);
    for (size_t i = text.len - 128; i < text.len; i++) {
        char c = text.at[i];
        text.at[i] = c == ']' ? '}' : ']';
        assert_int_equal(leat_json_validate(leat_buf_view(&text), 128), LEAT_EBADMSG);
        text.at[i] = c;
    }
    leat_buf_close(&text);
}

static void plain_strings_are_not_copied(void **state)
{
    (void)state;
    static const char text[] = "[\"plain \xe2\x82\xac\", \"with \\n\"]";
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token;
    leat_json_reader_init(&r, leat_slice_of(text), &scratch, 1);
    assert_int_equal(leat_json_next(&r, &token), 0);

    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_ptr_equal(r.text.at, text + 2);
    assert_ptr_equal(scratch.at, NULL);

    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_ptr_equal(r.text.at, scratch.at);
    assert_true(leat_slice_is(r.text, "with \n"));
    leat_buf_close(&scratch);
}

static void a_nul_may_be_escaped(void **state)
{
    (void)state;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token;
    leat_json_reader_init(&r, leat_slice_of("\"a\\u0000b\""), &scratch, 1);

    assert_int_equal(leat_json_next(&r, &token), 0);

    assert_int_equal(r.text.len, 3);
    assert_memory_equal(r.text.at, "a\0b", 3);
    leat_buf_close(&scratch);
}

static void expect_skip(leat_json_reader *r, const char *raw)
{
    leat_slice found;
    assert_int_equal(leat_json_skip(r, &found), 0);
    if (!leat_slice_is(found, raw))
        fail_msg("%.*s instead of %s", (int)found.len, found.at, raw);
}

static void skips_values_as_written(void **state)
{
    (void)state;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token;
    leat_json_reader_init(
        &r, leat_slice_of("{\"a\" : [ 1, {\"b\":[]} ] ,\"c\": \"x\\n\" , \"d\":[-1.50, {} ,[ ]]}"),
        &scratch, 4);
    assert_int_equal(leat_json_next(&r, &token), 0);

    assert_int_equal(leat_json_next(&r, &token), 0);
    expect_skip(&r, "[ 1, {\"b\":[]} ]");
    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_true(leat_slice_is(r.text, "c"));
    expect_skip(&r, "\"x\\n\"");
    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_int_equal(token, LEAT_JSON_ARRAY_BEGIN);
    expect_skip(&r, "-1.50");
    expect_skip(&r, "{}");
    expect_skip(&r, "[ ]");
    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_int_equal(token, LEAT_JSON_ARRAY_END);
    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_int_equal(token, LEAT_JSON_OBJECT_END);
    assert_int_equal(leat_json_next(&r, &token), 0);
    assert_int_equal(token, LEAT_JSON_END);
    leat_buf_close(&scratch);
}

static void skips_only_values(void **state)
{
    (void)state;
    static const char *const texts[] = {"]", "[]", "{\"a\":1}", "[1"};
    for (size_t i = 0; i < 4; i++) {
        leat_json_reader r;
        leat_json_token token;
        leat_slice raw = {NULL, 0};
        leat_json_reader_init(&r, leat_slice_of(texts[i]), NULL, 2);
        if (texts[i][1] != '\0')
            assert_int_equal(leat_json_next(&r, &token), 0);
        if (i == 3)
            assert_int_equal(leat_json_skip(&r, &raw), 0);

        assert_int_equal(leat_json_skip(&r, &raw), LEAT_EBADMSG);
        assert_int_equal(leat_json_skip(&r, &raw), LEAT_EBADMSG);
    }
}

/* Reads all of the text, with room for so many values. */
static int read_within(const char *text, size_t values)
{
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_NULL;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader_init(&r, leat_slice_of(text), &scratch, 2);
    r.values_left = values;
    int err = 0;
    do
        err = leat_json_next(&r, &token);
    while (err == 0 && token != LEAT_JSON_END);
    leat_buf_close(&scratch);
    return err;
}

static void counts_values_and_digits_that_are_not_written(void **state)
{
    (void)state;
    assert_int_equal(read_within("[1,2]", 3), 0);
    assert_int_equal(read_within("[1,2]", 2), LEAT_ETOOLARGE);
    assert_int_equal(read_within("1e31", 1), 0);
    assert_int_equal(read_within("1e32", 1), LEAT_ETOOLARGE);
    assert_int_equal(read_within("1.5E-0032", 1), LEAT_ETOOLARGE);
    assert_int_equal(read_within("1e+320", 11), 0);
    assert_int_equal(read_within("[1e320,-0.1e-320]", 23), 0);
    assert_int_equal(read_within("[1e320,-0.1e-320]", 22), LEAT_ETOOLARGE);
    assert_int_equal(read_within("1e131000", 4094), 0);
    assert_int_equal(read_within("1e131000", 4093), LEAT_ETOOLARGE);
    assert_int_equal(read_within("1e99999999999999999999999999999999999", 100000), LEAT_ETOOLARGE);
    assert_int_equal(read_within("[1e99999999999999999999,1e-99999999999999999999]", SIZE_MAX), 0);
}

static void tells_exact_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } numbers[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"-7", true, -7},
        {"9007199254740993", true, 9007199254740993},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"99999999999999999999999", false, 0},
        {"-0", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"1E3", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"01", false, 0},
        {"+1", false, 0},
        {"1 ", false, 0},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t value = 42;
        assert_int_equal(leat_json_int(leat_slice_of(numbers[i].text), &value), numbers[i].ok);
        assert_true(value == (numbers[i].ok ? numbers[i].value : 42));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_valid),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(refuses_every_beginning_of_a_text),
        cmocka_unit_test(limits_the_depth),
        cmocka_unit_test(counts_values_and_digits_that_are_not_written),
        cmocka_unit_test(remembers_what_is_open),
        cmocka_unit_test(plain_strings_are_not_copied),
        cmocka_unit_test(a_nul_may_be_escaped),
        cmocka_unit_test(skips_values_as_written),
        cmocka_unit_test(skips_only_values),
        cmocka_unit_test(tells_exact_integers),
    };
    return cmocka_run_group_tests_name("wire/json_read", tests, NULL, NULL);
}
