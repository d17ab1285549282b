/* protocol.c - one table for each kind of server.
 *
 * raw and rawbatch answer as Leat does, and so does the small server on top of the package ws, so
 * they share its table.
 */
#include "load/protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool begins(const char *text, size_t length, const char *with)
{
    size_t n = strlen(with);
    return length >= n && memcmp(text, with, n) == 0;
}

static bool contains(const char *text, size_t length, const char *what)
{
    return memmem(text, length < 128 ? length : 128, what, strlen(what)) != NULL;
}

static int leat_subscribe(char *out, size_t size, const char *topic, unsigned id,
                          const position *since)
{
    if (since->epoch[0] == '\0')
        return snprintf(out, size, "{\"op\":\"subscribe\",\"id\":%u,\"topic\":\"%s\"}", id, topic);
    return snprintf(out, size,
                    "{\"op\":\"subscribe\",\"id\":%u,\"topic\":\"%s\","
                    "\"since\":{\"epoch\":\"%s\",\"seq\":%" PRIu64 "}}",
                    id, topic, since->epoch, since->seq);
}

static message_kind leat_classify(const char *text, size_t length)
{
    if (begins(text, length, "{\"op\":\"event\""))
        return MESSAGE_EVENT;
    if (begins(text, length, "{\"op\":\"snapshot\"") || begins(text, length, "{\"op\":\"resumed\""))
        return MESSAGE_SUBSCRIBED;
    if (begins(text, length, "{\"op\":\"error\"") || begins(text, length, "{\"op\":\"closed\""))
        return MESSAGE_REFUSAL;
    return MESSAGE_OTHER;
}

static message_kind nchan_classify(const char *text, size_t length)
{
    (void)text;
    (void)length;
    return MESSAGE_EVENT;
}

static int socketio_subscribe(char *out, size_t size, const char *topic, unsigned id,
                              const position *since)
{
    (void)id;
    (void)since;
    return snprintf(out, size, "42[\"subscribe\",\"%s\"]", topic);
}

static message_kind socketio_classify(const char *text, size_t length)
{
    if (begins(text, length, "42[\"event\""))
        return MESSAGE_EVENT;
    if (begins(text, length, "42[\"subscribed\""))
        return MESSAGE_SUBSCRIBED;
    if (begins(text, length, "40"))
        return MESSAGE_WELCOME;
    return begins(text, length, "2") ? MESSAGE_PING : MESSAGE_OTHER;
}

static int centrifugo_subscribe(char *out, size_t size, const char *topic, unsigned id,
                                const position *since)
{
    (void)since;
    return snprintf(out, size, "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\"}}", id + 1, topic);
}

static message_kind centrifugo_classify(const char *text, size_t length)
{
    if (contains(text, length, "\"push\":"))
        return MESSAGE_EVENT;
    if (contains(text, length, "\"error\":"))
        return MESSAGE_REFUSAL;
    if (contains(text, length, "\"connect\":"))
        return MESSAGE_WELCOME;
    if (contains(text, length, "\"subscribe\":"))
        return MESSAGE_SUBSCRIBED;
    return begins(text, length, "{}") ? MESSAGE_PING : MESSAGE_OTHER;
}

/* Of Centrifugo's protocol as Protobuf: each message has its length before it, and the first byte
 * of a field tells its number and type. */
static int proto_subscribe(char *out, size_t size, const char *topic, unsigned id,
                           const position *since)
{
    int n = (int)strlen(topic);
    int number = (int)id + 1;
    (void)since;
    return snprintf(out, size, "%c\x08%c%c\x2a%c\x0a%c%s", n + 7, (number & 127) | 128, number >> 7,
                    n + 2, n, topic);
}

/* Has the id 1, and a name: an empty one would have a zero byte. */
#define PROTO_CONNECT "\x07\x08\x01\x22\x03\x22\x01x"

/* All bytes of a number but the last have the highest bit. */
static size_t after_number(const char *text, size_t length, size_t at)
{
    while (at < length && (text[at] & 0x80) != 0)
        at++;
    return at < length ? at + 1 : length;
}

static message_kind proto_classify(const char *text, size_t length)
{
    enum { ID = 0x08, ERROR = 0x12, PUSH = 0x22, CONNECT = 0x2a, SUBSCRIBE = 0x32 };
    size_t at = after_number(text, length, 0); /* the length */
    if (at == length)
        return MESSAGE_PING;
    if (text[at] == ID)
        at = after_number(text, length, at + 1);
    if (at == length)
        return MESSAGE_OTHER;
    switch (text[at]) {
    case PUSH:
        return MESSAGE_EVENT;
    case ERROR:
        return MESSAGE_REFUSAL;
    case CONNECT:
        return MESSAGE_WELCOME;
    case SUBSCRIBE:
        return MESSAGE_SUBSCRIBED;
    default:
        return MESSAGE_OTHER;
    }
}

static int nats_subscribe(char *out, size_t size, const char *topic, unsigned id,
                          const position *since)
{
    (void)since;
    return snprintf(out, size, "SUB %s %u\r\nPING\r\n", topic, id);
}

static message_kind nats_classify(const char *text, size_t length)
{
    if (begins(text, length, "MSG "))
        return MESSAGE_EVENT;
    if (begins(text, length, "PONG"))
        return MESSAGE_SUBSCRIBED;
    if (begins(text, length, "-ERR"))
        return MESSAGE_REFUSAL;
    return begins(text, length, "PING") ? MESSAGE_PING : MESSAGE_OTHER;
}

static const protocol protocols[] = {
    {"leat", false, false, "/ws", NULL, NULL, leat_subscribe, leat_classify},
    {"nchan", false, false, "/sub/%s", NULL, NULL, NULL, nchan_classify},
    {"socketio", false, false, "/socket.io/?EIO=4&transport=websocket", "40", "3",
     socketio_subscribe, socketio_classify},
    {"centrifugo", false, false, "/connection/websocket", "{\"id\":1,\"connect\":{}}", "{}",
     centrifugo_subscribe, centrifugo_classify},
    {"centrifugo-protobuf", false, true, "/connection/websocket?cf_protocol=protobuf",
     PROTO_CONNECT, NULL, proto_subscribe, proto_classify},
    {"nats", true, false, NULL, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n", "PONG\r\n",
     nats_subscribe, nats_classify},
};

const protocol *protocol_find(const char *name)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        if (strcmp(protocols[i].name, name) == 0)
            return &protocols[i];
    return NULL;
}

int protocol_upgrade(const protocol *p, char *out, size_t size, const char *topic)
{
    const char *mark = strstr(p->path, "%s");
    int before = mark != NULL ? (int)(mark - p->path) : (int)strlen(p->path);
    return snprintf(out, size,
                    "GET %.*s%s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    before, p->path, mark != NULL ? topic : "");
}
