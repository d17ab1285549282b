/* pg_listener.c - a listener's states, in the order of listener_state.
 *
 * open_conn opens a connection; once it is ready, on_conn sends the handshake: BEGIN, LISTEN, the
 * fence and COMMIT, all at once. When each was answered and the fence has come back as a
 * notification (on_notify), the listener listens, and sends a keepalive query after each pause.
 * Every failure goes through fail: it closes the connection and waits before the next attempt.
 *
 * The fence is a notification on the same channel. Its payload is none that an announcement can
 * have, and it counts only if this connection's own server process sent it. Fences of other
 * listeners arrive here, too, and are ignored.
 */
#include "pg/pg_listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/backoff.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/log_series.h"
#include "base/mem.h"
#include "pg/pg_conn_private.h"

#define FENCE_PREFIX "fence:"
#define POOLED                                                                                     \
    "the connection goes through a pooler in transaction mode, which LISTEN does not survive: "    \
    "listen_url needs a direct one"

enum { HANDSHAKE_QUERIES = 4, FIRST_BACKOFF_MS = 50 };

typedef enum listener_state {
    WAITING,     /* for the first attempt, or after a failure; there is no connection */
    CONNECTING,  /* the connection is not ready */
    HANDSHAKING, /* the handshake is sent */
    LISTENING,
    CLOSING,
} listener_state;

struct leat_pg_listener {
    leat_loop *loop;
    leat_metrics *metrics;
    const leat_pg_listener_options *options;
    leat_pg_listener_handler handler;
    void *arg;

    listener_state state;
    leat_pg_conn *conn; /* NULL: WAITING or CLOSING */
    int n_gone;         /* connections that are closed but not yet freed */
    leat_pg_query queries[HANDSHAKE_QUERIES];
    leat_pg_query keepalive;
    int64_t asked_s; /* when the keepalive that runs was sent, or the fence; seconds since 1970 */
    int unanswered;  /* queries of the handshake */
    char fence[sizeof(FENCE_PREFIX) + 16];
    bool fenced; /* the fence has come back */
    bool was_up; /* it has listened before */
    char *listen_sql;

    leat_deadline timer; /* WAITING: the delay; HANDSHAKING: its deadline; LISTENING: the pause */
    leat_backoff backoff;
    leat_log_series failures;
    leat_sweep sweep; /* opens the connection, and frees a listener that is closed */
    void (*done)(void *arg);
    void *done_arg;
};

static void on_gone(void *arg)
{
    leat_pg_listener *l = arg;
    l->n_gone--;
    if (l->state == CLOSING)
        leat_sweep_schedule(l->loop, &l->sweep);
}

static void close_conn(leat_pg_listener *l)
{
    leat_deadline_cancel(&l->timer);
    if (l->conn == NULL)
        return;
    leat_pg_conn *conn = l->conn;
    l->conn = NULL;
    l->n_gone++;
    leat_pg_conn_forget_all(conn);
    leat_pg_conn_on_gone(conn, on_gone, l);
    leat_pg_conn_close(conn);
}

static void on_delay_over(leat_deadline *d)
{
    leat_pg_listener *l = LEAT_CONTAINER_OF(d, leat_pg_listener, timer);
    leat_sweep_schedule(l->loop, &l->sweep);
}

static void fail(leat_pg_listener *l, int err, const char *why)
{
    uint64_t now_ms = leat_loop_now(l->loop);
    bool was_up = l->state == LISTENING;
    leat_log_series_warn(&l->failures, now_ms, "pg", was_up ? "listener lost" : "listener failed",
                         why);
    l->state = WAITING;
    l->handler.on_trouble(l->arg, why); /* why is the connection's */
    if (was_up)
        leat_metrics_set(l->metrics, LEAT_M_LISTENER_CONNECTED, 0);
    close_conn(l);
    leat_loop_after(l->loop, &l->timer, leat_backoff_next(&l->backoff, leat_loop_random(l->loop)),
                    on_delay_over);
    if (was_up)
        l->handler.on_down(l->arg, err);
}

