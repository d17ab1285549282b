/* Bytes are written out; each header is also read from every one of its beginnings. */
#include "wire/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IP6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define TEXT(literal) ((leat_slice){literal, sizeof(literal) - 1})

static void write_source(const leat_proxy_header *h, char out[80])
{
    char ip[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *in = (const struct sockaddr_in *)&h->source;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&h->source;
    if (h->source.ss_family == AF_UNSPEC) {
        strcpy(out, "nobody");
    } else if (h->source.ss_family == AF_INET) {
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
        sprintf(out, "%s %d", ip, ntohs(in->sin_port));
    } else {
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        sprintf(out, "%s %d", ip, ntohs(in6->sin6_port));
    }
}

/* Reads from a block of exactly that size, so that a read behind it is noticed. */
static int read_alone(leat_proxy_header *h, leat_slice bytes)
{
    leat_buf copy = LEAT_BUF_INIT;
    leat_buf_slice(&copy, bytes);
    int status = leat_proxy_read(h, leat_buf_view(&copy));
    leat_buf_close(&copy);
    return status;
}

static void expect_header(leat_slice header, const char *source)
{
    leat_proxy_header h = {.bytes = 77};
    leat_buf more = LEAT_BUF_INIT;
    char text[80];
    for (size_t n = 0; n < header.len; n++)
        assert_int_equal(read_alone(&h, (leat_slice){header.at, n}), 0);
    assert_int_equal(h.bytes, 77); /* nothing is written before it is whole */
    leat_buf_slice(&more, header);
    leat_buf_text(&more, "GET / HTTP/1.1\r\n");

    assert_int_equal(read_alone(&h, header), 1);
    assert_int_equal(h.bytes, header.len);
    assert_int_equal(leat_proxy_read(&h, leat_buf_view(&more)), 1);
    assert_int_equal(h.bytes, header.len);
    write_source(&h, text);
    assert_string_equal(text, source);
    leat_buf_close(&more);
}

/* Refused when the byte at that place has come, and not before. */
static void expect_refusal(leat_slice bytes, size_t at)
{
    leat_proxy_header h;
    for (size_t n = 0; n <= at; n++)
        assert_int_equal(read_alone(&h, (leat_slice){bytes.at, n}), 0);
    for (size_t n = at + 1; n <= bytes.len; n++)
        assert_int_equal(read_alone(&h, (leat_slice){bytes.at, n}), LEAT_EBADMSG);
}

static void expect_bad_line(leat_slice line)
{
    expect_refusal(line, line.len - 1);
}

static void reads_version_1(void **state)
{
    (void)state;
    expect_header(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"), "192.0.2.1 56324");
    expect_header(TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
                  "255.255.255.255 65535");
    expect_header(TEXT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0 0");
    expect_header(TEXT("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "2001:db8::1 1");
    expect_header(TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
    expect_header(TEXT("PROXY UNKNOWN\r\n"), "nobody");
    expect_header(TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                  "nobody");
    expect_header(TEXT("PROXY UNKNOWN what ever \0 it is\r\n"), "nobody");
}

static void refuses_other_lines(void **state)
{
    (void)state;
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n"));
    expect_bad_line(TEXT("PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 056324 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 5x 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 -5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 5 00\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.01 198.51.100.1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2 198.51.100.1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.256 198.51.100.1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1 198.51.100.x 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 192.0.2.1\0 198.51.100.1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP4 2001:db8::1 2001:db8::2 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP6 192.0.2.1 198.51.100.1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP6 [2001:db8::1] ::1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY TCP6 2001:db8::1%1 ::1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY UDP4 192.0.2.1 198.51.100.1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY tcp4 192.0.2.1 198.51.100.1 5 443\r\n"));
    expect_bad_line(TEXT("PROXY UNKNOWN2\r\n"));
    expect_bad_line(TEXT("PROXY \r\n"));
}

static void refuses_what_is_no_header_at_once(void **state)
{
    (void)state;
    expect_refusal(TEXT("GET / HTTP/1.1\r\n"), 0);
    expect_refusal(TEXT("\x16\x03\x01"), 0);
    expect_refusal(TEXT("PROXI TCP4"), 4);
    expect_refusal(TEXT("PROXY\tTCP4"), 5);
    expect_refusal(TEXT("PROXY UNKNOWN\n"), 13);
    expect_refusal(TEXT("PROXY UNKNOWN\rx\r\n"), 14);
    expect_refusal(TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n"),
                   106);
    expect_refusal(TEXT("\r\n\r\n\0\r\nQUIX"), 10);
    expect_refusal(TEXT(SIGNATURE "\x31"), 12);
    expect_refusal(TEXT(SIGNATURE "\x22"), 12);
    expect_refusal(TEXT(SIGNATURE "\x11"), 12);
}

static void reads_version_2(void **state)
{
    (void)state;
    expect_header(TEXT(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"),
                  "192.0.2.1 56324");
    expect_header(TEXT(SIGNATURE "\x21\x21\0\x24" IP6 IP6 "\xdc\x04\x01\xbb"), "2001:db8::1 56324");
    /* A TLV of type NOOP with two bytes follows. */
    expect_header(TEXT(SIGNATURE "\x21\x11\0\x11\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"
                                 "\x04\0\x02zz"),
                  "192.0.2.1 56324");
    /* What follows the addresses is passed over, whatever it is. */
    expect_header(TEXT(SIGNATURE "\x21\x11\0\x0f\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"
                                 "\x02\xff\xff"),
                  "192.0.2.1 56324");
    expect_header(TEXT(SIGNATURE "\x20\0\0\0"), "nobody");
    expect_header(TEXT(SIGNATURE "\x20\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"),
                  "nobody");
    expect_header(TEXT(SIGNATURE "\x20\xff\0\x02zz"), "nobody");
    expect_header(TEXT(SIGNATURE "\x21\0\0\0"), "nobody");
    expect_header(TEXT(SIGNATURE "\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"),
                  "nobody");
    expect_header(TEXT(SIGNATURE "\x21\x31\0\x02zz"), "nobody");
}

static void refuses_other_blocks(void **state)
{
    (void)state;
    expect_bad_line(TEXT(SIGNATURE "\x21\x41\0\0"));
    expect_bad_line(TEXT(SIGNATURE "\x21\x13\0\0"));
    expect_bad_line(TEXT(SIGNATURE "\x21\x11\0\0"));
    expect_bad_line(TEXT(SIGNATURE "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01"));
    expect_bad_line(TEXT(SIGNATURE "\x21\x21\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"));
    expect_refusal(TEXT(SIGNATURE "\x21\x11\xff\xff"), 15);
    expect_refusal(TEXT(SIGNATURE "\x20\0\x07\xf1"), 15); /* 16 + 2033 */
}

static void takes_as_many_further_fields_as_are_allowed(void **state)
{
    (void)state;
    leat_buf block = LEAT_BUF_INIT;
    leat_proxy_header h = {.bytes = 0};
    leat_buf_slice(&block, TEXT(SIGNATURE "\x20\0\x07\xf0"));
    while (block.len < LEAT_PROXY_MAX_BYTES - 1)
        leat_buf_char(&block, 'z');

    assert_int_equal(read_alone(&h, leat_buf_view(&block)), 0);
    leat_buf_char(&block, 'z');
    assert_int_equal(read_alone(&h, leat_buf_view(&block)), 1);
    assert_int_equal(h.bytes, LEAT_PROXY_MAX_BYTES);
    leat_buf_close(&block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_version_1),
        cmocka_unit_test(refuses_other_lines),
        cmocka_unit_test(refuses_what_is_no_header_at_once),
        cmocka_unit_test(reads_version_2),
        cmocka_unit_test(refuses_other_blocks),
        cmocka_unit_test(takes_as_many_further_fields_as_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
