/* http_compress.h - the answer of a route, compressed where that is wanted and safe.
 *
 * Ownership  bytes are copied.
 * Threads    loop thread of the worker; long bodies are compressed on libuv's thread pool.
 * Units      bytes.
 * Errors     none.
 */
#ifndef LEAT_HTTP_HTTP_COMPRESS_H
#define LEAT_HTTP_HTTP_COMPRESS_H

#include "http/http_conn.h"

/* Answers the request, now or later, as leat_http_answer does. content_type may be NULL. headers
 * are the route's own lines. */
void leat_http_compress_answer(leat_http_conn *c, int status, const char *content_type,
                               const char *headers, leat_slice body);

#endif
