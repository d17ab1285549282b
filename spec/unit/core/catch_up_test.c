/* catch_up_test.c - what the ring no longer holds, fetched once for all who lack it.
 *
 * The test plays the outbox: it notes what is asked, and answers when it likes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/catch_up.h"
#include "outbox/history.h"

enum { N_WAITS = 4, LATER_MS = 5000 };

struct leat_history {
    int64_t after;
    leat_history_cb cb;
    void *arg;
    int64_t first; /* of the answer; 0: no rows */
    int64_t head;
};

static struct {
    leat_history *running;
    size_t n_started;
    size_t n_cancelled;
    size_t n_unread; /* the hub was told that it cannot be read */
    bool another_numbering;
} outbox;

leat_history *leat_history_new(leat_pg_pool *pool)
{
    (void)pool;
    assert_null(outbox.running);
    outbox.running = leat_calloc(1, sizeof(*outbox.running));
    return outbox.running;
}

void leat_history_ask(leat_history *h, leat_slice topic, int64_t after)
{
    (void)topic;
    h->after = after;
}

void leat_history_start(leat_history *h, const leat_history_bounds *bounds, uint64_t deadline_ms,
                        leat_history_cb cb, void *arg)
{
    (void)bounds, (void)deadline_ms;
    h->cb = cb;
    h->arg = arg;
    outbox.n_started++;
}

void leat_history_cancel(leat_history *h)
{
    assert_ptr_equal(outbox.running, h);
    outbox.running = NULL;
    outbox.n_cancelled++;
    free(h);
}

leat_history_row leat_history_row_at(const leat_history *h, int i)
{
    return (leat_history_row){
        .topic = leat_slice_of("t"),
        .after = h->after,
        .head = {.epoch = leat_slice_of("e"), .seq = h->head},
        .has_event = h->first > 0,
        .seq = h->first + i,
        .kind = LEAT_EVENT_DATA,
        .data = leat_slice_of("1"),
    };
}

const char *leat_history_reason(const leat_history *h)
{
    (void)h;
    return "as the test says";
}

const char *leat_history_sqlstate(const leat_history *h)
{
    (void)h;
    return "";
}

void leat_history_count_failure(leat_metrics *m, int err, const char *sqlstate)
{
    (void)m, (void)err, (void)sqlstate;
}

void leat_hub_link_read_refused(leat_hub_link *l, const char *sqlstate)
{
    (void)l, (void)sqlstate;
    outbox.n_unread++;
}

bool leat_ring_adopt(leat_ring *r, const leat_position *at)
{
    (void)r, (void)at;
    return !outbox.another_numbering;
}

/* Answers the fetch that runs with the events first..last; first 0: with none. */
static void answer(int err, int64_t first, int64_t last)
{
    leat_history *h = outbox.running;
    assert_non_null(h);
    outbox.running = NULL;
    h->first = first;
    h->head = last;
    int n_rows = err < 0 ? 0 : first == 0 ? 1 : (int)(last - first + 1);
    h->cb(h, err, n_rows, h->arg);
    free(h);
}

typedef struct waiter {
    leat_catch_up_wait wait;
    leat_catch_up *catch_up;
    size_t n_served;
    leat_caught last; /* its events are gone */
    int64_t joins_again_at;
} waiter;

typedef struct world {
    uv_loop_t uv;
    leat_loop *loop;
    leat_limits limits;
    leat_core core;
    leat_ring ring;
    leat_catch_up *catch_up;
    waiter waiters[N_WAITS];
} world;

static void on_caught(leat_catch_up_wait *w, const leat_caught *caught)
{
    waiter *me = w->data;
    me->n_served++;
    me->last = *caught;
    for (size_t i = 0; i < caught->n; i++)
        assert_int_equal(caught->first_seq + (int64_t)i, leat_event_seq(caught->events[i]));
    int64_t at = me->joins_again_at;
    me->joins_again_at = 0;
    if (at > 0)
        leat_catch_up_join(w, me->catch_up, at, on_caught);
}

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    memset(&outbox, 0, sizeof(outbox));
    assert_int_equal(0, uv_loop_init(&w->uv));
    assert_int_equal(0, leat_loop_new(&w->loop, &w->uv));
    w->core.loop = w->loop;
    w->core.limits = &w->limits;
    w->ring.core = &w->core;
    leat_map_init(&w->core.epochs);
    w->ring.entry = leat_map_entry_of(leat_slice_of("t"));
    w->catch_up = leat_catch_up_new(&w->ring);
    for (int i = 0; i < N_WAITS; i++) {
        w->waiters[i].wait.data = &w->waiters[i];
        w->waiters[i].catch_up = w->catch_up;
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    leat_map_close(&w->core.epochs);
    for (int i = 0; i < N_WAITS; i++)
        leat_catch_up_leave(&w->waiters[i].wait);
    assert_null(outbox.running);
    leat_catch_up_free(w->catch_up);
    leat_loop_close(w->loop, NULL, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&w->uv));
    free(w);
    return 0;
}

