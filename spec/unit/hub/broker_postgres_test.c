/* broker_postgres_test.c - what a notification must be to be believed.
 *
 * The test plays the listener, and stands in for the reading of announcements (spec/unit/wire).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/broker_postgres.h"

static struct {
    int n_up, n_down, n_announced, n_refused, n_closed;
    int64_t last_seq;
    const char *trouble;
} seen;

static const leat_pg_listener_handler *listener;
static void *listener_arg;
static int listener_fails;
static leat_deadline *armed;
static leat_slice key_given;
static bool is_sealed;

int leat_pg_listener_new(leat_pg_listener **out, leat_loop *loop, leat_metrics *metrics,
                         const leat_pg_listener_options *options,
                         const leat_pg_listener_handler *handler, void *arg)
{
    (void)loop, (void)metrics, (void)options;
    listener = handler;
    listener_arg = arg;
    *out = NULL;
    return listener_fails;
}

void leat_pg_listener_close(leat_pg_listener *l, void (*done)(void *arg), void *arg)
{
    (void)l;
    done(arg);
}

void leat_deadline_init(leat_deadline *d)
{
    d->cb_ = NULL;
}

void leat_deadline_cancel(leat_deadline *d)
{
    d->cb_ = NULL;
    armed = NULL;
}

bool leat_deadline_armed(const leat_deadline *d)
{
    return d->cb_ != NULL;
}

void leat_loop_after(leat_loop *l, leat_deadline *d, uint64_t ms, leat_deadline_cb cb)
{
    (void)l, (void)ms;
    d->cb_ = cb;
    armed = d;
}

static void pass_time(void)
{
    leat_deadline *d = armed;
    leat_deadline_cb cb = d->cb_;
    leat_deadline_cancel(d);
    cb(d);
}

leat_announcement_seal *leat_announcement_seal_new(void)
{
    return leat_calloc(1, 1);
}

void leat_announcement_seal_free(leat_announcement_seal *s)
{
    free(s);
}

int leat_announcement_seal_key(leat_announcement_seal *s, leat_slice key)
{
    (void)s;
    key_given = key;
    return key.len == 0 ? LEAT_EBADMSG : 1;
}

bool leat_announcement_is_sealed(const leat_announcement_seal *s, leat_slice payload,
                                 int sender_pid)
{
    (void)s, (void)payload;
    return is_sealed && sender_pid == 42;
}

int leat_announcement_parse(leat_announcement *out, leat_slice payload)
{
    *out = (leat_announcement){.seq = 7};
    return leat_slice_is(payload, "good") ? 0 : LEAT_EBADMSG;
}

static void on_up(void *arg)
{
    (void)arg;
    seen.n_up++;
}

static void on_down(void *arg)
{
    (void)arg;
    seen.n_down++;
}

static void on_trouble(void *arg, const char *why)
{
    (void)arg;
    seen.trouble = why;
}

static void on_announce(void *arg, const leat_announcement *a)
{
    (void)arg;
    seen.n_announced++;
    seen.last_seq = a->seq;
}

static void on_refused(void *arg)
{
    (void)arg;
    seen.n_refused++;
}

static void on_closed(void *arg)
{
    (void)arg;
    seen.n_closed++;
}

static const leat_broker_handler handler = {on_up, on_down, on_trouble, on_announce, on_refused};
static leat_metrics_registry *registry;
static leat_metrics *metrics;

static int set_up(void **state)
{
    leat_broker *b;
    memset(&seen, 0, sizeof(seen));
    is_sealed = true;
    registry = leat_metrics_registry_new();
    metrics = leat_metrics_new(registry);
    assert_int_equal(0, leat_broker_postgres_new(&b, NULL, metrics, NULL, &handler, NULL));
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    leat_broker *b = *state;
    b->close(b, on_closed, NULL);
    assert_int_equal(1, seen.n_closed);
    leat_metrics_registry_free(registry);
    return 0;
}

static void connect_with_key(leat_broker *b)
{
    listener->on_up(listener_arg);
    assert_int_equal(1, b->trust(b, leat_slice_of("key")));
}

static void passes_on_what_is_sealed(void **state)
{
    connect_with_key(*state);
    assert_int_equal(1, seen.n_up);
    assert_true(leat_slice_is(key_given, "key"));
    listener->on_notify(listener_arg, "good", 42);
    assert_int_equal(1, seen.n_announced);
    assert_int_equal(7, seen.last_seq);
    assert_int_equal(0, seen.n_refused);
}

static void refuses_what_is_malformed_or_not_sealed(void **state)
{
    connect_with_key(*state);
    listener->on_notify(listener_arg, "bad", 42);
    listener->on_notify(listener_arg, "good", 43);
    is_sealed = false;
    listener->on_notify(listener_arg, "good", 42);
    assert_int_equal(0, seen.n_announced);
    assert_int_equal(3, seen.n_refused);
    assert_int_equal(3, leat_metrics_get(metrics, LEAT_M_ANNOUNCEMENTS_REFUSED));
}

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    uint64_t *counts = arg;
    const char *n = strstr(line, " n=");
    (void)level, (void)len;
    counts[0]++;
    counts[1] += n == NULL ? 0 : strtoull(n + 3, NULL, 10);
}

static void be_refused(int times)
{
    for (int i = 0; i < times; i++)
        listener->on_notify(listener_arg, "bad", 42);
}

static void logs_each_refusal_in_few_lines(void **state)
{
    uint64_t counts[2] = {0}; /* of lines, and of refusals in them */
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_WARN, on_line, counts);
    leat_log_bind(log);
    connect_with_key(*state);

    be_refused(1000);
    assert_int_equal(counts[0], 1);
    pass_time();
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1000);
    be_refused(3);
    assert_int_equal(counts[0], 2);
    pass_time();
    assert_int_equal(counts[1], 1003);
    pass_time();
    assert_int_equal(counts[0], 3);
    assert_null(armed);

    be_refused(5);
    leat_broker *b = *state;
    b->close(b, on_closed, NULL);
    assert_int_equal(counts[1], 1008);
    leat_log_bind(NULL);
    leat_log_free(log);
    seen.n_closed = 0;
    assert_int_equal(0, leat_broker_postgres_new(&b, NULL, metrics, NULL, &handler, NULL));
    *state = b;
}

