/* protocol.h - the words in which each kind of server is spoken to.
 *
 * Ownership  protocols are constant tables.
 * Threads    any.
 * Units      lengths in bytes.
 * Errors     protocol_find returns NULL for an unknown name.
 */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum message_kind {
    MESSAGE_OTHER,
    MESSAGE_WELCOME,    /* the answer to `hello` */
    MESSAGE_SUBSCRIBED, /* the answer to one subscribe */
    MESSAGE_EVENT,
    MESSAGE_PING,
    MESSAGE_REFUSAL,
} message_kind;

/* Where a client that resumes left off. An empty epoch: it does not resume. */
typedef struct position {
    char epoch[64];
    uint64_t seq;
} position;

typedef struct protocol {
    const char *name;
    bool lines;        /* NATS over TCP; all others are WebSockets */
    bool binary;       /* its WebSocket messages are */
    const char *path;  /* of the upgrade; a %s in it is the topic, and the upgrade subscribes */
    const char *hello; /* sent after the upgrade; its answer is awaited. Or NULL */
    const char *pong;  /* the answer to MESSAGE_PING, or NULL */
    int (*subscribe)(char *out, size_t size, const char *topic, unsigned id, const position *since);
    message_kind (*classify)(const char *text, size_t length);
} protocol;

const protocol *protocol_find(const char *name);

/* Writes the request that opens a WebSocket. Returns its length. */
int protocol_upgrade(const protocol *p, char *out, size_t size, const char *topic);

#endif
