/* loop_thread_test.c - a thread whose loop runs as long as somebody has a handle there. */
#include "loop/loop_thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/resource.h>

struct resident {
    leat_loop *loop;
    uv_timer_t timer;
    uv_thread_t begun_on;
    uv_thread_t left_on;
    int left;
};

static void leave(uv_timer_t *timer)
{
    struct resident *r = timer->data;
    r->left_on = uv_thread_self();
    r->left++;
    uv_close((uv_handle_t *)timer, NULL);
}

static void move_in(struct resident *r, leat_loop_thread *thread)
{
    *r = (struct resident){.loop = leat_loop_thread_loop(thread)};
    assert_int_equal(0, uv_timer_init(leat_loop_uv(r->loop), &r->timer));
    r->timer.data = r;
    uv_timer_start(&r->timer, leave, 1, 0);
}

static void begin(void *arg)
{
    struct resident *r = arg;
    r->begun_on = uv_thread_self();
    assert_int_equal(0, r->left); /* the loop does not run yet */
}

static void runs_until_all_have_left(void **state)
{
    (void)state;
    leat_loop_thread *thread;
    struct resident a, b;
    assert_int_equal(0, leat_loop_thread_new(&thread));
    move_in(&a, thread);
    move_in(&b, thread);

    assert_int_equal(0, leat_loop_thread_start(thread, "test", NULL, begin, &a));
    leat_loop_thread_end(thread);

    uv_thread_t self = uv_thread_self();
    assert_int_equal(1, a.left);
    assert_int_equal(1, b.left);
    assert_true(uv_thread_equal(&a.begun_on, &a.left_on));
    assert_true(uv_thread_equal(&a.left_on, &b.left_on));
    assert_false(uv_thread_equal(&self, &a.left_on));
}

static void is_run_by_who_ends_it_if_it_was_not_started(void **state)
{
    (void)state;
    leat_loop_thread *thread;
    struct resident r;
    assert_int_equal(0, leat_loop_thread_new(&thread));
    move_in(&r, thread);

    leat_loop_thread_end(thread);

    uv_thread_t self = uv_thread_self();
    assert_int_equal(1, r.left);
    assert_true(uv_thread_equal(&self, &r.left_on));
}

static void may_have_nobody_at_all(void **state)
{
    (void)state;
    leat_loop_thread *thread;
    assert_int_equal(0, leat_loop_thread_new(&thread));
    leat_loop_thread_end(thread);

    assert_int_equal(0, leat_loop_thread_new(&thread));
    assert_int_equal(0, leat_loop_thread_start(thread, "test", NULL, NULL, NULL));
    leat_loop_thread_end(thread);
}

static void measure_stack(void *arg)
{
    size_t *bytes = arg;
    pthread_attr_t attributes;
    void *at;
    assert_int_equal(0, pthread_getattr_np(pthread_self(), &attributes));
    assert_int_equal(0, pthread_attr_getstack(&attributes, &at, bytes));
    pthread_attr_destroy(&attributes);
}

static void has_a_large_stack_whatever_the_limit_is(void **state)
{
    (void)state;
    struct rlimit before, low;
    assert_int_equal(0, getrlimit(RLIMIT_STACK, &before));
    low = (struct rlimit){256 * 1024, before.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_STACK, &low));
    leat_loop_thread *thread;
    size_t bytes = 0;
    assert_int_equal(0, leat_loop_thread_new(&thread));
    assert_int_equal(0, leat_loop_thread_start(thread, "test", NULL, measure_stack, &bytes));
    leat_loop_thread_end(thread);
    assert_int_equal(0, setrlimit(RLIMIT_STACK, &before));

    assert_in_range(bytes, LEAT_LOOP_THREAD_STACK_BYTES, SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_until_all_have_left),
        cmocka_unit_test(is_run_by_who_ends_it_if_it_was_not_started),
        cmocka_unit_test(may_have_nobody_at_all),
        cmocka_unit_test(has_a_large_stack_whatever_the_limit_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
