/* sse.h - the same messages as Server-Sent Events (WHATWG HTML, "Server-sent events").
 *
 * Ownership  writers append to the caller's buffer.
 * Threads    any.
 * Units      none.
 * Errors     none.
 *
 * A leat.v1 frame becomes `event: OP`, `id: epoch:seq` where the message has a position, `data:`
 * the same JSON.
 */
#ifndef LEAT_WIRE_SSE_H
#define LEAT_WIRE_SSE_H

#include "base/buf.h"
#include "base/slice.h"

/* The head of the response: 200, text/event-stream, no caching, no buffering by proxies; then
 * further lines, each with its CRLF. */
void leat_sse_write_head(leat_buf *out, leat_slice lines);

/* Everything before the JSON of one message; after the JSON comes LEAT_SSE_END. epoch.at == NULL:
 * no id line. JSON on the wire has no line breaks, so one data line holds it. */
void leat_sse_write_prefix(leat_buf *out, const char *op, leat_slice epoch, int64_t seq);
#define LEAT_SSE_END "\n\n"

/* Splits a Last-Event-ID into epoch and seq; false if it is not one of ours. */
bool leat_sse_parse_id(leat_slice id, leat_slice *epoch, int64_t *seq);

#endif
