/* crowd.c - a turn: wait, then let each client that has something read or write. */
#include "load/crowd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/tool.h"

enum {
    READY_AT_ONCE = 512,
    WAIT_MS = 20, /* at most, so that is_done is asked now and then */
};

void crowd_open(crowd *c, const plan *p, meter *m)
{
    c->plan = p;
    c->meter = m;
    c->clients = tool_calloc((size_t)p->clients, sizeof(*c->clients));
    c->buffer = tool_calloc(CROWD_BUFFER_BYTES, 1);
    c->tls = p->tls ? channel_context_new() : NULL;
    c->ready = tool_calloc(READY_AT_ONCE, sizeof(*c->ready));
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll < 0)
        tool_fail("epoll: %s", strerror(errno));
}

void crowd_close(crowd *c)
{
    for (int i = 0; i < c->begun; i++)
        if (c->clients[i].state != CLIENT_CLOSED)
            client_close(&c->clients[i]);
    close(c->epoll);
    free(c->clients);
    free(c->buffer);
    channel_context_free(c->tls);
    free(c->ready);
}

static void begin_next(crowd *c, int limit)
{
    if (c->begun == limit)
        return;
    client *one = &c->clients[c->begun];
    client_connect(one, c->plan, c->begun++);
    struct epoll_event watch = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = one};
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, one->fd, &watch) < 0)
        tool_fail("epoll: %s", strerror(errno));
}

void crowd_on_answer(crowd *c, const char *text, size_t n)
{
    static const char epoch[] = "\"epoch\":\"", seq[] = "\"seq\":";
    const char *at = memmem(text, n, epoch, sizeof(epoch) - 1);
    if (at == NULL || c->since.epoch[0] != '\0')
        return;
    at += sizeof(epoch) - 1;
    size_t length = strcspn(at, "\"");
    if (length >= sizeof(c->heard.epoch))
        tool_fail("an epoch of %zu bytes", length);
    memcpy(c->heard.epoch, at, length);
    c->heard.epoch[length] = '\0';
    at = strstr(at, seq);
    c->heard.seq = at != NULL ? strtoull(at + sizeof(seq) - 1, NULL, 10) : 0;
}

void crowd_on_subscribed(crowd *c, client *one)
{
    uint64_t now = tool_now_ns();
    histogram_add(&c->handshakes, now - one->began_ns);
    histogram_add(&c->since_began, now - c->began_ns);
    c->subscribed++;
    if (c->plan->leave)
        client_close(one);
}

void crowd_on_event(crowd *c, const char *text, size_t n)
{
    if (c->meter->n_events > 0)
        meter_event(c->meter, text, n, c->now_ns);
    else
        c->caught_up++;
}

static int turn(crowd *c, int wait_ms)
{
    struct epoll_event *ready = c->ready;
    int n = epoll_wait(c->epoll, ready, READY_AT_ONCE, wait_ms);
    c->now_ns = tool_now_ns();
    for (int i = 0; i < n; i++) {
        client *one = ready[i].data.ptr;
        if (ready[i].events & EPOLLOUT)
            client_on_writable(one, c);
        if (one->state != CLIENT_CLOSED && (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            client_on_readable(one, c);
        c->now_ns = tool_now_ns();
    }
    return n;
}

void crowd_idle(crowd *c, int ms)
{
    uint64_t end = tool_now_ns() + (uint64_t)ms * 1000000, now;
    while ((now = tool_now_ns()) < end)
        turn(c, (int)((end - now) / 1000000) + 1);
}

void crowd_until(crowd *c, bool (*is_done)(const crowd *c), const char *what)
{
    uint64_t patience = (uint64_t)CROWD_PATIENCE_S * 1000000000, heard = tool_now_ns();
    while (!is_done(c)) {
        if (turn(c, WAIT_MS) > 0)
            heard = c->now_ns;
        if (c->now_ns - heard > patience)
            tool_fail("%s: nothing came for %d s: %d of %d clients, %" PRIu64 " of %" PRIu64
                      " deliveries",
                      what, CROWD_PATIENCE_S, c->subscribed, c->begun, c->meter->delivered,
                      c->meter->expected);
    }
}

void crowd_connect(crowd *c, int n)
{
    uint64_t patience = (uint64_t)CROWD_PATIENCE_S * 1000000000, heard = tool_now_ns();
    if (c->began_ns == 0)
        c->began_ns = heard;
    while (c->subscribed < n) {
        while (c->begun < n && c->begun - c->subscribed < c->plan->at_once)
            begin_next(c, n);
        if (turn(c, WAIT_MS) > 0)
            heard = c->now_ns;
        if (c->now_ns - heard > patience)
            tool_fail("connecting: no answer for %d s: %d of %d clients are subscribed",
                      CROWD_PATIENCE_S, c->subscribed, n);
    }
}
