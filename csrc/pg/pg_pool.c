/* pg_pool.c - the connections of a pool.
 *
 * Each connection is a member in one of four states; set_state changes them, and the gauges. A new
 * waiter, and a connection that became free, ready or lost, schedule the sweep. It leases idle
 * members to waiters and opens missing connections. pg_shares.c knows who waits and who is next. An
 * idle member may still wait for the answer to its reader's COMMIT.
 *
 * A failure to connect makes the pool unhealthy. Then it makes one attempt at a time, after a
 * back-off, until one succeeds, even if nobody waits.
 */
#include "pg/pg_pool.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/log_series.h"
#include "base/mem.h"
#include "pg/pg_conn_private.h"
#include "pg/pg_pace.h"

enum { FIRST_BACKOFF_MS = 50 };

enum state { CONNECTING, IDLE, LEASED, CLEANING, STATES };

typedef struct member {
    leat_list link;
    leat_pg_pool *pool;
    leat_pg_conn *conn;
    enum state state;
    uint64_t since_ms;   /* when it came into that state */
    leat_pg_lease lease; /* while LEASED or CLEANING */
    leat_deadline idle;
} member;

struct leat_pg_pool {
    leat_loop *loop;
    leat_metrics *metrics;
    const leat_pg_pool_options *options;
    leat_list members[STATES];
    size_t counts[STATES];
    size_t n_gone;          /* connections that are closed, but not yet freed */
    leat_pg_shares *shares; /* who waits, and who holds connections */
    size_t n_waiters;       /* in line */
    leat_pg_pace pace;      /* at which they are served */
    leat_list refused;      /* leat_pg_waiter by place_.link_: told on the next turn */
    leat_sweep sweep;
    leat_backoff backoff;
    leat_log_series failures;
    leat_deadline retry; /* armed: no attempt to connect is made before it */
    bool healthy;
    leat_buf failure;     /* why not, one line */
    uint64_t answered_ms; /* when a connection was last made, or came back clean */
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
};

static void set_gauges(leat_pg_pool *p, enum state state, int64_t n)
{
    static const leat_metric gauge[STATES] = {LEAT_M_POOL_CONNECTING, LEAT_M_POOL_IDLE,
                                              LEAT_M_POOL_BUSY, LEAT_M_POOL_BUSY};
    leat_metrics_add(p->metrics, gauge[state], n);
    p->counts[state] += (size_t)n;
}

static void on_idle_timeout(leat_deadline *d);

static void set_state(member *m, enum state next)
{
    leat_pg_pool *p = m->pool;
    set_gauges(p, m->state, -1);
    set_gauges(p, next, 1);
    m->state = next;
    m->since_ms = leat_loop_now(p->loop);
    leat_list_unlink(&m->link);
    leat_list_push(&p->members[next], &m->link);
    if (next == IDLE) {
        p->answered_ms = leat_loop_now(p->loop);
        leat_pg_shares_return(p->shares, &m->lease);
    }
    leat_deadline_cancel(&m->idle);
    if (next == IDLE)
        leat_loop_after(p->loop, &m->idle, p->options->idle_timeout_ms, on_idle_timeout);
}

static size_t total(const leat_pg_pool *p)
{
    return p->counts[CONNECTING] + p->counts[IDLE] + p->counts[LEASED] + p->counts[CLEANING];
}

static void on_gone(void *arg)
{
    leat_pg_pool *p = arg;
    p->n_gone--;
    if (p->closing)
        leat_sweep_schedule(p->loop, &p->sweep);
}

/* Closes the connection of m, and frees m. */
static void drop(member *m)
{
    leat_pg_pool *p = m->pool;
    set_gauges(p, m->state, -1);
    leat_pg_shares_return(p->shares, &m->lease);
    leat_list_unlink(&m->link);
    leat_deadline_cancel(&m->idle);
    p->n_gone++;
    leat_pg_conn_on_gone(m->conn, on_gone, p);
    leat_pg_conn_close(m->conn);
    free(m);
    leat_sweep_schedule(p->loop, &p->sweep);
}

static void on_idle_timeout(leat_deadline *d)
{
    member *m = LEAT_CONTAINER_OF(d, member, idle);
    if (total(m->pool) > 1)
        drop(m);
}

static void on_retry_delay_over(leat_deadline *d)
{
    leat_pg_pool *p = LEAT_CONTAINER_OF(d, leat_pg_pool, retry);
    leat_sweep_schedule(p->loop, &p->sweep);
}

static void fail(leat_pg_pool *p, const char *phrase, const char *error)
{
    uint64_t now_ms = leat_loop_now(p->loop);
    leat_log_series_warn(&p->failures, now_ms, "pg", phrase, error);
    p->healthy = false;
    p->failure.len = 0;
    leat_buf_text(&p->failure, error);
    if (leat_deadline_armed(&p->retry))
        return; /* attempts that fail together count as one failure */
    leat_loop_after(p->loop, &p->retry, leat_backoff_next(&p->backoff, leat_loop_random(p->loop)),
                    on_retry_delay_over);
}

