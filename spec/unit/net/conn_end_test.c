#include "net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "net/conn_private.h"

static leat_buf make_bytes(size_t len)
{
    leat_buf b = LEAT_BUF_INIT;
    memset(leat_buf_reserve(&b, len), 'x', len);
    b.len = len;
    return b;
}

/* Queues so much that the socket cannot take all of it. */
static void block(fixture_pair *p)
{
    leat_buf b = make_bytes(1000000);
    leat_conn_send_owned(p->conn, &b);
    fixture_turn(p->f);
    assert_true(leat_conn_queued(p->conn) > 0);
}

static void closes_from_outside_of_close(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);

    leat_conn_close(p->conn);
    assert_int_equal(p->closes, 0);
    assert_true(leat_conn_closing(p->conn));
    leat_conn_close(p->conn);
    fixture_until(p, fixture_closed);

    assert_int_equal(p->close_err, 0);
    fixture_hear(p);
    assert_true(p->peer_eof);
    fixture_turn(p->f);
    fixture_release(p);
}

static void drops_what_is_sent_after_close(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 0);
    leat_event *e = fixture_event("event");
    leat_buf b = make_bytes(1000);

    leat_conn_close(p->conn);
    leat_conn_send_copy(p->conn, leat_slice_of("copy"));
    leat_conn_send_owned(p->conn, &b);
    leat_conn_send_event(p->conn, e, leat_event_frame(e));
    leat_conn_read_stop(p->conn);
    leat_conn_read_start(p->conn);
    leat_conn_finish(p->conn, 0);

    assert_null(b.at);
    assert_int_equal(leat_conn_queued(p->conn), 0);
    fixture_until(p, fixture_closed);
    assert_int_equal(fixture_hear(p), 0);
    leat_event_unref(e);
    fixture_release(p);
}

static void close_it(fixture_pair *p)
{
    leat_conn_send_copy(p->conn, leat_slice_of("never sent"));
    leat_conn_close(p->conn);
    assert_int_equal(p->closes, 0);
}

static void may_be_closed_in_on_read(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    p->during_read = close_it;

    fixture_say(p, "text");
    fixture_until(p, fixture_closed);

    assert_int_equal(p->reads, 1);
    assert_int_equal(p->close_err, 0);
    assert_int_equal(p->heard.len, 0);
    fixture_release(p);
}

static void may_be_closed_in_on_drain(void **state)
{
    fixture_pair *p = fixture_connect(*state, 4096);
    p->during_drain = close_it;

    block(p);
    fixture_until(p, fixture_closed);

    assert_int_equal(p->drains, 1);
    fixture_release(p);
}

/* The queue holds the last reference: the sanitizer sees one that is lost or dropped twice. */
static void releases_events_when_it_closes(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 4096);
    block(p);
    leat_event *e = fixture_event("event");
    for (int i = 0; i < 100; i++)
        leat_conn_send_event(p->conn, e, leat_event_frame(e));
    leat_event_unref(e);

    leat_conn_close(p->conn);

    assert_int_equal(fixture_send_buffer(f), 0);
    fixture_until(p, fixture_closed);
    fixture_release(p);
}

static void ends_when_the_peer_does(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);

    fixture_say(p, "last words");
    fixture_hang_up(p);
    fixture_until(p, fixture_closed);

    assert_true(leat_slice_is(leat_buf_view(&p->got), "last words"));
    assert_int_equal(p->close_err, UV_EOF);
    fixture_release(p);
}

static void sends_on_to_a_peer_that_only_stopped_sending(void **state)
{
    fixture_pair *p = fixture_connect(*state, 4096);
    leat_buf b = make_bytes(1000000);
    leat_conn_send_owned(p->conn, &b);
    fixture_say(p, "bye");

    shutdown(p->peer, SHUT_WR);
    fixture_until(p, fixture_closed);
    while (fixture_hear(p) > 0)
        continue;

    assert_int_equal(p->close_err, UV_EOF);
    assert_int_equal(p->heard.len, 1000000);
    assert_int_equal(p->reads, 1);
    fixture_release(p);
}

static void reports_a_reset(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);

    fixture_reset(p);
    fixture_until(p, fixture_closed);

    assert_int_equal(p->close_err, UV_ECONNRESET);
    fixture_release(p);
}

static void reads_what_came_before_a_reset(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);

    fixture_say(p, "last words");
    fixture_reset(p);
    fixture_until(p, fixture_closed);

    assert_true(leat_slice_is(leat_buf_view(&p->got), "last words"));
    assert_int_equal(p->close_err, UV_ECONNRESET);
    fixture_release(p);
}

static void reports_a_reset_while_it_is_blocked(void **state)
{
    fixture_pair *p = fixture_connect(*state, 4096);
    block(p);
    leat_conn_read_stop(p->conn);

    fixture_reset(p);
    fixture_until(p, fixture_closed);

    assert_int_equal(p->close_err, UV_ECONNRESET);
    fixture_release(p);
}

