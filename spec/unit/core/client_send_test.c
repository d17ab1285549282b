/* client_send_test.c - what a client is sent, in the form of its transport. */
#include "core_fixture.h"

static void send_resumed(core_fixture *f)
{
    leat_position at = {leat_epoch_of(&f->core.epochs, leat_slice_of("e")), 7, 0};
    client_send_resumed(&f->client->base, leat_slice_of("1"), leat_slice_of("t"), &at);
    leat_epoch_unref(at.epoch);
}

static void sends_json_in_a_frame(void **state)
{
    core_fixture *f = *state;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    send_resumed(f);
    assert_int_equal((char)0x81, f->conn.sent.at[0]);
    core_fixture_expect_sent(
        f, "{\"op\":\"resumed\",\"id\":1,\"topic\":\"t\",\"epoch\":\"e\",\"seq\":7}");
}

static void sends_an_event_of_a_stream_with_its_position(void **state)
{
    core_fixture *f = *state;
    core_fixture_connect(f, LEAT_TRANSPORT_SSE);
    send_resumed(f);
    assert_true(core_fixture_was_sent(f, "event: resumed\n"));
    assert_true(core_fixture_was_sent(f, "id: e:7\n"));
    core_fixture_expect_sent(f, "data: {\"op\":\"resumed\"");
}

static void says_of_a_snapshot_that_it_is_stale(void **state)
{
    core_fixture *f = *state;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    leat_snapshot snapshot = {
        .position = {leat_epoch_of(&f->core.epochs, leat_slice_of("e")), 3, LEAT_NEVER_REVOKED},
        .stale = true,
        .json = leat_slice_of("{\"a\":1}"),
    };
    client_send_snapshot(&f->client->base, leat_slice_of(NULL), leat_slice_of("t"), &snapshot);
    leat_epoch_unref(snapshot.position.epoch);
    assert_true(core_fixture_was_sent(f, "\"stale\":true"));
    core_fixture_expect_sent(f, "\"data\":{\"a\":1}");
}

static void gives_every_error_a_sentence(void **state)
{
    core_fixture *f = *state;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    leat_failure why = {.code = LEAT_CODE_FORBIDDEN};
    client_send_error(&f->client->base, leat_slice_of("1"), leat_slice_of(NULL), &why);
    assert_true(core_fixture_was_sent(f, leat_code_sentence(LEAT_CODE_FORBIDDEN)));
    core_fixture_expect_sent(f, "\"op\":\"error\",\"id\":1,\"code\":\"forbidden\"");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_json_in_a_frame),
        TEST(sends_an_event_of_a_stream_with_its_position),
        TEST(says_of_a_snapshot_that_it_is_stale),
        TEST(gives_every_error_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
