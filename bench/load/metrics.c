/* metrics.c - one GET on a connection of its own, and the lines of its answer. */
#include "load/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tool.h"
#include "load/text.h"

static void fetch(const plan *p, text *out)
{
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    char some[16384];
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&p->server, sizeof(p->server)) < 0 ||
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        tool_fail("/metrics: %s", strerror(errno));
    while ((n = recv(fd, some, sizeof(some), 0)) > 0)
        text_add(out, some, (size_t)n);
    close(fd);
}

static double sum_of(const char *page, const char *name)
{
    double sum = 0;
    size_t length = strlen(name);
    for (const char *line = page; line != NULL; line = strchr(line + 1, '\n')) {
        const char *at = *line == '\n' ? line + 1 : line;
        const char *value = strncmp(at, name, length) == 0 ? strchr(at, ' ') : NULL;
        if (value != NULL && (at[length] == ' ' || at[length] == '{'))
            sum += strtod(value, NULL);
    }
    return sum;
}

void metrics_read(metrics *m, const plan *p)
{
    text page = {0};
    const char *name = p->metrics;
    m->n = 0;
    if (name == NULL)
        return;
    fetch(p, &page);
    while (*name != '\0' && m->n < METRICS_MOST) {
        size_t length = strcspn(name, ",");
        snprintf(m->names[m->n], sizeof(m->names[0]), "%.*s", (int)length, name);
        if (page.length == 0 || strstr(page.bytes, m->names[m->n]) == NULL)
            tool_fail("/metrics has no %s", m->names[m->n]);
        m->values[m->n] = sum_of(page.bytes, m->names[m->n]);
        m->n++;
        name += length + (name[length] == ',');
    }
    text_free(&page);
}
