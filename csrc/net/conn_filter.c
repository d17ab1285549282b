/* conn_filter.c - a conn with a filter: opening it, and then reading and writing through it. Until
 * it is open, the conn counts as blocked: what is sent waits in the queue. */
#include <stdbool.h>
#include <sys/socket.h>

#include "base/container_of.h"
#include "net/conn.h"
#include "net/conn_private.h"

enum { LINGER_MS = 1000 }; /* for a peer with which no filter could be opened */

/* --- opening --- */

void leat_conn_set_filter(leat_conn *c, leat_filter *filter)
{
    LEAT_ASSERT(c->filter == NULL && c->queue.bytes == 0);
    leat_deadline_init(&filter->turn);
    filter->conn = c;
    c->filter = filter;
    c->blocked = true;
    leat_conn_update_events(c);
}

leat_filter *leat_conn_filter(const leat_conn *c)
{
    return c->filter;
}

bool leat_conn_opening(const leat_conn *c)
{
    return c->filter != NULL && c->filter->state == LEAT_FILTER_OPENING;
}

int leat_conn_socket(const leat_conn *c)
{
    return leat_conn_fd(c);
}

/* The peer has been told why, and may have sent more than was read: see leat_conn_finish. */
static void linger(leat_conn *c, int err)
{
    if (c->state == LEAT_CONN_OPEN)
        c->err = (int16_t)err;
    c->state = LEAT_CONN_LINGERING;
    leat_sweep_cancel(&c->sweep);
    leat_conn_drop_queue(c);
    c->filter->state = LEAT_FILTER_OPEN;
    c->filter->wait_read = LEAT_WATCH_READABLE;
    c->blocked = false;
    c->reading = true;
    leat_conn_update_events(c);
    leat_conn_limit_end(c, leat_loop_now(c->net->loop) + LINGER_MS);
    if (shutdown(leat_conn_fd(c), SHUT_WR) < 0)
        leat_conn_begin_close(c, err);
}

static void on_opened(leat_conn *c)
{
    bool waited = c->queue.bytes > 0;
    c->blocked = false;
    c->filter->more = true; /* bytes may have come together with the last of the opening */
    leat_conn_write_out(c);
    leat_conn_settle(c, waited);
    if (c->state == LEAT_CONN_OPEN && c->handler->on_open != NULL)
        c->handler->on_open(c->owner);
}

static void go_on_opening(leat_conn *c)
{
    int err = c->filter->ops->open(c->filter);
    if (err == 0)
        on_opened(c);
    else if (err == UV_EAGAIN)
        leat_conn_update_events(c);
    else if (err == UV_EPROTO)
        linger(c, err);
    else
        leat_conn_begin_close(c, err);
}

unsigned leat_conn_filter_ready(leat_conn *c, unsigned ready)
{
    const leat_filter *f = c->filter;
    if (f->state == LEAT_FILTER_OPENING) {
        go_on_opening(c);
        return 0;
    }
    bool reads = c->reading && !c->eof && (ready & f->wait_read);
    bool writes = ready & f->wait_write;
    return (reads ? LEAT_WATCH_READABLE : 0u) | (writes ? LEAT_WATCH_WRITABLE : 0u) |
           (ready & LEAT_WATCH_END);
}

/* --- reading and writing --- */

static void on_read_turn(leat_deadline *d)
{
    leat_conn *c = LEAT_CONTAINER_OF(d, leat_filter, turn)->conn;
    if (c->reading && !c->eof)
        leat_conn_read_some(c);
}

/* Returns what to watch for when the conn wants to do what the events stand for. Bytes that the
 * filter holds already are no event of the socket: the next turn reads them. */
unsigned leat_conn_filter_events(leat_conn *c, unsigned events)
{
    leat_filter *f = c->filter;
    unsigned read = events & LEAT_WATCH_READABLE, write = events & LEAT_WATCH_WRITABLE;
    if (f->state == LEAT_FILTER_OPENING)
        return f->wait_read;
    if (f->more && read)
        leat_loop_after(c->net->loop, &f->turn, 0, on_read_turn);
    return (read ? f->wait_read : 0u) | (write ? f->wait_write : 0u) | (events & LEAT_WATCH_END);
}

/* While it lingers, what comes is dropped, and need not be understood. */
ssize_t leat_conn_filter_receive(leat_conn *c, char *bytes)
{
    leat_filter *f = c->filter;
    if (c->state == LEAT_CONN_LINGERING)
        return leat_conn_receive(c, bytes);
    ssize_t n = f->ops->read(f, bytes, leat_conn_read_size(c));
    leat_conn_update_events(c);
    return n;
}

ssize_t leat_conn_filter_send(leat_conn *c, const struct iovec *iov, size_t n_iov)
{
    leat_filter *f = c->filter;
    ssize_t n = f->ops->write(f, iov, n_iov);
    if (f->moved)
        c->progress_ms = leat_loop_now(c->net->loop);
    f->moved = false;
    return n;
}

/* --- the end --- */

/* Tells the peer of the filter that nothing more is sent. Returns false if the socket does not take
 * that yet: settle comes here again. */
bool leat_conn_filter_end(leat_conn *c)
{
    if (c->filter->ops->end(c->filter) != UV_EAGAIN)
        return true;
    c->blocked = true;
    leat_conn_update_events(c);
    return false;
}

void leat_conn_filter_close(leat_conn *c, int err)
{
    leat_filter *f = c->filter;
    leat_deadline_cancel(&f->turn);
    bool in_order = (err == 0 || err == UV_EOF) && c->queue.bytes == 0;
    if (in_order && f->state != LEAT_FILTER_OPENING && c->state != LEAT_CONN_LINGERING)
        (void)f->ops->end(f);
}
