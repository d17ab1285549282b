/* listener.c - waits on the connection's socket, and takes the time stamps from what comes. */
#include "load/listener.h"

#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

#include "common/tool.h"
#include "load/meter.h"

enum {
    WAIT_MS = 50, /* so that stop is seen */
};

static void take_notifications(listener *l)
{
    if (!PQconsumeInput(l->conn))
        tool_fail("listening: %s", PQerrorMessage(l->conn));
    uint64_t now = tool_now_ns();
    for (PGnotify *n; (n = PQnotifies(l->conn)) != NULL; PQfreemem(n)) {
        uint64_t sent_at = meter_sent_at(n->extra, strlen(n->extra));
        if (sent_at > 0 && now > sent_at)
            histogram_add(&l->took, now - sent_at);
    }
}

static void *run(void *arg)
{
    listener *l = arg;
    struct pollfd wait = {.fd = PQsocket(l->conn), .events = POLLIN};
    while (!atomic_load(&l->stop))
        if (poll(&wait, 1, WAIT_MS) > 0)
            take_notifications(l);
    return NULL;
}

void listener_start(listener *l)
{
    l->conn = PQconnectdb(l->database);
    PGresult *r = PQexec(l->conn, "listen bench");
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        tool_fail("listening: %s", PQerrorMessage(l->conn));
    PQclear(r);
    if (pthread_create(&l->thread, NULL, run, l) != 0)
        tool_fail("cannot start a thread");
}

void listener_stop(listener *l)
{
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
    PQfinish(l->conn);
}
