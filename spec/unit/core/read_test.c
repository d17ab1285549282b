/* read_test.c - a snapshot read: its order, its retries, its fallback, its deadline.
 *
 * The test plays the pool, the connection, the scripts and the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/admission.h"
#include "core/read.h"
#include "outbox/history.h"

uint32_t leat_admission_retry_ms(leat_core *core)
{
    (void)core;
    return 1000;
}

enum { NOW = 1000, DEADLINE = NOW + 800 };

typedef struct script_call {
    leat_call *call; /* NULL: none is pending */
    uint64_t deadline_ms;
    size_t n;
} script_call;

static struct {
    uint64_t now;
    leat_deadline *armed; /* the read's back-off */
    leat_deadline_cb on_deadline;
    uint64_t at_ms;
    leat_pg_waiter *waiter; /* waiting, or NULL */
    leat_position_ask *ask; /* likewise */
    size_t n_leased;
    size_t n_committed;
    leat_pg_query *queries[8];
    size_t n_queries;
    bool hidden; /* row security keeps rows from us */
    size_t n_unread;
    script_call refresh;
    script_call snapshot;
    size_t n_lent;
    size_t n_ended;
    leat_read_outcome last;
} seen;

/* --- the clock --- */

uint64_t leat_loop_now(const leat_loop *l)
{
    (void)l;
    return seen.now;
}

leat_random *leat_loop_random(leat_loop *l)
{
    (void)l;
    static leat_random random;
    return &random;
}

static leat_pool *pool;

leat_pool *leat_loop_pool(leat_loop *l)
{
    (void)l;
    return pool;
}

void leat_deadline_init(leat_deadline *d)
{
    (void)d;
}

void leat_loop_at(leat_loop *l, leat_deadline *d, uint64_t at_ms, leat_deadline_cb cb)
{
    (void)l;
    seen.armed = d;
    seen.at_ms = at_ms;
    seen.on_deadline = cb;
}

void leat_deadline_cancel(leat_deadline *d)
{
    (void)d;
    seen.armed = NULL;
}

/* Until the back-off is over. */
static void pass_time(void)
{
    leat_deadline *d = seen.armed;
    assert_non_null(d);
    seen.armed = NULL;
    if (seen.at_ms > seen.now)
        seen.now = seen.at_ms;
    seen.on_deadline(d);
}

/* --- the pool and its connection --- */

void leat_pg_waiter_init(leat_pg_waiter *w)
{
    (void)w;
}

void leat_pg_waiter_cancel(leat_pg_waiter *w)
{
    if (seen.waiter == w)
        seen.waiter = NULL;
}

void leat_pg_pool_acquire(leat_pg_pool *p, leat_pg_waiter *w, uint64_t deadline_ms,
                          leat_pg_acquire_cb cb)
{
    (void)p, (void)deadline_ms;
    assert_null(seen.waiter);
    seen.waiter = w;
    w->cb_ = cb;
}

void leat_pg_pool_release(leat_pg_pool *p, leat_pg_conn *conn)
{
    (void)p, (void)conn;
    assert_int_equal(1, seen.n_leased);
    seen.n_leased = 0;
    for (size_t i = 0; i < seen.n_queries; i++)
        seen.queries[i]->conn_ = NULL;
    seen.n_queries = 0;
}

void leat_pg_pool_release_reader(leat_pg_pool *p, leat_pg_conn *conn)
{
    seen.n_committed++;
    leat_pg_pool_release(p, conn);
}

int leat_pg_conn_query(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                       const leat_pg_param *params, int n_params, uint64_t deadline_ms,
                       leat_pg_query_cb cb)
{
    (void)sql, (void)params, (void)n_params, (void)deadline_ms;
    assert_null(q->conn_);
    q->conn_ = c;
    q->cb_ = cb;
    seen.queries[seen.n_queries++] = q;
    return 0;
}

void leat_pg_conn_lead_on(leat_pg_query *q)
{
    assert_ptr_equal(seen.queries[seen.n_queries - 1], q);
}

void leat_pg_conn_forget(leat_pg_query *q)
{
    for (size_t i = 0; i < seen.n_queries; i++)
        if (seen.queries[i] == q)
            seen.queries[i] = seen.queries[--seen.n_queries];
    q->conn_ = NULL;
}