static void notices_an_end_while_it_does_not_read(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    leat_conn_read_stop(p->conn);

    fixture_say(p, "unread");
    fixture_turn(p->f);
    assert_int_equal(p->closes, 0);
    fixture_hang_up(p);
    fixture_until(p, fixture_closed);

    assert_int_equal(p->close_err, UV_EOF);
    assert_int_equal(p->reads, 0);
    fixture_release(p);
}

static void notices_a_reset_while_it_does_not_read(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    leat_conn_read_stop(p->conn);

    fixture_say(p, "unread");
    fixture_reset(p);
    fixture_until(p, fixture_closed);

    assert_int_equal(p->close_err, UV_ECONNRESET);
    assert_int_equal(p->reads, 0);
    fixture_release(p);
}

/* The unread bytes must not stay in the socket: closed with them, it would send an RST. */
static void sends_on_without_reading_to_a_peer_that_only_stopped_sending(void **state)
{
    fixture_pair *p = fixture_connect(*state, 4096);
    block(p);
    leat_conn_read_stop(p->conn);

    fixture_say(p, "unread");
    shutdown(p->peer, SHUT_WR);
    fixture_turn(p->f);
    assert_int_equal(p->conn->watch.events_, LEAT_WATCH_WRITABLE); /* told once, then no more */
    fixture_until(p, fixture_closed);
    while (fixture_hear(p) > 0)
        continue;

    assert_int_equal(p->close_err, UV_EOF);
    assert_int_equal(p->reads, 0);
    assert_int_equal(p->heard.len, 1000000);
    assert_true(p->peer_eof);
    assert_int_equal(p->peer_errno, 0);
    fixture_release(p);
}

static void raises_no_sigpipe(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    signal(SIGPIPE, SIG_DFL);

    shutdown(leat_conn_socket(p->conn), SHUT_WR);
    leat_conn_send_copy(p->conn, leat_slice_of("to a broken pipe"));
    fixture_until(p, fixture_closed);

    assert_int_equal(p->close_err, UV_EPIPE);
    fixture_release(p);
}

static void breaks_while_it_sends_early(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    leat_conn_read_stop(p->conn);
    fixture_reset(p);

    for (int i = 0; i < 5; i++) {
        leat_buf b = make_bytes(100000);
        leat_conn_send_owned(p->conn, &b);
    }

    assert_int_equal(p->closes, 0);
    assert_true(leat_conn_closing(p->conn));
    fixture_until(p, fixture_closed);
    assert_true(p->close_err == UV_EPIPE || p->close_err == UV_ECONNRESET);
    fixture_release(p);
}

static bool peer_saw_end(const fixture_pair *p)
{
    return p->peer_eof || p->peer_errno != 0;
}

/* Without reading on, the kernel would answer the unread bytes with an RST. */
static void finishes_with_unread_bytes(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 0);
    leat_buf noise = make_bytes(200000);
    leat_buf_char(&noise, '\0');
    leat_conn_read_stop(p->conn);
    fixture_say(p, noise.at);
    leat_buf_close(&noise);

    leat_conn_send_copy(p->conn, leat_slice_of("answer"));
    leat_conn_finish(p->conn, leat_loop_now(f->loop) + 60000);
    leat_conn_send_copy(p->conn, leat_slice_of("too late"));
    fixture_until(p, peer_saw_end);

    assert_true(p->peer_eof);
    assert_int_equal(p->peer_errno, 0);
    assert_true(leat_slice_is(leat_buf_view(&p->heard), "answer"));
    assert_int_equal(p->closes, 0);
    assert_int_equal(p->reads, 0);
    fixture_say(p, "still talking");
    fixture_turn(f);
    fixture_hang_up(p);
    fixture_until(p, fixture_closed);
    assert_int_equal(p->close_err, 0);
    assert_int_equal(p->reads, 0);
    fixture_release(p);
}

static void finishes_when_a_blocked_queue_is_sent(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 4096);
    block(p);

    leat_conn_finish(p->conn, leat_loop_now(f->loop) + 60000);
    fixture_until(p, peer_saw_end);

    assert_true(p->peer_eof);
    assert_int_equal(p->heard.len, 1000000);
    assert_int_equal(p->drains, 0);
    fixture_hang_up(p);
    fixture_until(p, fixture_closed);
    assert_int_equal(p->close_err, 0);
    fixture_release(p);
}

static void finishes_with_a_peer_that_stopped_sending_first(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 4096);
    block(p);
    shutdown(p->peer, SHUT_WR);
    fixture_turn(f);

    leat_conn_finish(p->conn, leat_loop_now(f->loop) + 60000);
    fixture_until(p, fixture_closed);
    while (fixture_hear(p) > 0)
        continue;

    assert_int_equal(p->heard.len, 1000000);
    assert_int_equal(p->close_err, 0);
    fixture_release(p);
}

