/* client.h - one client: its connection, and how far it has come.
 *
 * Ownership  the struct belongs to the crowd; client_close frees what hangs from it.
 * Threads    the clients' thread.
 * Units      nanoseconds.
 * Errors     a refusal, or a connection that the server ends, ends the program with a sentence: no
 *            figure is worth anything after that.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdint.h>

#include "load/channel.h"
#include "load/plan.h"

struct crowd;

typedef enum client_state {
    CLIENT_NONE,
    CLIENT_CONNECTING,
    CLIENT_OPENING, /* TLS */
    CLIENT_UPGRADING,
    CLIENT_WELCOMING,   /* the answer to the protocol's hello is awaited */
    CLIENT_SUBSCRIBING, /* one subscribe after the other is sent and answered */
    CLIENT_LIVE,
    CLIENT_CLOSED,
} client_state;

typedef struct client {
    int fd;
    channel *tls; /* NULL: plain */
    client_state state;
    int index;
    int subscribed; /* subscriptions that were answered */
    uint64_t began_ns;
    char *rest; /* bytes of a message whose end has not come */
    size_t rest_length;
} client;

/* Starts to connect. The descriptor is new, and wants to be watched for both directions. */
void client_connect(client *c, const plan *p, int index);

void client_on_writable(client *c, struct crowd *all);
void client_on_readable(client *c, struct crowd *all);
void client_close(client *c);

#endif