int leat_pg_result_rows(const leat_pg_result *r)
{
    (void)r;
    return 1;
}

leat_slice leat_pg_result_value(const leat_pg_result *r, int row, int column)
{
    (void)r, (void)row;
    return leat_slice_of(column == 0 ? "epoch" : column == 3 ? (seen.hidden ? "t" : "f") : "17");
}

void leat_history_count_failure(leat_metrics *m, int err, const char *sqlstate)
{
    (void)m, (void)err, (void)sqlstate;
}

void leat_hub_link_read_refused(leat_hub_link *l, const char *sqlstate)
{
    (void)l, (void)sqlstate;
    seen.n_unread++;
}

const char *leat_pg_result_sqlstate(const leat_pg_result *r)
{
    (void)r;
    return "57P03";
}

const char *leat_pg_result_message(const leat_pg_result *r)
{
    (void)r;
    return "not now";
}

void leat_position_ask_init(leat_position_ask *a)
{
    a->cb_ = NULL;
}

void leat_positions_ask(leat_positions *p, leat_position_ask *a, leat_slice topic,
                        uint64_t deadline_ms, leat_position_cb cb)
{
    (void)p;
    assert_true(leat_slice_is(topic, "t"));
    assert_int_equal(DEADLINE, deadline_ms);
    seen.ask = a;
    a->cb_ = cb;
}

void leat_positions_cancel(leat_position_ask *a)
{
    if (seen.ask == a)
        seen.ask = NULL;
}

static void tell_position(leat_position_answer answer)
{
    leat_position_ask *a = seen.ask;
    assert_non_null(a);
    seen.ask = NULL;
    a->cb_(a, &answer);
}

static const leat_position_answer told = {
    .reason = "", .sqlstate = "", .at = {.epoch = {"epoch", 5}, .seq = 17, .revoked = 17}};
static const leat_position_answer lost = {.err = LEAT_EPG_LOST, .reason = "lost", .sqlstate = ""};

static void lease(void)
{
    leat_pg_waiter *w = seen.waiter;
    assert_non_null(w);
    seen.waiter = NULL;
    seen.n_leased++;
    w->cb_(w, (leat_pg_conn *)&seen, 0);
}

/* The oldest query is answered. */
static void reply(int err)
{
    assert_true(seen.n_queries > 0);
    leat_pg_query *q = seen.queries[0];
    memmove(seen.queries, seen.queries + 1, --seen.n_queries * sizeof(seen.queries[0]));
    q->conn_ = NULL;
    q->cb_(q, (leat_pg_result *)&seen, err);
}

/* --- the scripts --- */

bool leat_ring_leads_on(const leat_ring *r, int64_t next_seq)
{
    return r->head != LEAT_RING_UNKNOWN && next_seq == r->head + 1;
}

static void note(script_call *c, leat_call *call, uint64_t deadline_ms)
{
    assert_null(c->call);
    call->task_ = c;
    c->call = call;
    c->deadline_ms = deadline_ms;
    c->n++;
}

static void refresh(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                    uint64_t deadline_ms)
{
    (void)s, (void)grant, (void)conn;
    note(&seen.refresh, call, deadline_ms);
}

static void snapshot(leat_script *s, leat_call *call, leat_grant *grant, leat_pg_conn *conn,
                     uint64_t deadline_ms)
{
    (void)s, (void)grant, (void)conn;
    note(&seen.snapshot, call, deadline_ms);
}

static void lend(leat_call *call, leat_pg_conn *conn)
{
    (void)conn;
    assert_ptr_equal(seen.snapshot.call, call);
    seen.n_lent++;
}

static void cancel(leat_call *call)
{
    script_call *c = call->task_;
    if (c != NULL)
        c->call = NULL;
    call->task_ = NULL;
}

static const leat_script_ops ops = {
    .refresh = refresh,
    .snapshot = snapshot,
    .lend = lend,
    .cancel = cancel,
};

static void tell(script_call *c, leat_verdict v)
{
    leat_call *call = c->call;
    assert_non_null(call);
    c->call = NULL;
    call->task_ = NULL;
    call->cb(call, &v);
}

/* The snapshot's first read. */
static void want(void)
{
    leat_call *call = seen.snapshot.call;
    assert_non_null(call);
    call->wants_conn(call);
}

