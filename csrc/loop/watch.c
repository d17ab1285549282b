/* watch.c - an epoll set of our own, which uv polls as if it were one socket.
 *
 *   leat_watch_open   adds the socket to the set
 *   on_poll           uv says that a socket of the set is ready: tells each watch whose turn it is
 *   leat_watch_close  takes the socket out. What epoll_wait has already returned for it is skipped
 *
 * With no events at all, the set would still report errors, in each turn again. So these are then
 * reported by edge, and not passed on.
 */
#include "loop/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"

enum { READY_A_TURN = 512 };

struct leat_watches {
    uv_poll_t poll;
    int set;
    size_t count;
    void (*done)(void *arg);
    void *done_arg;
};

static uint32_t epoll_events(unsigned events)
{
    uint32_t out = 0;
    if (events & LEAT_WATCH_READABLE)
        out |= EPOLLIN;
    if (events & LEAT_WATCH_WRITABLE)
        out |= EPOLLOUT;
    return out == 0 ? EPOLLET : out;
}

/* A hang-up of both directions lets the owner try what it wants to do, and see. */
static unsigned ready_of(uint32_t events, uint32_t wanted)
{
    unsigned ready = 0;
    if (events & EPOLLERR)
        ready |= LEAT_WATCH_ERROR;
    if (events & (EPOLLIN | EPOLLHUP))
        ready |= wanted & LEAT_WATCH_READABLE;
    if (events & (EPOLLOUT | EPOLLHUP))
        ready |= wanted & LEAT_WATCH_WRITABLE;
    return wanted == 0 ? 0 : ready;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    leat_watches *set = poll->data;
    (void)status;
    (void)events;
    LEAT_UNINITIALIZED struct epoll_event found[READY_A_TURN];
    int n = epoll_wait(set->set, found, READY_A_TURN, 0);
    for (int i = 0; i < n; i++) {
        leat_watch *w = found[i].data.ptr;
        unsigned ready = w->socket_ < 0 ? 0 : ready_of(found[i].events, w->events_);
        if (ready != 0)
            w->cb_(w, ready);
    }
}

int leat_watches_new(leat_watches **out, uv_loop_t *uv)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    leat_watches *set = leat_calloc(1, sizeof(*set));
    int err = uv_poll_init(uv, &set->poll, fd);
    if (err < 0) {
        close(fd);
        free(set);
        return err;
    }
    set->poll.data = set;
    set->set = fd;
    uv_poll_start(&set->poll, UV_READABLE, on_poll);
    uv_unref((uv_handle_t *)&set->poll);
    *out = set;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    leat_watches *set = handle->data;
    void (*done)(void *) = set->done;
    void *arg = set->done_arg;
    close(set->set);
    free(set);
    if (done != NULL)
        done(arg);
}

void leat_watches_close(leat_watches *set, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(set->count == 0);
    set->done = done;
    set->done_arg = arg;
    uv_close((uv_handle_t *)&set->poll, on_closed);
}

int leat_watch_open(leat_watches *set, leat_watch *w, int socket, unsigned events, leat_watch_cb cb)
{
    struct epoll_event event = {.events = epoll_events(events), .data.ptr = w};
    if (epoll_ctl(set->set, EPOLL_CTL_ADD, socket, &event) < 0)
        return -errno;
    *w = (leat_watch){cb, socket, events};
    if (set->count++ == 0)
        uv_ref((uv_handle_t *)&set->poll);
    return 0;
}

void leat_watch_set(leat_watches *set, leat_watch *w, unsigned events)
{
    if (events == w->events_)
        return;
    struct epoll_event event = {.events = epoll_events(events), .data.ptr = w};
    LEAT_ASSERT(epoll_ctl(set->set, EPOLL_CTL_MOD, w->socket_, &event) == 0);
    w->events_ = events;
}

void leat_watch_close(leat_watches *set, leat_watch *w)
{
    epoll_ctl(set->set, EPOLL_CTL_DEL, w->socket_, NULL);
    w->socket_ = -1;
    if (--set->count == 0)
        uv_unref((uv_handle_t *)&set->poll);
}
