#include "pg/pg_thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

struct job {
    uv_sem_t *blocked_on; /* NULL: returns at once */
    int answer;
    uv_sem_t *freed;
};

struct waiter {
    int calls;
    bool returned;
    int answer;
};

static void run_job(void *arg)
{
    struct job *job = arg;
    if (job->blocked_on != NULL)
        uv_sem_wait(job->blocked_on);
    job->answer = 42;
}

static void free_job(void *arg)
{
    struct job *job = arg;
    uv_sem_t *freed = job->freed;
    free(job);
    uv_sem_post(freed);
}

static void on_done(void *arg, void *job, bool returned)
{
    struct waiter *w = arg;
    w->calls++;
    w->returned = returned;
    if (returned)
        w->answer = ((struct job *)job)->answer;
}

static const leat_pg_thread_work work = {run_job, free_job, on_done};

static leat_pg_thread *start(uv_loop_t *uv, uv_sem_t *blocked_on, uv_sem_t *freed, struct waiter *w)
{
    leat_pg_thread *t = NULL;
    struct job *job = leat_calloc(1, sizeof(*job));
    job->blocked_on = blocked_on;
    job->freed = freed;
    assert_int_equal(uv_loop_init(uv), 0);
    assert_int_equal(uv_sem_init(freed, 0), 0);
    assert_int_equal(leat_pg_thread_start(&t, uv, &work, job, w), 0);
    assert_int_equal(w->calls, 0);
    return t;
}

static void the_answer_arrives_on_the_loop(void **state)
{
    (void)state;
    uv_loop_t uv;
    uv_sem_t freed;
    struct waiter w = {0};
    start(&uv, NULL, &freed, &w);

    uv_run(&uv, UV_RUN_DEFAULT);

    assert_int_equal(w.calls, 1);
    assert_true(w.returned);
    assert_int_equal(w.answer, 42);
    assert_int_equal(uv_loop_close(&uv), 0);
    uv_sem_wait(&freed);
    uv_sem_destroy(&freed);
}

static void a_call_that_blocks_does_not_hold_the_loop(void **state)
{
    (void)state;
    uv_loop_t uv;
    uv_sem_t freed, gate;
    struct waiter w = {0};
    assert_int_equal(uv_sem_init(&gate, 0), 0);
    leat_pg_thread *t = start(&uv, &gate, &freed, &w);

    leat_pg_thread_set_timeout(t, 10);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(w.calls, 1);
    assert_false(w.returned);
    assert_int_equal(uv_loop_close(&uv), 0);

    uv_sem_post(&gate); /* long after the loop: the thread cleans up after itself */
    uv_sem_wait(&freed);
    uv_sem_destroy(&freed);
    uv_sem_destroy(&gate);
}

static void the_last_limit_holds(void **state)
{
    (void)state;
    uv_loop_t uv;
    uv_sem_t freed, gate;
    struct waiter w = {0};
    assert_int_equal(uv_sem_init(&gate, 0), 0);
    leat_pg_thread *t = start(&uv, &gate, &freed, &w);

    leat_pg_thread_set_timeout(t, 60000);
    leat_pg_thread_set_timeout(t, 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(w.calls, 1);

    assert_int_equal(uv_loop_close(&uv), 0);
    uv_sem_post(&gate);
    uv_sem_wait(&freed);
    uv_sem_destroy(&freed);
    uv_sem_destroy(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_arrives_on_the_loop),
        cmocka_unit_test(a_call_that_blocks_does_not_hold_the_loop),
        cmocka_unit_test(the_last_limit_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
