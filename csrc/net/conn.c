/* conn.c - the life of a connection:
 *
 *   leat_conn_new   a watch on the socket, waiting for bytes
 *   on_ready        readable: one recv, on_read; writable again: _write_out, _settle
 *   leat_conn_send_copy, _owned, _event   queue and schedule on_sweep
 *   on_sweep        the end of the turn: _write_out, _settle
 *   leat_conn_settle       what follows an emptied queue: on_drain, the FIN of a finish, a late EOF
 *   leat_conn_begin_close  drops the queue. At the end of the turn on_closed frees the conn and
 *                          tells the owner
 *
 * What is different with a filter is in conn_filter.c.
 *
 * The socket is watched and written here, not by uv_tcp_t. The writes of uv_tcp_t go through
 * write(2), which raises SIGPIPE when the peer has gone, and a host that embeds Leat may not ignore
 * that signal. sendmsg can do without it. A conn is also smaller in this way, and a blocked conn
 * needs no write request.
 */
#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/address.h"
#include "net/conn_private.h"

enum {
    READ_SIZE = 64 * 1024,
    READ_UNIT = 256,         /* in which the size of a read is kept */
    FLUSH_BYTES = 64 * 1024, /* so much gathered in a turn does not wait for its end */
    MAX_PIECES = 64,         /* of one sendmsg */
};

static void on_ready(leat_watch *watch, unsigned ready);
static void on_sweep(leat_sweep *sweep);

static char *keep_text(leat_loop *loop, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(leat_pool_take(leat_loop_pool(loop), size), text, size);
}

int leat_conn_new(leat_conn **out, const leat_net *net, int socket,
                  const struct sockaddr_storage *peer)
{
    leat_loop *loop = net->loop;
    leat_conn *c = leat_pool_take(leat_loop_pool(loop), sizeof(*c));
    int err =
        leat_watch_open(leat_loop_watches(loop), &c->watch, socket, LEAT_WATCH_READABLE, on_ready);
    if (err < 0) {
        close(socket);
        leat_pool_give(leat_loop_pool(loop), c);
        return err;
    }
    char remote[LEAT_ADDRESS_TEXT];
    leat_address_format(peer, remote, sizeof(remote));
    c->net = net;
    c->remote = keep_text(loop, remote);
    c->progress_ms = leat_loop_now(loop);
    leat_sweep_init(&c->sweep, on_sweep);
    leat_send_queue_init(&c->queue);
    c->reading = true;
    c->read_units = READ_SIZE / READ_UNIT;
    *out = c;
    return 0;
}

void leat_conn_set_handler(leat_conn *c, const leat_conn_handler *handler, void *owner)
{
    c->handler = handler;
    c->owner = owner;
}

const char *leat_conn_remote(const leat_conn *c)
{
    return c->remote;
}

void leat_conn_set_remote(leat_conn *c, const char *text)
{
    if (strcmp(c->remote, text) == 0)
        return;
    leat_pool_give(leat_loop_pool(c->net->loop), c->remote);
    c->remote = keep_text(c->net->loop, text);
}

void leat_conn_set_address(leat_conn *c, leat_address_slot *slot)
{
    c->address = slot;
}

leat_address_slot *leat_conn_address(const leat_conn *c)
{
    return c->address;
}

void leat_conn_charge_flood(leat_conn *c)
{
    if (c->address != NULL)
        leat_address_limit_charge_flood(c->address, leat_loop_now(c->net->loop));
}

size_t leat_conn_queued(const leat_conn *c)
{
    return c->queue.bytes;
}

bool leat_conn_blocked(const leat_conn *c)
{
    return c->blocked;
}

uint64_t leat_conn_progress_ms(const leat_conn *c)
{
    return c->progress_ms;
}

bool leat_conn_closing(const leat_conn *c)
{
    return c->state != LEAT_CONN_OPEN;
}

/* Reading: one recv a turn, so that a peer that sends without end does not keep the others waiting.
 * What is left is reported again in the next turn, as polling is by level. */

