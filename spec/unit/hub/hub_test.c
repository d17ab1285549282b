/* hub_test.c - a hub that cannot start, or never does, leaves nothing behind.
 *
 * hub.c and hub_worker.c, with the mail: the test stands in for the pool and for the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hub/broker_postgres.h"
#include "hub/hub.h"
#include "hub/hub_attend.h"
#include "hub/hub_interest.h"
#include "hub/hub_problems.h"
#include "hub/hub_repair.h"
#include "hub/hub_topic.h"
#include "hub/hub_trim.h"
#include "hub/hub_want.h"
#include "loop/loop_thread.h"

static struct {
    int pool_fails;
    int broker_fails;
    int n_pools;
    int n_brokers;
} parts;

int leat_pg_pool_new(leat_pg_pool **out, leat_loop *loop, leat_metrics *metrics,
                     const leat_pg_pool_options *options)
{
    (void)loop, (void)metrics, (void)options;
    if (parts.pool_fails < 0)
        return parts.pool_fails;
    parts.n_pools++;
    *out = leat_calloc(1, 1);
    return 0;
}

void leat_pg_pool_close(leat_pg_pool *p, void (*done)(void *arg), void *arg)
{
    parts.n_pools--;
    free(p);
    done(arg);
}

static void close_broker(leat_broker *b, void (*done)(void *arg), void *arg)
{
    parts.n_brokers--;
    free(b);
    done(arg);
}

int leat_broker_postgres_new(leat_broker **out, leat_loop *loop, leat_metrics *metrics,
                             const leat_pg_listener_options *options,
                             const leat_broker_handler *handler, void *arg)
{
    (void)loop, (void)metrics, (void)options, (void)handler, (void)arg;
    if (parts.broker_fails < 0)
        return parts.broker_fails;
    parts.n_brokers++;
    *out = leat_calloc(1, sizeof(**out));
    (*out)->close = close_broker;
    return 0;
}

/* What only a hub that runs would call. */
void hub_attend_init(leat_hub *h)
{
    (void)h;
}
void hub_attend_start(leat_hub *h)
{
    (void)h;
}
void hub_attend_stop(leat_hub *h)
{
    (void)h;
}
void hub_attend_check(leat_hub *h)
{
    (void)h;
}
void hub_attend_unconfirmed(leat_hub *h)
{
    (void)h;
}
void hub_repair_init(leat_hub *h)
{
    (void)h;
}
void hub_repair_start(leat_hub *h)
{
    (void)h;
}
void hub_repair_stop(leat_hub *h)
{
    (void)h;
}
void hub_want_probe(leat_hub *h)
{
    (void)h;
}
void hub_trim_init(leat_hub *h)
{
    (void)h;
}
void hub_trim_start(leat_hub *h)
{
    (void)h;
}
void hub_trim_stop(leat_hub *h)
{
    (void)h;
}
void hub_problems_init(leat_hub *h)
{
    (void)h;
}
void hub_problems_start(leat_hub *h)
{
    (void)h;
}
void hub_problems_stop(leat_hub *h)
{
    (void)h;
}
void hub_anchor_announced(hub_anchors *a, const leat_announcement *heard)
{
    (void)a, (void)heard;
}
void hub_anchor_read(hub_anchors *a, leat_slice topic, const leat_named_position *at,
                     int64_t entered_at)
{
    (void)a, (void)topic, (void)at, (void)entered_at;
}
void hub_topic_arm(leat_hub *h, hub_worker *w, leat_topic_life life)
{
    (void)h, (void)w, (void)life;
}
void hub_topic_disarm(leat_hub *h, hub_worker *w, leat_topic_life life)
{
    (void)h, (void)w, (void)life;
}
void hub_topic_disarm_all(leat_hub *h, const hub_worker *w)
{
    (void)h, (void)w;
}
void hub_interest_catch_up(hub_worker *w)
{
    (void)w;
}
void hub_topic_position(leat_hub *h, leat_slice name, const leat_named_position *at)
{
    (void)h, (void)name, (void)at;
}
bool hub_topic_announce(leat_hub *h, const leat_announcement *a)
{
    (void)h, (void)a;
    return true;
}

static int set_up(void **state)
{
    (void)state;
    memset(&parts, 0, sizeof(parts));
    return 0;
}

/* Returns what leat_hub_start did. Without a thread, the loop runs when it is ended. */
static int live(bool starts, bool has_thread)
{
    leat_limits limits = {0};
    leat_loop_thread *thread;
    assert_int_equal(0, leat_loop_thread_new(&thread));
    leat_hub_options options = {.limits = &limits,
                                .metrics = leat_metrics_registry_new(),
                                .loop = leat_loop_thread_loop(thread)};
    leat_hub *h;
    assert_int_equal(0, leat_hub_new(&h, &options));
    int err = starts ? leat_hub_start(h) : 0;
    if (has_thread)
        assert_int_equal(0, leat_loop_thread_start(thread, "hub", NULL, NULL, NULL));
    leat_hub_stop(h);
    leat_loop_thread_end(thread);
    leat_hub_free(h);
    leat_metrics_registry_free(options.metrics);
    assert_int_equal(0, parts.n_pools);
    assert_int_equal(0, parts.n_brokers);
    return err;
}

static void test_starts_and_ends(void **state)
{
    (void)state;
    assert_int_equal(0, live(true, true));
}

static void test_leaves_nothing_without_a_pool(void **state)
{
    (void)state;
    parts.pool_fails = UV_EMFILE;
    assert_int_equal(UV_EMFILE, live(true, false));
}

static void test_leaves_nothing_without_a_broker(void **state)
{
    (void)state;
    parts.broker_fails = UV_EMFILE;
    assert_int_equal(UV_EMFILE, live(true, false));
}

static void test_need_not_be_started(void **state)
{
    (void)state;
    assert_int_equal(0, live(false, false));
    assert_int_equal(0, live(false, true));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_starts_and_ends),
        TEST(test_leaves_nothing_without_a_pool),
        TEST(test_leaves_nothing_without_a_broker),
        TEST(test_need_not_be_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
