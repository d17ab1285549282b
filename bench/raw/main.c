/* main.c - raw and rawbatch: the least that a server of subscriptions can do.
 *
 *   raw mode=raw|rawbatch port=N database=URL | pipe=PATH [past=N]
 *
 * One epoll loop. An event becomes one frame. raw sends that frame to each subscriber with one
 * send(); rawbatch gathers the frames of one turn of the loop, and sends each subscriber all of
 * them with one send() (or writev(), if it is in several topics). Both know nothing of rights,
 * gaps, order, repeated events, slow clients or pings. past=N: a peer that resumes gets the latest
 * N events.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/tool.h"
#include "raw/frame.h"
#include "raw/peer.h"
#include "raw/room.h"
#include "raw/source.h"

enum {
    READY_AT_ONCE = 1024,
    EVENT_BYTES = 16384,
    OPEN_FILES = 1024, /* at least */
};

typedef struct server {
    int epoll;
    int listener;
    source *source;
    bool batches;
    int past;
    rooms rooms;
    room **touched; /* topics that have frames in this turn */
    int n_touched;
    int touched_size;
    peer **gathered; /* peers in several topics, that have frames in this turn */
    int n_gathered;
    int gathered_size;
    /* Here and not on the stack, where the build's hardening would clear them for each event. */
    char message[EVENT_BYTES];
    char frame[EVENT_BYTES + FRAME_HEAD_BYTES];
    struct epoll_event ready[READY_AT_ONCE];
} server;

static void watch(const server *s, int fd, void *mark)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = mark};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
        tool_fail("epoll: %s", strerror(errno));
}

static void listen_on(server *s, int port)
{
    int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(s->listener, IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof(on)); /* accepted ones inherit it */
    if (bind(s->listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(s->listener, 65535) < 0)
        tool_fail("port %d: %s", port, strerror(errno));
}

static void remember(server *s, room *r, const char *frame, size_t n)
{
    if (r->seq > (uint64_t)s->past) {
        size_t first = frame_head((unsigned char)r->past.bytes[1]) + frame_length(r->past.bytes);
        memmove(r->past.bytes, r->past.bytes + first, r->past.length - first);
        r->past.length -= first;
    }
    buffer_add(&r->past, frame, n);
}

static void touch(server *s, room *r, const char *frame, size_t n)
{
    buffer_add(&r->turn, frame, n);
    if (r->is_touched)
        return;
    r->is_touched = true;
    if (s->n_touched == s->touched_size) {
        s->touched_size = s->touched_size > 0 ? 2 * s->touched_size : 64;
        s->touched = tool_realloc(s->touched, (size_t)s->touched_size * sizeof(room *));
    }
    s->touched[s->n_touched++] = r;
}

static void on_event(void *arg, const char *text, size_t n)
{
    server *s = arg;
    const char *space = memchr(text, ' ', n);
    if (space == NULL || n > EVENT_BYTES - 128)
        tool_fail("not an event: %.*s", (int)(n < 80 ? n : 80), text);
    room *r = rooms_get(&s->rooms, text, (size_t)(space - text));
    int length = snprintf(s->message, sizeof(s->message),
                          "{\"op\":\"event\",\"topic\":\"%s\",\"seq\":%lu,\"data\":%.*s}", r->name,
                          (unsigned long)++r->seq, (int)(text + n - space - 1), space + 1);
    size_t size = frame_write(s->frame, s->message, (size_t)length);
    if (s->past > 0)
        remember(s, r, s->frame, size);
    if (s->batches)
        touch(s, r, s->frame, size);
    else
        for (int i = 0; i < r->n_peers; i++)
            peer_send(r->peers[i], s->epoll, s->frame, size);
}

static void gather(server *s, peer *p, const room *r)
{
    if (p->n_turn == 0) {
        if (s->n_gathered == s->gathered_size) {
            s->gathered_size = s->gathered_size > 0 ? 2 * s->gathered_size : 64;
            s->gathered = tool_realloc(s->gathered, (size_t)s->gathered_size * sizeof(peer *));
        }
        s->gathered[s->n_gathered++] = p;
    }
    peer_add_turn(p, r->turn.bytes, r->turn.length);
}

static void send_room(server *s, const room *r)
{
    for (int i = 0; i < r->n_peers; i++)
        if (r->peers[i]->n_rooms > 1)
            gather(s, r->peers[i], r);
        else
            peer_send(r->peers[i], s->epoll, r->turn.bytes, r->turn.length);
}

static void end_turn(server *s)
{
    for (int i = 0; i < s->n_touched; i++)
        send_room(s, s->touched[i]);
    for (int i = 0; i < s->n_gathered; i++)
        peer_send_turn(s->gathered[i], s->epoll);
    for (int i = 0; i < s->n_touched; i++) {
        s->touched[i]->turn.length = 0;
        s->touched[i]->is_touched = false;
    }
    s->n_touched = s->n_gathered = 0;
}

static void on_ready(server *s, const struct epoll_event *e)
{
    peer *p = e->data.ptr;
    if (e->data.ptr == &s->source)
        source_read(s->source, on_event, s);
    else if (e->data.ptr == &s->listener)
        while (peer_accept(s->listener, s->epoll) != NULL)
            ;
    else if (((e->events & EPOLLOUT) && !peer_on_writable(p, s->epoll)) ||
             ((e->events & ~(uint32_t)EPOLLOUT) && !peer_on_readable(p, &s->rooms)))
        peer_close(p);
}

static void run(server *s)
{
    for (;;) {
        int n = epoll_wait(s->epoll, s->ready, READY_AT_ONCE, -1);
        for (int i = 0; i < n; i++)
            on_ready(s, &s->ready[i]);
        end_turn(s);
    }
}

int main(int argc, char **argv)
{
    static server s;
    (void)argc;
    signal(SIGPIPE, SIG_IGN);
    tool_need_files(OPEN_FILES);
    s.batches = strcmp(tool_option(argv, "mode", "raw"), "rawbatch") == 0;
    s.past = (int)tool_number(argv, "past", 0);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    s.source = source_open(tool_option(argv, "database", ""), tool_option(argv, "pipe", NULL));
    listen_on(&s, (int)tool_number(argv, "port", 0));
    watch(&s, s.listener, &s.listener);
    watch(&s, source_fd(s.source), &s.source);
    printf("ready\n");
    fflush(stdout);
    run(&s);
}
