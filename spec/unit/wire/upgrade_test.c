#include "wire/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "split.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GET "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"

static leat_http_parser *parse(const char *text, unsigned plan)
{
    static const leat_http_limits limits = {4096, 32, 100, 0};
    leat_http_parser *p = leat_http_parser_new(NULL, &limits);
    split s = split_plan(plan);
    leat_http_progress progress = LEAT_HTTP_MORE;
    for (size_t left = strlen(text); left > 0;) {
        size_t n = split_next(&s, left);
        size_t used = 0;
        assert_int_equal(leat_http_feed(p, text, n, &used, &progress), 0);
        assert_true(used == n || progress == LEAT_HTTP_HEAD);
        text += used;
        left -= used;
    }
    assert_int_equal(progress, LEAT_HTTP_WHOLE);
    return p;
}

static void accepts_the_handshake_of_the_rfc(void **state)
{
    (void)state;
    for (unsigned plan = 0; plan < SPLIT_PLANS; plan++) {
        leat_http_parser *p =
            parse(GET UPGRADE KEY "Origin: http://example.com\r\n"
                                  "Sec-WebSocket-Protocol: chat, superchat\r\n" VERSION "\r\n",
                  plan);
        leat_upgrade u;
        const char *reason = NULL;

        assert_true(leat_upgrade_wanted(leat_http_parser_request(p)));
        assert_int_equal(leat_upgrade_check(leat_http_parser_request(p), &u, &reason), 0);

        assert_true(leat_slice_is(u.key, "dGhlIHNhbXBsZSBub25jZQ=="));
        assert_true(u.offers_subprotocols);
        assert_false(leat_upgrade_offers(leat_http_parser_request(p), "leat.v1"));
        assert_int_equal(u.deflate.window_bits, 0);
        leat_http_parser_free(p);
    }
}

static void reads_subprotocols_and_extensions(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool offers;
        bool wants;
        int window_bits;
    } cases[] = {
        {"", false, false, 0},
        {"Sec-WebSocket-Protocol: leat.v1\r\n", true, true, 0},
        {"Sec-WebSocket-Protocol: leat.v2,leat.v1\r\n", true, true, 0},
        {"Sec-WebSocket-Protocol: leat.v2\r\nSec-WebSocket-Protocol: leat.v1\r\n", true, true, 0},
        {"Sec-WebSocket-Protocol: LEAT.V1\r\n", true, false, 0},
        {"Sec-WebSocket-Protocol:\r\n", false, false, 0},
        {"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", false, false,
         15},
        {"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n", false, false,
         9},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_buf text = LEAT_BUF_INIT;
        leat_buf_printf(&text, "%s%s\r\n", GET UPGRADE KEY VERSION, cases[i].lines);
        leat_buf_char(&text, '\0');
        leat_http_parser *p = parse(text.at, 0);
        leat_upgrade u;
        const char *reason = NULL;

        assert_int_equal(leat_upgrade_check(leat_http_parser_request(p), &u, &reason), 0);

        assert_int_equal(u.offers_subprotocols, cases[i].offers);
        assert_int_equal(leat_upgrade_offers(leat_http_parser_request(p), "leat.v1"),
                         cases[i].wants);
        assert_int_equal(u.deflate.window_bits, cases[i].window_bits);
        leat_http_parser_free(p);
        leat_buf_close(&text);
    }
}

static void refuses_what_is_no_handshake(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n", 405},
        {"GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n", 400},
        {GET "Connection: Upgrade\r\n" KEY VERSION "\r\n", 400},
        {GET "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY VERSION "\r\n", 400},
        {GET "Upgrade: websocket\r\n" KEY VERSION "\r\n", 400},
        {GET "Upgrade: websocket\r\nConnection: keep-alive\r\n" KEY VERSION "\r\n", 400},
        {GET UPGRADE VERSION "\r\n", 400},
        {GET UPGRADE KEY KEY VERSION "\r\n", 400},
        {GET UPGRADE "Sec-WebSocket-Key: \r\n" VERSION "\r\n", 400},
        {GET UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n" VERSION "\r\n", 400},
        {GET UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n" VERSION "\r\n", 400},
        {GET UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=a\r\n" VERSION "\r\n", 400},
        {GET UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBsb25nZXI=\r\n" VERSION "\r\n", 400},
        {GET UPGRADE KEY "\r\n", 426},
        {GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {GET UPGRADE KEY "Sec-WebSocket-Version: 013\r\n\r\n", 426},
        {GET UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n", 426},
        {GET UPGRADE KEY VERSION VERSION "\r\n", 400},
        {GET UPGRADE KEY VERSION "Content-Length: 1\r\n\r\nx", 400},
        {GET UPGRADE KEY VERSION "Sec-WebSocket-Extensions: foo;\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_http_parser *p = parse(cases[i].text, 0);
        leat_upgrade u;
        const char *reason = NULL;

        int status = leat_upgrade_check(leat_http_parser_request(p), &u, &reason);

        if (status != cases[i].status)
            fail_msg("status %d: %s", status, cases[i].text);
        assert_non_null(reason);
        leat_http_parser_free(p);
    }
}

static void tells_what_is_meant_as_an_upgrade(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool wanted;
    } cases[] = {
        {GET "Upgrade: WebSocket\r\n\r\n", true},
        {GET "Upgrade: h2c, websocket\r\n\r\n", true},
        {GET "Upgrade: h2c\r\n\r\n", false},
        {GET "Connection: upgrade\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_http_parser *p = parse(cases[i].text, 0);
        assert_int_equal(leat_upgrade_wanted(leat_http_parser_request(p)), cases[i].wanted);
        leat_http_parser_free(p);
    }
}

static void writes_the_answer(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_accept *a = leat_accept_new();
    leat_upgrade_write_accept(&out, a, leat_slice_of("dGhlIHNhbXBsZSBub25jZQ=="), NULL, NULL);
    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, "HTTP/1.1 101 Switching Protocols\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                "\r\n");
    out.len = 0;
    leat_upgrade_write_accept(&out, a, leat_slice_of("x3JJHMbDL1EzLkh9GBhXDw=="), "leat.v1",
                              &(leat_deflate_terms){.window_bits = 15});
    leat_buf_char(&out, '\0');
    assert_string_equal(out.at, "HTTP/1.1 101 Switching Protocols\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n"
                                "Sec-WebSocket-Protocol: leat.v1\r\n"
                                "Sec-WebSocket-Extensions: permessage-deflate; "
                                "server_no_context_takeover; client_no_context_takeover\r\n"
                                "\r\n");
    leat_accept_free(a);
    leat_buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_handshake_of_the_rfc),
        cmocka_unit_test(reads_subprotocols_and_extensions),
        cmocka_unit_test(refuses_what_is_no_handshake),
        cmocka_unit_test(tells_what_is_meant_as_an_upgrade),
        cmocka_unit_test(writes_the_answer),
    };
    return cmocka_run_group_tests_name("wire/upgrade", tests, NULL, NULL);
}
