#include "net/proxy_reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

typedef struct visit {
    fixture *f;
    leat_proxy_reader *reader;
    int far; /* the proxy's end */
    int calls;
    leat_proxy_verdict verdict;
    int socket; /* as it was handed on */
    struct sockaddr_storage source;
} visit;

static bool is_open(const visit *v)
{
    char byte = 0;
    return recv(v->far, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void on_done(void *arg, leat_proxy_verdict verdict, int socket,
                    const leat_proxy_header *header)
{
    visit *v = arg;
    assert_true(is_open(v)); /* the callee counts it before the peer sees the end */
    v->calls++;
    v->verdict = verdict;
    v->socket = socket;
    assert_true((header != NULL) == (verdict == LEAT_PROXY_OK));
    if (header != NULL)
        v->source = header->source;
}

static visit begin(fixture *f)
{
    visit v = {.f = f, .socket = -1};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    v.far = pair[1];
    v.socket = pair[0];
    return v;
}

static void start(visit *v)
{
    uint64_t deadline_ms = leat_loop_now(v->f->loop) + 5000;
    int near = v->socket;
    v->socket = -1;
    assert_int_equal(leat_proxy_reader_new(&v->reader, v->f->loop, near, deadline_ms, on_done, v),
                     0);
}

static void say(visit *v, const char *bytes, size_t len)
{
    assert_int_equal(send(v->far, bytes, len, 0), (ssize_t)len);
    fixture_turn(v->f);
}

static void finish(visit *v)
{
    assert_int_equal(v->calls, 1);
    if (v->socket >= 0)
        close(v->socket);
    close(v->far);
    fixture_turn(v->f);
}

static void expect_next_bytes(const visit *v, const char *text)
{
    char bytes[64] = "";
    ssize_t n = recv(v->socket, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
    assert_int_equal(n, strlen(text) > 0 ? (ssize_t)strlen(text) : -1);
    assert_string_equal(bytes, text);
}

static void hands_on_the_socket_behind_the_header(void **state)
{
    visit v = begin(*state);
    start(&v);

    say(&v, HEADER "GET /", sizeof(HEADER "GET /") - 1);

    assert_int_equal(v.verdict, LEAT_PROXY_OK);
    assert_int_equal(((struct sockaddr_in *)&v.source)->sin_port, htons(56324));
    expect_next_bytes(&v, "GET /");
    finish(&v);
}

static void reads_byte_by_byte_without_spinning(void **state)
{
    visit v = begin(*state);
    start(&v);

    for (const char *at = HEADER; *at != '\0'; at++) {
        assert_int_equal(v.calls, 0);
        say(&v, at, 1);
        char left = 0;
        assert_int_equal(v.calls, at[1] == '\0');
        /* Nothing is left on the socket that would be reported again. */
        assert_true(v.calls > 0 || recv(v.far, &left, 1, MSG_DONTWAIT) < 0);
    }

    assert_int_equal(v.verdict, LEAT_PROXY_OK);
    expect_next_bytes(&v, "");
    say(&v, "GET", 3);
    expect_next_bytes(&v, "GET");
    finish(&v);
}

static void takes_a_block_that_comes_in_two(void **state)
{
    static const char block[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x01\xc6\x33\x64\x01"
                                "\xdc\x04\x01\xbb\x04\0\0GET";
    for (size_t cut = 1; cut < sizeof(block) - 4; cut++) {
        visit v = begin(*state);
        start(&v);
        say(&v, block, cut);
        say(&v, block + cut, sizeof(block) - 1 - cut);
        assert_int_equal(v.verdict, LEAT_PROXY_OK);
        expect_next_bytes(&v, "GET");
        finish(&v);
    }
}

static void on_next(leat_watch *w, unsigned ready)
{
    (void)w;
    (void)ready;
    fail();
}

static void the_next_owner_may_poll_the_socket(void **state)
{
    visit v = begin(*state);
    leat_watch next;
    leat_watches *set = leat_loop_watches(v.f->loop);
    start(&v);
    say(&v, HEADER, sizeof(HEADER) - 1);

    assert_int_equal(leat_watch_open(set, &next, v.socket, LEAT_WATCH_READABLE, on_next), 0);

    leat_watch_close(set, &next);
    finish(&v);
}

static void refuses_what_is_no_header(void **state)
{
    visit v = begin(*state);
    start(&v);

    say(&v, "GET / HTTP/1.1\r\n", 16);

    assert_int_equal(v.verdict, LEAT_PROXY_MALFORMED);
    assert_int_equal(v.socket, -1);
    assert_false(is_open(&v));
    finish(&v);
}

static void does_not_wait_for_ever(void **state)
{
    visit v = begin(*state);
    start(&v);
    say(&v, "PROXY ", 6);

    leat_deadline_queue_advance(leat_loop_deadlines(v.f->loop), leat_loop_now(v.f->loop) + 5001);

    assert_int_equal(v.verdict, LEAT_PROXY_LATE);
    finish(&v);
}

static void notices_a_peer_that_goes(void **state)
{
    visit v = begin(*state);
    start(&v);
    say(&v, "PROXY ", 6);

    shutdown(v.far, SHUT_WR);
    fixture_turn(v.f);

    assert_int_equal(v.verdict, LEAT_PROXY_GONE);
    finish(&v);
}

static void is_cancelled(void **state)
{
    visit v = begin(*state);
    start(&v);

    leat_proxy_reader_cancel(v.reader);

    assert_int_equal(v.verdict, LEAT_PROXY_GONE);
    finish(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hands_on_the_socket_behind_the_header, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(reads_byte_by_byte_without_spinning, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(takes_a_block_that_comes_in_two, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_next_owner_may_poll_the_socket, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_header, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(does_not_wait_for_ever, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(notices_a_peer_that_goes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(is_cancelled, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
