/* http_stream.h - what the request of a stream route asks for.
 *
 * Ownership  results are appended to the caller's buffers; slices point into those or into the
 *            request.
 * Threads    any.
 * Units      seq < 2^53.
 * Errors     LEAT_EBADMSG and a static sentence.
 */
#ifndef LEAT_HTTP_HTTP_STREAM_H
#define LEAT_HTTP_HTTP_STREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/sub.h"
#include "wire/http.h"

/* True if the client wants Server-Sent Events (Accept: text/event-stream). */
bool leat_http_stream_wants_sse(const leat_http_request *r);

/* True if it is, besides, an EventSource: the HTML standard has it ask past all caches, and give up
 * for good on any status but 200. */
bool leat_http_stream_is_event_source(const leat_http_request *r);

/* Appends the query's parameters as a JSON object of strings, without token; of a name that comes
 * twice, the first. */
LEAT_MUST_CHECK int leat_http_stream_params(const leat_http_request *r, leat_buf *out,
                                            const char **reason);

/* Where to go on from: Last-Event-ID (one that is not ours is no position), else ?epoch=…&seq=….
 * epoch is scratch space, and must outlive *out. */
LEAT_MUST_CHECK int leat_http_stream_since(const leat_http_request *r, bool sse, leat_buf *epoch,
                                           leat_named_position *out, const char **reason);

#endif
