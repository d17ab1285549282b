/* deflate_offer.h - negotiating permessage-deflate in the opening handshake (RFC 7692 §5 and §7.1,
 * RFC 6455 §9.1).
 *
 * Ownership  nothing is kept; slices point into the request.
 * Threads    any.
 * Units      window sizes are exponents of 2: 8 to 15.
 * Errors     a malformed header is LEAT_DEFLATE_MALFORMED: the handshake is refused with 400.
 *
 * The server always answers with both server_no_context_takeover and client_no_context_takeover. So
 * no connection keeps a window, and the compressed bytes of an event are good for every client.
 */
#ifndef LEAT_WIRE_DEFLATE_OFFER_H
#define LEAT_WIRE_DEFLATE_OFFER_H

#include "base/buf.h"
#include "wire/http.h"

typedef enum leat_deflate_answer {
    LEAT_DEFLATE_DECLINED, /* nothing that we can accept was offered: no extension */
    LEAT_DEFLATE_ACCEPTED,
    LEAT_DEFLATE_MALFORMED, /* Sec-WebSocket-Extensions does not follow its grammar */
} leat_deflate_answer;

typedef struct leat_deflate_terms {
    uint8_t window_bits; /* the largest window that the client's inflater has; 0: not accepted */
    bool window_asked;   /* the client asked for that window: the answer repeats it */
} leat_deflate_terms;

/* Reads all Sec-WebSocket-Extensions headers of the request and takes the first offer of
 * permessage-deflate whose parameters are all known and valid. */
leat_deflate_answer leat_deflate_read_offers(const leat_http_request *r, leat_deflate_terms *terms);

/* Appends the header line that accepts the offer, CRLF included. */
void leat_deflate_write_answer(leat_buf *out, const leat_deflate_terms *terms);

#endif
