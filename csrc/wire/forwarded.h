/* forwarded.h - what proxies say about the request that they pass on: X-Forwarded-For, -Host,
 * -Proto, and Forwarded (RFC 7239).
 *
 * Ownership  slices point into the request.
 * Threads    any.
 * Units      none.
 * Errors     none: what is malformed is an element without content.
 *
 * These headers are worth what the peer that sent them is worth: only a trusted proxy's may be
 * believed.
 */
#ifndef LEAT_WIRE_FORWARDED_H
#define LEAT_WIRE_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "wire/http.h"

enum {
    LEAT_FORWARDED_HOPS = 16, /* of a longer chain, those nearest to us */
};

/* True if any header says that a proxy passes the request on. */
bool leat_forwarded_any(const leat_http_request *r);

/* Writes the addresses for which the request was passed on, as texts, the one that the peer itself
 * saw first, and returns their number. X-Forwarded-For counts, or Forwarded where that is absent.
 * An element without an address is empty. */
size_t leat_forwarded_hops(const leat_http_request *r, leat_slice hops[LEAT_FORWARDED_HOPS]);

/* The host that the client asked the peer for; at == NULL if the peer does not say. */
leat_slice leat_forwarded_host(const leat_http_request *r);

#endif
