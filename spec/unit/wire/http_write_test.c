#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/http.h"

static void expect_date(int64_t seconds, const char *text)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_date(&out, seconds);
    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, text);
    leat_buf_close(&out);
}

static void writes_dates(void **state)
{
    (void)state;
    expect_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110 5.6.7 */
    expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(4102444799, "Thu, 31 Dec 2099 23:59:59 GMT");
    expect_date(INT64_MAX, "Thu, 01 Jan 1970 00:00:00 GMT");
}

/* Compares a response with text in which the date stands as "DATE"; its form is checked instead. */
static void expect_response(leat_buf *out, const char *before, const char *after)
{
    leat_buf_char(out, '\0');
    assert_int_equal(strncmp(out->at, before, strlen(before)), 0);
    const char *date = out->at + strlen(before);
    assert_true(strlen(date) > 29);
    assert_int_equal(strncmp(date + 3, ", ", 2), 0);
    assert_int_equal(strncmp(date + 25, " GMT", 4), 0);
    assert_string_equal(date + 29, after);
    leat_buf_close(out);
}

static void writes_responses(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_response(&out, 200, "text/plain", NULL, leat_slice_of("hello"), true, false);
    expect_response(&out, "HTTP/1.1 200 OK\r\nDate: ",
                    "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                    "Connection: keep-alive\r\n\r\nhello");
    leat_http_write_response(&out, 503, NULL, "Retry-After: 1\r\nX: y\r\n", (leat_slice){NULL, 0},
                             false, false);
    expect_response(&out, "HTTP/1.1 503 Service Unavailable\r\nDate: ",
                    "\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\nX: y\r\n\r\n");
}

static void leaves_the_body_out_where_there_is_none(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_response(&out, 200, "text/plain", NULL, leat_slice_of("hello"), true, true);
    expect_response(&out, "HTTP/1.1 200 OK\r\nDate: ",
                    "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                    "Connection: keep-alive\r\n\r\n");
    leat_http_write_response(&out, 204, NULL, NULL, leat_slice_of("hello"), true, false);
    expect_response(&out,
                    "HTTP/1.1 204 No Content\r\nDate: ", "\r\nConnection: keep-alive\r\n\r\n");
    leat_http_write_response(&out, 205, NULL, NULL, leat_slice_of("hello"), true, false);
    expect_response(&out, "HTTP/1.1 205 Reset Content\r\nDate: ",
                    "\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    leat_http_write_response(&out, 304, NULL, "ETag: \"x\"\r\n", leat_slice_of("hello"), true,
                             false);
    expect_response(&out, "HTTP/1.1 304 Not Modified\r\nDate: ",
                    "\r\nConnection: keep-alive\r\nETag: \"x\"\r\n\r\n");
}

static void knows_reasons(void **state)
{
    (void)state;
    assert_string_equal(leat_http_reason(404), "Not Found");
    assert_string_equal(leat_http_reason(426), "Upgrade Required");
    assert_string_equal(leat_http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(leat_http_reason(505), "HTTP Version Not Supported");
    assert_string_equal(leat_http_reason(299), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_dates),
        cmocka_unit_test(writes_responses),
        cmocka_unit_test(leaves_the_body_out_where_there_is_none),
        cmocka_unit_test(knows_reasons),
    };
    return cmocka_run_group_tests_name("wire/http_write", tests, NULL, NULL);
}
