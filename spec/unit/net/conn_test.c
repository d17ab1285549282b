#include "net/conn.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fixture.h"

static const char pattern[] = "0123456789abcdef";

/* len bytes in which no two neighbouring blocks of 4 KiB look alike. */
static leat_buf make_bytes(size_t len)
{
    leat_buf b = LEAT_BUF_INIT;
    leat_buf_reserve(&b, len);
    for (size_t i = 0; i < len; i++)
        leat_buf_char(&b, pattern[(i + i / 4096) % 16]);
    return b;
}

static void assert_heard(const fixture_pair *p, const char *text)
{
    assert_true(leat_slice_is(leat_buf_view(&p->heard), text));
}

static void hands_on_what_arrives(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);

    fixture_say(p, "hello");
    fixture_until(p, fixture_got_some);

    assert_true(leat_slice_is(leat_buf_view(&p->got), "hello"));
    fixture_end(p);
}

static void names_its_peer(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    struct sockaddr_in addr = {0};
    socklen_t len = sizeof(addr);
    getsockname(p->peer, (struct sockaddr *)&addr, &len);
    char expected[64];
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(addr.sin_port));

    assert_string_equal(leat_conn_remote(p->conn), expected);
    fixture_end(p);
}

static void sends_at_the_end_of_the_turn(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 0);
    leat_event *e = fixture_event("[event]");
    leat_buf owned = LEAT_BUF_INIT;
    leat_buf_text(&owned, "owned ");

    leat_conn_send_copy(p->conn, leat_slice_of("copy "));
    leat_conn_send_owned(p->conn, &owned);
    leat_conn_send_event(p->conn, e, leat_event_frame(e));
    leat_event_unref(e);

    assert_int_equal(fixture_hear(p), 0);
    assert_int_equal(leat_conn_queued(p->conn), 18);
    assert_int_equal(fixture_send_buffer(f), 18);
    assert_null(owned.at);
    fixture_turn(f);
    assert_int_equal(fixture_hear(p), 18);
    assert_heard(p, "copy owned [event]");
    assert_int_equal(leat_conn_queued(p->conn), 0);
    assert_int_equal(fixture_send_buffer(f), 0);
    assert_int_equal(p->drains, 0);
    fixture_end(p);
}

static void reply(fixture_pair *p)
{
    leat_conn_send_copy(p->conn, leat_slice_of("pong"));
}

static void answers_in_the_turn_of_the_question(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    p->during_read = reply;

    fixture_say(p, "ping");
    fixture_turn(p->f);

    fixture_hear(p);
    assert_heard(p, "pong");
    fixture_end(p);
}

static void does_not_gather_without_end(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    leat_buf b = make_bytes(100 * 1024);

    leat_conn_send_owned(p->conn, &b);

    assert_true(leat_conn_queued(p->conn) < 100 * 1024);
    assert_true(fixture_hear(p) > 0);
    fixture_end(p);
}

static void sends_more_pieces_than_one_call_takes(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    leat_event *e = fixture_event("e");
    for (int i = 0; i < 1000; i++)
        leat_conn_send_event(p->conn, e, leat_event_frame(e));

    fixture_turn(p->f);

    assert_int_equal(leat_conn_queued(p->conn), 0);
    assert_int_equal(fixture_hear(p), 1000);
    leat_event_unref(e);
    fixture_end(p);
}

static void goes_on_where_a_small_socket_stopped(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 4096);
    leat_event *e = fixture_event("[event]");
    leat_buf expected = LEAT_BUF_INIT;

    for (int i = 0; i < 40; i++) {
        leat_buf b = make_bytes(30000 + (size_t)i);
        leat_buf_slice(&expected, leat_buf_view(&b));
        leat_conn_send_owned(p->conn, &b);
        leat_conn_send_event(p->conn, e, leat_event_frame(e));
        leat_conn_send_copy(p->conn, leat_slice_of("copy"));
        leat_buf_text(&expected, "[event]copy");
    }
    leat_event_unref(e);
    fixture_turn(f);

    assert_true(leat_conn_queued(p->conn) > 500000);
    assert_int_equal(fixture_send_buffer(f), leat_conn_queued(p->conn));
    fixture_until(p, fixture_drained);
    while (fixture_hear(p) > 0)
        continue;
    fixture_turn(f);
    assert_true(leat_slice_equal(leat_buf_view(&p->heard), leat_buf_view(&expected)));
    assert_int_equal(p->drains, 1);
    assert_int_equal(fixture_send_buffer(f), 0);
    leat_buf_close(&expected);
    fixture_end(p);
}

