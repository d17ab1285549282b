/* embed_socket.c - leat_hand_over: a socket of the program's HTTP server goes to a worker. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "embed/embed.h"
#include "http/http_server.h"

struct arrival {
    leat_worker_job job;
    int fd;
    struct sockaddr_storage peer;
    size_t len;
    char bytes[];
};

/* Here, because a descriptor that is refused stays as it was. */
static void prepare(int fd)
{
    int on = 1;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void on_worker(leat_worker_job *job, leat_worker *w)
{
    struct arrival *a = LEAT_CONTAINER_OF(job, struct arrival, job);
    if (leat_worker_serves(w)) {
        prepare(a->fd);
        leat_http_server_hand_over(leat_worker_http(w), a->fd, &a->peer,
                                   (leat_slice){a->bytes, a->len});
    } else {
        close(a->fd);
    }
    free(a);
}

static bool is_tcp(int fd, const struct sockaddr_storage *peer)
{
    int type = 0;
    socklen_t len = sizeof(type);
    return (peer->ss_family == AF_INET || peer->ss_family == AF_INET6) &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static int check_socket(int fd, struct sockaddr_storage *peer, leat_error *error)
{
    socklen_t len = sizeof(*peer);
    *peer = (struct sockaddr_storage){0};
    if (getpeername(fd, (struct sockaddr *)peer, &len) < 0)
        return embed_fail(error, "bad_request", "not a connected socket: %s", strerror(errno));
    return is_tcp(fd, peer) ? 0 : embed_fail(error, "bad_request", "not a TCP socket");
}

/* What a read returns that has failed is a length, too. */
static int check_bytes(const void *bytes, size_t len, leat_error *error)
{
    if (len > PTRDIFF_MAX - sizeof(struct arrival))
        return embed_fail(error, "bad_request", "no length of bytes that were read: %zu", len);
    if (bytes == NULL && len > 0)
        return embed_fail(error, "bad_request", "bytes: expected those that were read");
    return 0;
}

int leat_hand_over(leat_server *s, int fd, const void *bytes, size_t len, leat_error *error)
{
    struct sockaddr_storage peer;
    size_t worker = 0;
    if (check_socket(fd, &peer, error) < 0 || check_bytes(bytes, len, error) < 0)
        return -1;
    struct arrival *a = leat_calloc(1, sizeof(*a) + len);
    a->job.run = on_worker;
    a->fd = fd;
    a->peer = peer;
    a->len = len;
    if (len > 0)
        memcpy(a->bytes, bytes, len);
    int err = embed_post(s, embed_next_number(s), &worker, &a->job, error);
    if (err < 0)
        free(a);
    return err;
}