/* The key that it had may be of another database by then. */
static void ignores_all_until_it_is_given_a_key(void **state)
{
    leat_broker *b = *state;
    listener->on_up(listener_arg);
    listener->on_notify(listener_arg, "good", 42);
    listener->on_notify(listener_arg, "bad", 42);
    assert_int_equal(0, seen.n_announced + seen.n_refused);
    assert_int_equal(LEAT_EBADMSG, b->trust(b, leat_slice_of("")));
    listener->on_notify(listener_arg, "good", 42);
    assert_int_equal(0, seen.n_announced);
}

static void trusts_no_key_across_a_lost_connection(void **state)
{
    connect_with_key(*state);
    listener->on_trouble(listener_arg, "lost");
    listener->on_down(listener_arg, LEAT_EPG_LOST);
    listener->on_up(listener_arg);
    listener->on_notify(listener_arg, "good", 42);
    assert_int_equal(1, seen.n_down);
    assert_string_equal("lost", seen.trouble);
    assert_int_equal(0, seen.n_announced);
}

static void is_not_made_without_a_listener(void **state)
{
    (void)state;
    leat_broker *b = NULL;
    listener_fails = LEAT_EBUSY;
    assert_int_equal(LEAT_EBUSY, leat_broker_postgres_new(&b, NULL, metrics, NULL, &handler, NULL));
    listener_fails = 0;
    assert_null(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(passes_on_what_is_sealed),
        TEST(refuses_what_is_malformed_or_not_sealed),
        TEST(logs_each_refusal_in_few_lines),
        TEST(ignores_all_until_it_is_given_a_key),
        TEST(trusts_no_key_across_a_lost_connection),
        cmocka_unit_test(is_not_made_without_a_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