static const leat_verdict fine = {.json = {"{}", 2}};
static const leat_verdict unreadable = {
    .failure = {.code = LEAT_CODE_UNAVAILABLE, .read_failed = true}};
static const leat_verdict late = {
    .failure = {.code = LEAT_CODE_DEADLINE_EXCEEDED, .read_failed = true}};
static const leat_verdict gone = {.failure.code = LEAT_CODE_NOT_FOUND};

/* --- the read --- */

typedef struct world {
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_script script;
    leat_core core;
    leat_ring ring;
    leat_grant grant;
    leat_read *read;
} world;

static void on_read(leat_read *r, const leat_read_outcome *o, void *arg)
{
    (void)r, (void)arg;
    seen.n_ended++;
    seen.last = *o;
}

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    memset(&seen, 0, sizeof(seen));
    seen.now = NOW;
    w->registry = leat_metrics_registry_new();
    w->script.ops = &ops;
    w->core.metrics = leat_metrics_new(w->registry);
    w->core.limits = &w->limits;
    w->core.script = &w->script;
    leat_map_init(&w->core.epochs);
    w->ring = (leat_ring){.entry = leat_map_entry_of(leat_slice_of("t")),
                          .core = &w->core,
                          .head = LEAT_RING_UNKNOWN};
    w->grant.has_refresh = true;
    *state = w;
    return 0;
}

