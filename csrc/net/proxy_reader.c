/* proxy_reader.c - on_readable looks at what has come (MSG_PEEK), behind what it has kept of
 * earlier looks. As long as the header is not whole, all of it belongs to the header, and is taken
 * off the socket. If it is whole, only its own bytes are: the next one is the first of what the
 * client sends. So nothing has to be handed on but the socket. */
#include "net/proxy_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/container_of.h"
#include "base/mem.h"

struct leat_proxy_reader {
    leat_watch watch;
    leat_sweep sweep; /* frees it */
    leat_loop *loop;
    leat_deadline deadline;
    leat_buf kept; /* the beginning of the header */
    int socket;
    leat_proxy_reader_cb on_done;
    void *arg;
};

static void on_readable(leat_watch *watch, unsigned ready);
static void on_late(leat_deadline *d);
static void on_end_of_turn(leat_sweep *s);

int leat_proxy_reader_new(leat_proxy_reader **out, leat_loop *loop, int socket,
                          uint64_t deadline_ms, leat_proxy_reader_cb on_done, void *arg)
{
    leat_proxy_reader *r = leat_calloc(1, sizeof(*r));
    int err = leat_watch_open(leat_loop_watches(loop), &r->watch, socket, LEAT_WATCH_READABLE,
                              on_readable);
    if (err < 0) {
        close(socket);
        free(r);
        return err;
    }
    r->loop = loop;
    r->socket = socket;
    r->on_done = on_done;
    r->arg = arg;
    leat_deadline_init(&r->deadline);
    leat_sweep_init(&r->sweep, on_end_of_turn);
    leat_loop_at(loop, &r->deadline, deadline_ms, on_late);
    *out = r;
    return 0;
}

static void on_end_of_turn(leat_sweep *s)
{
    free(LEAT_CONTAINER_OF(s, leat_proxy_reader, sweep));
}

static void end(leat_proxy_reader *r, leat_proxy_verdict verdict, const leat_proxy_header *header)
{
    leat_proxy_reader_cb on_done = r->on_done;
    void *arg = r->arg;
    int socket = r->socket;
    leat_deadline_cancel(&r->deadline);
    leat_buf_close(&r->kept);
    leat_watch_close(leat_loop_watches(r->loop), &r->watch);
    leat_sweep_schedule(r->loop, &r->sweep);
    if (verdict == LEAT_PROXY_OK) {
        on_done(arg, verdict, socket, header);
        return;
    }
    on_done(arg, verdict, -1, NULL); /* counts it before the peer sees the end */
    close(socket);
}

static void on_late(leat_deadline *d)
{
    end(LEAT_CONTAINER_OF(d, leat_proxy_reader, deadline), LEAT_PROXY_LATE, NULL);
}

void leat_proxy_reader_cancel(leat_proxy_reader *r)
{
    end(r, LEAT_PROXY_GONE, NULL);
}

static ssize_t receive(const leat_proxy_reader *r, char *bytes, size_t size, int flags)
{
    ssize_t n = 0;
    do
        n = recv(r->socket, bytes, size, flags | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Takes bytes off the socket that were seen there. */
static bool take(leat_proxy_reader *r, size_t n)
{
    char seen[LEAT_PROXY_MAX_BYTES];
    return receive(r, seen, n, 0) == (ssize_t)n;
}

/* Looks at kept and seen bytes together, and takes those of the header. */
static void look(leat_proxy_reader *r, leat_slice seen)
{
    leat_proxy_header header;
    size_t before = r->kept.len;
    leat_buf_slice(&r->kept, seen);
    int status = leat_proxy_read(&header, leat_buf_view(&r->kept));
    if (status < 0)
        end(r, LEAT_PROXY_MALFORMED, NULL);
    else if (!take(r, status > 0 ? header.bytes - before : seen.len))
        end(r, LEAT_PROXY_GONE, NULL);
    else if (status > 0)
        end(r, LEAT_PROXY_OK, &header);
}

static void on_readable(leat_watch *watch, unsigned ready)
{
    leat_proxy_reader *r = LEAT_CONTAINER_OF(watch, leat_proxy_reader, watch);
    char bytes[LEAT_PROXY_MAX_BYTES];
    (void)ready; /* an error shows in what recv returns */
    ssize_t n = receive(r, bytes, sizeof(bytes), MSG_PEEK);
    if (n > 0)
        look(r, (leat_slice){bytes, (size_t)n});
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        end(r, LEAT_PROXY_GONE, NULL);
}
