/* sse_peer.h - a client that gets Server-Sent Events: it sends nothing, and its connection ends
 * with the response.
 *
 * Ownership, threads, units, errors  as peer.h says.
 */
#ifndef LEAT_NET_SSE_PEER_H
#define LEAT_NET_SSE_PEER_H

#include "net/peer.h"

/* Takes conn, on which the head of the response is queued. alive_ms: after so long a silence the
 * client gets a sign of life; 0: after ping_interval_ms. */
leat_peer *leat_sse_peer_new(leat_conn *conn, uint64_t alive_ms, const leat_net *net,
                             const leat_peer_handler *handler, void *owner);

#endif
