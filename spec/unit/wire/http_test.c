/* Requests as they come over a connection, cut in every way. What is expected of a good one is
 * written as "METHOD path?query minor keep|close[ upgrade] name=value;... body=...", what is left
 * over of the input after " +". */
#include "wire/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "split.h"

static const leat_http_limits usual = {.max_head = 300, .max_headers = 8, .max_body = 20};

#define HOST "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define INPUT(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    leat_slice input;
    const char *request;
} good[] = {
    {INPUT("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), "GET / 1 keep host=example.com;"},
    {INPUT("GET /a%20b/c?x=1&y=%2F HTTP/1.1\r\n" HOST "\r\n"),
     "GET /a%20b/c?x=1&y=%2F 1 keep host=a;"},
    {INPUT("GET /? HTTP/1.1\r\n" HOST "\r\n"), "GET /? 1 keep host=a;"},
    {INPUT("GET /a?b?c HTTP/1.1\r\n" HOST "\r\n"), "GET /a?b?c 1 keep host=a;"},
    {INPUT("GET //a/../b HTTP/1.1\r\n" HOST "\r\n"), "GET //a/../b 1 keep host=a;"},
    {INPUT("GET /{}|^`\"<>\\ HTTP/1.1\r\n" HOST "\r\n"), "GET /{}|^`\"<>\\ 1 keep host=a;"},
    {INPUT("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "GET / 1 keep host=a;"},
    {INPUT("GET / HTTP/1.0\r\n\r\n"), "GET / 0 close "},
    {INPUT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
     "GET / 0 keep connection=Keep-Alive;"},
    {INPUT("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"),
     "GET / 1 close host=a;connection=close;"},
    {INPUT("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, CLOSE\r\n\r\n"),
     "GET / 1 close host=a;connection=keep-alive, CLOSE;"},
    {INPUT("GET / HTTP/1.1\r\nhOST:a\r\nX-Empty:\r\nX-Spaces: \t a  b \t \r\nx-EMPTY:  \r\n\r\n"),
     "GET / 1 keep host=a;x-empty=;x-spaces=a  b;x-empty=;"},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: \"a:b\", \xc3\xa9\r\n!#$%&'*+-.^_`|~9: v\r\n\r\n"),
     "GET / 1 keep host=a;x=\"a:b\", \xc3\xa9;!#$%&'*+-.^_`|~9=v;"},
    {INPUT("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"), "GET / 1 keep host=[::1]:8080;"},
    {INPUT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "GET / 1 keep host=;"},
    {INPUT("GET http://example.com/a?b HTTP/1.1\r\n" HOST "\r\n"), "GET /a?b 1 keep host=a;"},
    {INPUT("GET HTTP://example.com:80 HTTP/1.1\r\n" HOST "\r\n"), "GET / 1 keep host=a;"},
    {INPUT("GET http://h?q=/ HTTP/1.1\r\n" HOST "\r\n"), "GET /?q=/ 1 keep host=a;"},
    {INPUT("DELETE /x HTTP/1.1\r\n" HOST "\r\nGET /"), "DELETE /x 1 keep host=a; +GET /"},
    {INPUT("GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: x, Upgrade\r\n\r\n\x81"),
     "GET /ws 1 keep upgrade host=a;upgrade=websocket;connection=x, Upgrade; +\x81"},
    {INPUT("GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\n\r\n"), "GET / 1 keep host=a;upgrade=h2c;"},

    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nHelloGET /"),
     "POST / 1 keep host=a;content-length=5; body=Hello +GET /"},
    {INPUT("POST / HTTP/1.1\r\n" HOST "content-length: 0\r\n\r\nHello"),
     "POST / 1 keep host=a;content-length=0; +Hello"},
    {INPUT("PUT / HTTP/1.1\r\n" HOST "Content-Length: 020\r\n\r\n0123456789abcdefghij"),
     "PUT / 1 keep host=a;content-length=020; body=0123456789abcdefghij"},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"),
     "POST / 1 keep host=a;content-length=3;expect=100-continue; body=abc"},
    {INPUT("GET / HTTP/1.1\r\n" HOST
           "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nabc"),
     "GET / 1 keep upgrade host=a;upgrade=websocket;connection=Upgrade;content-length=2; body=ab "
     "+c"},
    {INPUT(CHUNKED "5\r\nHello\r\n6\r\n world\r\n0\r\n\r\nGET /"),
     "POST / 1 keep host=a;transfer-encoding=chunked; body=Hello world +GET /"},
    {INPUT(CHUNKED "0\r\n\r\n"), "POST / 1 keep host=a;transfer-encoding=chunked;"},
    {INPUT(CHUNKED "00a\r\n0123456789\r\nA;x;y=\"2\"\r\n0123456789\r\n000\r\n\r\n"),
     "POST / 1 keep host=a;transfer-encoding=chunked; body=01234567890123456789"},
    {INPUT(CHUNKED "1 ; a=\"\\\";\"\t;b = c\r\nx\r\n1;a=b;c=d\r\ny\r\n0;a;b\r\n\r\n"),
     "POST / 1 keep host=a;transfer-encoding=chunked; body=xy"},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \tchunked\t \r\n\r\n0\r\n\r\n"),
     "POST / 1 keep host=a;transfer-encoding=chunked;"},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length:\t2 \t\r\n\r\nxy"),
     "POST / 1 keep host=a;content-length=2; body=xy"},
    {INPUT(CHUNKED "1\r\nx\r\n0\r\nA: b\r\nContent-Length: 9\r\n\r\nmore"),
     "POST / 1 keep host=a;transfer-encoding=chunked; body=x +more"},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
     "POST / 1 keep host=a;transfer-encoding=CHUNKED; body=x"},
};

