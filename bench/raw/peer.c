/* peer.c - accept, the upgrade's constant answer, the snapshot's, then only sending.
 *
 * It does what any server must do and no more. So the key of the upgrade is taken to be the one
 * that the load sends, whose answer is a constant, and a request is taken to come in one piece.
 */
#include "raw/peer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tool.h"
#include "raw/frame.h"

enum {
    REQUEST_BYTES = 1024, /* on the stack, which the build's hardening clears */
    ANSWER_BYTES = 512,
};

peer *peer_accept(int listener, int epoll)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return NULL;
    peer *p = tool_calloc(1, sizeof(*p));
    p->fd = fd;
    struct epoll_event watch = {.events = EPOLLIN, .data.ptr = p};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &watch) < 0)
        tool_fail("epoll: %s", strerror(errno));
    return p;
}

static bool answer_upgrade(peer *p)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    p->is_upgraded = true;
    return send(p->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) > 0;
}

static void join(peer *p, room *r)
{
    p->rooms = tool_realloc(p->rooms, (size_t)(p->n_rooms + 1) * sizeof(room *));
    p->rooms[p->n_rooms++] = r;
    room_join(r, p);
}

/* A peer that resumes gets all that the topic remembers, in the same send. */
static bool answer_subscribe(peer *p, rooms *all, const char *text, size_t n)
{
    static const char key[] = "\"topic\":\"";
    const char *topic = memmem(text, n, key, sizeof(key) - 1);
    if (topic == NULL)
        return false;
    topic += sizeof(key) - 1;
    const char *end = memchr(topic, '"', (size_t)(text + n - topic));
    if (end == NULL)
        return false;
    room *r = rooms_get(all, topic, (size_t)(end - topic));
    bool resumes = memmem(text, n, "\"since\":", 8) != NULL;
    char answer[ANSWER_BYTES], frame[ANSWER_BYTES + FRAME_HEAD_BYTES];
    int length =
        snprintf(answer, sizeof(answer),
                 "{\"op\":\"%s\",\"id\":1,\"topic\":\"%s\",\"epoch\":\"raw\",\"seq\":%lu%s}",
                 resumes ? "resumed" : "snapshot", r->name, (unsigned long)r->seq,
                 resumes ? "" : ",\"data\":{}");
    size_t size = frame_write(frame, answer, (size_t)length);
    join(p, r);
    if (!resumes)
        return send(p->fd, frame, size, MSG_NOSIGNAL) > 0;
    struct iovec parts[2] = {{frame, size}, {r->past.bytes, r->past.length}};
    return writev(p->fd, parts, 2) > 0;
}

static bool take_frames(peer *p, rooms *all, const char *bytes, size_t n)
{
    while (n >= 6) {
        size_t head = frame_head((unsigned char)bytes[1]) + FRAME_MASK_BYTES;
        size_t length = n >= head ? frame_length(bytes) : SIZE_MAX;
        if (length > n - head || (bytes[0] & 15) == FRAME_CLOSE ||
            !answer_subscribe(p, all, bytes + head, length))
            return false;
        bytes += head + length;
        n -= head + length;
    }
    return n == 0;
}

bool peer_on_readable(peer *p, rooms *all)
{
    char request[REQUEST_BYTES];
    ssize_t n = recv(p->fd, request, sizeof(request), 0);
    if (n < 0)
        return errno == EAGAIN;
    if (n == 0)
        return false;
    return p->is_upgraded ? take_frames(p, all, request, (size_t)n) : answer_upgrade(p);
}

static void watch_for(peer *p, int epoll, uint32_t events)
{
    struct epoll_event watch = {.events = events, .data.ptr = p};
    p->waits = (events & EPOLLOUT) != 0;
    epoll_ctl(epoll, EPOLL_CTL_MOD, p->fd, &watch);
}

static void keep_unsent(peer *p, int epoll, const char *bytes, size_t n)
{
    buffer_add(&p->unsent, bytes, n);
    if (!p->waits)
        watch_for(p, epoll, EPOLLIN | EPOLLOUT);
}

void peer_send(peer *p, int epoll, const void *bytes, size_t n)
{
    ssize_t sent = p->waits ? 0 : send(p->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < n)
        keep_unsent(p, epoll, (const char *)bytes + done, n - done);
}

void peer_add_turn(peer *p, const void *bytes, size_t n)
{
    if (p->n_turn == p->turn_size) {
        p->turn_size = p->turn_size > 0 ? 2 * p->turn_size : 4;
        p->turn = tool_realloc(p->turn, (size_t)p->turn_size * sizeof(*p->turn));
    }
    p->turn[p->n_turn++] = (struct iovec){(void *)bytes, n};
}

void peer_send_turn(peer *p, int epoll)
{
    int n = p->n_turn < IOV_MAX ? p->n_turn : IOV_MAX;
    ssize_t sent = p->waits ? 0 : writev(p->fd, p->turn, n);
    size_t done = sent > 0 ? (size_t)sent : 0;
    for (int i = 0; i < p->n_turn; i++) {
        size_t length = p->turn[i].iov_len, skipped = done < length ? done : length;
        done -= skipped;
        if (skipped < length)
            keep_unsent(p, epoll, (char *)p->turn[i].iov_base + skipped, length - skipped);
    }
    p->n_turn = 0;
}

bool peer_on_writable(peer *p, int epoll)
{
    buffer *b = &p->unsent;
    ssize_t sent = send(p->fd, b->bytes, b->length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN;
    memmove(b->bytes, b->bytes + sent, b->length - (size_t)sent);
    b->length -= (size_t)sent;
    if (b->length == 0)
        watch_for(p, epoll, EPOLLIN);
    return true;
}

void peer_close(peer *p)
{
    for (int i = 0; i < p->n_rooms; i++)
        room_leave(p->rooms[i], p);
    close(p->fd);
    free(p->rooms);
    free(p->unsent.bytes);
    free(p->turn);
    free(p);
}
