/* head.h - the head of an HTTP request, packed into one run of bytes. A session keeps it, and
 * ctx.request reads it.
 *
 * Ownership  packing appends to the buffer of the caller. The slices of a leat_head point into the
 *            packed bytes.
 * Threads    any.
 * Units      bytes.
 * Errors     none: only bytes that these functions wrote are read.
 */
#ifndef LEAT_WIRE_HEAD_H
#define LEAT_WIRE_HEAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"
#include "wire/http.h"

/* Absent fields have at == NULL. leat_head_next walks the headers. */
typedef struct leat_head {
    leat_slice method;
    leat_slice path; /* percent-encoded, as sent */
    leat_slice query;
    leat_slice remote;
    leat_slice tls;   /* tls_facts.h, packed; absent: the connection was plain */
    leat_slice token; /* replaces that of the headers and the query; absent: they count */
    leat_slice headers;
} leat_head;

/* token.at == NULL: the token of the request counts. */
void leat_head_pack(leat_buf *out, const leat_http_request *request, const char *remote,
                    leat_slice token);

/* Packs what a session keeps: all but the headers that only the opening of a WebSocket needs. */
void leat_head_pack_kept(leat_buf *out, const leat_http_request *request, const char *remote,
                         leat_slice token);

/* Packs a head again for a session, without those headers.
 * token replaces the token unless token.at is NULL. head NULL: an empty head. */
void leat_head_repack(leat_buf *out, const leat_head *head, leat_slice token);

/* Reads packed bytes. */
leat_head leat_head_read(leat_slice packed);

/* Removes the next header from *rest, which begins as head->headers. Returns false at the end. */
bool leat_head_next(leat_slice *rest, leat_slice *name, leat_slice *value);

/* Returns head->token, or else the Bearer token of the header Authorization, or else ?token=,
 * decoded into scratch. at == NULL if there is none. */
leat_slice leat_head_token(const leat_head *head, leat_buf *scratch);

#endif
