/* client_test.c - a client: how far it may be ahead of its answers, and how it is let go. */
#include "core_fixture.h"

#include <stdio.h>

static void open_client(void **state, core_fixture **f)
{
    *f = *state;
    core_fixture_connect(*f, LEAT_TRANSPORT_WS);
}

static void publish(core_fixture *f, int id, const char *topic)
{
    char text[120];
    snprintf(text, sizeof(text), "{\"op\":\"publish\",\"id\":%d,\"topic\":\"%s\",\"data\":1}", id,
             topic);
    core_fixture_say(f, text);
}

static void answer(leat_call *call, const leat_verdict *v)
{
    call->task_ = NULL;
    call->cb(call, v);
}

static void ok(core_fixture *f, leat_call *call)
{
    f->n_running--;
    answer(call, &(leat_verdict){.failure.code = LEAT_CODE_OK});
}

static void reads_no_more_than_it_may_ask(void **state)
{
    core_fixture *f;
    char topic[] = "a";
    leat_call *calls[4];
    open_client(state, &f);
    for (int i = 0; i < 3; i++, topic[0]++) {
        publish(f, i, topic);
        calls[i] = f->call;
    }
    core_fixture_say_both(f, "{\"op\":\"publish\",\"topic\":\"y\",\"data\":1}",
                          "{\"op\":\"publish\",\"topic\":\"z\",\"data\":1}");
    calls[3] = f->call;
    assert_int_equal(4, f->n_calls);
    assert_false(f->conn.reading);

    ok(f, calls[0]);
    core_fixture_round(f);

    assert_int_equal(5, f->n_calls);
    ok(f, f->call);
    assert_true(f->conn.reading);
    for (int i = 1; i < 4; i++)
        ok(f, calls[i]);
}

static void stops_reading_while_its_answers_are_not_taken(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    core_fixture_fill(f);
    core_fixture_say(f, "{\"op\":\"fly\"}");
    assert_false(f->conn.reading);
    core_fixture_drain(f);
    assert_true(f->conn.reading);
}

static void reads_no_more_while_much_waits_for_its_turn(void **state)
{
    static const char frame[] = "\x81\x8c\0\0\0\0{\"op\":\"fly\"}";
    core_fixture *f;
    leat_buf frames = LEAT_BUF_INIT;
    open_client(state, &f);
    for (int i = 0; i < 300; i++)
        leat_buf_append(&frames, frame, sizeof(frame) - 1);
    f->conn.handler->on_read(f->conn.owner, frames.at, frames.len);
    leat_buf_close(&frames);
    assert_true(leat_peer_received(f->client->peer) > 4096);
    assert_false(f->conn.reading);

    for (int i = 0; i < 300 && !f->conn.reading; i++)
        core_fixture_round(f);
    assert_true(f->conn.reading);
}

static void keeps_only_the_cursor_while_its_socket_is_full(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    core_fixture_fill(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_expect_silence(f);
    core_fixture_drain(f);
    core_fixture_expect_sent(f, "\"seq\":11");
}

static void is_closed_when_it_does_not_read(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    core_fixture_fill(f);
    f->limits.slow_client_timeout_ms = 0; /* the tick's clock is the loop's, which stands still */
    core_fixture_wait(f, 60000);
    core_fixture_expect_close(f, LEAT_CLOSE_TOO_SLOW);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_SLOW_CLOSED));
}

static void is_closed_when_its_answers_pile_up(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    f->conn.queued = f->limits.max_send_buffer_bytes + f->limits.max_snapshot_bytes + 1;
    core_fixture_unread(f, LEAT_CODE_NOT_FOUND, false);
    core_fixture_expect_silence(f);
    core_fixture_round(f);
    core_fixture_expect_close(f, LEAT_CLOSE_TOO_SLOW);
}

static void is_let_go_when_the_server_drains(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    leat_client_drain_all(&f->core, 0);
    core_fixture_expect_close(f, LEAT_CLOSE_GOING_AWAY);
    assert_int_equal(0, f->client->base.subs.count);
    assert_true(core_fixture_was_sent(f, "retry_after_ms="));
}

enum { NEVER_MS = 1000000000 };

static void expires_while_the_server_drains(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_LIVE);
    f->session.expires_at = 1; /* in 1970 */
    leat_client_drain_all(&f->core, f->now_ms + NEVER_MS);
    core_fixture_wait(f, 10);
    core_fixture_expect_close(f, LEAT_CLOSE_IDENTITY);
    f->session.expires_at = 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_no_more_than_it_may_ask),
        TEST(stops_reading_while_its_answers_are_not_taken),
        TEST(reads_no_more_while_much_waits_for_its_turn),
        TEST(keeps_only_the_cursor_while_its_socket_is_full),
        TEST(is_closed_when_it_does_not_read),
        TEST(is_closed_when_its_answers_pile_up),
        TEST(is_let_go_when_the_server_drains),
        TEST(expires_while_the_server_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
