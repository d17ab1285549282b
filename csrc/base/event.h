/* event.h - one committed change of a topic, encoded once, shared by every recipient.
 *
 * Ownership  reference-counted: _new returns one reference, _ref adds one, _unref drops one and
 *            frees at the last. Immutable after _new.
 * Threads    references may be taken and dropped on any thread.
 * Units      bytes; seq counts from 1.
 * Errors     none (sizes are bounded by the caller).
 *
 * One block holds the topic, then the WebSocket frame: header, `{"op":"event","topic":…,"seq":…,
 * "data":`, the data, `}`. Whoever encodes it (wire/leat_v1) says where in the frame the payload
 * and the data lie, so that nobody encodes or copies the data a second time.
 */
#ifndef LEAT_BASE_EVENT_H
#define LEAT_BASE_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

typedef enum leat_event_kind {
    LEAT_EVENT_DATA,     /* stored: op "event" */
    LEAT_EVENT_SKIP,     /* stored, nothing to show (op "skip") */
    LEAT_EVENT_REVOKE,   /* stored: subject in data (JSON string or null); others see op "skip" */
    LEAT_EVENT_RESYNC,   /* stored: whoever comes to it takes a fresh snapshot; op "skip" */
    LEAT_EVENT_OVERSIZE, /* stored: an event too large to be held; as RESYNC */
    LEAT_EVENT_SIGNAL,   /* not stored: seq is 0 */
} leat_event_kind;

typedef struct leat_event leat_event;

/* In place of the seq of a topic's last revocation: there was none. 0: perhaps in a numbering
 * before this one. */
#define LEAT_NEVER_REVOKED (-1)

/* A new event with room for frame_len bytes of frame, to be filled through _frame_room before it
 * is shared. payload_at: where the frame's payload starts; data_at, data_len: the data in the
 * frame. */
leat_event *leat_event_new(leat_event_kind kind, leat_slice topic, int64_t seq, size_t frame_len,
                           size_t payload_at, size_t data_at, size_t data_len);
char *leat_event_frame_room(leat_event *e);

leat_event *leat_event_ref(leat_event *e);
void leat_event_unref(leat_event *e);

leat_event_kind leat_event_kind_of(const leat_event *e);
leat_slice leat_event_topic(const leat_event *e);
int64_t leat_event_seq(const leat_event *e);
leat_slice leat_event_frame(const leat_event *e);   /* what a WebSocket client is sent */
leat_slice leat_event_payload(const leat_event *e); /* the JSON message in it */
leat_slice leat_event_data(const leat_event *e);    /* the JSON text of data in it */
size_t leat_event_bytes(const leat_event *e);       /* what it costs in memory */

#endif
