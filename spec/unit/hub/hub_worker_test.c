/* hub_worker_test.c - what the hub says to a worker in a turn goes in one mail.
 *
 * The test plays the worker, on the same loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "hub/hub_worker.h"
#include "wire/leat_v1.h"

enum { MAX_BYTES = 1000 };

typedef struct world {
    uv_loop_t uv;
    leat_loop *loop;
    leat_metrics_registry *registry;
    leat_metrics *metrics;
    leat_line line;
    hub_worker *worker;
    size_t n_mails;
    leat_hub_mail *last;
} world;

static void on_mail(void *arg, leat_mail *mail)
{
    world *w = arg;
    if (w->last != NULL)
        leat_hub_mail_free(w->last);
    w->last = (leat_hub_mail *)mail;
    w->n_mails++;
}

static void turn(world *w)
{
    for (int i = 0; i < 3; i++)
        uv_run(&w->uv, UV_RUN_NOWAIT);
}

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    assert_int_equal(0, uv_loop_init(&w->uv));
    assert_int_equal(0, leat_loop_new(&w->loop, &w->uv));
    leat_line_init(&w->line, NULL, NULL, MAX_BYTES);
    assert_int_equal(0, leat_mailbox_new(&w->line.worker, &w->uv, on_mail, w));
    w->registry = leat_metrics_registry_new();
    w->metrics = leat_metrics_new(w->registry);
    w->worker = hub_worker_new(w->loop, &w->line, 0, w->metrics);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    hub_worker_close(w->worker);
    turn(w);
    assert_int_equal(LEAT_HUB_CLOSED, w->last->news[w->last->n - 1].kind);
    leat_hub_mail_free(w->last);
    leat_metrics_registry_free(w->registry);
    leat_mailbox_close(w->line.worker, NULL, NULL);
    leat_loop_close(w->loop, NULL, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    leat_mailbox_free(w->line.worker);
    assert_int_equal(0, uv_loop_close(&w->uv));
    free(w);
    return 0;
}

static bool give(world *w, int64_t seq, size_t *bytes)
{
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), seq, leat_slice_of("1"));
    *bytes = leat_event_bytes(e);
    bool given = hub_worker_give(w->worker, LEAT_HUB_EVENT, 4, e);
    leat_event_unref(e);
    return given;
}

static void is_found_from_its_line(void **state)
{
    world *w = *state;
    assert_ptr_equal(w->worker, w->line.hub_end);
}

static void says_all_of_a_turn_in_one_mail(void **state)
{
    world *w = *state;
    leat_topic_life life = {leat_slice_of("t"), 4};
    size_t bytes;
    hub_worker_tell_confirmed(w->worker, true);
    hub_worker_tell_armed(w->worker, life);
    hub_worker_tell_begin(w->worker, life, &(leat_named_position){leat_slice_of("e"), 0, -1});
    assert_true(give(w, 1, &bytes));
    hub_worker_tell_reset(w->worker, life, LEAT_RESET_EPOCH);
    turn(w);

    static const leat_hub_news_kind expected[] = {LEAT_HUB_CONFIRMED, LEAT_HUB_ARMED,
                                                  LEAT_HUB_BEGIN, LEAT_HUB_EVENT, LEAT_HUB_RESET};
    assert_int_equal(1, w->n_mails);
    assert_int_equal(5, w->last->n);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(expected[i], w->last->news[i].kind);
    assert_int_equal(4, w->last->news[3].event.generation);
    assert_int_equal(bytes, w->last->bytes);
}

static void says_nothing_in_a_turn_without_news(void **state)
{
    world *w = *state;
    turn(w);
    assert_int_equal(0, w->n_mails);
    hub_worker_tell_confirmed(w->worker, false);
    turn(w);
    assert_int_equal(1, w->n_mails);
    turn(w);
    assert_int_equal(1, w->n_mails);
}

static void refuses_events_beyond_the_bytes_of_the_line(void **state)
{
    world *w = *state;
    size_t bytes;
    int64_t seq = 1;
    while (give(w, seq, &bytes))
        seq++;
    turn(w);
    assert_int_equal(seq - 1, w->last->n);
    assert_in_range(w->last->bytes, MAX_BYTES - bytes + 1, MAX_BYTES);
}

/* Without waiting for the end of the turn: the line is not the hub's any more. */
static void says_what_is_unsent_before_it_closes(void **state)
{
    world *w = *state;
    hub_worker_tell_confirmed(w->worker, true);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_found_from_its_line),
        TEST(says_all_of_a_turn_in_one_mail),
        TEST(says_nothing_in_a_turn_without_news),
        TEST(refuses_events_beyond_the_bytes_of_the_line),
        TEST(says_what_is_unsent_before_it_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
