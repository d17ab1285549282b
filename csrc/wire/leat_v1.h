/* leat_v1.h - the messages of subprotocol leat.v1, both ways; the only place that knows them.
 *
 * Ownership  a parsed message borrows from the text and from the scratch buffer passed in. Writers
 *            append to the caller's buffer, or return an owned event.
 * Threads    any.
 * Units      seq < 2^53; 0 < timeout_ms <= 2^53.
 * Errors     parsing returns LEAT_EBADMSG and a sentence that names what was wrong; id is set if
 *            it could be read. Writing cannot fail.
 *
 * Ready-made JSON is trusted to be valid. Line breaks in it, which can only be white space, are
 * written as spaces, so that a message is one line (SSE relies on it). Text for people that is not
 * UTF-8 is written with '?'.
 */
#ifndef LEAT_WIRE_LEAT_V1_H
#define LEAT_WIRE_LEAT_V1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/event.h"
#include "base/failure.h"
#include "base/slice.h"
#include "wire/codec.h"

#define LEAT_TOPIC_MAX 255
#define LEAT_SEQ_MAX ((INT64_C(1) << 53) - 1)

/* The protocol as the core uses it. */
extern const leat_codec leat_v1_codec;

/* Parses one client message; scratch is emptied first. reason (size bytes) gets the sentence for
 * the error answer. Unknown members are ignored; members of the wrong type, a missing topic, a bad
 * topic, a duplicate member, a seq out of range and a timeout that is not a positive integer are
 * errors. Required: op always; topic for subscribe, unsubscribe, publish; data for publish; method
 * for call; token for authenticate. An id is optional for all; it is at most 128 bytes of JSON. On
 * an error nothing of *out is set but id. LEAT_ETOOLARGE: the text has more than max_values JSON
 * values (each element, each member's value, and each array and object counts). */
LEAT_MUST_CHECK int leat_v1_parse(leat_message *out, leat_slice text, size_t max_values,
                                  leat_buf *scratch, char *reason, size_t reason_size);

/* 1 to 255 bytes of UTF-8 without control characters (C0, DEL, C1). */
bool leat_v1_topic_ok(leat_slice topic);

/* Each appends one message. id.at == NULL leaves "id" out; message == NULL (or "") leaves "message"
 * out; retry_after_ms 0 leaves it out. */
bool leat_v1_write_snapshot(leat_buf *out, leat_slice id, const leat_subscribed *sub);
void leat_v1_write_resumed(leat_buf *out, leat_slice id, const leat_subscribed *sub);
/* data_json.at == NULL: no data. written: the positions of what the request has published, as
 * wire/written.h keeps them. */
void leat_v1_write_ok(leat_buf *out, leat_slice id, leat_slice data_json, leat_slice written);
void leat_v1_write_error(leat_buf *out, leat_slice id, const leat_failure *failure);
/* An error about one topic that answers no request (stream routes). */
void leat_v1_write_topic_error(leat_buf *out, leat_slice topic, const leat_failure *failure);
/* retry_after_ms is left out: the subscription has ended for good. */
void leat_v1_write_closed(leat_buf *out, leat_slice topic, const leat_failure *failure);

/* The op of an event's message. */
const char *leat_v1_event_name(leat_event_kind kind);

/* Encodes an event once, as a WebSocket frame: op event, skip or signal by kind. A REVOKE is framed
 * as skip; its subject is the event's data, which lies behind the frame and is never sent. Returns
 * owned. */
leat_event *leat_v1_event(leat_event_kind kind, leat_slice topic, int64_t seq,
                          leat_slice data_json);
/* Encodes a conflating signal. The key is not sent. Returns owned. */
leat_event *leat_v1_conflating(leat_slice topic, leat_slice key, leat_slice data_json);

#endif
