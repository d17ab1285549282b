/* client.h - one connected client: its protocol, its subscriptions, its flow control.
 *
 * Ownership  a client owns its conn, its session and its subscriptions, and frees itself once the
 *            conn has closed.
 * Threads    loop thread only.
 * Units      bytes; milliseconds.
 * Errors     what a client does wrong is answered on its wire; nothing is returned.
 */
#ifndef LEAT_CORE_CLIENT_H
#define LEAT_CORE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"
#include "core/script.h"
#include "core/sub.h"
#include "core/topic.h"
#include "net/conn.h"

typedef struct leat_client leat_client;

typedef enum leat_transport {
    LEAT_TRANSPORT_WS,        /* leat.v1 over WebSocket, any number of topics */
    LEAT_TRANSPORT_WS_STREAM, /* a stream route's socket: one topic, closed with it */
    LEAT_TRANSPORT_SSE,       /* the same as Server-Sent Events */
} leat_transport;

/* Takes conn (whose 101 or SSE head has been queued by the caller) and the session. Bytes that came
 * after the request's head are to be passed to leat_client_feed at once. */
leat_client *leat_client_new(leat_core *core, leat_conn *conn, leat_transport transport,
                             leat_session *session);
void leat_client_feed(leat_client *c, const char *bytes, size_t len);

/* Stream routes: the topic's handshake goes on from the grant (taken) that was authorised, with
 * those params, before the upgrade; seen: leat_topic_mark_now when its handler began. */
void leat_client_stream(leat_client *c, leat_slice topic, leat_slice params, leat_grant *grant,
                        leat_topic_mark seen, leat_since since, uint64_t deadline_ms);

/* Closes with an RFC 6455 or Leat close code (SSE: ends the response). */
void leat_client_close(leat_client *c, int code, const char *reason);

#endif
