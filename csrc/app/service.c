/* Talking to the service manager. Its protocols are stable and tiny, so no library is linked for
 * them. Sockets: LISTEN_FDS is their number, from descriptor 3 on, LISTEN_PID the process that they
 * are for, LISTEN_FDNAMES their names, with colons between. */
#include "app/service.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "base/slice.h"
#include "net/listener.h"

/* sd_listen_fds(3) */
enum { FIRST_SOCKET = 3 };

/* Returns the length of the address, 0 if there is none that is usable. */
static socklen_t find_socket(struct sockaddr_un *out)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(out->sun_path))
        return 0;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, path, strlen(path));
    if (path[0] == '@') /* an address in the abstract namespace, unix(7) */
        out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

void leat_service_tell(leat_service_state state)
{
    static const char *const texts[] = {
        [LEAT_SERVICE_READY] = "READY=1",
        [LEAT_SERVICE_STOPPING] = "STOPPING=1",
        [LEAT_SERVICE_ALIVE] = "WATCHDOG=1",
    };
    struct sockaddr_un address;
    socklen_t len = find_socket(&address);
    if (len == 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    const char *text = texts[state];
    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
    close(fd);
}

uint64_t leat_service_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    return strtoull(usec, NULL, 10) / 1000;
}

/* --- sockets --- */

/* Returns the number that the variable holds, -1 if it is none. */
static long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (text == NULL || !isdigit((unsigned char)text[0]))
        return -1;
    long value = strtol(text, &end, 10);
    return *end == '\0' ? value : -1;
}

/* Returns the next name and moves *names behind it. Without names, all are `listen`. */
static leat_slice next_name(const char **names)
{
    if (*names == NULL)
        return leat_slice_of("listen");
    leat_slice name = {*names, strcspn(*names, ":")};
    *names += name.len + ((*names)[name.len] == ':');
    return name;
}

static int find_door(leat_http_door *out, leat_slice name, const leat_config *config,
                     leat_buf *error)
{
    if (leat_slice_is(name, "listen"))
        *out = LEAT_HTTP_DOOR_PUBLIC;
    else if (leat_slice_is(name, "tls_listen"))
        *out = LEAT_HTTP_DOOR_TLS;
    else {
        leat_buf_printf(error,
                        "the service manager hands over a socket with the name \"%.*s\": expected "
                        "FileDescriptorName=listen or tls_listen in its unit",
                        (int)name.len, name.at);
        return LEAT_ECONFIG;
    }
    bool wanted = *out == LEAT_HTTP_DOOR_TLS ? config->tls_listen[0] != '\0'
                                             : strcmp(config->listen, LEAT_CONFIG_NO_LISTEN) != 0;
    if (!wanted)
        leat_buf_printf(error,
                        "the service manager hands over a socket with the name \"%.*s\", but the "
                        "key of that name is not set",
                        (int)name.len, name.at);
    return wanted ? 0 : LEAT_ECONFIG;
}

static int take_socket(leat_engine_sockets *out, int fd, leat_slice name, const leat_config *config,
                       leat_buf *error)
{
    leat_http_door door = LEAT_HTTP_DOOR_PUBLIC;
    int err = find_door(&door, name, config, error);
    if (err < 0)
        return err;
    err = leat_listener_take_over(fd, &out->at[out->count].addr);
    if (err < 0) {
        leat_buf_printf(error,
                        "descriptor %d of the service manager is no TCP socket that listens: %s",
                        fd, uv_strerror(err));
        return LEAT_ECONFIG;
    }
    out->at[out->count].door = door;
    out->at[out->count].fd = fd;
    out->count++;
    return 0;
}

/* The variables are for this process alone: what it starts must not take them for its own. */
static void forget_variables(void)
{
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
}

int leat_service_sockets(leat_engine_sockets *out, const leat_config *config, leat_buf *error)
{
    long count = number_of("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    *out = (leat_engine_sockets){.count = 0};
    if (number_of("LISTEN_PID") != (long)getpid() || count <= 0)
        return 0;
    if (count > LEAT_ENGINE_MAX_SOCKETS) {
        leat_buf_printf(error, "the service manager hands over %ld sockets: expected at most %d",
                        count, LEAT_ENGINE_MAX_SOCKETS);
        return LEAT_ECONFIG;
    }
    int err = 0;
    for (int i = 0; i < count && err == 0; i++)
        err = take_socket(out, FIRST_SOCKET + i, next_name(&names), config, error);
    forget_variables();
    return err;
}
