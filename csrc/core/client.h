/* client.h - one connected client: its protocol, its subscriptions, its requests.
 *
 * Ownership  a client owns its conn, its session and its subscriptions, and frees itself once the
 *            conn is gone.
 * Threads    loop thread only.
 * Units      bytes; milliseconds.
 * Errors     what a client does wrong is answered on its wire; nothing is returned.
 */
#ifndef LEAT_CORE_CLIENT_H
#define LEAT_CORE_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "core/core.h"
#include "core/script.h"
#include "core/sub.h"
#include "net/opening.h"
#include "wire/codec.h"

typedef struct leat_client leat_client;

typedef enum leat_transport {
    LEAT_TRANSPORT_WS,        /* WebSocket, any number of topics */
    LEAT_TRANSPORT_WS_STREAM, /* a stream route's socket: one topic, closed with it */
    LEAT_TRANSPORT_SSE,       /* the same as Server-Sent Events */
} leat_transport;

/* Takes what opening holds, and the session. codec: its protocol; streams are leat.v1. */
leat_client *leat_client_new(leat_core *core, leat_opening *opening, leat_transport transport,
                             const leat_codec *codec, leat_session *session);

typedef void (*leat_guest_cb)(void *arg);

/* A WebSocket client that brings its token in its first message. session: a guest's, which the
 * connect handler renews. on_end(arg) is called once, when the client is let in or closed. */
leat_client *leat_client_new_guest(leat_core *core, leat_opening *opening, const leat_codec *codec,
                                   leat_session *session, leat_guest_cb on_end, void *arg);

/* Stream routes: begins the topic's subscription. The request has a grant, made before the upgrade,
 * and the mark of when its handler began. */
void leat_client_stream(leat_client *c, const leat_sub_request *request);

/* Closes every client of the worker. If until_ms is 0, it closes them at once. Otherwise it closes
 * each after a random time, once no request of the client is open, and by until_ms in any case. */
void leat_client_drain_all(leat_core *core, uint64_t until_ms);

#endif