static void on_conn(leat_pg_conn *conn, int err, void *arg)
{
    member *m = arg;
    leat_pg_pool *p = m->pool;
    if (err == 0) {
        if (!p->healthy)
            LEAT_LOG_INFO("pg", "connected pid=%d", leat_pg_conn_backend_pid(conn));
        p->healthy = true;
        leat_backoff_reset(&p->backoff);
        leat_deadline_cancel(&p->retry);
        set_state(m, IDLE);
        leat_sweep_schedule(p->loop, &p->sweep);
        return;
    }
    if (m->state == LEASED)
        return; /* its holder's queries fail, and the holder gives it back */
    if (m->state == CONNECTING)
        fail(p, "connect failed", leat_pg_conn_error(conn));
    else
        leat_log_series_warn(&p->failures, leat_loop_now(p->loop), "pg", "connection lost",
                             leat_pg_conn_error(conn));
    drop(m);
}

static bool open_one(leat_pg_pool *p)
{
    member *m = leat_calloc(1, sizeof(*m));
    int err = leat_pg_conn_open(&m->conn, p->loop, p->metrics, &p->options->pg, on_conn, m);
    if (err < 0) {
        free(m);
        fail(p, "connect failed", uv_strerror(err));
        return false;
    }
    m->pool = p;
    m->state = CONNECTING;
    m->since_ms = leat_loop_now(p->loop);
    leat_deadline_init(&m->idle);
    leat_list_push(&p->members[CONNECTING], &m->link);
    set_gauges(p, CONNECTING, 1);
    return true;
}

/* An unhealthy pool tries one connection at a time. A healthy one opens a connection for each
 * waiter, and keeps at least one. */
static void open_missing(leat_pg_pool *p)
{
    if (leat_deadline_armed(&p->retry))
        return;
    if (!p->healthy) {
        if (p->counts[CONNECTING] == 0 && total(p) < p->options->size)
            open_one(p);
        return;
    }
    size_t wanted = p->n_waiters;
    if (wanted == 0 && total(p) == 0)
        wanted = 1;
    while (p->counts[CONNECTING] < wanted && total(p) < p->options->size)
        if (!open_one(p))
            return;
}

static void stop_waiting(leat_pg_waiter *w)
{
    leat_pg_pool *p = w->pool_;
    leat_deadline_cancel(&w->deadline_);
    w->pool_ = NULL;
    w->waited_ns += uv_hrtime() - w->since_ns_;
    if (w->refused_ < 0) {
        leat_list_unlink(&w->place_.link_);
        leat_sweep_schedule(p->loop, &p->sweep); /* a pool that closes waits for the last one */
        return;
    }
    if (w->place_.line_ != NULL)
        leat_pg_shares_leave(p->shares, &w->place_);
    if (--p->n_waiters == 0)
        leat_pg_pace_nobody_waits(&p->pace);
    leat_metrics_add(p->metrics, LEAT_M_POOL_WAITERS, -1);
}

/* Leases the connection that was used last, so that the idle timeout closes the others. */
static void serve(leat_pg_pool *p)
{
    while (!p->closing && p->n_waiters > 0 && p->counts[IDLE] > 0) {
        member *m = LEAT_CONTAINER_OF(p->members[IDLE].prev, member, link);
        leat_pg_place *place = leat_pg_shares_next(p->shares, &m->lease);
        if (place == NULL)
            return; /* all waiters hold their shares already */
        leat_pg_waiter *w = LEAT_CONTAINER_OF(place, leat_pg_waiter, place_);
        if (p->counts[CONNECTING] > 0)
            leat_pg_pace_nobody_waits(&p->pace); /* a pool that grows has no pace yet */
        else
            leat_pg_pace_served(&p->pace, leat_loop_now(p->loop), p->n_waiters > 1);
        stop_waiting(w);
        set_state(m, LEASED);
        w->cb_(w, m->conn, 0);
    }
}

static void serve_and_open(leat_sweep *s)
{
    leat_pg_pool *p = LEAT_CONTAINER_OF(s, leat_pg_pool, sweep);
    serve(p);
    if (!p->closing) {
        open_missing(p);
        return;
    }
    if (total(p) > 0 || p->n_gone > 0 || !leat_list_empty(&p->refused))
        return;
    void (*done)(void *) = p->done;
    void *arg = p->done_arg;
    leat_sweep_cancel(&p->sweep);
    leat_pg_shares_free(p->shares);
    leat_buf_close(&p->failure);
    free(p);
    if (done != NULL)
        done(arg);
}

