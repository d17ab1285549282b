#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    uv_loop_t uv;
    leat_loop *loop;
    leat_sweep a, b;
    int a_runs, b_runs;
    int closed;
    uv_timer_t timer;
};

static void on_a(leat_sweep *s)
{
    struct fixture *f = LEAT_CONTAINER_OF(s, struct fixture, a);
    f->a_runs++;
}

static void on_b(leat_sweep *s)
{
    struct fixture *f = LEAT_CONTAINER_OF(s, struct fixture, b);
    f->b_runs++;
}

static void on_a_schedules_b(leat_sweep *s)
{
    struct fixture *f = LEAT_CONTAINER_OF(s, struct fixture, a);
    f->a_runs++;
    leat_sweep_schedule(f->loop, &f->b);
}

static void open_loop(struct fixture *f, leat_sweep_cb on_sweep)
{
    *f = (struct fixture){0};
    assert_int_equal(uv_loop_init(&f->uv), 0);
    assert_int_equal(leat_loop_new(&f->loop, &f->uv), 0);
    leat_sweep_init(&f->a, on_sweep);
    leat_sweep_init(&f->b, on_b);
}

static void on_loop_closed(void *arg)
{
    ((struct fixture *)arg)->closed++;
}

static void close_loop(struct fixture *f)
{
    leat_loop_close(f->loop, on_loop_closed, f);
    assert_int_equal(f->closed, 0);
    uv_run(&f->uv, UV_RUN_DEFAULT);
    assert_int_equal(f->closed, 1);
    assert_int_equal(uv_loop_close(&f->uv), 0);
}

static void an_idle_loop_ends(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a);

    assert_int_equal(uv_run(&f.uv, UV_RUN_DEFAULT), 0);

    assert_ptr_equal(leat_loop_uv(f.loop), &f.uv);
    assert_int_equal(leat_loop_now(f.loop), uv_now(&f.uv));
    close_loop(&f);
}

static void a_sweep_scheduled_before_the_loop_runs_is_not_lost(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a);

    leat_sweep_schedule(f.loop, &f.a);
    leat_sweep_schedule(f.loop, &f.a);
    assert_int_equal(f.a_runs, 0);
    uv_run(&f.uv, UV_RUN_DEFAULT);

    assert_int_equal(f.a_runs, 1);
    close_loop(&f);
}

static void a_sweep_may_schedule_another_for_the_same_turn(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a_schedules_b);

    leat_sweep_schedule(f.loop, &f.a);
    uv_run(&f.uv, UV_RUN_NOWAIT);

    assert_int_equal(f.a_runs, 1);
    assert_int_equal(f.b_runs, 1);
    close_loop(&f);
}

static void on_b_looks_at_a(leat_sweep *s)
{
    struct fixture *f = LEAT_CONTAINER_OF(s, struct fixture, b);
    f->b_runs += 10 * f->a_runs + 1;
}

static void an_output_sweep_runs_after_the_others_of_the_turn(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a);
    leat_sweep_init(&f.b, on_b_looks_at_a);

    leat_sweep_schedule_output(f.loop, &f.b);
    leat_sweep_schedule(f.loop, &f.a);
    uv_run(&f.uv, UV_RUN_NOWAIT);

    assert_int_equal(f.b_runs, 11);
    close_loop(&f);
}

static void a_cancelled_sweep_does_not_run(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a);

    leat_sweep_schedule(f.loop, &f.a);
    leat_sweep_cancel(&f.a);
    leat_sweep_cancel(&f.a);
    uv_run(&f.uv, UV_RUN_DEFAULT);

    assert_int_equal(f.a_runs, 0);
    close_loop(&f);
}

/* Takes all of the time that such work has in a turn. */
static void on_a_is_slow(leat_sweep *s)
{
    struct fixture *f = LEAT_CONTAINER_OF(s, struct fixture, a);
    f->a_runs++;
    for (uint64_t end = uv_hrtime() + 1000000; uv_hrtime() < end;)
        ;
    if (f->a_runs < 3)
        leat_sweep_schedule_later(f->loop, &f->a);
}

