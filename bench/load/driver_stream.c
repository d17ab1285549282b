/* driver_stream.c - publishes through a named pipe, or a TCP connection that speaks HTTP or NATS.
 *
 * A batch is written at once. Of HTTP as many answers are then read as requests were written.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tool.h"
#include "load/driver.h"
#include "load/text.h"

enum {
    ANSWER_BYTES = 65536,
};

typedef struct stream {
    int fd;
    text out;
    char answers[ANSWER_BYTES];
    size_t answered; /* bytes in `answers` */
} stream;

static void *open_pipe(const plan *p)
{
    stream *s = tool_calloc(1, sizeof(*s));
    s->fd = open(p->target, O_WRONLY | O_CLOEXEC);
    if (s->fd < 0)
        tool_fail("publishing: %s: %s", p->target, strerror(errno));
    return s;
}

static void *open_tcp(const plan *p)
{
    int on = 1;
    stream *s = tool_calloc(1, sizeof(*s));
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(p->target));
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        tool_fail("publishing: port %s: %s", p->target, strerror(errno));
    return s;
}

static void *open_nats(const plan *p)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
    stream *s = open_tcp(p);
    if (send(s->fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) < 0)
        tool_fail("publishing: %s", strerror(errno));
    return s;
}

static void close_stream(void *self)
{
    stream *s = self;
    close(s->fd);
    text_free(&s->out);
    free(s);
}

static void write_out(stream *s)
{
    for (size_t done = 0; done < s->out.length;) {
        ssize_t n = write(s->fd, s->out.bytes + done, s->out.length - done);
        if (n < 0 && errno != EINTR)
            tool_fail("publishing: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    text_clear(&s->out);
}

static void send_lines(void *self, const message *messages, int n)
{
    stream *s = self;
    for (int i = 0; i < n; i++)
        text_print(&s->out, "%s %s\n", messages[i].topic, messages[i].data);
    write_out(s);
}

static void send_nats(void *self, const message *messages, int n)
{
    stream *s = self;
    for (int i = 0; i < n; i++)
        text_print(&s->out, "PUB %s %zu\r\n%s\r\n", messages[i].topic, messages[i].length,
                   messages[i].data);
    write_out(s);
}

static size_t answer_length(const stream *s)
{
    static const char key[] = "\r\ncontent-length:";
    const char *end = memmem(s->answers, s->answered, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - s->answers) + 4, body = 0;
    for (const char *at = s->answers; at < end; at++)
        if (strncasecmp(at, key, sizeof(key) - 1) == 0)
            body = strtoul(at + sizeof(key) - 1, NULL, 10);
    return head + body <= s->answered ? head + body : 0;
}

static void read_answer(stream *s)
{
    size_t length;
    while ((length = answer_length(s)) == 0) {
        ssize_t n = recv(s->fd, s->answers + s->answered, ANSWER_BYTES - s->answered, 0);
        if (n <= 0)
            tool_fail("publishing: the server ended the connection");
        s->answered += (size_t)n;
    }
    if (s->answers[9] != '2')
        tool_fail("publishing: %.60s", s->answers);
    memmove(s->answers, s->answers + length, s->answered - length);
    s->answered -= length;
}

static void exchange(stream *s, int n)
{
    write_out(s);
    for (int i = 0; i < n; i++)
        read_answer(s);
}

static void send_http(void *self, const message *messages, int n)
{
    stream *s = self;
    for (int i = 0; i < n; i++)
        text_print(&s->out, "POST /pub/%s HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n%s",
                   messages[i].topic, messages[i].length, messages[i].data);
    exchange(s, n);
}

static void send_centrifugo(void *self, const message *messages, int n)
{
    stream *s = self;
    for (int i = 0; i < n; i++)
        text_print(&s->out,
                   "POST /api/publish HTTP/1.1\r\nHost: bench\r\nX-API-Key: bench\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
                   "{\"channel\":\"%s\",\"data\":%s}",
                   messages[i].length + strlen(messages[i].topic) +
                       strlen("{\"channel\":\"\",\"data\":}"),
                   messages[i].topic, messages[i].data);
    exchange(s, n);
}

const driver driver_pipe = {"pipe", open_pipe, send_lines, close_stream};
const driver driver_http = {"http", open_tcp, send_http, close_stream};
const driver driver_centrifugo = {"centrifugo", open_tcp, send_centrifugo, close_stream};
const driver driver_nats = {"nats", open_nats, send_nats, close_stream};
