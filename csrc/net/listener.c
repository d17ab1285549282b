/* listener.c - polls its socket itself, because it hands on plain sockets and not uv handles.
 *
 * Sharing a port. SO_REUSEPORT lets any socket of the same user join, even of another program: a
 * second server that was started by mistake would silently take half of the connections. So the
 * first listener of a process binds without the option, which fails unless the port is really free.
 * It sets the option right after that, before it listens. When the next listener binds, with the
 * option set, the kernel compares the options of both sockets, and lets them share the port.
 */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/address.h"

enum {
    ACCEPTS_A_TURN = 64,
    REST_MS = 100,
    BACKLOG = 65535, /* the kernel lowers it to net.core.somaxconn */
};

struct leat_listener {
    uv_poll_t poll;
    leat_loop *loop;
    leat_listener_cb on_accept;
    void *arg;
    leat_deadline rest;
    int socket;
    enum { ACCEPTING, RESTING, CLOSING } state;
    bool failing; /* the last accept failed, and that was logged */
    void (*done)(void *arg);
    void *done_arg;
};

static void on_poll(uv_poll_t *poll, int status, int events);

int leat_listener_parse(struct sockaddr_storage *out, const char *text)
{
    return leat_address_parse(out, text);
}

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int bind_and_listen(int fd, const struct sockaddr_storage *addr, bool reuse_port)
{
    socklen_t len =
        addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int err = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* old connections in TIME_WAIT */
    if (err == 0 && addr->ss_family == AF_INET6)
        err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (err == 0 && reuse_port)
        err = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (err == 0 && bind(fd, (const struct sockaddr *)addr, len) < 0)
        err = -errno;
    if (err == 0 && !reuse_port)
        err = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (err == 0)
        err = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* accepted sockets inherit it */
    if (err == 0 && listen(fd, BACKLOG) < 0)
        err = -errno;
    return err;
}

/* Returns the listening socket, or UV_E*. */
static int open_socket(const struct sockaddr_storage *addr, bool reuse_port)
{
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = bind_and_listen(fd, addr, reuse_port);
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

/* All addresses of a machine without IPv6 are those of IPv4. */
static int open_any(const struct sockaddr_storage *addr, bool reuse_port)
{
    int fd = open_socket(addr, reuse_port);
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    bool no_ip6 = fd == UV_EAFNOSUPPORT || fd == UV_EADDRNOTAVAIL;
    if (!no_ip6 || addr->ss_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
        return fd;
    struct sockaddr_storage any = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&any;
    in->sin_family = AF_INET;
    in->sin_port = in6->sin6_port;
    in->sin_addr.s_addr = htonl(INADDR_ANY);
    return open_socket(&any, reuse_port);
}

int leat_listener_socket(const struct sockaddr_storage *addr)
{
    return open_any(addr, false);
}

/* Takes the socket, also if it fails. */
static int begin(leat_listener **out, leat_loop *loop, int fd, leat_listener_cb on_accept,
                 void *arg)
{
    leat_listener *l = leat_calloc(1, sizeof(*l));
    int err = uv_poll_init_socket(leat_loop_uv(loop), &l->poll, fd);
    if (err < 0) {
        free(l);
        close(fd);
        return err;
    }
    l->poll.data = l;
    l->loop = loop;
    l->on_accept = on_accept;
    l->arg = arg;
    l->socket = fd;
    leat_deadline_init(&l->rest);
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
    *out = l;
    return 0;
}

int leat_listener_open(leat_listener **out, leat_loop *loop, const struct sockaddr_storage *addr,
                       bool reuse_port, leat_listener_cb on_accept, void *arg)
{
    int fd = open_any(addr, reuse_port);
    return fd < 0 ? fd : begin(out, loop, fd, on_accept, arg);
}

/* Returns the value of a socket's option, or UV_E*. */
static int get_option(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

int leat_listener_take_over(int fd, struct sockaddr_storage *addr)
{
    socklen_t len = sizeof(*addr);
    int type = get_option(fd, SO_TYPE);
    int listens = get_option(fd, SO_ACCEPTCONN);
    if (type < 0)
        return type;
    if (type != SOCK_STREAM || listens != 1)
        return UV_EINVAL;
    if (getsockname(fd, (struct sockaddr *)addr, &len) < 0)
        return -errno;
    if (addr->ss_family != AF_INET && addr->ss_family != AF_INET6)
        return UV_EAFNOSUPPORT;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* accepted sockets inherit it */
}

int leat_listener_adopt(leat_listener **out, leat_loop *loop, int socket,
                        leat_listener_cb on_accept, void *arg)
{
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : begin(out, loop, fd, on_accept, arg);
}

static void on_rest_over(leat_deadline *d)
{
    leat_listener *l = LEAT_CONTAINER_OF(d, leat_listener, rest);
    l->state = ACCEPTING;
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
}

void leat_listener_rest(leat_listener *l)
{
    if (l->state != ACCEPTING)
        return;
    l->state = RESTING;
    uv_poll_stop(&l->poll);
    leat_loop_after(l->loop, &l->rest, REST_MS, on_rest_over);
}

/* After any such error the connection stays in the kernel's queue, and the socket stays readable:
 * to go on accepting would spin. */
static void fail_accepting(leat_listener *l, int err)
{
    if (!l->failing)
        LEAT_LOG_WARN("listener", "accept failed, new clients wait err=\"%s\"%s", uv_strerror(err),
                      err == UV_EMFILE ? " remedy=\"raise the limit of open files (LimitNOFILE)\""
                                       : "");
    l->failing = true;
    leat_listener_rest(l);
}

/* True for errors of one connection, which is gone then, and not of the listener. On Linux accept
 * also returns network errors of the new connection. */
static bool concerns_one(int err)
{
    switch (err) {
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    leat_listener *l = poll->data;
    (void)events;
    if (status < 0) {
        fail_accepting(l, status);
        return;
    }
    /* Bounded, so that a flood of newcomers leaves time for those who are in. */
    for (int i = 0; i < ACCEPTS_A_TURN && l->state == ACCEPTING; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(l->socket, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && concerns_one(errno))
            continue;
        if (fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                fail_accepting(l, -errno);
            return;
        }
        l->failing = false;
        l->on_accept(l->arg, fd, &peer);
    }
}

void leat_listener_address(const leat_listener *l, char *out, size_t size)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    getsockname(l->socket, (struct sockaddr *)&addr, &len);
    leat_address_format(&addr, out, size);
}

static void on_closed(uv_handle_t *handle)
{
    leat_listener *l = handle->data;
    void (*done)(void *arg) = l->done;
    void *arg = l->done_arg;
    close(l->socket);
    free(l);
    if (done != NULL)
        done(arg);
}

void leat_listener_close(leat_listener *l, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(l->state != CLOSING);
    l->state = CLOSING;
    l->done = done;
    l->done_arg = arg;
    leat_deadline_cancel(&l->rest);
    uv_close((uv_handle_t *)&l->poll, on_closed);
}
