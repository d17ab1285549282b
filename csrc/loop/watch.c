/* watch.c - an epoll set of our own, which uv polls as if it were one socket.
 *
 *   leat_watch_open   adds the socket to the set
 *   on_poll           uv says that a socket of the set is ready: tells each watch whose turn it is,
 *                     until the turn's time for that is used up
 *   leat_watch_close  takes the socket out, also of those that were found and wait to be served
 *
 * With no events at all, the set would still report errors, in each turn again. So these are then
 * reported by edge, and not passed on.
 */
#include "loop/watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"

enum { READY_AT_ONCE = 128 };

/* The time of a turn in which sockets are served. The last one that is served may exceed it. */
#define SERVE_NS UINT64_C(1000000)

struct leat_watches {
    uv_poll_t poll;
    int set;
    struct epoll_event found[READY_AT_ONCE]; /* those from `at` on wait to be served */
    size_t at, n_found;
    bool found_all; /* in this turn */
    uint16_t turn;  /* wraps around: then a socket may wait for one turn more */
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
    if (events & LEAT_WATCH_END)
        out |= EPOLLRDHUP;
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
    if (events & (EPOLLRDHUP | EPOLLHUP))
        ready |= wanted & LEAT_WATCH_END;
    return wanted == 0 ? 0 : ready;
}

/* Epoll names those first that were named longest ago. */
static void find_some(leat_watches *set)
{
    int n = epoll_wait(set->set, set->found, READY_AT_ONCE, 0);
    set->at = 0;
    set->n_found = n < 0 ? 0 : (size_t)n;
    set->found_all = n < READY_AT_ONCE;
}

/* Returns false if no other socket waits. Epoll names a socket again only after all others, so one
 * that this turn has served already shows that all were served. */
static bool serve_one(leat_watches *set)
{
    if (set->at == set->n_found && !set->found_all)
        find_some(set);
    if (set->at == set->n_found)
        return false;
    const struct epoll_event *e = &set->found[set->at];
    leat_watch *w = e->data.ptr;
    if (w != NULL && w->turn_ == set->turn)
        return false;
    set->at++;
    unsigned ready = w == NULL ? 0 : ready_of(e->events, w->events_);
    if (w != NULL)
        w->turn_ = set->turn;
    if (ready != 0)
        w->cb_(w, ready);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    leat_watches *set = poll->data;
    (void)status;
    (void)events;
    uint64_t end_ns = uv_hrtime() + SERVE_NS;
    set->turn++;
    set->found_all = false;
    while (serve_one(set) && uv_hrtime() < end_ns)
        continue;
}

/* Drops what was found of the watch. */
static void forget(leat_watches *set, const leat_watch *w)
{
    for (size_t i = set->at; i < set->n_found; i++)
        if (set->found[i].data.ptr == w)
            set->found[i].data.ptr = NULL;
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
    *w = (leat_watch){cb, socket, (uint16_t)events, (uint16_t)(set->turn - 1)};
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
    w->events_ = (uint16_t)events;
}

void leat_watch_close(leat_watches *set, leat_watch *w)
{
    epoll_ctl(set->set, EPOLL_CTL_DEL, w->socket_, NULL);
    forget(set, w);
    if (--set->count == 0)
        uv_unref((uv_handle_t *)&set->poll);
}