int leat_pg_pool_new(leat_pg_pool **out, leat_loop *loop, leat_metrics *metrics,
                     const leat_pg_pool_options *options)
{
    leat_pg_pool *p = leat_calloc(1, sizeof(*p));
    p->loop = loop;
    p->metrics = metrics;
    p->options = options;
    p->failures.connection = options->pg.application_name;
    for (int i = 0; i < STATES; i++)
        leat_list_init(&p->members[i]);
    leat_list_init(&p->refused);
    p->shares = leat_pg_shares_new(
        &(leat_pg_shares_limits){
            .size = options->size,
            .reserve = options->reserve,
            .per_client = options->per_client,
            .per_user = options->per_user,
            .crowd = options->crowd,
            .max_waiters = options->max_waiters,
        },
        metrics);
    leat_sweep_init(&p->sweep, serve_and_open);
    leat_deadline_init(&p->retry);
    leat_backoff_init(&p->backoff, FIRST_BACKOFF_MS, options->max_backoff_ms);
    leat_sweep_schedule(loop, &p->sweep);
    *out = p;
    return 0;
}

static void on_waiter_deadline(leat_deadline *d)
{
    leat_pg_waiter *w = LEAT_CONTAINER_OF(d, leat_pg_waiter, deadline_);
    int err = w->refused_;
    if (err == 0)
        err = w->pool_->healthy ? LEAT_EDEADLINE : LEAT_EPG_LOST;
    stop_waiting(w);
    w->cb_(w, NULL, err);
}

void leat_pg_waiter_init(leat_pg_waiter *w)
{
    leat_list_init(&w->place_.link_);
    leat_deadline_init(&w->deadline_);
    w->place_.line_ = NULL;
    w->refused_ = 0;
    w->cb_ = NULL;
    w->pool_ = NULL;
    w->waited_ns = 0;
    w->bill = (leat_pg_bill){.kind = LEAT_PG_CONTROL};
}

void leat_pg_pool_acquire(leat_pg_pool *p, leat_pg_waiter *w, uint64_t deadline_ms,
                          leat_pg_acquire_cb cb)
{
    LEAT_ASSERT(w->pool_ == NULL && deadline_ms != LEAT_DEADLINE_NEVER);
    w->pool_ = p;
    w->cb_ = cb;
    w->since_ns_ = uv_hrtime();
    w->refused_ = LEAT_ECLOSED;
    if (!p->closing)
        w->refused_ = leat_pg_shares_wait(p->shares, &w->place_, &w->bill, p->counts[IDLE]);
    if (w->refused_ < 0) {
        leat_list_push(&p->refused, &w->place_.link_);
        leat_loop_after(p->loop, &w->deadline_, 0, on_waiter_deadline);
        return;
    }
    p->n_waiters++;
    if (p->counts[IDLE] == 0)
        leat_pg_pace_waits(&p->pace, leat_loop_now(p->loop));
    leat_metrics_add(p->metrics, LEAT_M_POOL_WAITERS, 1);
    leat_loop_at(p->loop, &w->deadline_, deadline_ms, on_waiter_deadline);
    leat_sweep_schedule(p->loop, &p->sweep);
}

void leat_pg_waiter_cancel(leat_pg_waiter *w)
{
    if (w->pool_ != NULL)
        stop_waiting(w);
}

bool leat_pg_waiter_waiting(const leat_pg_waiter *w)
{
    return w->pool_ != NULL;
}

static void on_cleaned(leat_pg_conn *conn, int err, void *arg)
{
    member *m = arg;
    leat_pg_pool *p = m->pool;
    if (err == 0) {
        set_state(m, IDLE);
        leat_sweep_schedule(p->loop, &p->sweep);
        return;
    }
    /* A server that does not answer a cancel counts as gone until a new connection succeeds. But if
     * it answered on other connections meanwhile, only the statement is slow. */
    uint64_t now_ms = leat_loop_now(p->loop);
    bool others_answered = now_ms - p->answered_ms < p->options->clean_timeout_ms;
    const char *error =
        err == LEAT_EDEADLINE ? "the server did not answer in time" : leat_pg_conn_error(conn);
    if (err == LEAT_EDEADLINE && !others_answered)
        fail(p, "connection given up", error);
    else
        leat_log_series_warn(&p->failures, now_ms, "pg", "connection lost", error);
    drop(m);
}

