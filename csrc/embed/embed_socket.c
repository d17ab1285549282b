/* embed_socket.c - leat_hand_over: a socket of the program's HTTP server goes to a worker. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

static int check(int fd, struct sockaddr_storage *peer, leat_error *error)
{
    socklen_t len = sizeof(*peer);
    if (getpeername(fd, (struct sockaddr *)peer, &len) < 0)
        return embed_fail(error, "bad_request", "not a connected socket: %s", strerror(errno));
    if (peer->ss_family != AF_INET && peer->ss_family != AF_INET6)
        return embed_fail(error, "bad_request", "not a TCP socket");
    return 0;
}

int leat_hand_over(leat_server *s, int fd, const void *bytes, size_t len, leat_error *error)
{
    struct arrival *a = leat_calloc(1, sizeof(*a) + len);
    size_t worker = 0;
    a->job.run = on_worker;
    a->fd = fd;
    a->len = len;
    if (len > 0)
        memcpy(a->bytes, bytes, len);
    int err = check(fd, &a->peer, error);
    if (err == 0)
        err = embed_post(s, embed_next_number(s), &worker, &a->job, error);
    if (err < 0)
        free(a);
    return err;
}
