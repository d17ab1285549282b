/* http_peer.h - who is at the other end of a connection: the peer itself, or the client for whom a
 * trusted proxy passes a request on.
 *
 * Ownership  a peer is embedded in its connection; its slot (net/address_limit) belongs to the
 *            connection's socket, whoever serves it.
 * Threads    loop thread of the worker.
 * Units      milliseconds.
 * Errors     a refusal is a verdict.
 */
#ifndef LEAT_HTTP_HTTP_PEER_H
#define LEAT_HTTP_HTTP_PEER_H

#include <stdbool.h>

#include "net/address_limit.h"
#include "net/conn.h"
#include "wire/http.h"

typedef struct leat_http_peer {
    leat_ip ip;
    bool known;      /* it has an IP address */
    bool trusted;    /* it is one of trusted_proxies, and may speak for others */
    bool introduced; /* a PROXY header came first: this is its address, or the proxy's if that was
                        all that the header said */
} leat_http_peer;

leat_http_peer leat_http_peer_of(const struct sockaddr_storage *addr, const leat_networks *trusted);

/* Counts a connection that has just come. A trusted proxy's is not counted: its clients are. */
leat_address_verdict leat_http_peer_enter(const leat_http_peer *peer, leat_address_limit *limits,
                                          uint64_t now_ms, leat_address_slot **slot);

/* For a request that came through a trusted proxy: finds its client, counts the connection as that
 * client's from now on, and names the client as the socket's remote. */
leat_address_verdict leat_http_peer_identify(const leat_http_peer *peer, leat_conn *conn,
                                             const leat_http_request *r,
                                             const leat_networks *trusted,
                                             leat_address_limit *limits, uint64_t now_ms);

/* True if the peer is on this machine and speaks for itself, as far as the request tells. An
 * address in a PROXY header is one of the proxy's machine, or of a network behind it; without one
 * in it, anybody may be behind the proxy. */
bool leat_http_peer_is_local(const leat_http_peer *peer, const leat_http_request *r);

/* The host that the client asked for, port included: the request's, or the one that a trusted proxy
 * names instead. Empty if there is none. */
leat_slice leat_http_peer_host(const leat_http_peer *peer, const leat_http_request *r);

/* Why a page of the request's Origin may use this server, or not: see allowed_origins
 * (config/leat.lua). */
typedef enum leat_http_origin {
    LEAT_HTTP_ORIGIN_REFUSED,
    LEAT_HTTP_ORIGIN_ABSENT, /* clients that are no browsers send none */
    LEAT_HTTP_ORIGIN_OWN,    /* a page of this server; allowed_origins is empty */
    LEAT_HTTP_ORIGIN_LISTED, /* by its name */
    LEAT_HTTP_ORIGIN_ANY,    /* only by the star */
} leat_http_origin;

leat_http_origin leat_http_peer_origin(const leat_http_peer *peer, const leat_http_request *r,
                                       const char *allowed_origins);

#endif
