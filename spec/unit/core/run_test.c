/* run_test.c - several events of a ring in one block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/run.h"
#include "wire/centrifuge.h"
#include "wire/leat_v1.h"

void leat_hub_link_position(leat_hub_link *l, leat_topic_life topic, const leat_named_position *at)
{
    (void)l, (void)topic, (void)at;
}

static void on_renumbered(leat_ring *r)
{
    (void)r;
}

typedef struct world {
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_core core;
    leat_ring ring;
    leat_runs *runs;
} world;

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    w->limits.ring_events = 100;
    w->limits.ring_bytes = 10 * LEAT_RUN_BYTES;
    w->registry = leat_metrics_registry_new();
    w->core.limits = &w->limits;
    w->core.metrics = leat_metrics_new(w->registry);
    leat_map_init(&w->core.epochs);
    w->core.renumbered = on_renumbered;
    leat_ring_init(&w->ring, &w->core, (leat_topic_life){leat_slice_of("t"), 1});
    leat_ring_restart(&w->ring, 0, false);
    w->runs = leat_runs_new(&w->ring);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    leat_runs_free(w->runs);
    leat_ring_close(&w->ring);
    leat_map_close(&w->core.epochs);
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static void append(world *w, leat_event_kind kind, size_t bytes)
{
    char *data = leat_calloc(1, bytes + 3);
    memset(data, 'x', bytes + 2);
    data[0] = data[bytes + 1] = '"';
    leat_ring_append(&w->ring, leat_v1_event(kind, leat_slice_of("t"), w->ring.head + 1,
                                             (leat_slice){data, bytes + 2}));
    free(data);
}

static void append_many(world *w, int n)
{
    for (int i = 0; i < n; i++)
        append(w, LEAT_EVENT_DATA, 10);
}

static void holds_the_frames_one_behind_the_other(void **state)
{
    world *w = *state;
    append_many(w, 2);
    append(w, LEAT_EVENT_SKIP, 0);
    leat_buf expected = LEAT_BUF_INIT;
    for (int64_t seq = 1; seq <= 3; seq++)
        leat_buf_slice(&expected, leat_event_frame(leat_ring_event(&w->ring, seq)));

    const leat_run *run = leat_runs_from(w->runs, 1, NULL);

    assert_int_equal(1, run->first);
    assert_int_equal(3, run->last);
    assert_true(leat_slice_equal(leat_buf_view(&expected), leat_event_frame(run->joined)));
    assert_int_equal(leat_event_payload(leat_ring_event(&w->ring, 1)).len, run->longest);
    leat_buf_close(&expected);
}

static void is_made_once_for_all_who_stand_there(void **state)
{
    world *w = *state;
    append_many(w, 4);
    const leat_run *run = leat_runs_from(w->runs, 2, NULL);
    assert_ptr_equal(run, leat_runs_from(w->runs, 2, NULL));
    assert_ptr_not_equal(run, leat_runs_from(w->runs, 1, NULL));
}

static void ends_before_an_event_that_not_all_may_pass(void **state)
{
    world *w = *state;
    append_many(w, 2);
    append(w, LEAT_EVENT_REVOKE, 3);
    append_many(w, 2);
    append(w, LEAT_EVENT_RESYNC, 0);
    append(w, LEAT_EVENT_DATA, 0);

    assert_int_equal(2, leat_runs_from(w->runs, 1, NULL)->last);
    assert_null(leat_runs_from(w->runs, 3, NULL));
    assert_int_equal(5, leat_runs_from(w->runs, 4, NULL)->last);
    assert_null(leat_runs_from(w->runs, 6, NULL));
}

static void is_no_run_of_one_event(void **state)
{
    world *w = *state;
    append_many(w, 2);
    assert_null(leat_runs_from(w->runs, 2, NULL));
    assert_null(leat_runs_from(w->runs, 3, NULL));
}

static void is_bounded(void **state)
{
    world *w = *state;
    append(w, LEAT_EVENT_DATA, LEAT_RUN_BYTES / 2);
    append(w, LEAT_EVENT_DATA, LEAT_RUN_BYTES / 3);
    append(w, LEAT_EVENT_DATA, LEAT_RUN_BYTES / 3);
    append_many(w, LEAT_RUNS + 2);

    assert_int_equal(2, leat_runs_from(w->runs, 1, NULL)->last);
    for (int64_t seq = 2; seq <= LEAT_RUNS; seq++)
        assert_non_null(leat_runs_from(w->runs, seq, NULL));
    assert_null(leat_runs_from(w->runs, LEAT_RUNS + 1, NULL));
}

/* Another protocol's clients get its frames; what it does not show has none. */
static void holds_the_frames_of_another_protocol(void **state)
{
    world *w = *state;
    append(w, LEAT_EVENT_DATA, 10);
    append(w, LEAT_EVENT_SKIP, 0);
    append(w, LEAT_EVENT_DATA, 20);
    leat_buf expected = LEAT_BUF_INIT;
    const leat_run *own = leat_runs_from(w->runs, 1, NULL);
    assert_int_equal(3, own->last);
    int64_t before = leat_metrics_get(w->core.metrics, LEAT_M_RING_BYTES);

    const leat_run *run = leat_runs_from(w->runs, 1, &leat_centrifuge_json);

    assert_ptr_not_equal(own, run);
    assert_ptr_equal(run, leat_runs_from(w->runs, 1, &leat_centrifuge_json));
    assert_int_equal(3, run->last);
    for (int64_t seq = 1; seq <= 3; seq += 2) {
        leat_event *e = leat_ring_event(&w->ring, seq);
        leat_slice frame = leat_event_frame(leat_codec_event(&leat_centrifuge_json, e));
        leat_buf_slice(&expected, frame);
        before += (int64_t)leat_event_form_bytes(e);
        assert_true(leat_event_form_bytes(e) > frame.len);
    }
    assert_true(leat_slice_equal(leat_buf_view(&expected), leat_event_frame(run->joined)));
    assert_int_equal(before, leat_metrics_get(w->core.metrics, LEAT_M_RING_BYTES));
    leat_buf_close(&expected);
}

static void is_empty_where_another_protocol_shows_nothing(void **state)
{
    world *w = *state;
    append(w, LEAT_EVENT_SKIP, 0);
    append(w, LEAT_EVENT_SKIP, 0);
    const leat_run *run = leat_runs_from(w->runs, 1, &leat_centrifuge_json);
    assert_int_equal(2, run->last);
    assert_int_equal(0, leat_event_frame(run->joined).len);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(holds_the_frames_one_behind_the_other),
        TEST(is_made_once_for_all_who_stand_there),
        TEST(ends_before_an_event_that_not_all_may_pass),
        TEST(is_no_run_of_one_event),
        TEST(is_bounded),
        TEST(holds_the_frames_of_another_protocol),
        TEST(is_empty_where_another_protocol_shows_nothing),
    };
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
