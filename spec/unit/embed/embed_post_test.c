/* embed_post: a job that gives something back runs exactly once, or is its sender's again, also if
 * it comes while the workers go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "embed/embed.h"

/* --- the rest of the layer, and the workers --- */

static bool workers_take; /* jobs */
static int posted;
static const char a_worker[2];
static const char an_engine;

int embed_fail(leat_error *error, const char *code, const char *format, ...)
{
    (void)format;
    snprintf(error->code, sizeof(error->code), "%s", code);
    return -1;
}

bool leat_worker_do(leat_worker *w, leat_worker_job *job)
{
    (void)job;
    assert_in_range((uintptr_t)w, (uintptr_t)a_worker, (uintptr_t)a_worker + 1);
    posted += workers_take;
    return workers_take;
}

size_t leat_worker_index(const leat_worker *w)
{
    return (size_t)((const char *)w - a_worker);
}

/* --- one server with two workers --- */

static embed_worker workers[2];

static void begin(leat_server *s)
{
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    leat_list_init(&s->late);
    for (size_t i = 0; i < 2; i++)
        workers[i].worker = (leat_worker *)(uintptr_t)(a_worker + i);
    s->workers = workers;
    s->config.workers = 2;
    s->engine = (leat_engine *)(uintptr_t)&an_engine;
    s->phase = EMBED_SERVING;
    workers_take = true;
    posted = 0;
}

struct job {
    leat_worker_job job;
    leat_server *server;
    leat_worker *ran_on;
    int n_ran;
    struct job *gives; /* gives this one back when it runs */
};

static void on_run(leat_worker_job *job, leat_worker *w)
{
    struct job *j = LEAT_CONTAINER_OF(job, struct job, job);
    j->ran_on = w;
    j->n_ran++;
    if (j->gives != NULL)
        assert_true(embed_give_back(j->server, 0, &j->gives->job));
}

static struct job job_of(leat_server *s)
{
    return (struct job){.job.run = on_run, .server = s};
}

static void posts_round_and_round(void **state)
{
    (void)state;
    leat_server s;
    leat_error error;
    begin(&s);
    struct job j = job_of(&s);
    size_t worker = 9;

    assert_int_equal(embed_post(&s, embed_next_number(&s), &worker, &j.job, &error), 0);
    assert_int_equal(worker, 0);
    assert_int_equal(embed_post(&s, embed_next_number(&s), &worker, &j.job, &error), 0);
    assert_int_equal(worker, 1);
    assert_int_equal(embed_post(&s, embed_next_number(&s), &worker, &j.job, &error), 0);
    assert_int_equal(worker, 0);
    assert_int_equal(posted, 3);
}

static void refuses_unless_it_serves(void **state)
{
    (void)state;
    static const struct {
        embed_phase phase;
        const char *code;
    } cases[] = {
        {EMBED_NEW, "stopped"},
        {EMBED_STARTING, "unavailable"},
        {EMBED_STOPPING, "stopped"},
        {EMBED_OVER, "stopped"},
    };
    leat_server s;
    leat_error error;
    begin(&s);
    struct job j = job_of(&s);
    s.config.workers = 0; /* as before the start */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t worker = 0;
        s.phase = cases[i].phase;
        assert_int_equal(embed_post(&s, 5, &worker, &j.job, &error), -1);
        assert_string_equal(error.code, cases[i].code);
    }
    assert_int_equal(posted, 0);
}

static void a_late_job_runs_once_the_workers_have_ended(void **state)
{
    (void)state;
    leat_server s;
    begin(&s);
    struct job first = job_of(&s), late = job_of(&s);
    s.phase = EMBED_STOPPING;

    assert_true(embed_give_back(&s, 1, &first.job));
    workers_take = false;
    assert_true(embed_give_back(&s, 1, &late.job));
    assert_int_equal(late.n_ran, 0);

    embed_post_end(&s);
    assert_int_equal(first.n_ran, 0); /* its worker has run it */
    assert_int_equal(late.n_ran, 1);
    assert_ptr_equal(late.ran_on, workers[1].worker);
}

static void what_a_late_job_gives_back_runs_too(void **state)
{
    (void)state;
    leat_server s;
    begin(&s);
    struct job last = job_of(&s), late = job_of(&s);
    late.gives = &last;
    workers_take = false;
    assert_true(embed_give_back(&s, 0, &late.job));

    embed_post_end(&s);

    assert_int_equal(late.n_ran, 1);
    assert_int_equal(last.n_ran, 1);
}

static void after_the_end_a_job_stays_with_its_sender(void **state)
{
    (void)state;
    leat_server s;
    begin(&s);
    struct job j = job_of(&s);
    embed_post_end(&s);

    assert_false(embed_give_back(&s, 0, &j.job));
    assert_int_equal(j.n_ran + posted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_round_and_round),
        cmocka_unit_test(refuses_unless_it_serves),
        cmocka_unit_test(a_late_job_runs_once_the_workers_have_ended),
        cmocka_unit_test(what_a_late_job_gives_back_runs_too),
        cmocka_unit_test(after_the_end_a_job_stays_with_its_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
