/* source.c - libpq's notifications, or lines. */
#include "raw/source.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/tool.h"

enum {
    PIPE_BYTES = 1 << 20,
    FULL_READ_BYTES = 4096, /* of events, without what libpq's protocol adds */
    TURN_BYTES = 4 << 20,
};

struct source {
    PGconn *conn; /* or NULL: a pipe */
    int fd;
    size_t length; /* of a line whose end has not come */
    char bytes[PIPE_BYTES];
};

static void open_database(source *s, const char *database)
{
    s->conn = PQconnectdb(database);
    PGresult *r = PQexec(s->conn, "listen bench");
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        tool_fail("listening: %s", PQerrorMessage(s->conn));
    PQclear(r);
    s->fd = PQsocket(s->conn);
}

source *source_open(const char *database, const char *pipe)
{
    source *s = tool_calloc(1, sizeof(*s));
    if (pipe == NULL) {
        open_database(s, database);
        return s;
    }
    /* For writing too, so that it does not end when a writer does. */
    s->fd = open(pipe, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (s->fd < 0)
        tool_fail("%s: %s", pipe, strerror(errno));
    return s;
}

int source_fd(const source *s)
{
    return s->fd;
}

static size_t take_notifications(source *s, source_cb cb, void *arg)
{
    size_t bytes = 0, n;
    if (!PQconsumeInput(s->conn))
        tool_fail("listening: %s", PQerrorMessage(s->conn));
    for (PGnotify *one; (one = PQnotifies(s->conn)) != NULL; PQfreemem(one)) {
        n = strlen(one->extra);
        cb(arg, one->extra, n);
        bytes += n;
    }
    return bytes;
}

static bool has_more(const source *s)
{
    struct pollfd more = {.fd = s->fd, .events = POLLIN};
    return poll(&more, 1, 0) > 0;
}

/* libpq reads 16 kB at once. After that much there may be more, which belongs to the same turn:
 * else rawbatch's turns would be as small as libpq's buffer. */
static void read_notifications(source *s, source_cb cb, void *arg)
{
    size_t bytes, all = 0;
    do {
        bytes = take_notifications(s, cb, arg);
        all += bytes;
    } while (bytes >= FULL_READ_BYTES && all < TURN_BYTES && has_more(s));
}

static void read_lines(source *s, source_cb cb, void *arg)
{
    ssize_t n = read(s->fd, s->bytes + s->length, PIPE_BYTES - s->length);
    if (n <= 0) {
        if (n < 0 && errno != EAGAIN)
            tool_fail("the pipe: %s", strerror(errno));
        return;
    }
    char *at = s->bytes, *all = s->bytes + s->length + n;
    for (char *end; (end = memchr(at, '\n', (size_t)(all - at))) != NULL; at = end + 1)
        cb(arg, at, (size_t)(end - at));
    s->length = (size_t)(all - at);
    memmove(s->bytes, at, s->length);
}

void source_read(source *s, source_cb cb, void *arg)
{
    if (s->conn != NULL)
        read_notifications(s, cb, arg);
    else
        read_lines(s, cb, arg);
}