static void fail_query(leat_pg_listener *l, const leat_pg_result *res, int err)
{
    if (err == LEAT_EPG_SERVER)
        fail(l, err, leat_pg_result_message(res));
    else if (err == LEAT_EPG_LOST)
        fail(l, err, leat_pg_conn_error(l->conn));
    else
        fail(l, err, "no answer in time");
}

static void pause_keepalive(leat_pg_listener *l);

/* An error, too, proves that the server answers. If another server process answers than the one
 * that listens, a pooler stands between and gives each transaction any server process; then
 * announcements do not arrive here. */
static void on_keepalive(leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_pg_listener *l = q->data;
    if (err < 0 && err != LEAT_EPG_SERVER)
        fail_query(l, res, err);
    else if (err == 0 && (int)strtol(leat_pg_result_value(res, 0, 0).at, NULL, 10) !=
                             leat_pg_conn_backend_pid(l->conn))
        fail(l, LEAT_EPG_LOST, POOLED);
    else
        pause_keepalive(l);
}

static void on_pause_over(leat_deadline *d)
{
    leat_pg_listener *l = LEAT_CONTAINER_OF(d, leat_pg_listener, timer);
    uint64_t deadline_ms = leat_loop_now(l->loop) + l->options->keepalive_timeout_ms;
    l->keepalive.data = l;
    l->asked_s = (int64_t)time(NULL);
    int err = leat_pg_conn_query(l->conn, &l->keepalive, "select pg_catalog.pg_backend_pid()", NULL,
                                 0, deadline_ms, on_keepalive);
    if (err < 0)
        fail(l, err, leat_pg_conn_error(l->conn));
}

/* An answer has come, or the fence: behind the notifications of all that was committed before it
 * was asked for. */
static void pause_keepalive(leat_pg_listener *l)
{
    leat_metrics_set(l->metrics, LEAT_M_LISTENER_CONFIRMED, l->asked_s);
    leat_loop_after(l->loop, &l->timer, l->options->keepalive_ms, on_pause_over);
}

static void listen_if_ready(leat_pg_listener *l)
{
    if (l->state != HANDSHAKING || l->unanswered > 0 || !l->fenced)
        return;
    l->state = LISTENING;
    leat_backoff_reset(&l->backoff);
    leat_metrics_set(l->metrics, LEAT_M_LISTENER_CONNECTED, 1);
    if (l->was_up)
        leat_metrics_add(l->metrics, LEAT_M_LISTENER_RECONNECTS, 1);
    l->was_up = true;
    pause_keepalive(l);
    LEAT_LOG_INFO("pg", "listening pid=%d", leat_pg_conn_backend_pid(l->conn));
    l->handler.on_up(l->arg);
}

static void on_notify(leat_pg_conn *c, const char *channel, const char *payload, int sender_pid,
                      void *arg)
{
    (void)channel;
    leat_pg_listener *l = arg;
    if (strncmp(payload, FENCE_PREFIX, sizeof(FENCE_PREFIX) - 1) == 0) {
        bool own = sender_pid == leat_pg_conn_backend_pid(c) && strcmp(payload, l->fence) == 0;
        l->fenced = l->fenced || own;
        listen_if_ready(l);
    } else if (l->state == LISTENING) {
        l->handler.on_notify(l->arg, payload, sender_pid);
    }
}

static void on_answer(leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_pg_listener *l = q->data;
    if (err < 0) {
        fail_query(l, res, err);
        return;
    }
    l->unanswered--;
    listen_if_ready(l);
}

static void on_handshake_deadline(leat_deadline *d)
{
    leat_pg_listener *l = LEAT_CONTAINER_OF(d, leat_pg_listener, timer);
    fail(l, LEAT_EDEADLINE,
         "the fence did not come back in time; a pooler in transaction mode would do that");
}

static void make_fence(leat_pg_listener *l)
{
    uint64_t nonce;
    leat_random_bytes(&nonce, sizeof(nonce));
    snprintf(l->fence, sizeof(l->fence), FENCE_PREFIX "%016llx", (unsigned long long)nonce);
    l->fenced = false;
}

