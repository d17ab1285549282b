/* hub_link_test.c - a worker's end of the line: what it posts, and what it hands out.
 *
 * The test plays the hub: on the same loop, or, in a second round, on one of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "mail/hub_link.h"
#include "mail/worker_mail.h"
#include "wire/leat_v1.h"

enum { MAX_BYTES = 1000, MAX_SEEN = 16 };

typedef struct world {
    uv_loop_t uv;
    leat_loop *loop;
    uv_loop_t other; /* the hub's, if it has one of its own */
    bool apart;
    leat_mailbox *hub;
    leat_metrics_registry *registry;
    leat_hub_link *link;
    leat_line *line;                      /* as OPEN told */
    leat_worker_mail_kind said[MAX_SEEN]; /* to the hub */
    size_t n_said;
    leat_hub_news_kind heard[MAX_SEEN]; /* from the hub */
    size_t n_heard;
    size_t close_at; /* the link is closed from inside the callback when it has heard so many */
    bool closed;
} world;

static void on_worker_mail(void *arg, leat_mail *mail)
{
    world *w = arg;
    leat_worker_mail *m = (leat_worker_mail *)mail;
    assert_true(w->n_said < MAX_SEEN);
    w->said[w->n_said++] = m->kind;
    w->line = m->line;
    leat_worker_mail_free(m);
}

static void on_closed(void *arg)
{
    world *w = arg;
    w->closed = true;
}

static void on_news(void *arg, leat_hub_news *news)
{
    world *w = arg;
    assert_true(w->n_heard < MAX_SEEN);
    w->heard[w->n_heard++] = news->kind;
    if (w->n_heard == w->close_at)
        leat_hub_link_close(w->link, on_closed, w);
}

static void turn(world *w)
{
    for (int i = 0; i < 4; i++) {
        uv_run(&w->uv, UV_RUN_NOWAIT);
        uv_run(&w->other, UV_RUN_NOWAIT);
    }
}

static int set_up_world(void **state, bool apart)
{
    world *w = leat_calloc(1, sizeof(*w));
    w->apart = apart;
    assert_int_equal(0, uv_loop_init(&w->uv));
    assert_int_equal(0, uv_loop_init(&w->other));
    assert_int_equal(0, leat_loop_new(&w->loop, &w->uv));
    uv_loop_t *of_hub = apart ? &w->other : &w->uv;
    assert_int_equal(0, leat_mailbox_new(&w->hub, of_hub, on_worker_mail, w));
    w->registry = leat_metrics_registry_new();
    assert_int_equal(0, leat_hub_link_open(&w->link, w->hub, MAX_BYTES, w->loop,
                                           leat_metrics_new(w->registry), on_news, w));
    turn(w);
    *state = w;
    return 0;
}

static int set_up(void **state)
{
    return set_up_world(state, false);
}

static int set_up_apart(void **state)
{
    return set_up_world(state, true);
}

static void say_closed(world *w)
{
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_add(m, LEAT_HUB_CLOSED);
    leat_hub_mail_post(w->line, m);
    turn(w);
}

