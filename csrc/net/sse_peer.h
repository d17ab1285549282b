/* sse_peer.h - a client that gets Server-Sent Events: it sends nothing, and its connection ends
 * with the response.
 *
 * Ownership, threads, units, errors  as peer.h says.
 */
#ifndef LEAT_NET_SSE_PEER_H
#define LEAT_NET_SSE_PEER_H

#include "net/peer.h"

/* Takes conn, on which the head of the response is queued. */
leat_peer *leat_sse_peer_new(leat_conn *conn, const leat_net *net, const leat_peer_handler *handler,
                             void *owner);

#endif
