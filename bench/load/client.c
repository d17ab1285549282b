/* client.c - connect, upgrade, welcome, subscribe, then events.
 *
 * on_writable ends the connecting and sends the upgrade. on_readable reads what there is into the
 * crowd's one buffer, behind what was left over, and takes one whole message after the other from
 * it: the head of the answer, then frames (or, of NATS, lines).
 */
#include "load/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tool.h"
#include "load/crowd.h"

enum {
    MESSAGE_BYTES = 512, /* of what a client sends */
    FIRST_ADDRESS = 2,   /* 127.0.0.2 */
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
};

void client_connect(client *c, const plan *p, int index)
{
    int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr =
        htonl(INADDR_LOOPBACK - 1 + FIRST_ADDRESS + (uint32_t)(index % p->addresses));
    *c = (client){.index = index, .state = CLIENT_CONNECTING, .began_ns = tool_now_ns()};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        tool_fail("client %d: socket: %s", index, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
        tool_fail("client %d: bind to a loopback address: %s", index, strerror(errno));
    if (connect(c->fd, (const struct sockaddr *)&p->server, sizeof(p->server)) < 0 &&
        errno != EINPROGRESS)
        tool_fail("client %d: connect: %s", index, strerror(errno));
}

static void send_bytes(const client *c, const char *bytes, size_t n)
{
    ssize_t sent =
        c->tls != NULL ? channel_send(c->tls, bytes, n) : send(c->fd, bytes, n, MSG_NOSIGNAL);
    if (sent != (ssize_t)n)
        tool_fail("client %d: send: %s", c->index, strerror(errno));
}

/* A client must mask; the key may be anything, so it is zero and the text stays as it is. */
static void send_frame(const client *c, unsigned op, const char *text, size_t n)
{
    char frame[MESSAGE_BYTES + 8] = {(char)(0x80 | op), (char)(0x80 | (n < 126 ? n : 126))};
    size_t head = 2;
    if (n > MESSAGE_BYTES)
        tool_fail("client %d: its message is too long", c->index);
    if (n >= 126) {
        frame[head++] = (char)(n >> 8);
        frame[head++] = (char)n;
    }
    memset(frame + head, 0, 4);
    if (n > 0)
        memcpy(frame + head + 4, text, n);
    send_bytes(c, frame, head + 4 + n);
}

static void send_message(const client *c, const protocol *words, const char *text, size_t n)
{
    if (words->lines)
        send_bytes(c, text, n);
    else
        send_frame(c, words->binary ? OP_BINARY : OP_TEXT, text, n);
}

static void subscribe_next(client *c, crowd *all)
{
    const plan *p = all->plan;
    char topic[PLAN_TOPIC_BYTES], text[MESSAGE_BYTES];
    int64_t nth = (int64_t)c->index * p->subscriptions + c->subscribed;
    plan_topic(p, (int)(nth % p->topics), topic);
    int n =
        p->protocol->subscribe(text, sizeof(text), topic, (unsigned)c->subscribed + 1, &all->since);
    send_message(c, p->protocol, text, (size_t)n);
}

static void become_live(client *c, crowd *all)
{
    c->state = CLIENT_LIVE;
    crowd_on_subscribed(all, c);
}

static void start_subscribing(client *c, crowd *all)
{
    c->state = CLIENT_SUBSCRIBING;
    if (all->plan->protocol->subscribe != NULL)
        subscribe_next(c, all);
    else
        become_live(c, all); /* the upgrade named the topic */
}

static void on_upgraded(client *c, crowd *all)
{
    const protocol *words = all->plan->protocol;
    if (words->hello == NULL) {
        start_subscribing(c, all);
        return;
    }
    send_message(c, words, words->hello, strlen(words->hello));
    if (words->lines)
        start_subscribing(c, all);
    else
        c->state = CLIENT_WELCOMING;
}

static void on_subscribed(client *c, crowd *all, const char *text, size_t n)
{
    if (c->state != CLIENT_SUBSCRIBING)
        return; /* a resync */
    crowd_on_answer(all, text, n);
    if (++c->subscribed < all->plan->subscriptions)
        subscribe_next(c, all);
    else
        become_live(c, all);
}

static void on_message(client *c, crowd *all, const char *text, size_t n)
{
    const protocol *words = all->plan->protocol;
    switch (words->classify(text, n)) {
    case MESSAGE_EVENT:
        crowd_on_event(all, text, n);
        break;
    case MESSAGE_SUBSCRIBED:
        on_subscribed(c, all, text, n);
        break;
    case MESSAGE_WELCOME:
        if (c->state == CLIENT_WELCOMING)
            start_subscribing(c, all);
        break;
    case MESSAGE_PING:
        if (words->pong != NULL)
            send_message(c, words, words->pong, strlen(words->pong));
        break;
    case MESSAGE_REFUSAL:
        tool_fail("client %d is refused: %.*s", c->index, (int)(n < 300 ? n : 300), text);
    case MESSAGE_OTHER:
        break;
    }
}

static void on_frame(client *c, crowd *all, unsigned op, const char *text, size_t n)
{
    if (op == OP_PING)
        send_frame(c, OP_PONG, text, n);
    else if (op == OP_CLOSE)
        tool_fail("client %d: the server closed: %.*s", c->index, n > 2 ? (int)n - 2 : 0, text + 2);
    else if (op == OP_TEXT || op == OP_BINARY)
        on_message(c, all, text, n);
}

/* Each take_… function takes one message and returns its length, or 0 if its end has not come. */
static size_t take_frame(client *c, crowd *all, const char *bytes, size_t n)
{
    const unsigned char *b = (const unsigned char *)bytes;
    size_t marker = n >= 2 ? b[1] & 127 : 0;
    size_t head = marker < 126 ? 2 : marker == 126 ? 4 : 10;
    if (n < head)
        return 0;
    uint64_t length = marker;
    if (marker >= 126) {
        length = 0;
        for (size_t i = 2; i < head; i++)
            length = length << 8 | b[i];
    }
    if (n - head < length)
        return 0;
    on_frame(c, all, b[0] & 15, bytes + head, length);
    return head + length;
}

static size_t take_head(client *c, crowd *all, const char *bytes, size_t n)
{
    const char *end = memmem(bytes, n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (n < 12 || memcmp(bytes + 9, "101", 3) != 0)
        tool_fail("client %d: no upgrade: %.*s", c->index, (int)(end - bytes), bytes);
    on_upgraded(c, all);
    return (size_t)(end - bytes) + 4;
}

static size_t take_line(client *c, crowd *all, const char *bytes, size_t n)
{
    const char *end = memmem(bytes, n, "\r\n", 2);
    if (end == NULL)
        return 0;
    size_t length = (size_t)(end - bytes) + 2;
    if (n >= 4 && memcmp(bytes, "MSG ", 4) == 0) {
        const char *size = memrchr(bytes, ' ', length);
        length += strtoul(size + 1, NULL, 10) + 2;
        if (n < length)
            return 0;
    }
    on_message(c, all, bytes, length);
    return length;
}

static size_t take_message(client *c, crowd *all, const char *bytes, size_t n)
{
    if (all->plan->protocol->lines)
        return take_line(c, all, bytes, n);
    if (c->state == CLIENT_UPGRADING)
        return take_head(c, all, bytes, n);
    return take_frame(c, all, bytes, n);
}

static void keep_rest(client *c, const char *bytes, size_t n)
{
    free(c->rest);
    c->rest = NULL;
    c->rest_length = n;
    if (n > 0) {
        c->rest = tool_calloc(n, 1);
        memcpy(c->rest, bytes, n);
    }
}

static void take_messages(client *c, crowd *all, const char *bytes, size_t n)
{
    size_t done = 0, taken;
    while (c->state != CLIENT_CLOSED && done < n) {
        taken = take_message(c, all, bytes + done, n - done);
        if (taken == 0)
            break;
        done += taken;
    }
    if (c->state != CLIENT_CLOSED && (done < n || c->rest != NULL))
        keep_rest(c, bytes + done, n - done);
}

static ssize_t receive(const client *c, char *bytes, size_t room)
{
    return c->tls != NULL ? channel_receive(c->tls, bytes, room) : recv(c->fd, bytes, room, 0);
}

static void upgrade(client *c, crowd *all)
{
    char text[MESSAGE_BYTES], topic[PLAN_TOPIC_BYTES];
    c->state = CLIENT_UPGRADING;
    plan_topic(all->plan, c->index % all->plan->topics, topic);
    int n = protocol_upgrade(all->plan->protocol, text, sizeof(text), topic);
    send_bytes(c, text, (size_t)n);
}

/* Returns true if nothing more is to be done before bytes are read. */
static bool go_on_opening(client *c, crowd *all)
{
    if (c->state != CLIENT_OPENING)
        return true;
    if (!channel_open(c->tls))
        return false;
    upgrade(c, all);
    return true;
}

void client_on_readable(client *c, crowd *all)
{
    if (!go_on_opening(c, all))
        return;
    size_t room, n;
    ssize_t got;
    do {
        if (c->rest_length > 0)
            memcpy(all->buffer, c->rest, c->rest_length);
        room = CROWD_BUFFER_BYTES - c->rest_length;
        if (room == 0)
            tool_fail("client %d: a message larger than %d bytes", c->index, CROWD_BUFFER_BYTES);
        got = receive(c, all->buffer + c->rest_length, room);
        if (got == 0)
            tool_fail("client %d: the server ended the connection", c->index);
        if (got < 0) {
            if (errno != EAGAIN)
                tool_fail("client %d: %s", c->index, strerror(errno));
            return;
        }
        n = c->rest_length + (size_t)got;
        take_messages(c, all, all->buffer, n);
    } while (c->state != CLIENT_CLOSED && (c->tls != NULL || (size_t)got == room));
}

void client_on_writable(client *c, crowd *all)
{
    int err = 0;
    socklen_t size = sizeof(err);
    if (c->state != CLIENT_CONNECTING) {
        (void)go_on_opening(c, all);
        return;
    }
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size);
    if (err != 0)
        tool_fail("client %d: connect: %s", c->index, strerror(err));
    if (all->plan->protocol->lines) {
        on_upgraded(c, all);
        return;
    }
    if (all->tls == NULL) {
        upgrade(c, all);
        return;
    }
    c->tls = channel_new(all->tls, c->fd);
    c->state = CLIENT_OPENING;
    (void)go_on_opening(c, all);
}

void client_close(client *c)
{
    channel_free(c->tls);
    c->tls = NULL;
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
    c->rest_length = 0;
    c->state = CLIENT_CLOSED;
}