/* Watches only for what is of use. A conn that reads comes to its peer's end by itself. */
void leat_conn_update_events(leat_conn *c)
{
    unsigned events = c->blocked ? LEAT_WATCH_WRITABLE : 0;
    if (!c->eof)
        events |= c->reading ? LEAT_WATCH_READABLE : LEAT_WATCH_END;
    if (c->filter != NULL)
        events = leat_conn_filter_events(c, events);
    leat_watch_set(leat_loop_watches(c->net->loop), &c->watch, events);
}

static void on_closed(leat_sweep *sweep)
{
    leat_conn *c = LEAT_CONTAINER_OF(sweep, leat_conn, sweep);
    const leat_conn_handler *handler = c->handler;
    void *owner = c->owner;
    int err = c->err;
    close(leat_conn_fd(c));
    if (c->address != NULL)
        leat_address_limit_leave(c->address);
    if (c->filter != NULL)
        c->filter->ops->free(c->filter);
    leat_pool_give(leat_loop_pool(c->net->loop), c->remote);
    leat_pool_give(leat_loop_pool(c->net->loop), c);
    if (handler != NULL)
        handler->on_close(owner, err);
}

void leat_conn_drop_queue(leat_conn *c)
{
    leat_metrics_add(c->net->metrics, LEAT_M_SEND_BUFFER_BYTES, -(int64_t)c->queue.bytes);
    leat_send_queue_close(&c->queue);
}

static void cancel_limit(leat_conn *c)
{
    if (c->end != NULL)
        leat_deadline_cancel(&c->end->limit);
    leat_pool_give(leat_loop_pool(c->net->loop), c->end);
    c->end = NULL;
}

void leat_conn_begin_close(leat_conn *c, int err)
{
    if (c->state == LEAT_CONN_CLOSED)
        return;
    if (c->filter != NULL)
        leat_conn_filter_close(c, err);
    /* After leat_conn_finish every end counts as one that the owner asked for. */
    if (c->state == LEAT_CONN_OPEN)
        c->err = (int16_t)err;
    c->state = LEAT_CONN_CLOSED;
    leat_sweep_cancel(&c->sweep);
    cancel_limit(c);
    leat_conn_drop_queue(c);
    leat_watch_close(leat_loop_watches(c->net->loop), &c->watch);
    leat_sweep_init(&c->sweep, on_closed);
    leat_sweep_schedule(c->net->loop, &c->sweep);
}

/* The peer sends no more. It may still read: what is queued goes out first. */
static void on_eof(leat_conn *c)
{
    if (c->queue.bytes == 0) {
        leat_conn_begin_close(c, UV_EOF);
        return;
    }
    c->eof = true;
    leat_conn_update_events(c);
}

size_t leat_conn_read_size(const leat_conn *c)
{
    return (size_t)c->read_units * READ_UNIT;
}

