#include "wire/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static leat_http_parser *parse(const char *lines)
{
    static const leat_http_limits limits = {4096, 64, 100, 0};
    leat_http_parser *p = leat_http_parser_new(NULL, &limits);
    leat_buf text = LEAT_BUF_INIT;
    size_t used = 0;
    leat_http_progress progress = LEAT_HTTP_MORE;
    leat_buf_printf(&text, GET "%s\r\n", lines);
    assert_int_equal(leat_http_feed(p, text.at, text.len, &used, &progress), 0);
    assert_int_equal(progress, LEAT_HTTP_WHOLE);
    leat_buf_close(&text);
    return p;
}

/* The hops, each followed by a bar. */
static void expect_hops(const char *lines, const char *expected)
{
    leat_http_parser *p = parse(lines);
    leat_slice hops[LEAT_FORWARDED_HOPS];
    leat_buf text = LEAT_BUF_INIT;
    size_t n = leat_forwarded_hops(leat_http_parser_request(p), hops);
    for (size_t i = 0; i < n; i++) {
        leat_buf_slice(&text, hops[i]);
        leat_buf_char(&text, '|');
    }
    leat_buf_char(&text, '\0');
    assert_string_equal(text.at, expected);
    leat_buf_close(&text);
    leat_http_parser_free(p);
}

static void lists_hops_from_ours_to_the_client(void **state)
{
    (void)state;
    expect_hops("", "");
    expect_hops("X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1|");
    expect_hops("X-Forwarded-For: 1.1.1.1, 2.2.2.2 ,3.3.3.3\r\n", "3.3.3.3|2.2.2.2|1.1.1.1|");
    expect_hops("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n", "2.2.2.2|1.1.1.1|");
    expect_hops("X-Forwarded-For:\r\n", "|");
    expect_hops("X-Forwarded-For: 1.1.1.1,\r\n", "1.1.1.1|");
    expect_hops("X-Forwarded-For: , 1.1.1.1 , ,\t,2.2.2.2,\r\n", "2.2.2.2|1.1.1.1|");
    expect_hops("X-Forwarded-For: ,\r\nForwarded: for=1.1.1.1\r\n", "|");
    expect_hops("Forwarded: ,for=1.1.1.1, ,for=2.2.2.2,\r\n", "2.2.2.2|1.1.1.1|");
    expect_hops("X-Forwarded-For: \"1.1.1.1, 2.2.2.2\r\n", "2.2.2.2|\"1.1.1.1|");
    expect_hops("Forwarded: for=1.1.1.1\r\n", "1.1.1.1|");
    expect_hops("Forwarded: For=1.1.1.1;proto=http, by=x;FOR=\"[2001:db8::1]:80\"\r\n",
                "[2001:db8::1]:80|1.1.1.1|");
    expect_hops("Forwarded: by=\"a,for=9.9.9.9\" ; for=1.1.1.1\r\n", "1.1.1.1|");
    expect_hops("Forwarded: proto=http\r\n", "|");
    expect_hops("Forwarded: for=1.1.1.1;for=2.2.2.2\r\n", "|");
    expect_hops("Forwarded: for=\"1.1.1.1, for=2.2.2.2\r\n", "|");
    expect_hops("Forwarded: for=\"1\\.1.1.1\"\r\n", "|");
    /* A client's quote, with what its proxy appends. */
    expect_hops("Forwarded: for=9.9.9.9;x=\", for=1.1.1.1\r\n", "|");
    expect_hops("Forwarded: for=9.9.9.9;x=\", for=\"[2001:db8::1]\"\r\n", "|");
    expect_hops("Forwarded: for=9.9.9.9;x=\"\\, for=\"[2001:db8::1]\"\r\n", "|");
    expect_hops("Forwarded: for=9.9.9.9;x=\"\\, for=1.1.1.1\r\n", "|");
    expect_hops("Forwarded: for=9.9.9.9;x=\"\r\nForwarded: for=1.1.1.1\r\n", "1.1.1.1||");
    expect_hops("Forwarded: for=9.9.9.9;x=\"\\\"\", for=1.1.1.1\r\n", "1.1.1.1|9.9.9.9|");
    expect_hops("Forwarded: for=unknown, for=_hidden\r\n", "_hidden|unknown|");
    expect_hops("Forwarded: for=2.2.2.2\r\nX-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1|");
}

static void keeps_the_nearest_of_a_long_chain(void **state)
{
    (void)state;
    leat_buf lines = LEAT_BUF_INIT;
    leat_buf expected = LEAT_BUF_INIT;
    leat_buf_text(&lines, "X-Forwarded-For: 0");
    for (int i = 1; i < 100; i++)
        leat_buf_printf(&lines, ",%d", i);
    leat_buf_append(&lines, "\r\n", 3);
    for (int i = 99; i >= 100 - LEAT_FORWARDED_HOPS; i--)
        leat_buf_printf(&expected, "%d|", i);
    leat_buf_char(&expected, '\0');

    expect_hops(lines.at, expected.at);

    leat_buf_close(&lines);
    leat_buf_close(&expected);
}

static void expect_host(const char *lines, const char *host)
{
    leat_http_parser *p = parse(lines);
    const leat_http_request *r = leat_http_parser_request(p);
    assert_true(leat_slice_is(leat_forwarded_host(r), host));
    leat_http_parser_free(p);
}

static void knows_the_host(void **state)
{
    (void)state;
    expect_host("", NULL);
    expect_host("X-Forwarded-Host: a:1, b:2\r\n", "b:2");
    expect_host("Forwarded: host=\"a:1\";proto=https\r\n", "a:1");
    expect_host("Forwarded: for=x;host=a, for=y\r\n", NULL);
}

static bool any(const char *lines)
{
    leat_http_parser *p = parse(lines);
    bool found = leat_forwarded_any(leat_http_parser_request(p));
    leat_http_parser_free(p);
    return found;
}

static void tells_who_is_passed_on(void **state)
{
    (void)state;
    assert_false(any(""));
    assert_false(any("X-Forwarded: x\r\nReal-IP: x\r\n"));
    assert_true(any("X-Forwarded-For:\r\n"));
    assert_true(any("x-forwarded-anything: x\r\n"));
    assert_true(any("Forwarded: for=x\r\n"));
    assert_true(any("Via: 1.1 x\r\n"));
    assert_true(any("X-Real-IP: 1.1.1.1\r\n"));
    assert_true(any("CF-Connecting-IP: 1.1.1.1\r\n"));
    assert_true(any("True-Client-IP: 1.1.1.1\r\n"));
    assert_true(any("CDN-Loop: x\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_hops_from_ours_to_the_client),
        cmocka_unit_test(keeps_the_nearest_of_a_long_chain),
        cmocka_unit_test(knows_the_host),
        cmocka_unit_test(tells_who_is_passed_on),
    };
    return cmocka_run_group_tests_name("wire/forwarded", tests, NULL, NULL);
}
