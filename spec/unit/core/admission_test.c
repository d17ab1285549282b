/* admission_test.c - who is refused before anything is done for them, and when they may come back.
 */
#include "core_fixture.h"

#include "core/account.h"
#include "core/admission.h"

static void open_client(void **state, core_fixture **f)
{
    *f = *state;
    core_fixture_connect(*f, LEAT_TRANSPORT_WS);
}

static void subscribe(core_fixture *f)
{
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"t\"}");
}

static void refuses_what_is_too_much_for_all(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    f->limits.max_handshakes = 1;
    subscribe(f);
    assert_int_equal(1, f->core.n_handshakes);
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":2,\"topic\":\"u\"}");
    core_fixture_expect_sent(f, "\"id\":2,\"code\":\"unavailable\"");
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_HANDSHAKES_SHED_ALL));
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
    assert_int_equal(0, f->core.n_handshakes);
}

static void refuses_who_would_wait_too_long(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    f->wait_ms = 2600; /* twice that is more than the client waits */
    subscribe(f);
    core_fixture_expect_sent(f, "\"code\":\"unavailable\"");
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_HANDSHAKES_SHED_WAIT));
    assert_int_equal(0, f->n_calls);
    f->wait_ms = 2400;
    subscribe(f);
    assert_int_equal(1, f->n_calls);
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
}

static void spreads_those_who_come_back(void **state)
{
    core_fixture *f = *state;
    static const uint64_t waits[][2] = {{0, 1000}, {1, 100}, {5000, 5000}, {90000, 10000}};
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        uint32_t least = UINT32_MAX;
        uint32_t most = 0;
        f->wait_ms = waits[i][0];
        for (int n = 0; n < 200; n++) {
            uint32_t ms = leat_admission_retry_ms(&f->core);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        assert_true(least >= waits[i][1] && most < 2 * waits[i][1]);
        assert_true(most - least > waits[i][1] / 2);
    }
}

static void counts_what_a_user_has(void **state)
{
    core_fixture *f = *state;
    core_fixture_name_user(f, '7');
    f->limits.allowance.max_subscriptions_per_user = 1;
    core_fixture_reach(f, SUB_LIVE);
    const leat_account *user = f->client->base.user;
    assert_int_equal(1, user->subscriptions);
    assert_int_equal(0, user->handshakes);
    core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":2,\"topic\":\"u\"}");
    core_fixture_expect_sent(f, "\"id\":2,\"code\":\"limit\"");
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_SUBS_REFUSED_USER));
    assert_int_equal(1, leat_account_set_held(&f->core.accounts));
    core_fixture_gone(f);
    assert_int_equal(0, leat_account_set_held(&f->core.accounts));
}

static void limits_what_a_client_without_a_user_publishes(void **state)
{
    core_fixture *f;
    open_client(state, &f);
    f->limits.allowance.publishes = (leat_rate){.per_s = 1, .burst = 1};
    core_fixture_say(f, "{\"op\":\"publish\",\"id\":1,\"topic\":\"t\",\"data\":1}");
    core_fixture_say(f, "{\"op\":\"publish\",\"id\":2,\"topic\":\"t\",\"data\":1}");
    core_fixture_expect_sent(f, "\"id\":2,\"code\":\"rate_limited\"");
    assert_int_equal(1, f->n_calls);
    assert_int_equal(1, core_fixture_metric(f, LEAT_M_LIMITED_PUBLISHES));
    core_fixture_refuse(f, LEAT_CODE_FORBIDDEN, false);
}

/* Its account is for publishing alone: what it may subscribe to does not change with it. */
static void limits_nothing_else_of_a_client_without_a_user(void **state)
{
    core_fixture *f;
    leat_failure why;
    open_client(state, &f);
    leat_client *c = f->client;
    f->limits.allowance.max_subscriptions_per_user = 0;
    f->limits.allowance.max_handshakes_per_user = 0;
    assert_true(leat_admission_subscribe(&c->base, f->now_ms + 5000, &why));
    assert_true(leat_admission_publish(&c->base, leat_slice_of("t"), &why));
    assert_true(leat_admission_subscribe(&c->base, f->now_ms + 5000, &why));
}

/* The client comes back when it was told to, and is not refused for another limit then. */
static void charges_nobody_for_a_publish_that_is_refused(void **state)
{
    static const leat_terms terms = {
        .allowance = {.max_subscriptions = 10,
                      .max_subscriptions_per_user = 10,
                      .max_handshakes_per_user = 10,
                      .publishes = {.per_s = 1, .burst = 1}},
        .tenant = {"a", 1},
        .tenant_max_subscriptions = SIZE_MAX,
        .tenant_max_handshakes = SIZE_MAX,
        .tenant_publishes = {.per_s = 10, .burst = 1},
    };
    static const leat_session_extra extra = {.terms = &terms};
    core_fixture *f = *state;
    core_fixture_name_user(f, '7');
    f->session.extra = &extra;
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    leat_client *c = f->client;
    leat_failure why;
    assert_true(leat_admission_publish(&c->base, leat_slice_of("t"), &why));
    assert_false(leat_admission_publish(&c->base, leat_slice_of("u"), &why));
    assert_true(why.retry_after_ms > 0 && why.retry_after_ms <= 100); /* the tenant's */

    c->base.tenant->publishes = (leat_bucket){0}; /* as after that time */
    assert_true(leat_admission_publish(&c->base, leat_slice_of("u"), &why));

    c->base.tenant->publishes = (leat_bucket){0};
    assert_false(leat_admission_publish(&c->base, leat_slice_of("u"), &why));
    assert_true(why.retry_after_ms > 100); /* the user's */
    assert_true(leat_admission_publish(&c->base, leat_slice_of("v"), &why));
}

static void has_no_room_for_a_snapshot(void **state)
{
    core_fixture *f = *state;
    core_fixture_reach(f, SUB_READING);
    f->core.max_client_bytes = 1;
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
    core_fixture_expect_sent(f, "\"code\":\"unavailable\"");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, core_fixture_open, core_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_what_is_too_much_for_all),
        TEST(refuses_who_would_wait_too_long),
        TEST(spreads_those_who_come_back),
        TEST(counts_what_a_user_has),
        TEST(limits_what_a_client_without_a_user_publishes),
        TEST(limits_nothing_else_of_a_client_without_a_user),
        TEST(charges_nobody_for_a_publish_that_is_refused),
        TEST(has_no_room_for_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
