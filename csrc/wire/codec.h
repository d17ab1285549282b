/* codec.h - what a client may say and what it is told, whatever its protocol; and the table of
 * functions that a protocol is.
 *
 * Ownership  a message borrows from the frame and from the scratch buffer. Writers append to the
 *            caller's buffer. A codec is static.
 * Threads    any.
 * Units      seq < 2^53; 0 < timeout_ms <= 2^53.
 * Errors     reading returns LEAT_EBADMSG or LEAT_ETOOLARGE and a sentence. Writing cannot fail.
 *
 * wire/leat_v1 is one codec. The core speaks to a client through the client's codec only.
 */
#ifndef LEAT_WIRE_CODEC_H
#define LEAT_WIRE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/epoch.h"
#include "base/err.h"
#include "base/event.h"
#include "base/failure.h"
#include "base/metrics.h"
#include "base/slice.h"
#include "wire/frame.h"

typedef enum leat_op {
    LEAT_OP_SUBSCRIBE,
    LEAT_OP_UNSUBSCRIBE,
    LEAT_OP_PUBLISH,
    LEAT_OP_CALL,
    LEAT_OP_AUTHENTICATE,
    LEAT_OP_HISTORY,
    LEAT_OP_RENEW,   /* the right to a topic: another token */
    LEAT_OP_ABSENT,  /* the protocol has it, and this server does not: `not_found` */
    LEAT_OP_NOTHING, /* a sign of life */
} leat_op;

typedef struct leat_message {
    leat_op op;
    leat_slice id;     /* what the codec wants back with the answer; at == NULL: nothing */
    leat_slice topic;  /* decoded, and well-formed */
    leat_slice method; /* decoded */
    leat_slice token;  /* decoded */
    leat_slice params; /* raw JSON; at == NULL if absent */
    leat_slice data;   /* raw JSON; at == NULL if absent */
    bool has_since;
    leat_slice since_epoch; /* decoded */
    int64_t since_seq;
    uint64_t timeout_ms; /* 0: none given */
    int64_t limit;       /* history: how many events; 0: none, -1: as many as there are */
    bool reverse;        /* history: the newest first */
    leat_slice known;    /* authenticate: positions by topic, for leat_codec.find_known */
} leat_message;

/* What a client is told when a subscription begins, or gets another snapshot. */
typedef struct leat_subscribed {
    leat_slice topic;
    leat_slice epoch;
    int64_t seq;
    bool stale;
    bool recovers;      /* made by the server: the client has brought a position */
    leat_slice data;    /* the snapshot; at == NULL: it goes on from the client's own position */
    uint64_t expires_s; /* the right to the topic ends in so many seconds; 0: never */
} leat_subscribed;

/* The answer to a history. */
typedef struct leat_stored_event {
    int64_t seq;
    leat_slice data;
} leat_stored_event;

typedef struct leat_stored {
    bool lost;        /* the position that the client gave is gone: nothing else of it is set */
    leat_slice epoch; /* where the topic stands */
    int64_t seq;
    const leat_stored_event *events; /* in the order that was asked for */
    size_t n;
} leat_stored;

/* What a client is told when its identity is accepted. */
typedef struct leat_welcome {
    leat_slice client;  /* its name, which no other connection of any server has */
    uint64_t expires_s; /* in so many seconds; 0: never */
    uint64_t ping_ms;   /* how often it is pinged by a message */
    leat_slice written; /* as write_ok's */
    leat_slice subs;    /* what write_sub has written, one after the other */
} leat_welcome;

typedef struct leat_codec {
    const char *name;   /* of the subprotocol */
    bool binary;        /* its WebSocket messages are binary */
    bool pings;         /* its clients do not see the pings of WebSocket */
    bool needs_id;      /* a request without an id cannot be told that it is wrong */
    uint64_t answer_ms; /* its clients wait no longer for an answer; 0: they say how long */
    leat_event_form form;
    leat_metric clients; /* how many there are */

    /* Reads the first message of a frame and takes it off the frame's front; a frame that is empty
     * then had no more. scratch is emptied first. reason (size bytes) gets the sentence for the
     * error answer. On an error nothing of *out is set but id. LEAT_ETOOLARGE: the message has more
     * than max_values JSON values (each element, each member's value, and each array and object
     * counts). */
    int (*read)(leat_message *out, leat_slice *frame, size_t max_values, leat_buf *scratch,
                char *reason, size_t reason_size);

    /* Each appends one message. id.at == NULL: it answers nothing. */
    /* Returns false if the client is told to subscribe anew instead. */
    bool (*write_snapshot)(leat_buf *out, leat_slice id, const leat_subscribed *sub);
    void (*write_resumed)(leat_buf *out, leat_slice id, const leat_subscribed *sub);
    /* written: the positions of what the request has published (written.h). */
    void (*write_ok)(leat_buf *out, leat_slice id, leat_slice data_json, leat_slice written);
    void (*write_welcome)(leat_buf *out, leat_slice id, const leat_welcome *welcome);
    void (*write_error)(leat_buf *out, leat_slice id, const leat_failure *failure);
    /* An error about one topic that answers no request (stream routes). */
    void (*write_topic_error)(leat_buf *out, leat_slice topic, const leat_failure *failure);
    void (*write_closed)(leat_buf *out, leat_slice topic, const leat_failure *failure);

    void (*write_ping)(leat_buf *out);

    /* The answer to a history. NULL: the protocol has none. */
    void (*write_history)(leat_buf *out, leat_slice id, const leat_stored *stored);
    /* Returns a subscription's params with another token in them, written to scratch. Absent: they
     * have no place for one. NULL: the protocol does not renew a right. */
    leat_slice (*with_token)(leat_slice params, leat_slice token, leat_buf *scratch);
    /* The answer to a renewal: the right to the topic ends in so many seconds; 0: never. Not NULL
     * if with_token is not. */
    void (*write_renewed)(leat_buf *out, leat_slice id, uint64_t expires_s);
    /* The client is told of a subscription that the server has made, or of a fresh snapshot in it.
     * NULL: a snapshot without an id tells it. */
    void (*write_subscribed)(leat_buf *out, const leat_subscribed *sub);
    /* The same as a part of the welcome: what is made before it. Not NULL if write_subscribed is
     * not. */
    void (*write_sub)(leat_buf *out, const leat_subscribed *sub);
    /* Returns true if the client has brought a position in that topic with its first message
     * (`known`). Texts may be written to scratch. NULL: it never has. */
    bool (*find_known)(leat_slice known, leat_slice topic, leat_named_position *out,
                       leat_buf *scratch);

    /* Encodes an event in `form`. Returns owned; e itself if there is nothing to show. NULL: events
     * are of this protocol as they are. */
    leat_event *(*event)(leat_event *e);

    /* What a close code of wire/close_code.h is in this protocol. */
    int (*close_code)(int code);
} leat_codec;

/* For leat_codec.event: the form of e that is one frame with that payload. Returns owned. */
leat_event *leat_codec_frame_event(const leat_event *e, leat_frame_op op, leat_slice payload);

/* The event as the codec's clients see it: e itself if there is nothing to show. Borrowed. */
static inline leat_event *leat_codec_event(const leat_codec *codec, leat_event *e)
{
    leat_event *made = leat_event_in_form(e, codec->form);
    return made != NULL ? made : leat_event_set_form(e, codec->form, codec->event(e));
}

#endif