static void send_handshake(leat_pg_listener *l)
{
    const char *sql[HANDSHAKE_QUERIES] = {"begin", l->listen_sql,
                                          "select pg_catalog.pg_notify($1, $2)", "commit"};
    make_fence(l);
    const leat_pg_param fence[] = {leat_slice_of(l->options->channel), leat_slice_of(l->fence)};
    uint64_t deadline_ms = leat_loop_now(l->loop) + l->options->pg.connect_timeout_ms;
    l->state = HANDSHAKING;
    l->asked_s = (int64_t)time(NULL);
    l->unanswered = HANDSHAKE_QUERIES;
    for (int i = 0; i < HANDSHAKE_QUERIES; i++) {
        l->queries[i].data = l;
        int err = leat_pg_conn_query(l->conn, &l->queries[i], sql[i], fence, i == 2 ? 2 : 0,
                                     deadline_ms, on_answer);
        if (err < 0) {
            fail(l, err, leat_pg_conn_error(l->conn));
            return;
        }
    }
    leat_loop_at(l->loop, &l->timer, deadline_ms, on_handshake_deadline);
}

static void on_conn(leat_pg_conn *c, int err, void *arg)
{
    leat_pg_listener *l = arg;
    if (err == 0)
        send_handshake(l);
    else
        fail(l, err, leat_pg_conn_error(c));
}

static void open_conn(leat_pg_listener *l)
{
    l->state = CONNECTING;
    int err = leat_pg_conn_open(&l->conn, l->loop, l->metrics, &l->options->pg, on_conn, l);
    if (err < 0) {
        l->conn = NULL;
        fail(l, err, uv_strerror(err));
        return;
    }
    leat_pg_conn_on_notify(l->conn, on_notify, l);
}

static void finish_closing(leat_pg_listener *l)
{
    if (l->n_gone > 0)
        return;
    void (*done)(void *) = l->done;
    void *arg = l->done_arg;
    free(l->listen_sql);
    free(l);
    if (done != NULL)
        done(arg);
}

static void open_or_free(leat_sweep *s)
{
    leat_pg_listener *l = LEAT_CONTAINER_OF(s, leat_pg_listener, sweep);
    if (l->state == CLOSING)
        finish_closing(l);
    else if (l->state == WAITING)
        open_conn(l);
}

/* LISTEN takes no parameter. */
static char *make_listen_sql(const char *channel)
{
    leat_buf sql = LEAT_BUF_INIT;
    leat_buf_text(&sql, "listen \"");
    for (const char *at = channel; *at != '\0'; at++) {
        if (*at == '"')
            leat_buf_char(&sql, '"');
        leat_buf_char(&sql, *at);
    }
    leat_buf_char(&sql, '"');
    return leat_buf_detach(&sql, NULL);
}

int leat_pg_listener_new(leat_pg_listener **out, leat_loop *loop, leat_metrics *metrics,
                         const leat_pg_listener_options *options,
                         const leat_pg_listener_handler *handler, void *arg)
{
    leat_pg_listener *l = leat_calloc(1, sizeof(*l));
    l->loop = loop;
    l->metrics = metrics;
    l->options = options;
    l->handler = *handler;
    l->arg = arg;
    l->failures.connection = options->pg.application_name;
    l->listen_sql = make_listen_sql(options->channel);
    leat_deadline_init(&l->timer);
    leat_backoff_init(&l->backoff, FIRST_BACKOFF_MS, options->max_backoff_ms);
    leat_sweep_init(&l->sweep, open_or_free);
    leat_sweep_schedule(loop, &l->sweep);
    *out = l;
    return 0;
}

void leat_pg_listener_close(leat_pg_listener *l, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(l->state != CLOSING);
    l->done = done;
    l->done_arg = arg;
    if (l->state == LISTENING)
        leat_metrics_set(l->metrics, LEAT_M_LISTENER_CONNECTED, 0);
    l->state = CLOSING;
    close_conn(l);
    leat_sweep_schedule(l->loop, &l->sweep);
}
