/* http_headers.h - the header lines of an answer besides its own: those that every answer has, and
 * those that let pages of other origins read it (CORS).
 *
 * Ownership  lines are appended to the caller's buffer.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_HTTP_HTTP_HEADERS_H
#define LEAT_HTTP_HTTP_HEADERS_H

#include "http/http_conn.h"

/* Appends the answer's own lines (each with its CRLF; may be NULL), all others, and a zero byte. A
 * header that the answer sets itself is not written again. */
void leat_http_headers_write(leat_buf *out, leat_http_conn *c, const char *own);

/* The value of the first header of that name among lines, each with its CRLF; at == NULL if there
 * is none. lines may be NULL. */
leat_slice leat_http_headers_find(const char *lines, const char *name);

/* True if the request asks whether a page may send another one (a preflight of CORS). */
bool leat_http_headers_is_preflight(const leat_http_request *r);

/* Appends the lines that answer a preflight. methods: those that the path answers. */
void leat_http_headers_write_preflight(leat_buf *out, leat_http_conn *c, leat_slice methods);

#endif
