/* event.h - one committed change of a topic, encoded once, shared by every recipient.
 *
 * Ownership  reference-counted: _new returns one reference, _ref adds one, _unref drops one and
 *            frees at the last. Immutable after _new.
 * Threads    references may be taken and dropped on any thread.
 * Units      bytes; seq counts from 1; microseconds where a comment says so.
 * Errors     none (sizes are bounded by the caller).
 *
 * One block holds the topic, then the WebSocket frame: header, `{"op":"event","topic":…,"seq":…,
 * "data":`, the data, `}`. The encoder (wire/leat_v1_write.c) tells where in the frame the payload
 * and the data lie, so that the data is encoded and copied only once.
 *
 * An event may have other forms: the same event as another frame. The twin is the compressed one
 * (wire/deflate.h); another protocol has one, too (wire/codec.h), which may have a twin. A form is
 * made when the first client wants it. All others share it, on every thread.
 */
#ifndef LEAT_BASE_EVENT_H
#define LEAT_BASE_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

typedef enum leat_event_kind {
    LEAT_EVENT_DATA,     /* stored: op "event" */
    LEAT_EVENT_SKIP,     /* stored: nothing to show (op "skip") */
    LEAT_EVENT_REVOKE,   /* stored: subject in data (JSON string or null); others see op "skip" */
    LEAT_EVENT_RESYNC,   /* stored: a cursor that reaches it needs a fresh snapshot */
    LEAT_EVENT_OVERSIZE, /* stored: an event too large for memory; has the effect of RESYNC */
    LEAT_EVENT_SIGNAL,   /* not stored: seq is 0. With a key it is conflating */
} leat_event_kind;

typedef struct leat_event leat_event;

/* Stands for the seq of a topic's last revocation if there was none. 0 means that there may have
 * been one under an earlier numbering. */
#define LEAT_NEVER_REVOKED (-1)

/* Makes an event with room for a frame of frame_len bytes. The caller fills the frame through
 * leat_event_frame_room before it shares the event. payload_at, data_at and data_len tell where in
 * the frame the payload starts and where the data lies. */
leat_event *leat_event_new(leat_event_kind kind, leat_slice topic, int64_t seq, size_t frame_len,
                           size_t payload_at, size_t data_at, size_t data_len);
/* Makes a conflating signal: it replaces an earlier one with that key, which may be empty. */
leat_event *leat_event_new_conflating(leat_slice topic, leat_slice key, size_t frame_len,
                                      size_t payload_at, size_t data_at, size_t data_len);
char *leat_event_frame_room(leat_event *e);
/* When the event's transaction put it into the log, in microseconds since 1970 by Postgres' clock;
 * 0, as at first: not known. Before the event is shared. */
void leat_event_set_at(leat_event *e, int64_t at_us);

leat_event *leat_event_ref(leat_event *e);
void leat_event_unref(leat_event *e);

typedef enum leat_event_form {
    LEAT_FORM_COMPRESSED, /* the twin */
    LEAT_FORM_SECOND,     /* of another protocol */
    LEAT_FORM_THIRD,      /* likewise */
    LEAT_EVENT_FORMS,
} leat_event_form;

/* The event in that form: e itself if there is none (it is not worth it, or there is nothing to
 * show), NULL if nobody has asked yet. Borrowed: it lives as long as e. */
leat_event *leat_event_in_form(const leat_event *e, leat_event_form form);
/* Sets the form, unless another thread was faster. Takes made (no reference if it is e itself);
 * returns the event that is set. */
leat_event *leat_event_set_form(leat_event *e, leat_event_form form, leat_event *made);

leat_event_kind leat_event_kind_of(const leat_event *e);
leat_slice leat_event_topic(const leat_event *e);
/* at == NULL: it is no conflating signal. */
leat_slice leat_event_key(const leat_event *e);
int64_t leat_event_seq(const leat_event *e);
int64_t leat_event_at(const leat_event *e);         /* as it was set */
leat_slice leat_event_frame(const leat_event *e);   /* the bytes for a WebSocket client */
leat_slice leat_event_payload(const leat_event *e); /* the JSON message in it */
leat_slice leat_event_data(const leat_event *e);    /* the JSON text of data in it */
size_t leat_event_bytes(const leat_event *e);       /* its memory, without its forms */
size_t leat_event_form_bytes(const leat_event *e);  /* that of its forms, and of theirs */

#endif
