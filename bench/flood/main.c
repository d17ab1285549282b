/* main.c - bad clients: many connections that do one thing wrong, as fast as the server lets them.
 *
 *   flood port=N kind=KIND [connections=N] [addresses=N] [topic=bare:0]
 *
 * KIND: connects, malformed, tls (ClientHellos; each connection ends with the server's answer),
 * pings, messages, subscribes, reads (subscribes to rooms that do not exist), huge, slow
 * (subscribes to topic, and never reads). The connections come from 127.0.1.1, 127.0.1.2, … A
 * connection that is closed is opened again. It runs until it is killed, and prints "flooding" once
 * all have been opened.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tool.h"

enum {
    BLOCK_BYTES = 65536,
    SMALL_BUFFER = 4096,
    POLL_MS = 10,
    OTHER_FILES = 32,
};

typedef enum state { CLOSED, CONNECTING, GREETING, FLOODING, IDLE } state;

typedef struct flood {
    const char *kind;
    const char *topic;
    struct sockaddr_in server;
    int connections;
    int addresses;
    state *states;
    struct pollfd *sockets;
    char block[BLOCK_BYTES]; /* what is sent again and again */
    size_t block_len;
    uint64_t subscribed;
} flood;

static bool is(const flood *f, const char *kind)
{
    return strcmp(f->kind, kind) == 0;
}

/* Appends a masked frame; the mask is zero. */
static void add_frame(flood *f, int op, const char *payload, size_t n)
{
    unsigned char head[8] = {(unsigned char)(0x80 | op)};
    size_t len = 2;
    if (n < 126) {
        head[1] = (unsigned char)(0x80 | n);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char)(n >> 8);
        head[3] = (unsigned char)n;
        len = 4;
    }
    memset(head + len, 0, 4);
    len += 4;
    if (f->block_len + len + n > BLOCK_BYTES)
        return;
    memcpy(f->block + f->block_len, head, len);
    memcpy(f->block + f->block_len + len, payload, n);
    f->block_len += len + n;
}

static void add_text(flood *f, const char *text)
{
    add_frame(f, 1, text, strlen(text));
}

/* Makes a ClientHello of TLS 1.3 (RFC 8446 section 4.1.2). Its share of X25519 is the base point of
 * the curve, and its random bytes are zeros: that is good enough for an answer. */
static void make_client_hello(flood *f)
{
    static const char head[] = "\x16\x03\x01\x00\x78\x01\x00\x00\x74\x03\x03"; /* 32 bytes random */
    static const char rest[] = "\x00\x00\x06\x13\x01\xc0\x2b\xc0\x2f\x01\x00\x00\x45" /* ciphers */
                               "\x00\x0a\x00\x04\x00\x02\x00\x1d"                     /* groups */
                               "\x00\x0d\x00\x08\x00\x06\x04\x03\x08\x04\x04\x01" /* signatures */
                               "\x00\x2b\x00\x03\x02\x03\x04"                     /* versions */
                               "\x00\x33\x00\x26\x00\x24\x00\x1d\x00\x20\x09";    /* the share */
    char *at = f->block;
    memset(at, 0, BLOCK_BYTES);
    memcpy(at, head, sizeof(head) - 1);
    memcpy(at + sizeof(head) - 1 + 32, rest, sizeof(rest) - 1);
    f->block_len = sizeof(head) - 1 + 32 + sizeof(rest) - 1 + 31;
}

static void add_subscribe(flood *f, const char *topic)
{
    char text[128];
    snprintf(text, sizeof(text), "{\"op\":\"subscribe\",\"topic\":\"%s\"}", topic);
    add_text(f, text);
}

/* Subscribes name another topic each time. */
static void make_block(flood *f)
{
    char topic[64];
    f->block_len = 0;
    if (is(f, "tls")) {
        make_client_hello(f);
    } else if (is(f, "slow")) {
        add_subscribe(f, f->topic);
    } else if (is(f, "huge")) {
        static char text[60000];
        memset(text, 'x', sizeof(text));
        add_frame(f, 1, text, sizeof(text));
    } else {
        for (int i = 0; i < 100; i++) {
            snprintf(topic, sizeof(topic), "%s:%llu", is(f, "reads") ? "room" : "bare",
                     1000 + (unsigned long long)f->subscribed++ % 1000000);
            if (is(f, "pings"))
                add_frame(f, 9, "x", 1);
            else if (is(f, "subscribes") || is(f, "reads"))
                add_subscribe(f, topic);
            else
                add_text(f, "{\"op\":\"fly\"}");
        }
    }
}

