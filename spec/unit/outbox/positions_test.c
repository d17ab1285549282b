/* positions_test.c - asks share queries; each gets its own answer, or leaves.
 *
 * The test plays the pool and the loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fake_job.h"
#include "outbox/positions.h"

enum { ASKS = 300, FULL = 256, DEADLINE = 500 };

static leat_sweep *scheduled[2]; /* of the two questions */

void leat_sweep_init(leat_sweep *s, leat_sweep_cb cb)
{
    s->cb_ = cb;
}

void leat_sweep_schedule(leat_loop *l, leat_sweep *s)
{
    (void)l;
    scheduled[scheduled[0] != NULL && scheduled[0] != s] = s;
}

void leat_sweep_cancel(leat_sweep *s)
{
    for (int i = 0; i < 2; i++)
        if (scheduled[i] == s)
            scheduled[i] = NULL;
}

void leat_deadline_init(leat_deadline *d)
{
    d->cb_ = NULL;
}

void leat_loop_at(leat_loop *l, leat_deadline *d, uint64_t at_ms, leat_deadline_cb cb)
{
    (void)l;
    d->at_ms_ = at_ms;
    d->cb_ = cb;
}

void leat_deadline_cancel(leat_deadline *d)
{
    d->cb_ = NULL;
}

bool leat_pg_pool_healthy(const leat_pg_pool *p)
{
    (void)p;
    return true;
}

typedef struct world {
    leat_positions *all;
    leat_position_ask asks[ASKS];
    int n_told;
    leat_position_answer told[ASKS];
    leat_position_ask *drops; /* the first answer cancels it */
} world;

static world *w;

static void on_told(leat_position_ask *a, const leat_position_answer *answer)
{
    w->n_told++;
    w->told[a - w->asks] = *answer;
    if (w->drops != NULL)
        leat_positions_cancel(w->drops);
    w->drops = NULL;
}

static void end_turn(void)
{
    for (int i = 0; i < 2; i++) {
        leat_sweep *s = scheduled[i];
        scheduled[i] = NULL;
        if (s != NULL)
            s->cb_(s);
    }
}

static void ask(int i, const char *topic, uint64_t deadline_ms)
{
    leat_positions_ask(w->all, &w->asks[i], leat_slice_of(topic), deadline_ms, on_told);
}

static void ask_after(int i, const char *topic, int64_t after)
{
    leat_positions_ask_after(w->all, &w->asks[i], leat_slice_of(topic), after, DEADLINE, on_told);
}

static int set_up(void **state)
{
    (void)state;
    memset(&running_job, 0, sizeof(running_job));
    w = leat_calloc(1, sizeof(*w));
    w->all = leat_positions_new(NULL, NULL);
    for (int i = 0; i < ASKS; i++)
        leat_position_ask_init(&w->asks[i]);
    return 0;
}

/* Nothing is left: leat_positions_free asserts it. */
static int tear_down(void **state)
{
    (void)state;
    leat_positions_free(w->all);
    free(w);
    return 0;
}

static const char *const rows[] = {
    "E1", "7", "5",  "f", /* of "a" */
    "E2", "0", "-1", "f",
};

static void asks_once_for_all_of_a_turn(void **state)
{
    (void)state;
    ask(0, "a", DEADLINE);
    ask(1, "b\"", DEADLINE + 100);
    assert_int_equal(0, running_job.n_started);
    end_turn();

    assert_int_equal(1, running_job.n_started);
    assert_string_equal("[\"a\",\"b\\\"\"]", running_job.params[0]);
    assert_int_equal(DEADLINE + 100, running_job.deadline_ms);
    fake_job_answer(2, 4, rows);
    assert_int_equal(2, w->n_told);
    assert_int_equal(0, w->told[0].err);
    assert_true(leat_slice_is(w->told[0].at.epoch, "E1"));
    assert_int_equal(7, w->told[0].at.seq);
    assert_int_equal(5, w->told[0].at.revoked);
    assert_true(leat_slice_is(w->told[1].at.epoch, "E2"));
    assert_int_equal(-1, w->told[1].at.revoked);
}

static void asks_together_whether_the_outbox_leads_on(void **state)
{
    (void)state;
    static const char *const both[] = {
        "E1", "7", "5",  "f", "t", /* of "a" */
        "E2", "9", "-1", "f", "f",
    };
    ask_after(0, "a", 6);
    ask_after(1, "b\"", 0);
    end_turn();

    assert_int_equal(1, running_job.n_started);
    assert_string_equal("[{\"name\":\"a\",\"after\":6},{\"name\":\"b\\\"\",\"after\":0}]",
                        running_job.params[0]);
    fake_job_answer(2, 5, both);
    assert_int_equal(7, w->told[0].at.seq);
    assert_true(w->told[0].leads_on);
    assert_int_equal(9, w->told[1].at.seq);
    assert_false(w->told[1].leads_on);
}

/* A lock on the outbox holds up those who ask for it, and nobody else. */
static void asks_for_a_bare_position_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        ask_after(i, "a", 6);
        end_turn();
    }
    assert_int_equal(2, running_job.n_started);
    ask(3, "a", DEADLINE);
    end_turn();

    assert_int_equal(3, running_job.n_started);
    assert_string_equal("[\"a\"]", running_job.params[0]);
    fake_job_answer(1, 4, rows);
    assert_int_equal(1, w->n_told);
    assert_int_equal(0, w->told[3].err);
    for (int i = 0; i < 3; i++)
        leat_positions_cancel(&w->asks[i]);
}

