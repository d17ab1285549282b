/* client_history_test.c - a client of Centrifugo's protocol asks for stored events. */
#include "core_fixture.h"

#include "fake_excerpt.h"
#include "wire/centrifuge.h"

static const leat_excerpt_event found[] = {
    {11, {"\"a\"", 3}}, {12, {"\"b\"", 3}}, {13, {"\"c\"", 3}}};

static leat_named_position at(const char *epoch, int64_t seq, int64_t revoked)
{
    return (leat_named_position){leat_slice_of(epoch), seq, revoked};
}

/* A client that is subscribed to "t", at 10 of epoch "e". */
static core_fixture *subscribed(void **state)
{
    core_fixture *f = *state;
    f->limits.max_history_events = 100;
    f->limits.max_history_bytes = 1000;
    f->limits.max_event_bytes = 500;
    core_fixture_connect_with(f, &leat_centrifuge_json);
    core_fixture_say(f, "{\"id\":1,\"subscribe\":{\"channel\":\"t\"}}");
    core_fixture_allow(f);
    core_fixture_arm(f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    f->conn.sent.len = 0;
    return f;
}

#define ASK(more) "{\"id\":2,\"history\":{\"channel\":\"t\"" more "}}"

static void expect_error(core_fixture *f, const char *code)
{
    char text[60];
    snprintf(text, sizeof(text), "{\"id\":2,\"error\":{\"code\":%s,", code);
    core_fixture_expect_sent(f, text);
    assert_null(fake_excerpt());
}

static void asks_for_what_the_client_wants(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f, ASK(",\"limit\":7,\"since\":{\"epoch\":\"e\",\"offset\":4}"));
    const leat_excerpt *e = fake_excerpt();
    assert_true(leat_slice_is(e->ask.topic, "t"));
    assert_false(e->ask.reverse);
    assert_int_equal(4, e->ask.since);
    assert_int_equal(7, e->ask.events);
    assert_int_equal(1000, e->ask.bytes);
    assert_int_equal(500, e->ask.event_bytes);
    fake_excerpt_answer(at("e", 10, LEAT_NEVER_REVOKED), true, NULL, 0);

    core_fixture_say(f, ASK(",\"limit\":-1"));
    assert_int_equal(-1, fake_excerpt()->ask.since);
    assert_int_equal(100, fake_excerpt()->ask.events);
    fake_excerpt_answer(at("e", 10, LEAT_NEVER_REVOKED), true, NULL, 0);

    core_fixture_say(f, ASK(",\"limit\":101,\"reverse\":true"));
    assert_true(fake_excerpt()->ask.reverse);
    assert_int_equal(LEAT_SEQ_MAX, fake_excerpt()->ask.since);
    assert_int_equal(100, fake_excerpt()->ask.events);
    fake_excerpt_answer(at("e", 10, LEAT_NEVER_REVOKED), true, NULL, 0);
}

static void answers_with_what_was_found(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f, ASK(",\"limit\":9"));
    assert_int_equal(1, f->client->base.n_inflight);
    fake_excerpt_answer(at("e", 13, 3), true, found, 3);

    core_fixture_expect_sent(
        f, "{\"id\":2,\"history\":{\"epoch\":\"e\",\"offset\":13,\"publications\":["
           "{\"data\":\"a\",\"offset\":11},{\"data\":\"b\",\"offset\":12},{\"data\":\"c\","
           "\"offset\":13}]}}");
    assert_int_equal(0, f->client->base.n_inflight);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_HISTORIES_OK));
}

/* The handler has not seen the revocation at 12: the cursor, which is at 10, is to come to it. */
static void ends_before_a_revocation(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "\"a\"");
    f->conn.sent.len = 0;
    core_fixture_say(f, ASK(",\"limit\":9"));
    fake_excerpt_answer(at("e", 13, 12), true, found, 3);

    core_fixture_expect_sent(f,
                             "\"offset\":11,\"publications\":[{\"data\":\"a\",\"offset\":11}]}}");
}

static void says_that_a_position_is_lost(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f, ASK(",\"limit\":9,\"since\":{\"epoch\":\"another\",\"offset\":4}"));
    fake_excerpt_answer(at("e", 13, 3), true, found, 3);
    expect_error(f, "112");
    core_fixture_say(f, ASK(",\"limit\":9,\"since\":{\"epoch\":\"e\",\"offset\":14}"));
    fake_excerpt_answer(at("e", 13, 3), true, NULL, 0);
    expect_error(f, "112");
    core_fixture_say(f, ASK(",\"limit\":9,\"since\":{\"epoch\":\"e\",\"offset\":4}"));
    fake_excerpt_answer(at("e", 13, 3), false, found, 3);
    expect_error(f, "112");
    assert_int_equal(3, core_fixture_metric(f, LEAT_M_HISTORIES_LOST));
}

