/* hook_test.c - a topic's events on their way through the scripts' hook, one at a time, in order.
 *
 * The test plays the scripts, and answers when it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/hook.h"
#include "wire/leat_v1.h"

enum { RING_BYTES = 400 };

static struct {
    bool has_hook;
    leat_call *call; /* the hook that runs, or NULL */
    int n_cancelled;
    int64_t passed[16]; /* seq, in order */
    int n_passed;
    leat_event_kind last_kind;
    int64_t failed; /* 0: none has */
} seen;

static bool has_event_hook(leat_script *s, leat_slice topic)
{
    (void)s, (void)topic;
    return seen.has_hook;
}

static void run_hook(leat_script *s, leat_call *call, leat_slice topic, int64_t seq,
                     leat_slice data, uint64_t deadline_ms)
{
    (void)s, (void)topic, (void)seq, (void)data, (void)deadline_ms;
    assert_null(seen.call);
    seen.call = call;
}

static void cancel(leat_call *call)
{
    seen.n_cancelled += call == seen.call;
    seen.call = NULL;
}

static const leat_script_ops ops = {
    .has_event_hook = has_event_hook,
    .event = run_hook,
    .cancel = cancel,
};

static void on_passed(leat_hook *h, leat_event *e)
{
    (void)h;
    seen.passed[seen.n_passed++] = leat_event_seq(e);
    seen.last_kind = leat_event_kind_of(e);
    leat_event_unref(e);
}

static void on_failed(leat_hook *h, int64_t seq)
{
    (void)h;
    seen.failed = seq;
}

static const leat_hook_handler handler = {on_passed, on_failed};

typedef struct world {
    uv_loop_t uv;
    leat_limits limits;
    leat_script script;
    leat_core core;
    leat_hook hook;
} world;

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    seen.call = NULL;
    seen.n_cancelled = seen.n_passed = 0;
    seen.failed = 0;
    seen.has_hook = true;
    assert_int_equal(0, uv_loop_init(&w->uv));
    assert_int_equal(0, leat_loop_new(&w->core.loop, &w->uv));
    w->limits.ring_bytes = RING_BYTES;
    w->script.ops = &ops;
    w->core.limits = &w->limits;
    w->core.script = &w->script;
    leat_hook_init(&w->hook, &w->core, leat_slice_of("t"), &handler);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    leat_hook_stop(&w->hook);
    leat_loop_close(w->core.loop, NULL, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&w->uv));
    free(w);
    return 0;
}

static void push(world *w, leat_event_kind kind, int64_t seq)
{
    leat_hook_push(&w->hook, leat_v1_event(kind, leat_slice_of("t"), seq, leat_slice_of("1")));
}

static void answer(leat_verdict v)
{
    leat_call *call = seen.call;
    assert_non_null(call);
    seen.call = NULL;
    call->cb(call, &v);
}

static const leat_verdict shown = {.json = {"2", 1}};

static void passes_events_one_after_the_other(void **state)
{
    world *w = *state;
    int64_t last_seq = 0;
    push(w, LEAT_EVENT_DATA, 1);
    push(w, LEAT_EVENT_DATA, 2);
    assert_true(leat_hook_waits(&w->hook, &last_seq));
    assert_int_equal(2, last_seq);
    answer(shown);
    assert_int_equal(1, seen.n_passed);
    answer(shown);

    assert_int_equal(1, seen.passed[0]);
    assert_int_equal(2, seen.passed[1]);
    assert_false(leat_hook_waits(&w->hook, &last_seq));
}

static void keeps_the_place_of_other_kinds(void **state)
{
    world *w = *state;
    push(w, LEAT_EVENT_DATA, 1);
    push(w, LEAT_EVENT_REVOKE, 2);
    assert_int_equal(0, seen.n_passed);
    answer(shown);
    assert_int_equal(2, seen.n_passed);
    assert_int_equal(LEAT_EVENT_REVOKE, seen.last_kind);
}

static bool push_signal(world *w)
{
    leat_event *e = leat_v1_event(LEAT_EVENT_SIGNAL, leat_slice_of("t"), 0, leat_slice_of("1"));
    bool pushed = leat_hook_push_signal(&w->hook, e);
    if (!pushed)
        leat_event_unref(e);
    return pushed;
}

static void keeps_the_place_of_signals(void **state)
{
    world *w = *state;
    int64_t last_seq = 0;
    push(w, LEAT_EVENT_DATA, 1);
    assert_true(push_signal(w));
    assert_true(leat_hook_waits(&w->hook, &last_seq));
    assert_int_equal(1, last_seq);
    push(w, LEAT_EVENT_DATA, 2);
    answer(shown);
    assert_int_equal(2, seen.n_passed);
    assert_int_equal(LEAT_EVENT_SIGNAL, seen.last_kind);
    answer(shown);
    assert_int_equal(3, seen.n_passed);
}

static void takes_no_signals_for_which_there_is_no_room(void **state)
{
    world *w = *state;
    push(w, LEAT_EVENT_DATA, 1);
    int n = 0;
    while (push_signal(w))
        assert_in_range(++n, 1, RING_BYTES);
    assert_int_equal(0, seen.failed);
    answer(shown);
    assert_int_equal(1 + n, seen.n_passed);
}

static void makes_a_skip_of_nothing(void **state)
{
    world *w = *state;
    push(w, LEAT_EVENT_DATA, 1);
    answer((leat_verdict){.failure.code = LEAT_CODE_OK});
    assert_int_equal(LEAT_EVENT_SKIP, seen.last_kind);
}

static void shows_nothing_of_an_event_whose_hook_fails(void **state)
{
    world *w = *state;
    push(w, LEAT_EVENT_DATA, 1);
    push(w, LEAT_EVENT_DATA, 2);
    answer((leat_verdict){.failure.code = LEAT_CODE_INTERNAL});
    assert_int_equal(1, seen.failed);
    assert_int_equal(0, seen.n_passed);
    answer(shown); /* the next one's hook runs all the same */
    assert_int_equal(2, seen.passed[0]);
}

static void gives_up_all_that_wait_when_they_are_too_many(void **state)
{
    world *w = *state;
    int64_t seq = 0;
    while (seen.failed == 0 && seq < 100)
        push(w, LEAT_EVENT_DATA, ++seq);
    assert_int_equal(seq, seen.failed);
    assert_int_equal(0, seen.n_passed);
    assert_int_equal(1, seen.n_cancelled);
}

static void asks_new_scripts_whether_they_have_a_hook(void **state)
{
    world *w = *state;
    assert_true(leat_hook_applies(&w->hook));
    seen.has_hook = false;
    assert_true(leat_hook_applies(&w->hook));
    leat_hook_scripts_changed(&w->hook);
    assert_false(leat_hook_applies(&w->hook));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(passes_events_one_after_the_other),
        TEST(keeps_the_place_of_other_kinds),
        TEST(keeps_the_place_of_signals),
        TEST(takes_no_signals_for_which_there_is_no_room),
        TEST(makes_a_skip_of_nothing),
        TEST(shows_nothing_of_an_event_whose_hook_fails),
        TEST(gives_up_all_that_wait_when_they_are_too_many),
        TEST(asks_new_scripts_whether_they_have_a_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