/* Nothing is left: no lease, no wait, no call. */
static int tear_down(void **state)
{
    world *w = *state;
    assert_null(seen.waiter);
    assert_null(seen.armed);
    assert_null(seen.refresh.call);
    assert_null(seen.snapshot.call);
    assert_int_equal(0, seen.n_leased);
    leat_epoch_unref(w->ring.epoch);
    assert_int_equal(0, w->core.epochs.count);
    leat_map_close(&w->core.epochs);
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static void begin(world *w, leat_read_need need)
{
    w->read = leat_read_start(&w->ring, &w->grant, need, DEADLINE, on_read, NULL);
}

/* BEGIN and the position are answered. */
static void reply_position(void)
{
    reply(0);
    reply(0);
}

static void expect_end(leat_code code, bool stale)
{
    assert_int_equal(1, seen.n_ended);
    assert_int_equal(code, seen.last.failure.code);
    assert_int_equal(stale, seen.last.snapshot.stale);
}

static void gives_refresh_then_snapshot_then_commits(void **state)
{
    begin(*state, LEAT_READ_FIRST);
    lease();
    assert_int_equal(2, seen.n_queries); /* before the refresh's first query */
    reply_position();
    assert_null(seen.snapshot.call);
    tell(&seen.refresh, fine);
    tell(&seen.snapshot, fine);

    expect_end(LEAT_CODE_OK, false);
    assert_int_equal(17, seen.last.snapshot.position.seq);
    assert_int_equal(1, seen.n_committed);
    assert_int_equal(0, seen.n_leased);
}

static void waits_for_the_position(void **state)
{
    world *w = *state;
    w->grant.has_refresh = false;
    begin(w, LEAT_READ_FIRST);
    want();
    lease();
    assert_int_equal(1, seen.n_lent);
    tell(&seen.snapshot, fine);
    assert_int_equal(0, seen.n_ended);

    reply_position();

    expect_end(LEAT_CODE_OK, false);
    assert_int_equal(1, seen.n_committed);
}

static void acquires_nothing_for_a_snapshot_that_reads_nothing(void **state)
{
    world *w = *state;
    w->grant.has_refresh = false;
    w->ring.epoch = leat_epoch_of(&w->core.epochs, leat_slice_of("e"));
    w->ring.head = 21;
    w->ring.revoked = 20;
    begin(w, LEAT_READ_FIRST);
    tell(&seen.snapshot, fine);

    expect_end(LEAT_CODE_OK, false);
    assert_null(seen.waiter);
    assert_ptr_equal(w->ring.epoch, seen.last.snapshot.position.epoch);
    assert_int_equal(21, seen.last.snapshot.position.seq);
    assert_int_equal(20, seen.last.snapshot.position.revoked);
}

static void reads_the_position_of_a_later_snapshot_that_reads_nothing(void **state)
{
    world *w = *state;
    w->grant.has_refresh = false;
    w->ring.epoch = leat_epoch_of(&w->core.epochs, leat_slice_of("e"));
    w->ring.head = 2; /* behind what the client has */
    begin(w, LEAT_READ_LATER);
    tell(&seen.snapshot, fine);
    tell_position(told);

    expect_end(LEAT_CODE_OK, false);
    assert_int_equal(17, seen.last.snapshot.position.seq);
}

static void reads_the_position_alone_if_the_ring_does_not_know_it(void **state)
{
    world *w = *state;
    w->grant.has_refresh = false;
    begin(w, LEAT_READ_FIRST);
    tell(&seen.snapshot, fine);
    assert_null(seen.waiter); /* it asks together with others */
    tell_position(told);

    expect_end(LEAT_CODE_OK, false);
    assert_int_equal(17, seen.last.snapshot.position.seq);
}

static void composes_again_if_the_position_cannot_be_read(void **state)
{
    world *w = *state;
    w->grant.has_refresh = false;
    begin(w, LEAT_READ_FIRST);
    tell(&seen.snapshot, fine);
    tell_position(lost);
    assert_int_equal(1, seen.n_unread);
    pass_time();
    tell(&seen.snapshot, fine);
    tell_position(told);

    expect_end(LEAT_CODE_OK, false);
}

/* As for every read that gets no connection: the caller is to come back later. */
static void ends_if_there_is_no_connection_for_the_position(void **state)
{
    world *w = *state;
    leat_position_answer unconnected = lost;
    unconnected.no_connection = true;
    w->grant.has_refresh = false;
    begin(w, LEAT_READ_FIRST);
    tell(&seen.snapshot, fine);
    tell_position(unconnected);

    expect_end(LEAT_CODE_UNAVAILABLE, false);
    assert_int_equal(1000, seen.last.failure.retry_after_ms);
    assert_int_equal(0, seen.n_unread);
}

static void leaves_nothing_if_a_snapshot_without_a_refresh_is_cancelled(void **state)
{
    world *w = *state;
    w->grant.has_refresh = false;
    for (int step = 0; step < 4; step++) {
        begin(w, LEAT_READ_FIRST);
        if (step == 1 || step == 2)
            want();
        if (step == 2)
            lease();
        if (step == 3)
            tell(&seen.snapshot, fine);
        leat_read_cancel(w->read);
        assert_null(seen.waiter);
        assert_null(seen.ask);
        assert_int_equal(0, seen.n_leased);
    }
    assert_int_equal(0, seen.n_ended);
}

static void gives_a_refresh_half_of_the_time(void **state)
{
    world *w = *state;
    begin(w, LEAT_READ_FIRST);
    seen.now += 200;
    lease();

    assert_int_equal(seen.now + (DEADLINE - seen.now) / 2, seen.refresh.deadline_ms);
    leat_read_cancel(w->read);
}

static void falls_back_where_the_refresh_cannot_read(void **state)
{
    begin(*state, LEAT_READ_FIRST);
    lease();
    reply_position();
    tell(&seen.refresh, late);
    assert_int_equal(0, seen.n_leased); /* a transaction of its own */
    want();
    lease();
    reply_position();
    assert_int_equal(1, seen.refresh.n);
    assert_int_equal(DEADLINE, seen.snapshot.deadline_ms);
    tell(&seen.snapshot, fine);

    expect_end(LEAT_CODE_OK, true);
    assert_int_equal(1, seen.n_committed);
}

/* Else it would be at seq 0 with nothing in it. */
static void takes_no_position_from_rows_that_are_hidden(void **state)
{
    seen.hidden = true;
    begin(*state, LEAT_READ_FIRST);
    lease();
    reply_position();
    assert_int_equal(0, seen.n_leased);
    assert_int_equal(1, seen.n_unread);
    while (seen.n_ended == 0) {
        pass_time();
        if (seen.waiter == NULL)
            continue;
        lease();
        reply_position();
    }

    expect_end(LEAT_CODE_UNAVAILABLE, false);
}

static void ends_where_the_refresh_finds_nothing(void **state)
{
    begin(*state, LEAT_READ_FIRST);
    lease();
    tell(&seen.refresh, gone);

    expect_end(LEAT_CODE_NOT_FOUND, false);
    assert_false(seen.last.failure.read_failed);
}

static void accepts_no_fallback_if_it_must_be_fresh(void **state)
{
    begin(*state, LEAT_READ_FRESH);
    lease();
    reply_position();
    tell(&seen.refresh, unreadable);

    expect_end(LEAT_CODE_UNAVAILABLE, false);
    assert_true(seen.last.failure.read_failed);
}

static void tries_again_where_the_snapshot_cannot_be_read(void **state)
{
    begin(*state, LEAT_READ_FIRST);
    for (int i = 0; i < 3; i++) {
        lease();
        reply_position();
        tell(&seen.refresh, fine);
        tell(&seen.snapshot, unreadable);
        assert_int_equal(0, seen.n_leased);
        pass_time();
    }
    lease();
    reply_position();
    tell(&seen.refresh, fine);
    tell(&seen.snapshot, fine);

    expect_end(LEAT_CODE_OK, false);
    assert_int_equal(1, seen.n_committed);
}

static void gives_up_at_the_deadline(void **state)
{
    begin(*state, LEAT_READ_FIRST);
    while (seen.n_ended == 0) {
        lease();
        reply(LEAT_EPG_LOST);
        pass_time();
    }

    expect_end(LEAT_CODE_UNAVAILABLE, false);
    assert_true(seen.last.failure.retry_after_ms > 0);
    assert_int_equal(DEADLINE, seen.now);
}

static void a_position_that_fails_spoils_the_attempt(void **state)
{
    begin(*state, LEAT_READ_FIRST);
    lease();
    tell(&seen.refresh, fine);
    reply(0);
    reply(LEAT_EPG_SERVER);
    assert_null(seen.snapshot.call);
    pass_time();
    lease();
    reply_position();
    tell(&seen.refresh, fine);
    tell(&seen.snapshot, fine);

    expect_end(LEAT_CODE_OK, false);
    assert_int_equal(1, seen.n_committed);
}

static void does_not_wait_for_a_pool_that_is_full(void **state)
{
    begin(*state, LEAT_READ_FIRST);
    leat_pg_waiter *w = seen.waiter;
    seen.waiter = NULL;
    w->cb_(w, NULL, LEAT_EBUSY);

    expect_end(LEAT_CODE_UNAVAILABLE, false);
}

static void leaves_nothing_wherever_it_is_cancelled(void **state)
{
    for (int step = 0; step < 5; step++) {
        begin(*state, LEAT_READ_FIRST);
        if (step > 0)
            lease();
        if (step > 1)
            reply_position();
        if (step > 2)
            tell(&seen.refresh, fine);
        if (step > 3)
            tell(&seen.snapshot, unreadable);
        leat_read_cancel(((world *)*state)->read);
        assert_null(seen.waiter);
        assert_null(seen.armed);
        assert_int_equal(0, seen.n_leased);
    }
    assert_int_equal(0, seen.n_ended);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(gives_refresh_then_snapshot_then_commits),
        TEST(waits_for_the_position),
        TEST(acquires_nothing_for_a_snapshot_that_reads_nothing),
        TEST(reads_the_position_of_a_later_snapshot_that_reads_nothing),
        TEST(reads_the_position_alone_if_the_ring_does_not_know_it),
        TEST(composes_again_if_the_position_cannot_be_read),
        TEST(ends_if_there_is_no_connection_for_the_position),
        TEST(leaves_nothing_if_a_snapshot_without_a_refresh_is_cancelled),
        TEST(gives_a_refresh_half_of_the_time),
        TEST(falls_back_where_the_refresh_cannot_read),
        TEST(takes_no_position_from_rows_that_are_hidden),
        TEST(ends_where_the_refresh_finds_nothing),
        TEST(accepts_no_fallback_if_it_must_be_fresh),
        TEST(tries_again_where_the_snapshot_cannot_be_read),
        TEST(gives_up_at_the_deadline),
        TEST(a_position_that_fails_spoils_the_attempt),
        TEST(does_not_wait_for_a_pool_that_is_full),
        TEST(leaves_nothing_wherever_it_is_cancelled),
    };
    pool = leat_pool_new(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    leat_pool_free(pool); /* every read was freed */
    return failed;
}