static void join(world *w, int i, int64_t next_seq)
{
    leat_catch_up_join(&w->waiters[i].wait, w->catch_up, next_seq, on_caught);
}

static void assert_caught(const world *w, int i, int64_t first, size_t n)
{
    assert_int_equal(1, w->waiters[i].n_served);
    assert_int_equal(first, w->waiters[i].last.first_seq);
    assert_int_equal(n, w->waiters[i].last.n);
}

static void one_fetch_serves_all_within_it(void **state)
{
    world *w = *state;
    join(w, 0, 5);
    join(w, 1, 5);
    join(w, 2, 7);
    assert_int_equal(4, outbox.running->after);

    answer(0, 5, 8);

    for (int i = 0; i < 3; i++)
        assert_caught(w, i, 5, 4);
    assert_int_equal(1, outbox.n_started);
}

static void who_lies_outside_comes_next(void **state)
{
    world *w = *state;
    join(w, 0, 5);
    join(w, 1, 9); /* beyond what comes */
    join(w, 2, 2); /* before what is asked */

    answer(0, 5, 8);
    assert_int_equal(0, w->waiters[1].n_served);
    assert_int_equal(0, w->waiters[2].n_served);
    assert_int_equal(8, outbox.running->after);
    answer(0, 9, 9);
    assert_int_equal(1, outbox.running->after);
    answer(0, 2, 5);

    assert_caught(w, 1, 9, 1);
    assert_caught(w, 2, 2, 4);
}

static void who_joins_again_stands_behind_those_who_stay(void **state)
{
    world *w = *state;
    w->waiters[0].joins_again_at = 109;
    join(w, 0, 100);
    join(w, 1, 5);

    answer(0, 100, 108);

    assert_int_equal(4, outbox.running->after);
    answer(0, 5, 13);
    assert_int_equal(108, outbox.running->after);
}

static void what_was_trimmed_leads_nowhere(void **state)
{
    world *w = *state;
    join(w, 0, 5);
    join(w, 1, 7);

    answer(0, 7, 8);

    assert_int_equal(1, w->waiters[0].n_served);
    assert_int_equal(0, w->waiters[0].last.n);
    assert_caught(w, 1, 7, 2);
}

static void nothing_in_the_outbox_leads_nowhere(void **state)
{
    world *w = *state;
    join(w, 0, 5);

    answer(0, 0, 8);

    assert_int_equal(1, w->waiters[0].n_served);
    assert_int_equal(0, w->waiters[0].last.n);
}

/* A cursor at 0 is one that was renumbered. */
static void another_numbering_leads_nowhere(void **state)
{
    world *w = *state;
    join(w, 0, 0);
    outbox.another_numbering = true;

    answer(0, 1, 8);

    assert_int_equal(1, w->waiters[0].n_served);
    assert_int_equal(0, w->waiters[0].last.n);
    assert_null(outbox.running);
}

static void an_answer_that_is_too_large_leads_nowhere(void **state)
{
    world *w = *state;
    join(w, 0, 5);
    join(w, 1, 500);

    answer(LEAT_ETOOLARGE, 0, 0);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(1, w->waiters[i].n_served);
        assert_int_equal(0, w->waiters[i].last.n);
    }
    assert_int_equal(1, outbox.n_started);
}

static void a_fetch_that_fails_is_tried_again_later(void **state)
{
    world *w = *state;
    join(w, 0, 5);

    answer(LEAT_EPG_LOST, 0, 0);
    assert_null(outbox.running);
    join(w, 1, 5);
    assert_null(outbox.running);
    leat_deadline_queue_advance(leat_loop_deadlines(w->loop), leat_loop_now(w->loop) + LATER_MS);

    assert_int_equal(4, outbox.running->after);
    answer(0, 5, 5);
    assert_caught(w, 0, 5, 1);
    assert_caught(w, 1, 5, 1);
}

static void the_last_to_leave_ends_the_fetch(void **state)
{
    world *w = *state;
    join(w, 0, 5);
    join(w, 1, 5);

    leat_catch_up_leave(&w->waiters[0].wait);
    assert_int_equal(0, outbox.n_cancelled);
    leat_catch_up_leave(&w->waiters[1].wait);

    assert_int_equal(1, outbox.n_cancelled);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_fetch_serves_all_within_it),
        TEST(who_lies_outside_comes_next),
        TEST(who_joins_again_stands_behind_those_who_stay),
        TEST(what_was_trimmed_leads_nowhere),
        TEST(nothing_in_the_outbox_leads_nowhere),
        TEST(another_numbering_leads_nowhere),
        TEST(an_answer_that_is_too_large_leads_nowhere),
        TEST(a_fetch_that_fails_is_tried_again_later),
        TEST(the_last_to_leave_ends_the_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