/* Who asks later than a query was sent is not answered by it: its answer may be too old. */
static void keeps_two_queries_under_way(void **state)
{
    (void)state;
    leat_pg_job *first = NULL;
    for (int i = 0; i < 3; i++) {
        ask(i, "a", DEADLINE);
        end_turn();
        first = first == NULL ? running_job.job : first;
    }
    assert_int_equal(2, running_job.n_started);
    running_job.job = first;
    fake_job_answer(1, 4, rows);
    assert_int_equal(1, w->n_told);
    end_turn();

    assert_int_equal(3, running_job.n_started);
    leat_positions_cancel(&w->asks[1]);
    leat_positions_cancel(&w->asks[2]);
    assert_int_equal(1, w->n_told);
}

static void puts_so_many_into_one_query(void **state)
{
    (void)state;
    for (int i = 0; i < ASKS; i++)
        ask(i, "a", DEADLINE);
    end_turn();

    assert_int_equal(2, running_job.n_started); /* the second one has those that are left */
    static const char *values[(ASKS - FULL) * 4];
    for (int i = 0; i < (ASKS - FULL) * 4; i++)
        values[i] = rows[i % 4];
    fake_job_answer(ASKS - FULL, 4, values);
    assert_int_equal(ASKS - FULL, w->n_told);
    for (int i = 0; i < ASKS; i++)
        leat_positions_cancel(&w->asks[i]);
}

static void lets_one_leave(void **state)
{
    (void)state;
    ask(0, "a", DEADLINE);
    ask(1, "b", DEADLINE);
    end_turn();
    leat_positions_cancel(&w->asks[0]);
    fake_job_answer(2, 4, rows);

    assert_int_equal(1, w->n_told);
    assert_true(leat_slice_is(w->told[1].at.epoch, "E2"));
}

static void lets_one_leave_while_another_is_told(void **state)
{
    (void)state;
    ask(0, "a", DEADLINE);
    ask(1, "b", DEADLINE);
    end_turn();
    w->drops = &w->asks[1];
    fake_job_answer(2, 4, rows);

    assert_int_equal(1, w->n_told);
}

static void cancels_a_query_that_all_have_left(void **state)
{
    (void)state;
    ask(0, "a", DEADLINE);
    end_turn();
    assert_non_null(running_job.job);
    leat_positions_cancel(&w->asks[0]);

    assert_null(running_job.job);
    assert_int_equal(0, w->n_told);
}

static void tells_who_is_late(void **state)
{
    (void)state;
    ask(0, "a", DEADLINE);
    ask(1, "b", DEADLINE + 1);
    end_turn();
    leat_deadline *d = &w->asks[0].deadline_;
    assert_int_equal(DEADLINE, d->at_ms_);
    d->cb_(d);

    assert_int_equal(1, w->n_told);
    assert_int_equal(LEAT_EDEADLINE, w->told[0].err);
    assert_false(w->told[0].no_connection);
    fake_job_answer(2, 4, rows);
    assert_int_equal(2, w->n_told);
    assert_int_equal(0, w->told[1].err);
}

static void tells_all_of_a_failure(void **state)
{
    (void)state;
    ask(0, "a", DEADLINE);
    ask(1, "b", DEADLINE);
    end_turn();
    fake_job_fail(LEAT_EPG_SERVER, "57P03");

    assert_int_equal(2, w->n_told);
    assert_int_equal(LEAT_EPG_SERVER, w->told[1].err);
    assert_string_equal("57P03", w->told[1].sqlstate);
    assert_false(w->told[1].no_connection);
}

static void tells_that_there_was_no_connection(void **state)
{
    (void)state;
    running_job.unconnected = true;
    ask(0, "a", DEADLINE);
    end_turn();
    fake_job_fail(LEAT_EBUSY, "");

    assert_int_equal(LEAT_EBUSY, w->told[0].err);
    assert_true(w->told[0].no_connection);
}

/* A missing row is never taken for "nothing there", nor one that row security might hide. */
static void fails_where_an_answer_cannot_be_whole(void **state)
{
    (void)state;
    static const char *const hidden[] = {"E1", "0", "-1", "t"};
    ask(0, "a", DEADLINE);
    ask(1, "b", DEADLINE);
    end_turn();
    fake_job_answer(1, 4, rows);
    assert_int_equal(LEAT_EMISSING, w->told[0].err);

    ask(2, "a", DEADLINE);
    end_turn();
    fake_job_answer(1, 4, hidden);
    assert_int_equal(LEAT_EHIDDEN, w->told[2].err);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_once_for_all_of_a_turn),
        TEST(asks_together_whether_the_outbox_leads_on),
        TEST(asks_for_a_bare_position_alone),
        TEST(keeps_two_queries_under_way),
        TEST(puts_so_many_into_one_query),
        TEST(lets_one_leave),
        TEST(lets_one_leave_while_another_is_told),
        TEST(cancels_a_query_that_all_have_left),
        TEST(tells_who_is_late),
        TEST(tells_all_of_a_failure),
        TEST(tells_that_there_was_no_connection),
        TEST(fails_where_an_answer_cannot_be_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
