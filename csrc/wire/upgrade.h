/* upgrade.h - the WebSocket opening handshake, server side (RFC 6455 §4.2).
 *
 * Ownership  nothing is kept; slices point into the request.
 * Threads    any; a leat_accept, one at a time.
 * Units      none.
 * Errors     leat_upgrade_check returns the HTTP status to refuse with (400, 405, 426 with Sec-
 *            WebSocket-Version: 13), 0 if all is well.
 *
 * The only extension that is known is permessage-deflate. Whether an offer of it is accepted is the
 * caller's decision.
 */
#ifndef LEAT_WIRE_UPGRADE_H
#define LEAT_WIRE_UPGRADE_H

#include <stdbool.h>

#include "base/buf.h"
#include "wire/deflate_offer.h"
#include "wire/http.h"

#define LEAT_UPGRADE_SUBPROTOCOL "leat.v1"

typedef struct leat_upgrade {
    leat_slice key;             /* Sec-WebSocket-Key */
    bool offers_subprotocols;   /* it offered some */
    leat_deflate_terms deflate; /* window_bits 0: no offer that can be accepted */
} leat_upgrade;

/* True if this is meant as a WebSocket upgrade (Upgrade: websocket), well-formed or not. */
bool leat_upgrade_wanted(const leat_http_request *r);

/* Checks the handshake. On refusal *reason is a static sentence. */
int leat_upgrade_check(const leat_http_request *r, leat_upgrade *out, const char **reason);

/* True if the client offered that subprotocol. Names have a case. */
bool leat_upgrade_offers(const leat_http_request *r, const char *subprotocol);

/* What computes Sec-WebSocket-Accept: made once, because to look up a hash function costs OpenSSL
 * more than to hash. One a thread. */
typedef struct leat_accept leat_accept;

leat_accept *leat_accept_new(void);
void leat_accept_free(leat_accept *a); /* NULL is allowed */

/* Appends the 101 response. subprotocol may be NULL; deflate is NULL if no offer is accepted. */
void leat_upgrade_write_accept(leat_buf *out, leat_accept *a, leat_slice key,
                               const char *subprotocol, const leat_deflate_terms *deflate);

#endif
