/* Talking to the service manager. The protocol is stable and tiny, so no library is linked for it.
 */
#include "app/service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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
