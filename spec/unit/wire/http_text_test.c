#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/http.h"

#define SLICE(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const leat_http_header headers[] = {
    {SLICE("host"), SLICE("a")},
    {SLICE("connection"), SLICE("keep-alive , Upgrade")},
    {SLICE("accept"), SLICE("text/html, ,text/event-stream;q=1")},
    {SLICE("connection"), SLICE("x")},
    {SLICE("empty"), SLICE("")},
};

static const leat_http_request request = {.headers = headers, .n_headers = 5};

static void finds_headers(void **state)
{
    (void)state;
    assert_true(leat_slice_is(leat_http_find(&request, "host"), "a"));
    assert_true(leat_slice_is(leat_http_find(&request, "connection"), "keep-alive , Upgrade"));
    assert_non_null(leat_http_find(&request, "empty").at);
    assert_int_equal(leat_http_find(&request, "empty").len, 0);
    assert_null(leat_http_find(&request, "cookie").at);
    assert_int_equal(leat_http_count(&request, "connection"), 2);
    assert_int_equal(leat_http_count(&request, "cookie"), 0);
}

static void finds_tokens_over_all_lines(void **state)
{
    (void)state;
    assert_true(leat_http_has_token(&request, "connection", "upgrade"));
    assert_true(leat_http_has_token(&request, "connection", "Keep-Alive"));
    assert_true(leat_http_has_token(&request, "connection", "X"));
    assert_false(leat_http_has_token(&request, "connection", "up"));
    assert_false(leat_http_has_token(&request, "connection", "keep-alive , upgrade"));
    assert_false(leat_http_has_token(&request, "empty", ""));
    assert_false(leat_http_has_token(&request, "cookie", "x"));
}

static void walks_lists(void **state)
{
    (void)state;
    leat_slice rest = leat_slice_of(" ,a,, b c\t,d ,");
    leat_slice item;
    assert_true(leat_http_list_next(&rest, &item));
    assert_true(leat_slice_is(item, "a"));
    assert_true(leat_http_list_next(&rest, &item));
    assert_true(leat_slice_is(item, "b c"));
    assert_true(leat_http_list_next(&rest, &item));
    assert_true(leat_slice_is(item, "d"));
    assert_false(leat_http_list_next(&rest, &item));
    rest = (leat_slice){NULL, 0};
    assert_false(leat_http_list_next(&rest, &item));
}

static void unescapes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *plain; /* NULL: malformed */
    } cases[] = {
        {"", ""},
        {"/a+b", "/a+b"},
        {"%41%7a", "Az"},
        {"%e2%82%AC", "\xe2\x82\xac"},
        {"%2F..%2f", "/../"},
        {"100%25", "100%"},
        {"%ff", "\xff"},
        {"%", NULL},
        {"a%4", NULL},
        {"%4g", NULL},
        {"%g4", NULL},
        {"%%41", NULL},
        {"a%00b", NULL},
        {"%u0041", NULL},
    };
    leat_buf out = LEAT_BUF_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        out.len = 0;
        leat_buf_char(&out, '<');
        bool ok = leat_http_unescape(&out, leat_slice_of(cases[i].text));
        assert_int_equal(ok, cases[i].plain != NULL);
        leat_buf_char(&out, '\0');
        assert_string_equal(out.at + 1, ok ? cases[i].plain : "");
    }
    assert_false(leat_http_unescape(&out, (leat_slice){"a\0b", 3}));
    leat_buf_close(&out);
}

static void expect_parameter(const char *query, const char *name, const char *value)
{
    leat_buf out = LEAT_BUF_INIT;
    bool found = leat_http_query_get(leat_slice_of(query), name, &out);
    assert_int_equal(found, value != NULL);
    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, value == NULL ? "" : value);
    leat_buf_close(&out);
}

static void gets_query_parameters(void **state)
{
    (void)state;
    expect_parameter("token=abc", "token", "abc");
    expect_parameter("a=1&token=a%20b+c&token=2", "token", "a b c");
    expect_parameter("token", "token", "");
    expect_parameter("token=", "token", "");
    expect_parameter("&&token=a=b&", "token", "a=b");
    expect_parameter("tok%65n=1", "token", "1");
    expect_parameter("my+token=1", "my token", "1");
    expect_parameter("tokens=1", "token", NULL);
    expect_parameter("toke=1", "token", NULL);
    expect_parameter("=1", "token", NULL);
    expect_parameter("token=%4", "token", NULL);
    expect_parameter("token=%00", "token", NULL);
    expect_parameter("", "token", NULL);
    leat_buf out = LEAT_BUF_INIT;
    assert_false(leat_http_query_get((leat_slice){NULL, 0}, "token", &out));
    leat_buf_close(&out);
}

static void walks_queries(void **state)
{
    (void)state;
    static const char *const expected[] = {"a", "1 2", "b", "", "", "x", "c%zz", "%00\xff"};
    leat_slice rest = leat_slice_of("a=1+2&b&&=x&c%zz=%00%ff");
    leat_buf name = LEAT_BUF_INIT;
    leat_buf value = LEAT_BUF_INIT;
    for (size_t i = 0; i < 8; i += 2) {
        assert_true(leat_http_query_next(&rest, &name, &value));
        assert_true(leat_slice_is(leat_buf_view(&name), expected[i]));
        assert_true(leat_slice_is(leat_buf_view(&value), expected[i + 1]));
    }
    assert_false(leat_http_query_next(&rest, &name, &value));
    leat_buf_close(&name);
    leat_buf_close(&value);
}

static void walks_cookies(void **state)
{
    (void)state;
    static const char *const expected[] = {"SID", "31d4=x", "lang", "\"en\"", "e", ""};
    leat_slice rest = leat_slice_of("SID=31d4=x; lang = \"en\";novalue; =x;e=");
    leat_slice name;
    leat_slice value;
    for (size_t i = 0; i < 6; i += 2) {
        assert_true(leat_http_cookie_next(&rest, &name, &value));
        assert_true(leat_slice_is(name, expected[i]));
        assert_true(leat_slice_is(value, expected[i + 1]));
    }
    assert_false(leat_http_cookie_next(&rest, &name, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_headers),         cmocka_unit_test(finds_tokens_over_all_lines),
        cmocka_unit_test(walks_lists),           cmocka_unit_test(unescapes),
        cmocka_unit_test(gets_query_parameters), cmocka_unit_test(walks_queries),
        cmocka_unit_test(walks_cookies),
    };
    return cmocka_run_group_tests_name("wire/http_text", tests, NULL, NULL);
}
