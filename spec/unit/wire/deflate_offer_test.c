#include "wire/deflate_offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "split.h"

#define ANSWER                                                                                     \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "                   \
    "client_no_context_takeover"
#define DEFLATE "permessage-deflate"

/* The values of one or two Sec-WebSocket-Extensions headers, and the answer. */
static const struct {
    const char *first;
    const char *second;
    leat_deflate_answer answer;
    int window_bits;
    const char *line; /* NULL if there is none */
} cases[] = {
    /* RFC 7692 §7.1 */
    {DEFLATE, NULL, LEAT_DEFLATE_ACCEPTED, 15, ANSWER "\r\n"},
    {DEFLATE "; client_max_window_bits", NULL, LEAT_DEFLATE_ACCEPTED, 15, ANSWER "\r\n"},
    {DEFLATE "; client_max_window_bits; server_max_window_bits=10", NULL, LEAT_DEFLATE_ACCEPTED, 10,
     ANSWER "; server_max_window_bits=10\r\n"},
    {DEFLATE "; client_max_window_bits; server_max_window_bits=10, " DEFLATE
             "; client_max_window_bits",
     NULL, LEAT_DEFLATE_ACCEPTED, 10, ANSWER "; server_max_window_bits=10\r\n"},
    {DEFLATE "; server_no_context_takeover; client_no_context_takeover", NULL,
     LEAT_DEFLATE_ACCEPTED, 15, ANSWER "\r\n"},
    {DEFLATE "; server_max_window_bits=8", NULL, LEAT_DEFLATE_ACCEPTED, 8,
     ANSWER "; server_max_window_bits=8\r\n"},
    {DEFLATE "; server_max_window_bits=15", NULL, LEAT_DEFLATE_ACCEPTED, 15,
     ANSWER "; server_max_window_bits=15\r\n"},
    {DEFLATE "; client_max_window_bits=8", NULL, LEAT_DEFLATE_ACCEPTED, 15, ANSWER "\r\n"},
    {DEFLATE "; server_max_window_bits=\"9\"", NULL, LEAT_DEFLATE_ACCEPTED, 9,
     ANSWER "; server_max_window_bits=9\r\n"},
    {DEFLATE "; server_max_window_bits=\"1\\0\"", NULL, LEAT_DEFLATE_ACCEPTED, 10,
     ANSWER "; server_max_window_bits=10\r\n"},
    {"foo; bar=\"\\b\\a\\z\", " DEFLATE, NULL, LEAT_DEFLATE_ACCEPTED, 15, ANSWER "\r\n"},
    {"\t" DEFLATE " ;\tserver_max_window_bits = 9 ", NULL, LEAT_DEFLATE_ACCEPTED, 9,
     ANSWER "; server_max_window_bits=9\r\n"},
    {"Permessage-Deflate; SERVER_NO_CONTEXT_TAKEOVER", NULL, LEAT_DEFLATE_ACCEPTED, 15,
     ANSWER "\r\n"},
    /* An offer that must be declined, and the next one that need not. */
    {DEFLATE "; server_max_window_bits", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=7", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=16", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=08", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=1o", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=150", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=4294967306", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; client_max_window_bits=7", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=\"1000000000000\"", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_no_context_takeover=1", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; client_no_context_takeover=\"x\"", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_no_context_takeover; server_no_context_takeover", NULL,
     LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; window=9", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {DEFLATE "; server_max_window_bits=99, " DEFLATE, NULL, LEAT_DEFLATE_ACCEPTED, 15,
     ANSWER "\r\n"},
    {"x-webkit-deflate-frame", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {"permessage-deflat", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {"foo; bar=\"baz\"; qux, " DEFLATE, NULL, LEAT_DEFLATE_ACCEPTED, 15, ANSWER "\r\n"},
    /* Several headers are one list; empty elements count for nothing. */
    {"foo", DEFLATE "; server_max_window_bits=12", LEAT_DEFLATE_ACCEPTED, 12,
     ANSWER "; server_max_window_bits=12\r\n"},
    {",, " DEFLATE " ,,", NULL, LEAT_DEFLATE_ACCEPTED, 15, ANSWER "\r\n"},
    {"", NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    {NULL, NULL, LEAT_DEFLATE_DECLINED, 0, NULL},
    /* What does not follow the grammar. */
    {DEFLATE ";", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE "; ; client_max_window_bits", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE "; server_max_window_bits=", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE "; server_max_window_bits=\"9", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE "; server_max_window_bits=\"\"", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE "; server_max_window_bits=\"9\\", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE "; server_max_window_bits=\"9\\\"", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {"foo; bar=\"a\\ b\"", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {"foo; bar=\"a b\"", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {"foo; bar=\"a\"b", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE " client_max_window_bits", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE "; =9", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {"=", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE ", \"foo\"", NULL, LEAT_DEFLATE_MALFORMED, 0, NULL},
    {DEFLATE, "foo; (", LEAT_DEFLATE_MALFORMED, 0, NULL},
};

static void answers_each_offer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const leat_http_limits limits = {4096, 32, 100, 0};
        leat_http_parser *p = leat_http_parser_new(NULL, &limits);
        leat_buf text = LEAT_BUF_INIT;
        leat_buf_text(&text, "GET /ws HTTP/1.1\r\nHost: a\r\n");
        if (cases[i].first != NULL)
            leat_buf_printf(&text, "Sec-WebSocket-Extensions: %s\r\n", cases[i].first);
        if (cases[i].second != NULL)
            leat_buf_printf(&text, "sec-websocket-extensions: %s\r\n", cases[i].second);
        leat_buf_text(&text, "\r\n");
        size_t used = 0;
        leat_http_progress progress = LEAT_HTTP_MORE;
        assert_int_equal(leat_http_feed(p, text.at, text.len, &used, &progress), 0);

        leat_deflate_terms terms;
        leat_deflate_answer answer = leat_deflate_read_offers(leat_http_parser_request(p), &terms);

        if (answer != cases[i].answer)
            fail_msg("%s: %d", cases[i].first, (int)answer);
        if (answer == LEAT_DEFLATE_ACCEPTED) {
            leat_buf line = LEAT_BUF_INIT;
            leat_deflate_write_answer(&line, &terms);
            leat_buf_char(&line, '\0');
            assert_int_equal(terms.window_bits, cases[i].window_bits);
            assert_string_equal(line.at, cases[i].line);
            leat_buf_close(&line);
        }
        leat_buf_close(&text);
        leat_http_parser_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_each_offer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