/* Backwards nothing can be missing but the end; and without an epoch nothing is claimed. */
static void claims_no_more_than_the_client_does(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f,
                     ASK(",\"limit\":9,\"reverse\":true,\"since\":{\"epoch\":\"e\",\"offset\":4}"));
    fake_excerpt_answer(at("e", 13, 3), false, NULL, 0);
    core_fixture_expect_sent(f, "\"offset\":13,\"publications\":[]}}");
    core_fixture_say(f, ASK(",\"limit\":9,\"since\":{\"epoch\":\"\",\"offset\":4}"));
    fake_excerpt_answer(at("e", 13, 3), false, found, 1);
    core_fixture_expect_sent(f,
                             "\"offset\":13,\"publications\":[{\"data\":\"a\",\"offset\":11}]}}");
}

static void counts_an_answer_that_is_cut(void **state)
{
    core_fixture *f = subscribed(state);
    f->limits.max_history_events = 3;
    core_fixture_say(f, ASK(",\"limit\":4"));
    fake_excerpt_answer(at("e", 13, 3), true, found, 3);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_HISTORIES_CUT));
    core_fixture_say(f, ASK(",\"limit\":3"));
    fake_excerpt_answer(at("e", 13, 3), true, found, 3);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_HISTORIES_OK));
}

static void is_for_subscribers_only(void **state)
{
    core_fixture *f = *state;
    core_fixture_connect_with(f, &leat_centrifuge_json);
    core_fixture_say(f, ASK(",\"limit\":9"));
    expect_error(f, "103");
    core_fixture_say(f, "{\"id\":1,\"subscribe\":{\"channel\":\"t\"}}");
    core_fixture_say(f, ASK(",\"limit\":9"));
    expect_error(f, "103"); /* it is not answered yet */
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    assert_int_equal(2, core_fixture_metric(f, LEAT_M_HISTORIES_REFUSED));
}

static void is_refused_if_the_subscription_ends_meanwhile(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f, ASK(",\"limit\":9"));
    core_fixture_say(f, "{\"id\":3,\"unsubscribe\":{\"channel\":\"t\"}}");
    f->conn.sent.len = 0;
    fake_excerpt_answer(at("e", 13, 3), true, found, 3);
    expect_error(f, "103");
}

static void is_refused_if_the_numbering_changes_meanwhile(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f, ASK(",\"limit\":9"));
    fake_excerpt_answer(at("f", 13, 3), true, found, 3);
    expect_error(f, "100");
}

static void is_refused_while_too_much_waits(void **state)
{
    core_fixture *f = subscribed(state);
    static const char large[300] = "\"";
    const leat_excerpt_event event = {11, {large, sizeof(large)}};
    f->limits.max_snapshot_bytes = 200; /* an error fits */
    core_fixture_say(f, ASK(",\"limit\":9"));
    core_fixture_fill(f);
    f->conn.sent.len = 0;
    fake_excerpt_answer(at("e", 13, 3), true, &event, 1);
    expect_error(f, "100");
    core_fixture_drain(f);
}

static void says_that_a_failure_will_pass(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f, ASK(",\"limit\":9"));
    fake_excerpt_fail(LEAT_EDEADLINE);
    expect_error(f, "100");
    core_fixture_say(f, ASK(",\"limit\":9"));
    fake_excerpt_fail(UV_ECONNREFUSED);
    expect_error(f, "100");
    assert_int_equal(2, core_fixture_metric(f, LEAT_M_HISTORIES_FAILED));
    assert_int_equal(0, f->client->base.n_inflight);
}

static void is_over_with_its_client(void **state)
{
    core_fixture *f = subscribed(state);
    core_fixture_say(f, ASK(",\"limit\":9"));
    core_fixture_gone(f);
    assert_null(fake_excerpt());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_for_what_the_client_wants),
        TEST(answers_with_what_was_found),
        TEST(ends_before_a_revocation),
        TEST(says_that_a_position_is_lost),
        TEST(claims_no_more_than_the_client_does),
        TEST(counts_an_answer_that_is_cut),
        TEST(is_for_subscribers_only),
        TEST(is_refused_if_the_subscription_ends_meanwhile),
        TEST(is_refused_if_the_numbering_changes_meanwhile),
        TEST(is_refused_while_too_much_waits),
        TEST(says_that_a_failure_will_pass),
        TEST(is_over_with_its_client),
    };
    return cmocka_run_group_tests_name("client_history", tests, NULL, NULL);
}
