/* head.h - a request's head in one run of bytes, without the body: what a session keeps of it, and
 * what ctx.request reads.
 *
 * Ownership  packing appends to the caller's buffer; slices of a leat_head point into the packed
 *            bytes.
 * Threads    any.
 * Units      bytes.
 * Errors     none: only what _pack and _repack wrote is ever read.
 */
#ifndef LEAT_WIRE_HEAD_H
#define LEAT_WIRE_HEAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"
#include "wire/http.h"

/* The fixed fields; absent ones have at == NULL. headers is walked with leat_head_next. */
typedef struct leat_head {
    leat_slice method;
    leat_slice path; /* percent-encoded, as sent */
    leat_slice query;
    leat_slice remote;
    leat_slice token; /* replaces what the headers and the query say; absent: they count */
    leat_slice headers;
} leat_head;

/* token.at == NULL: the request's own counts. */
void leat_head_pack(leat_buf *out, const leat_http_request *request, const char *remote,
                    leat_slice token);

/* Packs a head anew as sessions keep it: without what only the opening of a WebSocket needed.
 * token.at != NULL replaces the token. head may be NULL: an empty one. */
void leat_head_repack(leat_buf *out, const leat_head *head, leat_slice token);

/* Reads what was packed. */
leat_head leat_head_read(leat_slice packed);

/* Takes the next header off head->headers. False at the end. */
bool leat_head_next(leat_slice *rest, leat_slice *name, leat_slice *value);

/* The token: the one that replaces, else Authorization's Bearer, else ?token=, which is decoded
 * into scratch. at == NULL if there is none. */
leat_slice leat_head_token(const leat_head *head, leat_buf *scratch);

#endif