void leat_pg_pool_release(leat_pg_pool *p, leat_pg_conn *conn)
{
    member *m = leat_pg_conn_arg(conn);
    LEAT_ASSERT(m->pool == p && m->state == LEASED);
    leat_pg_conn_forget_all(conn);
    if (p->closing || leat_pg_conn_broken(conn)) {
        if (!p->closing)
            leat_log_series_warn(&p->failures, leat_loop_now(p->loop), "pg", "connection lost",
                                 leat_pg_conn_error(conn));
        drop(m);
        return;
    }
    if (leat_pg_conn_idle(conn)) {
        set_state(m, IDLE);
        leat_sweep_schedule(p->loop, &p->sweep);
        return;
    }
    set_state(m, CLEANING);
    leat_pg_conn_clean(conn, leat_loop_now(p->loop) + p->options->clean_timeout_ms, on_cleaned, m);
}

void leat_pg_pool_release_reader(leat_pg_pool *p, leat_pg_conn *conn)
{
    member *m = leat_pg_conn_arg(conn);
    LEAT_ASSERT(m->pool == p && m->state == LEASED);
    if (p->closing || !leat_pg_conn_commit_unanswered(conn)) {
        leat_pg_pool_release(p, conn);
        return;
    }
    set_state(m, IDLE);
    leat_sweep_schedule(p->loop, &p->sweep);
}

uint64_t leat_pg_pool_wait_ms(const leat_pg_pool *p, bool of_crowd)
{
    if (p->healthy && p->counts[CONNECTING] > 0)
        return 0; /* it will be faster soon */
    return leat_pg_pace_estimate_ms(&p->pace, leat_pg_shares_ahead(p->shares, of_crowd),
                                    leat_loop_now(p->loop));
}

bool leat_pg_pool_healthy(const leat_pg_pool *p)
{
    return p->healthy;
}

leat_slice leat_pg_pool_failure(const leat_pg_pool *p)
{
    return p->healthy ? (leat_slice){NULL, 0} : leat_buf_view(&p->failure);
}

static void drop_all(leat_pg_pool *p, enum state state)
{
    for (leat_list *link; (link = leat_list_shift(&p->members[state])) != NULL;)
        drop(LEAT_CONTAINER_OF(link, member, link));
}

void leat_pg_pool_close(leat_pg_pool *p, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(!p->closing);
    p->closing = true;
    p->done = done;
    p->done_arg = arg;
    leat_deadline_cancel(&p->retry);
    drop_all(p, CONNECTING);
    drop_all(p, IDLE);
    drop_all(p, CLEANING);
    leat_sweep_schedule(p->loop, &p->sweep);

    for (leat_pg_place *place; (place = leat_pg_shares_drain(p->shares)) != NULL;) {
        leat_pg_waiter *w = LEAT_CONTAINER_OF(place, leat_pg_waiter, place_);
        stop_waiting(w);
        w->cb_(w, NULL, LEAT_ECLOSED);
    }
}

/* --- for an operator --- */

static void describe_member(const member *m, const char *state, leat_buf *json)
{
    leat_pg_pool *p = m->pool;
    uint64_t client = 0;
    const char *kind = leat_pg_shares_holder(&m->lease, &client);
    leat_buf_printf(json, "{\"state\":\"%s\",\"for_ms\":%" PRIu64, state,
                    leat_loop_now(p->loop) - m->since_ms);
    if (m->state != CONNECTING)
        leat_buf_printf(json, ",\"pid\":%d", leat_pg_conn_backend_pid(m->conn));
    if (kind != NULL)
        leat_buf_printf(json, ",\"kind\":\"%s\"", kind);
    if (client != 0)
        leat_buf_printf(json, ",\"client\":%" PRIu64, client);
    leat_buf_char(json, '}');
}

static void describe_members(const leat_pg_pool *p, leat_buf *json)
{
    static const struct {
        enum state state;
        const char *name;
    } order[] = {
        {LEASED, "busy"}, {CLEANING, "cleaning"}, {CONNECTING, "connecting"}, {IDLE, "idle"}};
    size_t n = 0;
    for (size_t i = 0; i < STATES; i++) {
        const leat_list *all = &p->members[order[i].state];
        for (leat_list *l = all->next; l != all && n < LEAT_PG_POOL_SHOWN; l = l->next, n++) {
            if (n > 0)
                leat_buf_char(json, ',');
            describe_member(LEAT_CONTAINER_OF(l, member, link), order[i].name, json);
        }
    }
}

void leat_pg_pool_describe(const leat_pg_pool *p, leat_buf *json)
{
    leat_buf_printf(json,
                    "\"size\":%zu,\"idle\":%zu,\"busy\":%zu,\"connecting\":%zu,\"waiters\":%zu"
                    ",\"max_waiters\":%zu,\"wait_ms\":%" PRIu64 ",\"healthy\":%s,\"connections\":[",
                    p->options->size, p->counts[IDLE], p->counts[LEASED] + p->counts[CLEANING],
                    p->counts[CONNECTING], p->n_waiters, p->options->max_waiters,
                    leat_pg_pool_wait_ms(p, false), p->healthy ? "true" : "false");
    describe_members(p, json);
    leat_buf_char(json, ']');
}
