/* http.h - one HTTP/1.1 request, read by llhttp, with limits; and the writing of responses.
 *
 * Ownership  the parser owns the bytes of the request it has read; slices of leat_http_request are
 *            borrowed from it until _reset or _free.
 * Threads    any, one at a time.
 * Units      bytes.
 * Errors     _feed returns the HTTP status to answer with (400, 413, 414, 431, 501, 505; 408 is
 *            the caller's), 0 if all is well. After a refusal the parser is good for _reset or
 *            _free.
 *
 * Stricter than llhttp: HTTP/1.0 and 1.1 only, no white space before ':', no folded lines, no bare
 * LF, exactly one Host on 1.1, no request with both Content-Length and Transfer-Encoding, no
 * duplicate Content-Length, no control characters or NUL in values; targets in origin-form, or in
 * absolute-form with http://, or over TLS with https://, whose authority is then left out of
 * target. An Expect other than
 * 100-continue is refused with 417; HTTP/1.0 has none (RFC 9110 §10.1.1). Trailers are checked and
 * dropped.
 */
#ifndef LEAT_WIRE_HTTP_H
#define LEAT_WIRE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/slice.h"

typedef struct leat_http_parser leat_http_parser;

typedef struct leat_http_limits {
    size_t max_head;    /* request line and headers: 431 (414 if the line alone is too long) */
    size_t max_headers; /* their number: 431 */
    size_t max_body;    /* 413 */
    size_t max_url;     /* path and query, as sent: 414; 0: as long as max_head allows */
} leat_http_limits;

typedef struct leat_http_header {
    leat_slice name;  /* in lower case */
    leat_slice value; /* trimmed */
} leat_http_header;

typedef struct leat_http_request {
    leat_slice method; /* "GET" */
    leat_slice target; /* path and query as sent: "/a%20b?x=1" */
    leat_slice path;   /* before '?', percent-encoding untouched */
    leat_slice query;  /* after '?', without it; at == NULL if there is none */
    leat_slice host; /* that of an absolute-form target, else that of Host (RFC 9112 §3.2.2); at ==
                        NULL if there is neither */
    const leat_http_header *headers;
    size_t n_headers;
    leat_slice body;       /* empty until the request is whole */
    bool has_body;         /* one of at least a byte, or of chunks, follows the head */
    bool expects_continue; /* the client waits for 100 Continue before it sends the body */
    bool keep_alive;
    bool upgrade;   /* Connection: upgrade was asked for */
    int minor;      /* HTTP/1.minor */
    leat_slice tls; /* tls_facts.h, packed; at == NULL: the connection is plain */
} leat_http_request;

typedef enum leat_http_progress {
    LEAT_HTTP_MORE,  /* more bytes are needed */
    LEAT_HTTP_HEAD,  /* the head is whole, and a body follows: told once */
    LEAT_HTTP_WHOLE, /* the request is whole, its body included */
} leat_http_progress;

/* Of the pool, which outlives the parser; NULL: of malloc. */
leat_http_parser *leat_http_parser_new(leat_pool *pool, const leat_http_limits *limits);
void leat_http_parser_free(leat_http_parser *p);
/* All requests come by TLS. facts are borrowed for the parser's life. */
void leat_http_parser_set_tls(leat_http_parser *p, leat_slice facts);

/* Feeds bytes and writes how many were used. It stops behind the head of a request that has a body,
 * so that the caller decides whether the body is read: feeding on reads it. It stops behind a whole
 * request, too: the rest of the bytes belongs to what follows, a pipelined request or the upgraded
 * protocol. */
int leat_http_feed(leat_http_parser *p, const char *bytes, size_t len, size_t *used,
                   leat_http_progress *progress);

/* The request, once its head is whole. */
const leat_http_request *leat_http_parser_request(const leat_http_parser *p);

/* True if the request is whole, so that the next byte of the connection is none of its own. */
bool leat_http_parser_whole(const leat_http_parser *p);

/* Bytes of memory that the parser holds for what a peer sent. */
size_t leat_http_parser_bytes(const leat_http_parser *p);

/* True once the first byte of a request has been fed (the empty lines that may precede it do not
 * count). */
bool leat_http_parser_started(const leat_http_parser *p);

/* Ready for the next request on the connection. */
void leat_http_parser_reset(leat_http_parser *p);

/* The first header of that (lower-case) name; at == NULL if there is none. */
leat_slice leat_http_find(const leat_http_request *r, const char *name);

/* How many lines have that (lower-case) name. */
size_t leat_http_count(const leat_http_request *r, const char *name);

/* Walks a comma-separated header value: *rest begins as the value. Items are trimmed, empty ones
 * passed over. False at the end. */
bool leat_http_list_next(leat_slice *rest, leat_slice *item);

/* True if a comma-separated header, over all its lines, has the token (compared without case). */
bool leat_http_has_token(const leat_http_request *r, const char *name, const char *token);

/* The value of a query parameter, percent-decoded ('+' is a space), appended to out. False if it is
 * absent or malformed. */
bool leat_http_query_get(leat_slice query, const char *name, leat_buf *out);

/* Walks a query: *rest begins as the query. Appends the decoded name and value to the two buffers
 * (emptied first). False at the end. Malformed escapes, and %00, are kept as they stand. */
bool leat_http_query_next(leat_slice *rest, leat_buf *name, leat_buf *value);

/* Percent-decodes ('+' stays) and appends; false, and nothing appended, if malformed or if a NUL
 * comes out. */
bool leat_http_unescape(leat_buf *out, leat_slice text);

/* Walks the Cookie header likewise (RFC 6265 §5.4), slices into it. Quotes around a value are part
 * of it. */
bool leat_http_cookie_next(leat_slice *rest, leat_slice *name, leat_slice *value);

const char *leat_http_reason(int status); /* "Not Found" */
int leat_http_status_of(leat_code code);  /* of a refusal: 401, 403, 404, 503, ... */

/* Appends a date as HTTP writes it: "Sun, 06 Nov 1994 08:49:37 GMT". */
void leat_http_write_date(leat_buf *out, int64_t unix_seconds);

/* Appends the status line and the Date line, for responses that _write_response is not made for. */
void leat_http_write_status(leat_buf *out, int status);

/* Appends status line, Date, Content-Length, Connection, the extra header lines (each with its
 * CRLF; may be NULL) and the body. content_type NULL: none. head_only: no body (HEAD), its length
 * still told. 1xx, 204 and 304 have neither body nor length. */
void leat_http_write_response(leat_buf *out, int status, const char *content_type,
                              const char *extra_headers, leat_slice body, bool keep_alive,
                              bool head_only);

#endif
