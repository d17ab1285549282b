/* The socket gets its name when it listens already, by a rename: so who finds the file finds a
 * server behind it. */
#include "control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/listener.h"

#define TAKEN "another server has this socket"

enum { BACKLOG = 128, OTHERS = 0117 /* what the umask takes away: 0660 is left */ };

/* Whose socket it is, for messages. */
struct wanted {
    const char *key;
    const char *path;
};

static int refuse(leat_buf *error, const struct wanted *w, const char *why)
{
    leat_buf_printf(error, "%s = \"%s\": %s", w->key, w->path, why);
    return LEAT_ECONFIG;
}

/* Another server has the place. The caller may try again when that has stopped. */
static int refuse_taken(leat_buf *error, const struct wanted *w, const char *why)
{
    (void)refuse(error, w, why);
    return UV_EADDRINUSE;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    return addr;
}

static int take_lock(leat_control_socket *s, const struct wanted *w, leat_buf *error)
{
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    snprintf(name, sizeof(name), "%s.lock", w->path);
    s->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return refuse(error, w, strerror(errno));
    if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? refuse_taken(error, w, TAKEN) : refuse(error, w, strerror(errno));
}

/* A program without our lock may listen there, or have a socket of another type (EPROTOTYPE). Only
 * a socket that nobody has any more refuses. */
static bool is_alive(const char *path)
{
    struct sockaddr_un addr = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool dead = fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 &&
                (errno == ECONNREFUSED || errno == ENOENT);
    if (fd >= 0)
        close(fd);
    return !dead;
}

static int check_old(const struct wanted *w, leat_buf *error)
{
    struct stat st;
    if (lstat(w->path, &st) < 0)
        return errno == ENOENT ? 0 : refuse(error, w, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return refuse(error, w, "the file is there and is no socket");
    return is_alive(w->path) ? refuse_taken(error, w, TAKEN) : 0;
}

static int listen_at(int fd, const struct wanted *w, leat_buf *error)
{
    char fresh[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char why[sizeof(fresh) + 100];
    snprintf(fresh, sizeof(fresh), "%s.new", w->path);
    struct sockaddr_un addr = address_of(fresh);
    unlink(fresh);
    mode_t before = umask(OTHERS);
    int failed = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
    umask(before);
    if (failed == 0 && listen(fd, BACKLOG) == 0 && rename(fresh, w->path) == 0)
        return 0;
    snprintf(why, sizeof(why), "%s: %s", fresh, strerror(errno));
    return refuse(error, w, why);
}

static int open_path(leat_control_socket *out, const struct wanted *w, leat_buf *error)
{
    int err = take_lock(out, w, error);
    if (err == 0)
        err = check_old(w, error);
    if (err < 0)
        return err;
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return out->fd < 0 ? refuse(error, w, strerror(errno)) : listen_at(out->fd, w, error);
}

static int open_address(leat_control_socket *out, const struct wanted *w, leat_buf *error)
{
    struct sockaddr_storage addr;
    int fd = leat_listener_parse(&addr, w->path) < 0 ? UV_EINVAL : leat_listener_socket(&addr);
    if (fd == UV_EADDRINUSE)
        return refuse_taken(error, w, uv_strerror(fd));
    if (fd < 0)
        return refuse(error, w, uv_strerror(fd));
    out->fd = fd;
    return 0;
}

int leat_control_socket_open(leat_control_socket *out, const char *key, const char *place,
                             leat_buf *error)
{
    struct wanted w = {key, place};
    *out = (leat_control_socket){-1, -1};
    int err = 0;
    if (place[0] == '/')
        err = open_path(out, &w, error);
    else if (place[0] != '\0')
        err = open_address(out, &w, error);
    if (err < 0)
        leat_control_socket_close(out);
    return err;
}

void leat_control_socket_close(leat_control_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->lock >= 0)
        close(s->lock);
    *s = (leat_control_socket){-1, -1};
}