static ssize_t receive(const leat_conn *c, char *bytes)
{
    ssize_t n = 0;
    do
        n = recv(leat_conn_fd(c), bytes, leat_conn_read_size(c), 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void read_some(leat_conn *c)
{
    /* On the stack: no buffer while nothing is read, and none shared between loops. */
    LEAT_UNINITIALIZED char bytes[READ_SIZE];
    ssize_t n = c->filter == NULL ? receive(c, bytes) : leat_conn_filter_receive(c, bytes);
    if (n > 0) {
        if (c->state == LEAT_CONN_OPEN)
            c->handler->on_read(c->owner, bytes, (size_t)n);
    } else if (n == 0) {
        on_eof(c);
    } else if (n != UV_EAGAIN) {
        leat_conn_begin_close(c, (int)n);
    }
}

/* The peer's end, of a conn that does not read: its owner has as much under way as it may, and for
 * this peer. What had arrived before is dropped. It does not stay in the socket, because closing
 * would then send an RST (leat_conn_finish). No more can come, so this ends. */
static void on_end(leat_conn *c)
{
    LEAT_UNINITIALIZED char bytes[READ_SIZE];
    ssize_t n = 0;
    do
        n = receive(c, bytes);
    while (n > 0);
    if (n == 0)
        on_eof(c);
    else
        leat_conn_begin_close(c, (int)n);
}

/* For conn_filter.c. receive and read_some are static, because they are faster where they are
 * called. */
ssize_t leat_conn_receive(const leat_conn *c, char *bytes)
{
    return receive(c, bytes);
}

void leat_conn_read_some(leat_conn *c)
{
    read_some(c);
}

/* The socket is in error. What had arrived before may still be read, and recv then names the error.
 */
static void on_socket_error(leat_conn *c)
{
    if (!c->reading || c->eof || leat_conn_opening(c)) {
        int err = 0;
        socklen_t len = sizeof(err);
        getsockopt(leat_conn_fd(c), SOL_SOCKET, SO_ERROR, &err, &len);
        leat_conn_begin_close(c, err != 0 ? -err : UV_ECONNRESET);
        return;
    }
    read_some(c);
}

void leat_conn_read_stop(leat_conn *c)
{
    if (c->state != LEAT_CONN_OPEN)
        return;
    c->reading = false;
    leat_conn_update_events(c);
}

void leat_conn_read_start(leat_conn *c)
{
    if (c->state != LEAT_CONN_OPEN)
        return;
    c->reading = true;
    leat_conn_update_events(c);
}

void leat_conn_set_read_size(leat_conn *c, size_t bytes)
{
    size_t most = bytes == 0 || bytes > READ_SIZE ? READ_SIZE : bytes;
    c->read_units = (uint16_t)((most + READ_UNIT - 1) / READ_UNIT);
}

void leat_conn_set_unsent_limit(leat_conn *c, unsigned bytes)
{
    /* Fails for sockets that are not TCP, which have no such buffers. */
    (void)setsockopt(leat_conn_fd(c), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

/* Writing. */

static bool writes_itself(const leat_conn *c)
{
    return c->filter == NULL || c->filter->state == LEAT_FILTER_IN_KERNEL;
}

/* One system call. It is send if there is one piece, as in most turns, because send is cheaper than
 * sendmsg. MSG_NOSIGNAL: see the top of the file. Returns how many bytes were taken, or UV_E*. */
static ssize_t send_front(leat_conn *c, size_t *total)
{
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    LEAT_UNINITIALIZED struct iovec iov[MAX_PIECES];
    struct msghdr message = {.msg_iov = iov};
    message.msg_iovlen = leat_send_queue_gather(&c->queue, iov, MAX_PIECES, total);
    if (!writes_itself(c))
        return leat_conn_filter_send(c, iov, message.msg_iovlen);
    ssize_t n = 0;
    do {
        if (message.msg_iovlen == 1)
            n = send(leat_conn_fd(c), iov[0].iov_base, iov[0].iov_len, flags);
        else
            n = sendmsg(leat_conn_fd(c), &message, flags);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? 0 : -errno;
    return n;
}

/* Sends until the queue is empty or the socket takes no more. Never calls the owner. */
void leat_conn_write_out(leat_conn *c)
{
    bool blocked = false;
    while (c->queue.bytes > 0 && !blocked) {
        size_t total = 0;
        ssize_t n = send_front(c, &total);
        if (n < 0) {
            leat_conn_begin_close(c, (int)n);
            return;
        }
        if (n > 0) {
            leat_send_queue_consume(&c->queue, (size_t)n);
            leat_metrics_add(c->net->metrics, LEAT_M_SEND_BUFFER_BYTES, -(int64_t)n);
            c->progress_ms = leat_loop_now(c->net->loop);
        }
        blocked = (size_t)n < total;
    }
    if (c->blocked == blocked && c->filter == NULL)
        return; /* most turns: nothing else is to be watched for */
    c->blocked = blocked;
    leat_conn_update_events(c);
}

static void send_fin(leat_conn *c)
{
    c->state = LEAT_CONN_LINGERING;
    if (c->eof || shutdown(leat_conn_fd(c), SHUT_WR) < 0)
        leat_conn_begin_close(c, 0);
}

/* Does what has waited for the queue to be empty. */
void leat_conn_settle(leat_conn *c, bool was_blocked)
{
    if (c->queue.bytes > 0)
        return;
    if (c->state == LEAT_CONN_FINISHING) {
        if (c->filter == NULL || leat_conn_filter_end(c))
            send_fin(c);
    } else if (c->state == LEAT_CONN_OPEN && c->eof) {
        if (c->filter == NULL || leat_conn_filter_end(c))
            leat_conn_begin_close(c, UV_EOF);
    } else if (c->state == LEAT_CONN_OPEN && was_blocked && c->handler->on_drain != NULL) {
        c->handler->on_drain(c->owner);
    }
}

static void on_sweep(leat_sweep *sweep)
{
    leat_conn *c = LEAT_CONTAINER_OF(sweep, leat_conn, sweep);
    if (c->blocked)
        return;
    leat_conn_write_out(c);
    leat_conn_settle(c, false);
}

/* The owner may close the conn in on_read; its memory stays until on_closed, in a later phase of
 * the turn. Reading comes first, so that a peer to which very much is sent is heard, too. */
static void on_ready(leat_watch *watch, unsigned ready)
{
    leat_conn *c = LEAT_CONTAINER_OF(watch, leat_conn, watch);
    if (ready & LEAT_WATCH_ERROR) {
        on_socket_error(c);
        return;
    }
    if (c->filter != NULL)
        ready = leat_conn_filter_ready(c, ready);
    if (ready & LEAT_WATCH_READABLE)
        read_some(c);
    else if (ready & LEAT_WATCH_END)
        on_end(c);
    if ((ready & LEAT_WATCH_WRITABLE) && c->state != LEAT_CONN_CLOSED && c->blocked) {
        leat_conn_write_out(c);
        leat_conn_settle(c, true);
    }
}

/* Called by each way of sending; the queue has grown by len. */
static void queued_more(leat_conn *c, size_t len)
{
    leat_metrics_add(c->net->metrics, LEAT_M_SEND_BUFFER_BYTES, (int64_t)len);
    if (c->queue.bytes == len)
        c->progress_ms = leat_loop_now(c->net->loop);
    if (c->blocked)
        return;
    leat_sweep_schedule_output(c->net->loop, &c->sweep);
    if (c->queue.bytes >= FLUSH_BYTES)
        leat_conn_write_out(c);
}

void leat_conn_send_copy(leat_conn *c, leat_slice bytes)
{
    if (c->state != LEAT_CONN_OPEN || bytes.len == 0)
        return;
    leat_send_queue_copy(&c->queue, bytes);
    queued_more(c, bytes.len);
}

void leat_conn_send_owned(leat_conn *c, leat_buf *bytes)
{
    leat_conn_send_tail(c, bytes, 0);
}

void leat_conn_send_tail(leat_conn *c, leat_buf *bytes, size_t from)
{
    size_t len = bytes->len - from;
    if (c->state != LEAT_CONN_OPEN || len == 0) {
        leat_buf_close(bytes);
        return;
    }
    leat_send_queue_take(&c->queue, bytes, from);
    queued_more(c, len);
}

void leat_conn_send_event(leat_conn *c, leat_event *e, leat_slice part)
{
    if (c->state != LEAT_CONN_OPEN || part.len == 0)
        return;
    leat_send_queue_event(&c->queue, e, part);
    queued_more(c, part.len);
}

void leat_conn_flush(leat_conn *c)
{
    if (c->state == LEAT_CONN_OPEN && !c->blocked)
        leat_conn_write_out(c);
}

/* Ending. */

void leat_conn_close(leat_conn *c)
{
    leat_conn_begin_close(c, 0);
}

static void on_limit(leat_deadline *d)
{
    leat_conn_begin_close(LEAT_CONTAINER_OF(d, leat_conn_end, limit)->conn, 0);
}

void leat_conn_limit_end(leat_conn *c, uint64_t at_ms)
{
    if (c->end == NULL) {
        c->end = leat_pool_take(leat_loop_pool(c->net->loop), sizeof(*c->end));
        c->end->conn = c;
        leat_deadline_init(&c->end->limit);
    }
    leat_loop_at(c->net->loop, &c->end->limit, at_ms, on_limit);
}

void leat_conn_finish(leat_conn *c, uint64_t limit_ms)
{
    if (c->state != LEAT_CONN_OPEN)
        return;
    c->state = LEAT_CONN_FINISHING;
    /* If a socket is closed with unread bytes in it, the kernel sends an RST, and the peer drops
     * what it has not yet read of ours. So the conn reads on, and waits for the peer's FIN. */
    c->reading = true;
    leat_conn_update_events(c);
    leat_conn_limit_end(c, limit_ms);
    if (!c->blocked)
        leat_sweep_schedule_output(c->net->loop, &c->sweep);
}