static int tear_down(void **state)
{
    world *w = *state;
    if (w->close_at == 0)
        leat_hub_link_close(w->link, on_closed, w);
    turn(w);
    assert_int_equal(LEAT_WORKER_CLOSE, w->said[w->n_said - 1]);
    assert_false(w->closed); /* the hub may still use the line */
    say_closed(w);
    assert_true(w->closed);
    leat_mailbox_close(w->hub, NULL, NULL);
    leat_loop_close(w->loop, NULL, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    uv_run(&w->other, UV_RUN_DEFAULT);
    leat_mailbox_free(w->hub);
    leat_metrics_registry_free(w->registry);
    assert_int_equal(0, uv_loop_close(&w->uv));
    assert_int_equal(0, uv_loop_close(&w->other));
    free(w);
    return 0;
}

static void says_what_it_is_told_in_order(void **state)
{
    world *w = *state;
    leat_topic_life life = {leat_slice_of("t"), 1};
    leat_hub_link_arm(w->link, life);
    leat_hub_link_position(w->link, life, &(leat_named_position){leat_slice_of("e"), 1, 0});
    leat_hub_link_read_refused(w->link, "42501");
    leat_hub_link_disarm(w->link, life);
    turn(w);

    static const leat_worker_mail_kind expected[] = {
        LEAT_WORKER_OPEN,         LEAT_WORKER_ARM,    LEAT_WORKER_POSITION,
        LEAT_WORKER_READ_REFUSED, LEAT_WORKER_DISARM,
    };
    assert_int_equal(5, w->n_said);
    assert_memory_equal(expected, w->said, sizeof(expected));
}

static void hands_out_news_in_order(void **state)
{
    world *w = *state;
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_add(m, LEAT_HUB_CONFIRMED);
    leat_hub_mail_armed(m, (leat_topic_life){leat_slice_of("t"), 1});
    leat_hub_mail_post(w->line, m);
    m = leat_hub_mail_new();
    leat_hub_mail_add(m, LEAT_HUB_UNCONFIRMED);
    leat_hub_mail_post(w->line, m);
    turn(w);

    assert_int_equal(3, w->n_heard);
    assert_int_equal(LEAT_HUB_CONFIRMED, w->heard[0]);
    assert_int_equal(LEAT_HUB_ARMED, w->heard[1]);
    assert_int_equal(LEAT_HUB_UNCONFIRMED, w->heard[2]);
}

/* The event that nobody takes is freed with the mail. */
static void tells_of_room(void **state)
{
    world *w = *state;
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), 1, leat_slice_of("1"));
    assert_true(leat_line_reserve(w->line, leat_event_bytes(e)));
    assert_true(leat_line_reserve(w->line, MAX_BYTES - leat_event_bytes(e)));
    assert_true(leat_line_await_room(w->line));
    assert_false(leat_line_release(w->line, 300));
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_event(m, LEAT_HUB_EVENT, 1, e);
    m->bytes = MAX_BYTES / 2; /* as if it were so large */
    leat_event_unref(e);
    leat_hub_mail_post(w->line, m);
    turn(w);

    assert_int_equal(1, w->n_heard);
    assert_int_equal(LEAT_WORKER_ROOM, w->said[w->n_said - 1]);
}

static void hands_out_nothing_once_it_is_closed(void **state)
{
    world *w = *state;
    w->close_at = 1;
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_add(m, LEAT_HUB_CONFIRMED);
    leat_hub_mail_add(m, LEAT_HUB_UNCONFIRMED);
    leat_hub_mail_post(w->line, m);
    m = leat_hub_mail_new();
    leat_hub_mail_add(m, LEAT_HUB_CONFIRMED);
    leat_hub_mail_post(w->line, m);
    turn(w);

    assert_int_equal(1, w->n_heard);
}

/* The hub no longer uses the line once it has got CLOSE, and ROOM would name the line to it. The
 * tear-down checks that CLOSE is the last mail. */
static void tells_of_no_room_once_it_is_closed(void **state)
{
    world *w = *state;
    w->close_at = SIZE_MAX; /* by this test */
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), 1, leat_slice_of("1"));
    assert_true(leat_line_reserve(w->line, MAX_BYTES));
    assert_true(leat_line_await_room(w->line));
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_event(m, LEAT_HUB_EVENT, 1, e);
    m->bytes = MAX_BYTES; /* as if it were so large */
    leat_event_unref(e);
    leat_hub_link_close(w->link, on_closed, w);
    leat_hub_mail_post(w->line, m);
    turn(w);

    assert_int_equal(0, w->n_heard);
}

/* Nothing wakes the loop: what both ends have to say is said in the turn in which it comes up. */
static void says_and_hears_in_one_turn_of_a_shared_loop(void **state)
{
    world *w = *state;
    assert_ptr_equal(w->loop, w->line->shared);
    leat_hub_link_arm(w->link, (leat_topic_life){leat_slice_of("t"), 1});
    leat_hub_mail *m = leat_hub_mail_new();
    leat_hub_mail_add(m, LEAT_HUB_CONFIRMED);
    leat_hub_mail_post(w->line, m);
    assert_int_equal(1, w->n_said); /* not before the call returns */
    assert_int_equal(0, w->n_heard);
    uv_run(&w->uv, UV_RUN_NOWAIT);

    assert_int_equal(LEAT_WORKER_ARM, w->said[w->n_said - 1]);
    assert_int_equal(1, w->n_heard);
}

static void says_and_hears_across_loops(void **state)
{
    world *w = *state;
    assert_null(w->line->shared);
    hands_out_news_in_order(state);
    leat_hub_link_read_refused(w->link, "42501");
    turn(w);

    assert_int_equal(LEAT_WORKER_READ_REFUSED, w->said[w->n_said - 1]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_APART(f) cmocka_unit_test_setup_teardown(f, set_up_apart, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(says_what_it_is_told_in_order),
        TEST(hands_out_news_in_order),
        TEST(tells_of_room),
        TEST(hands_out_nothing_once_it_is_closed),
        TEST(tells_of_no_room_once_it_is_closed),
        TEST(says_and_hears_in_one_turn_of_a_shared_loop),
        TEST_APART(says_and_hears_across_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
