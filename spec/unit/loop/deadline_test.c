#include "loop/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

struct probe {
    leat_deadline d;
    leat_deadline_queue *q;
    uint64_t due_ms;
    uint64_t *clock;
    int fired;
    leat_deadline *other;
    int *order;
    int nth;
};

static void on_fire(leat_deadline *d)
{
    struct probe *p = LEAT_CONTAINER_OF(d, struct probe, d);
    assert_false(leat_deadline_armed(d));
    assert_true(*p->clock >= p->due_ms);
    p->fired++;
    if (p->order != NULL)
        p->nth = (*p->order)++;
}

static leat_deadline_queue *new_queue(void)
{
    leat_deadline_queue *q = NULL;
    assert_int_equal(leat_deadline_queue_new(&q, NULL), 0);
    return q;
}

static void arm(leat_deadline_queue *q, struct probe *p, uint64_t *clock, uint64_t at_ms)
{
    if (p->clock == NULL)
        leat_deadline_init(&p->d);
    p->q = q;
    p->clock = clock;
    p->due_ms = at_ms;
    leat_deadline_arm(q, &p->d, at_ms, on_fire);
}

static void advance(leat_deadline_queue *q, uint64_t *clock, uint64_t now_ms)
{
    *clock = now_ms;
    leat_deadline_queue_advance(q, now_ms);
}