static void later_sweeps_take_turns_and_leave_time_for_others(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a_is_slow);

    leat_sweep_schedule_later(f.loop, &f.a);
    leat_sweep_schedule_later(f.loop, &f.a);
    leat_sweep_schedule_later(f.loop, &f.b);
    uv_run(&f.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.a_runs, 1);
    assert_int_equal(f.b_runs, 0);
    uv_run(&f.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.a_runs, 2);
    assert_int_equal(f.b_runs, 1);
    uv_run(&f.uv, UV_RUN_DEFAULT);
    assert_int_equal(f.a_runs, 3);

    leat_sweep_schedule_later(f.loop, &f.b);
    leat_sweep_cancel(&f.b);
    uv_run(&f.uv, UV_RUN_DEFAULT);
    assert_int_equal(f.b_runs, 1);
    close_loop(&f);
}

static void on_a_goes_on(leat_sweep *s)
{
    struct fixture *f = LEAT_CONTAINER_OF(s, struct fixture, a);
    if (f->a_runs++ < 2)
        leat_sweep_schedule_next(f->loop, &f->a);
}

static void a_sweep_of_the_next_turn_comes_after_those_of_what_arrived(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a_goes_on);
    leat_sweep_init(&f.b, on_b_looks_at_a);

    leat_sweep_schedule_next(f.loop, &f.a);
    uv_run(&f.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.a_runs, 1);
    uv_run(&f.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.a_runs, 2);
    leat_sweep_schedule(f.loop, &f.b);
    uv_run(&f.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.b_runs, 21);
    assert_int_equal(f.a_runs, 3);
    uv_run(&f.uv, UV_RUN_DEFAULT);
    assert_int_equal(f.a_runs, 3);

    leat_sweep_schedule_next(f.loop, &f.a);
    leat_sweep_cancel(&f.a);
    uv_run(&f.uv, UV_RUN_DEFAULT);
    assert_int_equal(f.a_runs, 3);
    close_loop(&f);
}

static void on_timer(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    leat_sweep_schedule(f->loop, &f->a);
}

static void a_sweep_scheduled_by_a_timer_runs_before_the_loop_waits(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a);
    uv_timer_init(&f.uv, &f.timer);
    f.timer.data = &f;
    uv_timer_start(&f.timer, on_timer, 0, 0);

    uv_run(&f.uv, UV_RUN_NOWAIT);

    assert_int_equal(f.a_runs, 1);
    uv_close((uv_handle_t *)&f.timer, NULL);
    close_loop(&f);
}

static void on_timer_closed(uv_handle_t *timer)
{
    on_timer((uv_timer_t *)timer);
}

static void a_sweep_scheduled_by_the_last_close_callback_runs(void **state)
{
    (void)state;
    struct fixture f;
    open_loop(&f, on_a);
    uv_timer_init(&f.uv, &f.timer);
    f.timer.data = &f;
    uv_close((uv_handle_t *)&f.timer, on_timer_closed);

    uv_run(&f.uv, UV_RUN_DEFAULT);

    assert_int_equal(f.a_runs, 1);
    close_loop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_loop_ends),
        cmocka_unit_test(a_sweep_scheduled_before_the_loop_runs_is_not_lost),
        cmocka_unit_test(a_sweep_may_schedule_another_for_the_same_turn),
        cmocka_unit_test(an_output_sweep_runs_after_the_others_of_the_turn),
        cmocka_unit_test(a_cancelled_sweep_does_not_run),
        cmocka_unit_test(later_sweeps_take_turns_and_leave_time_for_others),
        cmocka_unit_test(a_sweep_of_the_next_turn_comes_after_those_of_what_arrived),
        cmocka_unit_test(a_sweep_scheduled_by_a_timer_runs_before_the_loop_waits),
        cmocka_unit_test(a_sweep_scheduled_by_the_last_close_callback_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