static void open_one(flood *f, int i)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000101u + (unsigned)(i % f->addresses));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int size = SMALL_BUFFER;
    if (fd < 0)
        tool_fail("no socket: %s", strerror(errno));
    if (is(f, "slow"))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
        (connect(fd, (struct sockaddr *)&f->server, sizeof(f->server)) < 0 &&
         errno != EINPROGRESS)) {
        close(fd);
        return; /* tried again in the next round */
    }
    f->sockets[i] = (struct pollfd){.fd = fd, .events = POLLOUT};
    f->states[i] = CONNECTING;
}

static void close_one(flood *f, int i)
{
    close(f->sockets[i].fd);
    f->sockets[i].fd = -1;
    f->states[i] = CLOSED;
}

static void greet(flood *f, int i)
{
    static const char upgrade[] =
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const char garbage[] = "GET / HTTP/1.1\r\nHost : x\r\n\r\n";
    const char *request = is(f, "malformed") ? garbage : upgrade;
    size_t len = strlen(request);
    if (is(f, "connects")) {
        close_one(f, i);
        return;
    }
    if (is(f, "tls")) {
        make_block(f);
        request = f->block;
        len = f->block_len;
    }
    if (write(f->sockets[i].fd, request, len) < 0) {
        close_one(f, i);
        return;
    }
    f->states[i] = GREETING;
    f->sockets[i].events = POLLIN;
}

/* Reads what there is, and drops it. */
static void hear(flood *f, int i)
{
    char bytes[BLOCK_BYTES];
    ssize_t n = read(f->sockets[i].fd, bytes, sizeof(bytes));
    if (n == 0 || (n < 0 && errno != EAGAIN) || is(f, "malformed") || is(f, "tls")) {
        close_one(f, i);
    } else if (n > 0 && f->states[i] == GREETING) {
        f->states[i] = FLOODING;
        f->sockets[i].events = POLLIN | POLLOUT;
    }
}

static void say(flood *f, int i)
{
    make_block(f);
    if (write(f->sockets[i].fd, f->block, f->block_len) < (ssize_t)f->block_len)
        close_one(f, i); /* part of a frame was sent, or none: another connection begins */
    else if (is(f, "slow"))
        f->sockets[i] = (struct pollfd){.fd = f->sockets[i].fd, .events = 0};
}

static void act(flood *f, int i)
{
    short happened = f->sockets[i].revents;
    if (f->states[i] == CLOSED)
        open_one(f, i);
    else if ((happened & (POLLERR | POLLHUP)) != 0)
        close_one(f, i);
    else if ((happened & POLLIN) != 0)
        hear(f, i);
    else if ((happened & POLLOUT) != 0 && f->states[i] == CONNECTING)
        greet(f, i);
    else if ((happened & POLLOUT) != 0 && f->states[i] == FLOODING)
        say(f, i);
}

int main(int argc, char **argv)
{
    (void)argc;
    flood *f = tool_calloc(1, sizeof(*f));
    signal(SIGPIPE, SIG_IGN);
    f->kind = tool_option(argv, "kind", "messages");
    f->topic = tool_option(argv, "topic", "bare:0");
    f->connections = (int)tool_number(argv, "connections", 200);
    f->addresses = (int)tool_number(argv, "addresses", 10);
    f->server.sin_family = AF_INET;
    f->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->server.sin_port = htons((uint16_t)tool_number(argv, "port", 0));
    tool_need_files((unsigned long)f->connections + OTHER_FILES);
    f->states = tool_calloc((size_t)f->connections, sizeof(*f->states));
    f->sockets = tool_calloc((size_t)f->connections, sizeof(*f->sockets));
    for (int i = 0; i < f->connections; i++)
        f->sockets[i].fd = -1;
    for (bool told = false;; told = true) {
        for (int i = 0; i < f->connections; i++)
            act(f, i);
        if (!told)
            (void)!write(STDOUT_FILENO, "flooding\n", 9);
        poll(f->sockets, (nfds_t)f->connections, POLL_MS);
    }
}