static void fires_once_when_its_time_has_come(void **state)
{
    (void)state;
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    struct probe p = {0};
    advance(q, &clock, 1000);
    arm(q, &p, &clock, 1050);

    advance(q, &clock, 1049);
    assert_int_equal(p.fired, 0);
    advance(q, &clock, 1050);
    assert_int_equal(p.fired, 1);
    advance(q, &clock, 5000);
    assert_int_equal(p.fired, 1);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void a_past_time_fires_at_the_next_advance(void **state)
{
    (void)state;
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    struct probe p = {0};
    advance(q, &clock, 1000);

    arm(q, &p, &clock, 3);
    assert_int_equal(p.fired, 0);
    advance(q, &clock, 1000);

    assert_int_equal(p.fired, 1);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void a_cancelled_one_never_fires(void **state)
{
    (void)state;
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    struct probe p = {0};
    arm(q, &p, &clock, 70);
    assert_true(leat_deadline_armed(&p.d));

    leat_deadline_cancel(&p.d);
    leat_deadline_cancel(&p.d);
    assert_false(leat_deadline_armed(&p.d));
    advance(q, &clock, 100000);

    assert_int_equal(p.fired, 0);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void never_cancels(void **state)
{
    (void)state;
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    struct probe p = {0};
    arm(q, &p, &clock, 70);

    arm(q, &p, &clock, LEAT_DEADLINE_NEVER);
    assert_false(leat_deadline_armed(&p.d));
    advance(q, &clock, UINT64_MAX - 1);

    assert_int_equal(p.fired, 0);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void arming_again_replaces_the_time(void **state)
{
    (void)state;
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    struct probe p = {0};
    arm(q, &p, &clock, 70);
    arm(q, &p, &clock, 7000);

    advance(q, &clock, 6999);
    assert_int_equal(p.fired, 0);
    advance(q, &clock, 7000);
    assert_int_equal(p.fired, 1);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void on_fire_cancel_other(leat_deadline *d)
{
    struct probe *p = LEAT_CONTAINER_OF(d, struct probe, d);
    p->fired++;
    leat_deadline_cancel(p->other);
}

static void a_callback_may_cancel_its_neighbour(void **state)
{
    (void)state;
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    struct probe a = {0}, b = {0}, c = {0};
    arm(q, &b, &clock, 50);
    arm(q, &a, &clock, 49);
    arm(q, &c, &clock, 50);
    a.other = &b.d;
    leat_deadline_arm(q, &a.d, 49, on_fire_cancel_other);

    advance(q, &clock, 60);

    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
    assert_int_equal(c.fired, 1);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void on_fire_again(leat_deadline *d)
{
    struct probe *p = LEAT_CONTAINER_OF(d, struct probe, d);
    p->fired++;
    leat_deadline_arm(p->q, d, *p->clock, on_fire_again);
}

static void a_callback_may_arm_itself_for_now(void **state)
{
    (void)state;
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    struct probe p = {0};
    arm(q, &p, &clock, 10);
    leat_deadline_arm(q, &p.d, 10, on_fire_again);

    advance(q, &clock, 10);
    assert_int_equal(p.fired, 1);
    advance(q, &clock, 10);
    assert_int_equal(p.fired, 2);
    leat_deadline_cancel(&p.d);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void they_fire_in_the_order_of_their_times(void **state)
{
    (void)state;
    static const uint64_t times[] = {63,     64,         65,        4095, 4096,
                                     262143, 262144 * 9, 1u << 31u, 100,  UINT64_C(1) << 50};
    enum { N = sizeof(times) / sizeof(times[0]) };
    leat_deadline_queue *q = new_queue();
    uint64_t clock = 0;
    int order = 0;
    struct probe p[N] = {0};
    for (int i = 0; i < N; i++) {
        p[i].order = &order;
        arm(q, &p[i], &clock, times[i]);
    }

    advance(q, &clock, UINT64_MAX - 1);

    for (int i = 0; i < N; i++) {
        assert_int_equal(p[i].fired, 1);
        for (int j = 0; j < N; j++)
            if (times[i] < times[j])
                assert_true(p[i].nth < p[j].nth);
    }
    leat_deadline_queue_close(q, NULL, NULL);
}

/* Ten thousand at random times, a third cancelled, a third moved, under a clock that jumps. */
static void ten_thousand_are_each_exact(void **state)
{
    (void)state;
    enum { N = 10000 };
    leat_deadline_queue *q = new_queue();
    struct probe *p = leat_calloc(N, sizeof(*p));
    uint64_t clock = 0;
    unsigned seed = 7;
    advance(q, &clock, 123456789);
    for (int i = 0; i < N; i++)
        arm(q, &p[i], &clock, clock + 1 + (uint64_t)rand_r(&seed) % 300000);
    for (int i = 0; i < N; i += 3) {
        leat_deadline_cancel(&p[i].d);
        p[i].due_ms = LEAT_DEADLINE_NEVER;
    }
    for (int i = 1; i < N; i += 3)
        arm(q, &p[i], &clock, clock + 1 + (uint64_t)rand_r(&seed) % 300000);

    while (clock < 123456789 + 310000) {
        advance(q, &clock, clock + 1 + (uint64_t)rand_r(&seed) % 500);
        for (int i = 0; i < N; i++)
            assert_int_equal(p[i].fired, p[i].due_ms <= clock ? 1 : 0);
    }

    free(p);
    leat_deadline_queue_close(q, NULL, NULL);
}

static void on_uv_fire(leat_deadline *d)
{
    struct probe *p = LEAT_CONTAINER_OF(d, struct probe, d);
    p->fired++;
}

static void on_closed(void *arg)
{
    *(int *)arg += 1;
}

static void the_loop_drives_it(void **state)
{
    (void)state;
    uv_loop_t uv;
    assert_int_equal(uv_loop_init(&uv), 0);
    leat_deadline_queue *q = NULL;
    assert_int_equal(leat_deadline_queue_new(&q, &uv), 0);
    enum { N = 200 };
    struct probe p[N] = {0};
    uint64_t began_ms = uv_now(&uv);
    for (int i = 0; i < N; i++) {
        leat_deadline_init(&p[i].d);
        leat_deadline_arm(q, &p[i].d, began_ms + (uint64_t)i / 4, on_uv_fire);
    }

    uv_async_t keep;
    assert_int_equal(uv_async_init(&uv, &keep, NULL), 0);
    while (p[N - 1].fired == 0) {
        uv_run(&uv, UV_RUN_ONCE);
        for (int i = 0; i < N; i++)
            assert_int_equal(p[i].fired, began_ms + (uint64_t)i / 4 <= uv_now(&uv) ? 1 : 0);
    }

    int closed = 0;
    leat_deadline_queue_close(q, on_closed, &closed);
    uv_close((uv_handle_t *)&keep, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
    assert_int_equal(uv_loop_close(&uv), 0);
}

/* One that always arms itself for now leaves the loop its turns. */
static void on_uv_again(leat_deadline *d)
{
    struct probe *p = LEAT_CONTAINER_OF(d, struct probe, d);
    p->fired++;
    leat_deadline_arm(p->q, d, 0, on_uv_again);
}

static void arming_for_now_does_not_starve_the_loop(void **state)
{
    (void)state;
    uv_loop_t uv;
    assert_int_equal(uv_loop_init(&uv), 0);
    struct probe p = {0};
    assert_int_equal(leat_deadline_queue_new(&p.q, &uv), 0);
    leat_deadline_init(&p.d);
    leat_deadline_arm(p.q, &p.d, 0, on_uv_again);

    for (int turn = 0; turn < 5; turn++) {
        int before = p.fired;
        uv_run(&uv, UV_RUN_NOWAIT);
        assert_true(p.fired - before <= 1);
    }

    leat_deadline_cancel(&p.d);
    leat_deadline_queue_close(p.q, NULL, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void the_caller_s_deadline_stands(void **state)
{
    (void)state;
    assert_int_equal(leat_control_deadline(99, 1000, 5000), 99);
    assert_int_equal(leat_control_deadline(99999999, 1000, 5000), 99999999);
    assert_int_equal(leat_control_deadline(LEAT_DEADLINE_NEVER, 1000, 5000), 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_once_when_its_time_has_come),
        cmocka_unit_test(a_past_time_fires_at_the_next_advance),
        cmocka_unit_test(a_cancelled_one_never_fires),
        cmocka_unit_test(never_cancels),
        cmocka_unit_test(arming_again_replaces_the_time),
        cmocka_unit_test(a_callback_may_cancel_its_neighbour),
        cmocka_unit_test(a_callback_may_arm_itself_for_now),
        cmocka_unit_test(they_fire_in_the_order_of_their_times),
        cmocka_unit_test(ten_thousand_are_each_exact),
        cmocka_unit_test(the_loop_drives_it),
        cmocka_unit_test(arming_for_now_does_not_starve_the_loop),
        cmocka_unit_test(the_caller_s_deadline_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
