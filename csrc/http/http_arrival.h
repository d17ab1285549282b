/* http_arrival.h - connections that come from a proxy of proxy_protocol_from, until their PROXY
 * header is read and tells whose they are.
 *
 * Ownership  an arrival owns its socket until on_known, which takes it; it frees itself.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     a connection without a header, or whose header is late, is closed and counted.
 */
#ifndef LEAT_HTTP_HTTP_ARRIVAL_H
#define LEAT_HTTP_HTTP_ARRIVAL_H

#include "http/http_peer.h"
#include "http/http_side.h"

/* An accepted socket, and who is at its other end. */
typedef struct leat_http_newcomer {
    int socket;
    const struct sockaddr_storage *addr;
    leat_http_peer peer;
    leat_http_door door;
    leat_slice first; /* bytes that were read from the socket before it came; usually none */
} leat_http_newcomer;

/* Takes the socket; borrows the rest. */
typedef void (*leat_http_arrival_cb)(leat_http_side *side, const leat_http_newcomer *n);

/* Takes the proxy's socket, and calls on_known once it is known for whom the proxy speaks. */
void leat_http_arrival_new(leat_http_side *side, const leat_http_newcomer *proxy,
                           leat_http_arrival_cb on_known);

/* Closes all of them. */
void leat_http_arrival_cancel_all(leat_http_side *side);

#endif
