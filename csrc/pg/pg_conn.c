/* pg_conn.c - the socket and the states of a connection.
 *
 * begin_due_work runs at the end of a turn and begins what the turn asked for: an attempt to
 * connect (pg_connect.c), sending the queued queries (pg_pipeline.c), cleaning (pg_clean.c).
 * on_poll passes on the events of the socket.
 *
 * libpq may close its socket whenever it reads or writes. So libpq reads and writes only in these
 * two functions. They check at once whether the connection is still there (leat_pg_conn_lose),
 * before libuv can meet the closed socket.
 */
#include "pg/pg_conn.h"

#include <stdlib.h>

#include "base/mem.h"
#include "pg/pg_conn_private.h"

enum {
    CLOSE_CANCEL_MS = 1000, /* a closed connection waits for its cancel so long */
    MANY_STATEMENTS = 16,   /* that no query uses any more, and the server still keeps */
    MUCH_BYTES = 4096,      /* of notifications, in one read */
    TURN_BYTES = 1024 * 1024,
};

char *leat_pg_conn_one_line(char *out, size_t size, const char *text)
{
    size_t len = 0;
    for (; *text != '\0' && len + 2 < size; text++) {
        bool space = (unsigned char)*text <= ' ';
        if (space && (len == 0 || out[len - 1] == ' '))
            continue;
        if (*text == '\n' && text[1] != '\0')
            out[len++] = ';';
        out[len++] = space ? ' ' : *text;
    }
    while (len > 0 && out[len - 1] == ' ')
        len--;
    out[len] = '\0';
    return out;
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Watches libpq's socket, which may be another one than last time. */
int leat_pg_conn_watch(leat_pg_conn *c, int events)
{
    int fd = PQsocket(c->pg);
    if (c->poll != NULL && c->poll_fd != fd)
        leat_pg_conn_unwatch(c);
    if (c->poll == NULL) {
        uv_poll_t *poll = leat_calloc(1, sizeof(*poll));
        int err = uv_poll_init_socket(leat_loop_uv(c->loop), poll, fd);
        if (err < 0) {
            free(poll);
            return err;
        }
        poll->data = c;
        c->poll = poll;
        c->poll_fd = fd;
        c->holders++;
    }
    return uv_poll_start(c->poll, events, on_poll);
}

static void on_poll_closed(uv_handle_t *handle)
{
    leat_pg_conn *c = handle->data;
    free(handle);
    leat_pg_conn_let_go(c);
}

void leat_pg_conn_unwatch(leat_pg_conn *c)
{
    if (c->poll != NULL)
        uv_close((uv_handle_t *)c->poll, on_poll_closed);
    c->poll = NULL;
}

void leat_pg_conn_lose(leat_pg_conn *c, const char *why)
{
    if (why == NULL)
        why = leat_pg_pipeline_reason(c);
    leat_pg_conn_one_line(c->error, sizeof(c->error), why);
    c->state = LEAT_PG_CONN_BROKEN;
    leat_pg_conn_unwatch(c);
    if (!leat_pg_pipeline_fail(c, LEAT_EPG_LOST))
        return;
    if (leat_pg_clean_is_on(c))
        leat_pg_clean_finish(c, LEAT_EPG_LOST);
    else
        c->cb(c, LEAT_EPG_LOST, c->arg);
}

bool leat_pg_conn_flush(leat_pg_conn *c)
{
    int left = PQflush(c->pg);
    if (left < 0 || PQstatus(c->pg) == CONNECTION_BAD) {
        leat_pg_conn_lose(c, NULL);
        return false;
    }
    if ((left > 0) == c->writing)
        return true;
    c->writing = left > 0;
    int err = leat_pg_conn_watch(c, c->writing ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    if (err < 0) {
        leat_pg_conn_lose(c, uv_strerror(err));
        return false;
    }
    return true;
}

/* libpq reads 16 kB at once. After many bytes of notifications there may be more. Those that are
 * read in one turn leave together, so it reads on, until TURN_BYTES: a turn then takes some 20 ms,
 * if each notification is for ten subscribers. */
static void on_ready_poll(leat_pg_conn *c, int status)
{
    size_t bytes, all = 0;
    do {
        if (PQconsumeInput(c->pg) == 0 || PQstatus(c->pg) == CONNECTION_BAD) {
            leat_pg_conn_lose(c, NULL);
            return;
        }
        if (c->writing && !leat_pg_conn_flush(c))
            return;
        bytes = leat_pg_pipeline_take_input(c);
        all += bytes;
    } while (bytes >= MUCH_BYTES && all < TURN_BYTES && c->state == LEAT_PG_CONN_READY);
    /* Only now: the server's last message has been read. */
    if (status < 0 && c->state == LEAT_PG_CONN_READY)
        leat_pg_conn_lose(c, NULL);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events;
    leat_pg_conn *c = poll->data;
    switch (c->state) {
    case LEAT_PG_CONN_CONNECTING:
        leat_pg_connect_on_poll(c, status);
        return;
    case LEAT_PG_CONN_SETTING_UP:
        leat_pg_connect_on_set_up_poll(c, status);
        return;
    case LEAT_PG_CONN_READY:
        on_ready_poll(c, status);
        return;
    case LEAT_PG_CONN_BROKEN:
    case LEAT_PG_CONN_CLOSED:
        return;
    }
}

static void begin_due_work(leat_sweep *s)
{
    leat_pg_conn *c = LEAT_CONTAINER_OF(s, leat_pg_conn, sweep);
    switch (c->state) {
    case LEAT_PG_CONN_CONNECTING:
        leat_pg_connect_next(c);
        return;
    case LEAT_PG_CONN_SETTING_UP:
        return;
    case LEAT_PG_CONN_READY:
        leat_pg_pipeline_send(c);
        if (c->state == LEAT_PG_CONN_READY && leat_pg_clean_is_on(c))
            leat_pg_clean_go_on(c);
        return;
    case LEAT_PG_CONN_BROKEN:
        if (leat_pg_clean_is_on(c))
            leat_pg_clean_finish(c, LEAT_EPG_LOST);
        return;
    case LEAT_PG_CONN_CLOSED:
        return;
    }
}

int leat_pg_conn_open(leat_pg_conn **out, leat_loop *loop, leat_metrics *metrics,
                      const leat_pg_options *options, leat_pg_conn_cb cb, void *arg)
{
    leat_pg_conn *c = leat_calloc(1, sizeof(*c));
    int err = uv_idle_init(leat_loop_uv(loop), &c->anchor);
    if (err < 0) {
        free(c);
        return err;
    }
    c->anchor.data = c;
    c->holders = 1;
    c->loop = loop;
    c->metrics = metrics;
    c->options = options;
    c->cb = cb;
    c->arg = arg;
    leat_sweep_init(&c->sweep, begin_due_work);
    leat_list_init(&c->queued);
    leat_list_init(&c->flight);
    leat_pg_statements_init(&c->statements, options->max_statements);
    leat_pg_clean_init(c);
    leat_pg_connect_init(c);
    leat_sweep_schedule(loop, &c->sweep);
    *out = c;
    return 0;
}

void leat_pg_conn_on_notify(leat_pg_conn *c, leat_pg_notify_cb cb, void *arg)
{
    c->notify_cb = cb;
    c->notify_arg = arg;
}

/* No query pending or running, and nothing left by one. */
static bool is_quiet(const leat_pg_conn *c)
{
    return c->state == LEAT_PG_CONN_READY && !leat_pg_clean_is_on(c) && c->cancel == NULL &&
           leat_list_empty(&c->queued) && leat_list_empty(&c->flight) && !c->session.left;
}

bool leat_pg_conn_idle(const leat_pg_conn *c)
{
    return is_quiet(c) && PQtransactionStatus(c->pg) == PQTRANS_IDLE;
}

/* Statements are deallocated only between transactions, of which a connection whose COMMITs nobody
 * awaits sees none under load. */
bool leat_pg_conn_commit_unanswered(leat_pg_conn *c)
{
    if (!is_quiet(c) || c->session.undone || PQtransactionStatus(c->pg) != PQTRANS_INTRANS ||
        leat_pg_statements_to_deallocate(&c->statements) >= MANY_STATEMENTS)
        return false;
    leat_pg_pipeline_send_own(c, "commit");
    return true;
}

bool leat_pg_conn_broken(const leat_pg_conn *c)
{
    return c->state == LEAT_PG_CONN_BROKEN;
}

void *leat_pg_conn_arg(const leat_pg_conn *c)
{
    return c->arg;
}

void leat_pg_conn_on_gone(leat_pg_conn *c, void (*cb)(void *arg), void *arg)
{
    c->gone = cb;
    c->gone_arg = arg;
}

void leat_pg_conn_let_go(leat_pg_conn *c)
{
    if (--c->holders > 0)
        return;
    void (*gone)(void *) = c->gone;
    void *arg = c->gone_arg;
    leat_buf_close(&c->report);
    free(c);
    if (gone != NULL)
        gone(arg);
}

static void on_anchor_closed(uv_handle_t *handle)
{
    leat_pg_conn_let_go(handle->data);
}

void leat_pg_conn_close(leat_pg_conn *c)
{
    LEAT_ASSERT(c->state != LEAT_PG_CONN_CLOSED);
    if (c->state == LEAT_PG_CONN_CONNECTING || c->state == LEAT_PG_CONN_SETTING_UP)
        leat_pg_connect_close(c);
    /* If we only hang up, the server works on the query until it has a result to send. */
    if (c->state == LEAT_PG_CONN_READY && !leat_list_empty(&c->flight))
        leat_pg_clean_start_cancel(c);
    if (c->cancel != NULL)
        leat_pg_thread_set_timeout(c->cancel, CLOSE_CANCEL_MS);
    c->state = LEAT_PG_CONN_CLOSED;

    leat_sweep_cancel(&c->sweep);
    leat_pg_clean_stop(c);
    leat_pg_conn_unwatch(c);
    PQfinish(c->pg);
    c->pg = NULL;
    uv_close((uv_handle_t *)&c->anchor, on_anchor_closed);
    leat_pg_pipeline_fail(c, LEAT_ECLOSED);
    leat_pg_statements_close(&c->statements);
}

leat_slice leat_pg_conn_report(const leat_pg_conn *c)
{
    return leat_buf_view(&c->report);
}

void leat_pg_conn_drop_report(leat_pg_conn *c)
{
    c->report.len = 0;
}

const char *leat_pg_conn_error(const leat_pg_conn *c)
{
    return c->error;
}

int leat_pg_conn_backend_pid(const leat_pg_conn *c)
{
    return c->backend_pid;
}