static const struct {
    leat_slice input;
    int status;
} bad[] = {
    /* not HTTP, or not in this form */
    {INPUT("\x16\x03\x01"), 400},
    {INPUT("GET\r\n"), 400},
    {INPUT("GET /\r\n"), 400}, /* HTTP/0.9 */
    {INPUT("GET / \r\n"), 400},
    {INPUT("GET  / HTTP/1.1\r\n"), 400},
    {INPUT("GET /  HTTP/1.1\r\n"), 400},
    {INPUT("GET / HTTP/1.1 \r\n"), 400},
    {INPUT(" GET / HTTP/1.1\r\n"), 400},
    {INPUT("GET\t/ HTTP/1.1\r\n"), 400},
    {INPUT("G(T / HTTP/1.1\r\n"), 400},
    {INPUT("GET / http/1.1\r\n"), 400},
    {INPUT("GET / HTTP/11\r\n"), 400},
    {INPUT("GET / HTTP/1.10\r\n"), 400},
    {INPUT("GET / HTTQ/1.1\r\n"), 400},
    {INPUT("\r\n\r\n\r\n"), 400},
    {INPUT("GET / HTTP/0.9\r\n"), 505},
    {INPUT("GET / HTTP/1.2\r\n"), 505},
    {INPUT("GET / HTTP/2.0\r\n"), 505},
    {INPUT("PRI * HTTP/2.0\r\n"), 505},

    /* methods */
    {INPUT("FOO / HTTP/1.1\r\n" HOST "\r\n"), 501},
    {INPUT("get / HTTP/1.1\r\n" HOST "\r\n"), 501},
    {INPUT("GETS / HTTP/1.1\r\n" HOST "\r\n"), 501},
    {INPUT("SETUP / HTTP/1.1\r\n" HOST "\r\n"), 501},

    /* targets */
    {INPUT("GET a HTTP/1.1\r\n"), 400},
    {INPUT("GET * HTTP/1.1\r\n"), 400},
    {INPUT("OPTIONS * HTTP/1.1\r\n"), 400},
    {INPUT("CONNECT a:80 HTTP/1.1\r\n"), 400},
    {INPUT("CONNECT / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {INPUT("GET https://a/ HTTP/1.1\r\n"), 400},
    {INPUT("GET http:///a HTTP/1.1\r\n"), 400},
    {INPUT("GET http:// HTTP/1.1\r\n"), 400},
    {INPUT("GET http://?a HTTP/1.1\r\n"), 400},
    {INPUT("GET http://user@a/ HTTP/1.1\r\n"), 400},
    {INPUT("GET http://a\\b/ HTTP/1.1\r\n"), 400},
    {INPUT("GET /a#b HTTP/1.1\r\n"), 400},
    {INPUT("GET /\xc3\xa9 HTTP/1.1\r\n"), 400},
    {INPUT("GET /a\0b HTTP/1.1\r\n"), 400},
    {INPUT("GET /a\x7f HTTP/1.1\r\n"), 400},
    {INPUT("GET /a\tb HTTP/1.1\r\n"), 400},

    /* lines */
    {INPUT("GET / HTTP/1.1\n"), 400},
    {INPUT("\nGET / HTTP/1.1\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\nHost: a\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "\n"), 400},
    {INPUT("GET / HTTP/1.1\r\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "\r\r\n"), 400},

    /* field lines */
    {INPUT("GET / HTTP/1.1\r\nHost : a\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\nHost\t: a\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n Host: a\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb: c\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST ": a\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X Y: a\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X\xc3\xa9: a\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X(: a\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n"), 400},

    /* Host */
    {INPUT("GET / HTTP/1.1\r\n\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\n" HOST HOST), 400},
    {INPUT("GET / HTTP/1.0\r\n" HOST "host: b\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\nHost: a b\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\nHost: a/b\r\n"), 400},
    {INPUT("GET / HTTP/1.1\r\nHost: u@a\r\n"), 400},

    /* where a body ends */
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length : 5\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
     400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
           "chunked\r\n"),
     400},
    {INPUT("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"), 400},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 21\r\n\r\n"), 413},
    {INPUT("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n"), 413},

    /* chunks */
    {INPUT(CHUNKED "5\nHello"), 400},
    {INPUT(CHUNKED "5\r\nHello\n"), 400},
    {INPUT(CHUNKED "5\r\nHelloX"), 400},
    {INPUT(CHUNKED "\r\n"), 400},
    {INPUT(CHUNKED "x\r\n"), 400},
    {INPUT(CHUNKED "+5\r\n"), 400},
    {INPUT(CHUNKED "-5\r\n"), 400},
    {INPUT(CHUNKED "0x5\r\n"), 400},
    {INPUT(CHUNKED " 5\r\n"), 400},
    {INPUT(CHUNKED "5 \r\n"), 400},
    {INPUT(CHUNKED "5;a\n\r\n"), 400},
    {INPUT(CHUNKED "5;\r\n"), 400},
    {INPUT(CHUNKED "5;a=\r\n"), 400},
    {INPUT(CHUNKED "5;a=\"b\\\"\r\n"), 400},
    {INPUT(CHUNKED "5;a\rb\r\n"), 400},
    {INPUT(CHUNKED "5;a=\"\n\"\r\n"), 400},
    {INPUT(CHUNKED "fffffffffffffffff\r\n"), 400},
    {INPUT(CHUNKED "15\r\n"), 413},
    {INPUT(CHUNKED "14\r\n01234567890123456789\r\n1\r\n"), 413},
    {INPUT(CHUNKED "7fffffffffffffff\r\n"), 413},
    {INPUT(CHUNKED "0\n"), 400},
    {INPUT(CHUNKED "0\r\n\n"), 400},
    {INPUT(CHUNKED "0\r\nX: a\n"), 400},
    {INPUT(CHUNKED "0\r\nX : a\r\n"), 400},
    {INPUT(CHUNKED "0\r\nX\r\n"), 400},
    {INPUT(CHUNKED "0\r\n X: a\r\n"), 400},
    {INPUT(CHUNKED "0\r\nX: a\rb\r\n"), 400},
};

static void describe(leat_buf *out, const leat_http_request *r)
{
    leat_buf_slice(out, r->method);
    leat_buf_char(out, ' ');
    leat_buf_slice(out, r->path);
    if (r->query.at != NULL) {
        leat_buf_char(out, '?');
        leat_buf_slice(out, r->query);
    }
    leat_buf_printf(out, " %d %s%s ", r->minor, r->keep_alive ? "keep" : "close",
                    r->upgrade ? " upgrade" : "");
    for (size_t i = 0; i < r->n_headers; i++) {
        leat_buf_slice(out, r->headers[i].name);
        leat_buf_char(out, '=');
        leat_buf_slice(out, r->headers[i].value);
        leat_buf_char(out, ';');
    }
    if (r->body.len > 0) {
        leat_buf_text(out, " body=");
        leat_buf_slice(out, r->body);
    }
}

/* Feeds input, each piece in a block of its own; *taken is how much of it was used. */
static int feed(leat_http_parser *p, leat_slice input, unsigned plan, size_t *taken, bool *done)
{
    split s = split_plan(plan);
    *done = false;
    *taken = 0;
    while (*taken < input.len && !*done) {
        size_t n = split_next(&s, input.len - *taken);
        char *piece = malloc(n);
        memcpy(piece, input.at + *taken, n);
        size_t used = 0;
        leat_http_progress progress;
        int status = leat_http_feed(p, piece, n, &used, &progress);
        free(piece);
        assert_true(used <= n);
        if (status != 0)
            return status;
        assert_true(used == n || progress != LEAT_HTTP_MORE);
        *done = progress == LEAT_HTTP_WHOLE;
        assert_int_equal(*done, leat_http_parser_whole(p));
        *taken += used;
    }
    return 0;
}

static void check_good(leat_http_parser *p, size_t i, unsigned plan)
{
    size_t taken = 0;
    bool done = false;
    int status = feed(p, good[i].input, plan, &taken, &done);
    if (status != 0 || !done)
        fail_msg("status %d, done %d, plan %u: %s", status, done, plan, good[i].input.at);
    leat_buf text = LEAT_BUF_INIT;
    describe(&text, leat_http_parser_request(p));
    if (taken < good[i].input.len) {
        leat_buf_text(&text, " +");
        leat_buf_append(&text, good[i].input.at + taken, good[i].input.len - taken);
    }
    leat_buf_char(&text, '\0');
    assert_string_equal(text.at, good[i].request);
    leat_buf_close(&text);
}

static void reads_requests_however_they_are_cut(void **state)
{
    (void)state;
    for (unsigned plan = 0; plan < SPLIT_PLANS; plan++) {
        leat_http_parser *p = leat_http_parser_new(NULL, &usual);
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
            check_good(p, i, plan);
            leat_http_parser_reset(p); /* as on a connection that lives on */
        }
        leat_http_parser_free(p);
    }
}

static void expect_status(const leat_http_limits *limits, leat_slice input, int expected)
{
    for (unsigned plan = 0; plan < SPLIT_PLANS; plan++) {
        leat_http_parser *p = leat_http_parser_new(NULL, limits);
        size_t taken = 0;
        bool done = false;
        int status = feed(p, input, plan, &taken, &done);
        if (status != expected)
            fail_msg("status %d instead of %d, plan %u: %.*s", status, expected, plan,
                     (int)input.len, input.at);
        assert_false(done);
        leat_http_parser_free(p);
    }
}

static void refuses_what_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_status(&usual, bad[i].input, bad[i].status);
}

static void is_done_only_at_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *rest = strstr(good[i].request, " +");
        size_t whole = good[i].input.len - (rest == NULL ? 0 : strlen(rest) - 2);
        leat_http_parser *p = leat_http_parser_new(NULL, &usual);
        size_t taken = 0;
        bool done = true;

        int status = feed(p, (leat_slice){good[i].input.at, whole - 1}, 0, &taken, &done);

        assert_int_equal(status, 0);
        assert_false(done);
        leat_http_parser_free(p);
    }
}

static leat_slice repeat(leat_buf *out, const char *before, const char *part, size_t n,
                         const char *after)
{
    leat_buf_text(out, before);
    for (size_t i = 0; i < n; i++)
        leat_buf_text(out, part);
    leat_buf_text(out, after);
    return leat_buf_view(out);
}

static void expect_repeat(const char *before, const char *part, size_t n, const char *after,
                          int status)
{
    leat_buf input = LEAT_BUF_INIT;
    expect_status(&usual, repeat(&input, before, part, n, after), status);
    leat_buf_close(&input);
}

static void holds_to_its_limits(void **state)
{
    (void)state;
    /* a request line of more than 300 bytes, ended or not */
    expect_repeat("GET /", "a", 300, "", 414);
    expect_repeat("GET /", "a", 300, " HTTP/1.1\r\n" HOST "\r\n", 414);
    expect_repeat("", "a", 301, "", 400);
    /* a head of more than 300 bytes */
    expect_repeat("GET / HTTP/1.1\r\nX: ", "a", 300, "", 431);
    expect_repeat("GET / HTTP/1.1\r\n" HOST "X: ", "a", 280, "\r\n\r\n", 431);
    /* more than 8 headers */
    expect_repeat("GET / HTTP/1.1\r\n", "X: 1\r\n", 9, "", 431);
    /* trailers, and framing that is out of proportion */
    expect_repeat(CHUNKED "0\r\n", "X: 1\r\n", 60, "", 431);
    expect_repeat(CHUNKED "0\r\nX: ", "x", 301, "", 431);
    expect_repeat(CHUNKED "1;x=", "x", 6000, "", 400);
    expect_repeat(CHUNKED, "0", 6000, "", 400);
}

static void counts_limits_to_the_byte(void **state)
{
    (void)state;
    static const char request[] = "POST /abc HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    const leat_slice input = {request, sizeof(request) - 1};
    const size_t head = sizeof(request) - 1 - 3;
    const leat_http_limits limits[] = {{head, 2, 3, 4}, {head - 1, 2, 3, 4}, {head, 1, 3, 4},
                                       {head, 2, 2, 4}, {19, 2, 3, 4},       {head, 2, 3, 3}};
    const int statuses[] = {0, 431, 431, 413, 414, 414};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        leat_http_parser *p = leat_http_parser_new(NULL, &limits[i]);
        size_t taken = 0;
        bool done = false;

        assert_int_equal(feed(p, input, 1, &taken, &done), statuses[i]);

        assert_int_equal(done, i == 0);
        leat_http_parser_free(p);
    }
}

static void tells_when_a_request_has_begun(void **state)
{
    (void)state;
    leat_http_parser *p = leat_http_parser_new(NULL, &usual);
    size_t used = 0;
    leat_http_progress progress = LEAT_HTTP_WHOLE;
    assert_false(leat_http_parser_started(p));
    assert_int_equal(leat_http_feed(p, "\r\n", 2, &used, &progress), 0);
    assert_false(leat_http_parser_started(p));
    assert_int_equal(leat_http_feed(p, "G", 1, &used, &progress), 0);
    assert_true(leat_http_parser_started(p));
    leat_http_parser_reset(p);
    assert_false(leat_http_parser_started(p));
    leat_http_parser_free(p);
    leat_http_parser_free(NULL);
}

static void stays_refused(void **state)
{
    (void)state;
    leat_http_parser *p = leat_http_parser_new(NULL, &usual);
    size_t used = 0;
    leat_http_progress progress = LEAT_HTTP_WHOLE;
    assert_int_equal(leat_http_feed(p, "FOO\r\n", 5, &used, &progress), 400);
    assert_int_equal(leat_http_feed(p, "GET / HTTP/1.0\r\n\r\n", 18, &used, &progress), 400);
    assert_int_equal(progress, LEAT_HTTP_MORE);
    leat_http_parser_free(p);
}

static void stops_between_head_and_body(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
        "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET /a HTTP/1.1\r\n" HOST
        "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        leat_http_parser *p = leat_http_parser_new(NULL, &usual);
        leat_slice input = leat_slice_of(requests[i]);
        size_t head = (size_t)(strstr(requests[i], "\r\n\r\n") - requests[i]) + 4;
        size_t used = 0;
        leat_http_progress progress = LEAT_HTTP_MORE;

        assert_int_equal(leat_http_feed(p, input.at, input.len, &used, &progress), 0);

        assert_int_equal(progress, LEAT_HTTP_HEAD);
        assert_int_equal(used, head);
        assert_true(leat_slice_is(leat_http_parser_request(p)->path, "/a"));
        assert_true(leat_http_parser_request(p)->has_body);
        assert_int_equal(leat_http_parser_request(p)->body.len, 0);

        assert_int_equal(leat_http_feed(p, input.at + head, input.len - head, &used, &progress), 0);

        assert_int_equal(progress, LEAT_HTTP_WHOLE);
        assert_true(leat_slice_is(leat_http_parser_request(p)->body, "abc"));
        leat_http_parser_free(p);
    }
}

static bool expects_continue(const char *text)
{
    leat_http_parser *p = leat_http_parser_new(NULL, &usual);
    size_t used = 0;
    leat_http_progress progress = LEAT_HTTP_MORE;
    assert_int_equal(leat_http_feed(p, text, strlen(text), &used, &progress), 0);
    bool expects = leat_http_parser_request(p)->expects_continue;
    leat_http_parser_free(p);
    return expects;
}

static void knows_who_waits_for_100_continue(void **state)
{
    (void)state;
#define POST(version) "POST / HTTP/1." version "\r\n" HOST "Content-Length: 3\r\n"
    assert_true(expects_continue(POST("1") "Expect: 100-continue\r\n\r\n"));
    assert_true(expects_continue(POST("1") "expect:\t100-CONTINUE , \r\n\r\n"));
    assert_true(expects_continue(POST("1") "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"));
    assert_false(expects_continue(POST("1") "Expect:\r\n\r\n"));
    assert_false(expects_continue(POST("0") "Expect: 100-continue\r\n\r\n"));
    assert_false(expects_continue(POST("0") "Expect: something\r\n\r\n"));
    assert_false(expects_continue("GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n"));
    static const char *const others[] = {"something", "100-continue, x", "100-continue;q=1", "100"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        leat_buf text = LEAT_BUF_INIT;
        leat_buf_printf(&text, POST("1") "Expect: %s\r\n\r\n", others[i]);
        expect_status(&usual, leat_buf_view(&text), 417);
        leat_buf_close(&text);
    }
}

static void takes_the_host_from_the_target_or_the_header(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *host; /* NULL: none */
        const char *target;
    } cases[] = {
        {"GET /a HTTP/1.1\r\nHost: a.b:1\r\n\r\n", "a.b:1", "/a"},
        {"GET http://c.d:2/a?b HTTP/1.1\r\nHost: a.b\r\n\r\n", "c.d:2", "/a?b"},
        {"GET http://c.d HTTP/1.1\r\nHost: a.b\r\n\r\n", "c.d", "/"},
        {"GET HTTP://[::1]:2?b=/ HTTP/1.1\r\nHost: a.b\r\n\r\n", "[::1]:2", "/?b=/"},
        {"GET http://c HTTP/1.0\r\n\r\n", "c", "/"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "", "/"},
        {"GET / HTTP/1.0\r\n\r\n", NULL, "/"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const leat_http_limits limits = {
            .max_head = 4096, .max_url = 4096, .max_headers = 64, .max_body = 100};
        leat_http_parser *p = leat_http_parser_new(NULL, &limits);
        size_t used = 0;
        leat_http_progress progress = LEAT_HTTP_MORE;
        assert_int_equal(leat_http_feed(p, cases[i].head, strlen(cases[i].head), &used, &progress),
                         0);
        const leat_http_request *r = leat_http_parser_request(p);
        assert_int_equal(r->host.at == NULL, cases[i].host == NULL);
        assert_true(leat_slice_equal(r->host, leat_slice_of(cases[i].host)));
        assert_true(leat_slice_is(r->target, cases[i].target));
        leat_http_parser_free(p);
    }
}

static void takes_targets_of_https_over_tls_only(void **state)
{
    (void)state;
    static const char text[] = "GET HTTPS://h:8443?q HTTP/1.1\r\n" HOST "\r\n";
    size_t used = 0;
    leat_http_progress progress = LEAT_HTTP_MORE;
    leat_http_parser *p = leat_http_parser_new(NULL, &usual);
    leat_http_parser_set_tls(p, leat_slice_of("facts"));

    assert_int_equal(leat_http_feed(p, text, sizeof(text) - 1, &used, &progress), 0);

    const leat_http_request *r = leat_http_parser_request(p);
    assert_true(leat_slice_is(r->target, "/?q") && leat_slice_is(r->host, "h:8443"));
    leat_http_parser_free(p);
    expect_status(&usual, leat_slice_of(text), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_targets_of_https_over_tls_only),
        cmocka_unit_test(takes_the_host_from_the_target_or_the_header),
        cmocka_unit_test(reads_requests_however_they_are_cut),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(is_done_only_at_the_end),
        cmocka_unit_test(holds_to_its_limits),
        cmocka_unit_test(counts_limits_to_the_byte),
        cmocka_unit_test(tells_when_a_request_has_begun),
        cmocka_unit_test(stays_refused),
        cmocka_unit_test(stops_between_head_and_body),
        cmocka_unit_test(knows_who_waits_for_100_continue),
    };
    return cmocka_run_group_tests_name("wire/http", tests, NULL, NULL);
}