static void finish_it(fixture_pair *p)
{
    leat_conn_send_copy(p->conn, leat_slice_of("answer"));
    leat_conn_finish(p->conn, leat_loop_now(p->f->loop) + 60000);
    leat_conn_finish(p->conn, 0);
}

static void finishes_from_inside_on_read(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    p->during_read = finish_it;

    fixture_say(p, "question");
    shutdown(p->peer, SHUT_WR);
    fixture_until(p, fixture_closed);

    fixture_hear(p);
    assert_true(leat_slice_is(leat_buf_view(&p->heard), "answer"));
    assert_int_equal(p->close_err, 0);
    fixture_release(p);
}

static void waits_for_the_peer_until_the_limit(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 0);
    uint64_t limit_ms = leat_loop_now(f->loop) + 20;

    leat_conn_finish(p->conn, limit_ms);
    fixture_until(p, fixture_closed);

    assert_true(leat_loop_now(f->loop) >= limit_ms);
    assert_true(p->peer_eof);
    assert_int_equal(p->close_err, 0);
    fixture_release(p);
}

static void gives_up_on_a_peer_that_never_reads(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 4096);
    block(p);

    leat_conn_finish(p->conn, leat_loop_now(f->loop) + 20);
    uint64_t limit_ns = uv_hrtime() + 5000000000u;
    while (!fixture_closed(p) && uv_hrtime() < limit_ns)
        fixture_turn(f);

    assert_true(fixture_closed(p));
    assert_int_equal(fixture_send_buffer(f), 0);
    fixture_release(p);
}

static void can_be_closed_while_it_finishes(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 4096);
    block(p);

    leat_conn_finish(p->conn, leat_loop_now(f->loop) + 60000);
    leat_conn_close(p->conn);
    fixture_until(p, fixture_closed);

    assert_int_equal(p->close_err, 0);
    fixture_release(p);
}

/* Waits until it can write, and fails then. */
static int open_late(leat_filter *f)
{
    bool waits = f->wait_read == LEAT_WATCH_READABLE;
    f->wait_read = LEAT_WATCH_WRITABLE;
    return waits ? UV_EAGAIN : UV_EPROTO;
}

static void keep(leat_filter *f)
{
    (void)f;
}

/* A socket can nearly always be written: to wait for that would be to turn without end. */
static void waits_for_bytes_only_once_its_filter_has_failed(void **state)
{
    static const leat_filter_ops ops = {.open = open_late, .free = keep};
    leat_filter filter = {.ops = &ops, .wait_read = LEAT_WATCH_READABLE};
    fixture_pair *p = fixture_connect(*state, 0);
    leat_conn_set_filter(p->conn, &filter);
    fixture_say(p, "hello");
    while (!leat_conn_closing(p->conn))
        fixture_turn(p->f);

    assert_int_equal(p->conn->watch.events_, LEAT_WATCH_READABLE);
    fixture_hang_up(p);
    fixture_until(p, fixture_closed);
    assert_int_equal(p->close_err, UV_EPROTO);
    fixture_release(p);
}

static void refuses_a_descriptor_that_cannot_be_polled(void **state)
{
    fixture *f = *state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    leat_conn *c = NULL;

    int err = leat_conn_new(&c, &f->net, fd, &(struct sockaddr_storage){0});

    assert_true(err < 0);
    assert_null(c);
    assert_int_equal(close(fd), -1);
    assert_int_equal(errno, EBADF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(closes_from_outside_of_close),
        TEST(drops_what_is_sent_after_close),
        TEST(may_be_closed_in_on_read),
        TEST(may_be_closed_in_on_drain),
        TEST(releases_events_when_it_closes),
        TEST(ends_when_the_peer_does),
        TEST(sends_on_to_a_peer_that_only_stopped_sending),
        TEST(reports_a_reset),
        TEST(reads_what_came_before_a_reset),
        TEST(reports_a_reset_while_it_is_blocked),
        TEST(notices_an_end_while_it_does_not_read),
        TEST(notices_a_reset_while_it_does_not_read),
        TEST(sends_on_without_reading_to_a_peer_that_only_stopped_sending),
        TEST(raises_no_sigpipe),
        TEST(breaks_while_it_sends_early),
        TEST(finishes_with_unread_bytes),
        TEST(finishes_when_a_blocked_queue_is_sent),
        TEST(finishes_with_a_peer_that_stopped_sending_first),
        TEST(finishes_from_inside_on_read),
        TEST(waits_for_the_peer_until_the_limit),
        TEST(gives_up_on_a_peer_that_never_reads),
        TEST(can_be_closed_while_it_finishes),
        TEST(waits_for_bytes_only_once_its_filter_has_failed),
        TEST(refuses_a_descriptor_that_cannot_be_polled),
    };
    return cmocka_run_group_tests_name("net/conn ends", tests, NULL, NULL);
}
