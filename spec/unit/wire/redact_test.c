#include "wire/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pack(leat_buf *out, const char *query, leat_slice token)
{
    static const leat_http_header headers[] = {
        {{"authorization", 13}, {"Bearer header-secret", 20}},
        {{"cookie", 6}, {"sid=cookie-secret; theme=dark; q=\"quoted-secret\"", 48}},
        {{"sec-websocket-protocol", 22}, {"leat.v1, protocol-secret", 24}},
        {{"user-agent", 10}, {"some-browser", 12}},
        {{"referer", 7}, {"http://a/?x=1&token=referer-secret", 34}},
    };
    leat_http_request r = {
        .method = leat_slice_of("GET"),
        .path = leat_slice_of("/ws"),
        .query = leat_slice_of(query),
        .headers = headers,
        .n_headers = sizeof(headers) / sizeof(headers[0]),
    };
    leat_head_pack(out, &r, "192.0.2.1", token);
}

static void expect(const char *query, const char *token, const char *text, const char *expected)
{
    leat_buf packed = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    pack(&packed, query, leat_slice_of(token));
    leat_head head = leat_head_read(leat_buf_view(&packed));
    leat_redact(&out, leat_slice_of(text), &head, 1000);
    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, expected);
    leat_buf_close(&out);
    leat_buf_close(&packed);
}

static void hides_every_secret(void **state)
{
    (void)state;
    expect(NULL, NULL, "a header-secret b", "a [secret] b");
    expect(NULL, NULL, "Bearer header-secret", "[secret]");
    expect(NULL, NULL, "cookie-secretcookie-secret", "[secret][secret]");
    expect(NULL, NULL, "quoted-secret \"quoted-secret\"", "[secret] [secret]");
    expect(NULL, NULL, "protocol-secret", "[secret]");
    expect(NULL, NULL, "<referer-secret>", "<[secret]>");
    expect("a=1&token=query-secret", NULL, "x: query-secret", "x: [secret]");
    expect("token=query%2Dsecret&b", NULL, "query-secret query%2Dsecret", "[secret] [secret]");
    expect(NULL, "message-secret", "message-secret header-secret", "[secret] [secret]");
}

static void ends_a_long_text(void **state)
{
    (void)state;
    leat_buf packed = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    pack(&packed, NULL, leat_slice_of(NULL));
    leat_head head = leat_head_read(leat_buf_view(&packed));

    leat_redact(&out, leat_slice_of("header-secret \xc3\xa4\xc3\xa4 cookie-secret"), &head, 9);

    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, "[secret] \xc3\xa4");
    leat_buf_close(&out);
    leat_buf_close(&packed);
}

/* A browser may send so many cookies. */
static void hides_the_last_of_many_cookies(void **state)
{
    (void)state;
    leat_buf line = LEAT_BUF_INIT;
    leat_buf packed = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    for (int i = 1; i <= 256; i++)
        leat_buf_printf(&line, "c%d=\"cookie-number-%d.\"; ", i, i);
    leat_http_header cookie = {leat_slice_of("cookie"), leat_buf_view(&line)};
    leat_http_request r = {.headers = &cookie, .n_headers = 1};
    leat_head_pack(&packed, &r, "192.0.2.1", leat_slice_of(NULL));
    leat_head head = leat_head_read(leat_buf_view(&packed));

    leat_redact(&out, leat_slice_of("cookie-number-1. cookie-number-256."), &head, 100);

    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, "[secret] [secret]");
    leat_buf_close(&out);
    leat_buf_close(&packed);
    leat_buf_close(&line);
}

static void takes_the_longest(void **state)
{
    (void)state;
    expect("token=12345678", "1234567890", "12345678901", "[secret]1");
}

static void leaves_all_else(void **state)
{
    (void)state;
    expect("token=short", NULL, "short dark leat.v1 some-browser /ws",
           "short dark leat.v1 some-browser /ws");
    expect("token=query-secret", NULL, "", "");
    expect("token=query-secret", NULL, "query-secre", "query-secre");
    expect("", NULL, "text", "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hides_every_secret), cmocka_unit_test(takes_the_longest),
        cmocka_unit_test(ends_a_long_text),   cmocka_unit_test(hides_the_last_of_many_cookies),
        cmocka_unit_test(leaves_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