static void tells_when_the_kernel_last_took_bytes(void **state)
{
    fixture *f = *state;
    fixture_pair *p = fixture_connect(f, 4096);
    uint64_t begun_ms = leat_loop_now(f->loop);
    leat_buf b = make_bytes(1000000);
    leat_conn_send_owned(p->conn, &b);

    while (leat_loop_now(f->loop) < begun_ms + 20) /* the peer does not read */
        fixture_turn(f);
    uint64_t stalled_ms = leat_conn_progress_ms(p->conn);
    leat_conn_send_copy(p->conn, leat_slice_of("more"));

    assert_true(stalled_ms < begun_ms + 20);
    assert_true(leat_conn_progress_ms(p->conn) == stalled_ms);
    fixture_until(p, fixture_drained);
    assert_true(leat_conn_progress_ms(p->conn) >= begun_ms + 20);
    fixture_end(p);
}

static void fill_again(fixture_pair *p)
{
    leat_buf b = make_bytes(200000);
    if (p->drains < 5)
        leat_conn_send_owned(p->conn, &b);
    leat_buf_close(&b);
}

static bool drained_five_times(const fixture_pair *p)
{
    return p->drains == 5;
}

static void reports_each_drain_to_an_owner_who_fills_again(void **state)
{
    fixture_pair *p = fixture_connect(*state, 4096);
    p->during_drain = fill_again;

    fill_again(p);
    fixture_until(p, drained_five_times);

    fixture_hear(p);
    assert_int_equal(p->heard.len, 1000000);
    fixture_end(p);
}

static void hears_a_peer_that_it_sends_to_without_end(void **state)
{
    fixture_pair *p = fixture_connect(*state, 4096);
    p->during_drain = fill_again;

    fill_again(p);
    fixture_turn(p->f);
    fixture_say(p, "enough");
    fixture_turn(p->f);

    assert_true(leat_slice_is(leat_buf_view(&p->got), "enough"));
    assert_true(leat_conn_queued(p->conn) > 0);
    fixture_end(p);
}

static void leaves_bytes_alone_while_reading_is_stopped(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);

    leat_conn_read_stop(p->conn);
    leat_conn_read_stop(p->conn);
    fixture_say(p, "wait");
    for (int i = 0; i < 5; i++)
        fixture_turn(p->f);
    assert_int_equal(p->reads, 0);
    leat_conn_read_start(p->conn);
    leat_conn_read_start(p->conn);
    fixture_until(p, fixture_got_some);

    assert_int_equal(p->reads, 1);
    fixture_end(p);
}

static void stop_reading(fixture_pair *p)
{
    leat_conn_read_stop(p->conn);
}

static void stops_reading_from_inside_on_read(void **state)
{
    fixture_pair *p = fixture_connect(*state, 0);
    p->during_read = stop_reading;
    leat_buf b = make_bytes(150000);
    leat_buf_char(&b, '\0');

    fixture_say(p, b.at);
    for (int i = 0; i < 10; i++)
        fixture_turn(p->f);

    assert_int_equal(p->reads, 1);
    assert_true(p->got.len < 150000);
    leat_buf_close(&b);
    fixture_end(p);
}

static void on_other_read(void *owner, char *bytes, size_t len)
{
    leat_buf_append(owner, bytes, len);
}

static void on_other_close(void *owner, int err)
{
    (void)err;
    leat_buf_text(owner, "|closed");
}

static void changes_hands(void **state)
{
    static const leat_conn_handler other = {on_other_read, NULL, on_other_close, NULL};
    fixture_pair *p = fixture_connect(*state, 4096);
    leat_buf seen = LEAT_BUF_INIT;
    leat_buf b = make_bytes(300000);
    fixture_say(p, "first");
    fixture_until(p, fixture_got_some);

    leat_conn_set_handler(p->conn, &other, &seen);
    fixture_say(p, "second");
    fixture_turn(p->f);
    leat_conn_send_owned(p->conn, &b);
    while (leat_conn_queued(p->conn) > 0) { /* no on_drain to call */
        fixture_turn(p->f);
        fixture_hear(p);
    }
    leat_conn_close(p->conn);
    fixture_turn(p->f);

    assert_true(leat_slice_is(leat_buf_view(&p->got), "first"));
    assert_true(leat_slice_is(leat_buf_view(&seen), "second|closed"));
    leat_buf_close(&seen);
    p->conn = NULL;
    p->closes = 1;
    fixture_release(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hands_on_what_arrives),
        TEST(names_its_peer),
        TEST(sends_at_the_end_of_the_turn),
        TEST(answers_in_the_turn_of_the_question),
        TEST(does_not_gather_without_end),
        TEST(sends_more_pieces_than_one_call_takes),
        TEST(goes_on_where_a_small_socket_stopped),
        TEST(tells_when_the_kernel_last_took_bytes),
        TEST(reports_each_drain_to_an_owner_who_fills_again),
        TEST(hears_a_peer_that_it_sends_to_without_end),
        TEST(leaves_bytes_alone_while_reading_is_stopped),
        TEST(stops_reading_from_inside_on_read),
        TEST(changes_hands),
    };
    return cmocka_run_group_tests_name("net/conn", tests, NULL, NULL);
}
