/* peer.h - the other end of a connection that has left HTTP: what is sent to it, how much of it may
 * wait, and whether it is still there. ws_peer.h and sse_peer.h are the two kinds.
 *
 * Ownership  a peer belongs to its owner, who calls leat_peer_free in on_gone or later. It takes
 *            the conn.
 * Threads    loop thread of the worker.
 * Units      bytes; milliseconds.
 * Errors     shown by on_close, on_slow and on_gone. What is sent to a peer that is closing is
 *            dropped.
 *
 * A message is written into one buffer: leat_peer_begin puts the transport's own bytes first, the
 * caller appends the message, leat_peer_send queues it. Another transport belongs into the
 * functions of a kind (as compression does) or into a filter of conn (as TLS does). A second
 * protocol beside leat.v1 is up to the owner.
 */
#ifndef LEAT_NET_PEER_H
#define LEAT_NET_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/epoch.h"
#include "base/event.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "net/conn.h"
#include "net/opening.h"

typedef struct leat_peer leat_peer;

typedef enum leat_peer_output {
    LEAT_PEER_OPEN,    /* less than max_send_buffer_bytes is queued */
    LEAT_PEER_LAGS,    /* likewise; and something waits for the peer to be prompt again */
    LEAT_PEER_FULL,    /* more is queued; the next turn looks how much of it was sent */
    LEAT_PEER_BLOCKED, /* the socket takes nothing; the conn tells when the queue is empty */
    LEAT_PEER_SHUT,    /* nothing more is queued: the peer was too slow, is closing or is gone */
} leat_peer_output;

typedef struct leat_peer_handler {
    /* A whole message; borrowed. Never called for a peer that cannot send any. */
    void (*on_message)(void *owner, bool binary, leat_slice payload);
    /* The peer has sent its close frame, or has broken the protocol. Unless the owner has closed
     * before, it answers with leat_ws_peer_answer, now or later. reason.at is NULL if a close frame
     * had none, and for a breach. */
    void (*on_close)(void *owner, int code, leat_slice reason);
    /* The output is open again, or prompt again. NULL: the owner does not wait for that. */
    void (*on_writable)(void *owner);
    /* The peer has taken nothing of what is queued for slow_client_timeout_ms, or far too much is
     * queued: the owner closes it. NULL: the peer may take as long as it likes. */
    void (*on_slow)(void *owner);
    /* The last call: the connection has ended. err as in conn.h. */
    void (*on_gone)(void *owner, int err);
    /* Returns what the peer may send. Borrowed. NULL: what the limits allow. */
    const leat_allowance *(*allowance)(void *owner);
} leat_peer_handler;

/* What a message is, for a transport that says so beside it (SSE). */
typedef struct leat_peer_label {
    const char *name;
    leat_slice epoch; /* at == NULL: the message has no position */
    int64_t seq;
} leat_peer_label;

/* What the kinds of peers differ in. */
typedef struct leat_peer_ops {
    /* Writes the transport's own bytes and makes room for so many more. */
    void (*begin)(leat_buf *out, const leat_peer_label *label, size_t room);
    /* Queues what leat_peer_begin opened; empties the buffer. */
    void (*finish)(leat_peer *p, leat_buf *message);
    void (*send_event)(leat_peer *p, leat_event *e, const leat_epoch *epoch);
    /* As leat_peer_send_joined; NULL: no peer of this kind takes joined events. */
    bool (*send_joined)(leat_peer *p, leat_event *joined, size_t longest);
    /* Stops and starts the delivery of messages, and reading. */
    void (*hold)(leat_peer *p);
    void (*release)(leat_peer *p);
    void (*close)(leat_peer *p, int code, const char *reason);
    /* Sends a sign of life if it is time, or gives the peer up. Returns when to look again. */
    uint64_t (*keep_alive)(leat_peer *p, uint64_t now_ms);
    void (*on_open)(leat_peer *p); /* the output is open again; NULL: no matter */
    /* What was received and is not yet delivered, in bytes; NULL: nothing ever is. */
    size_t (*received)(const leat_peer *p);
    /* Sends the close code and frees what was received; NULL: there is nothing to send. */
    void (*shed)(leat_peer *p, int code, const char *reason);
    void (*on_gone)(leat_peer *p); /* the conn is gone; NULL: no matter */
    void (*free)(leat_peer *p);
} leat_peer_ops;

/* The head of each kind's own struct. What every delivery reads comes last, next to what the kind's
 * own delivery reads: with many peers, each further cache line is a miss. */
struct leat_peer {
    const leat_peer_handler *handler;
    void *owner;
    leat_deadline timer;         /* the next look at the peer; or the end of the close handshake */
    uint64_t heard_ms;           /* when the peer last sent anything */
    struct leat_peer_look *look; /* at a full output, in the next turn; NULL: nothing is full */
    const leat_peer_ops *ops;
    leat_conn *conn; /* NULL once it is gone */
    const leat_net *net;
    leat_peer_output output;
    bool be_prompt; /* the kernel holds little, too: the peer is sent conflating signals */
};

/* --- for the owner --- */

enum { LEAT_PEER_USUAL_BYTES = 192 }; /* of a message but for its data */

/* True if more messages may be queued. Otherwise on_writable follows, unless the peer ends. */
static inline bool leat_peer_is_open(const leat_peer *p)
{
    return p->output == LEAT_PEER_OPEN || p->output == LEAT_PEER_LAGS;
}

/* For what is of no use late. True if less than max_signal_backlog is queued. */
bool leat_peer_is_prompt(const leat_peer *p);
/* Calls on_writable once it is, unless the peer ends. */
void leat_peer_await_prompt(leat_peer *p);
/* From now on the kernel holds no more than max_signal_backlog of what it has not yet sent, so that
 * what is sent to a slow peer is not old when it leaves. */
void leat_peer_be_prompt(leat_peer *p);

/* Bytes queued; 0 if it is gone. */
size_t leat_peer_queued(const leat_peer *p);
/* The address for logs and scripts. The peer is not gone. */
const char *leat_peer_remote(const leat_peer *p);
/* Counts one more use by the peer's address (leat_address_limit_use). */
uint64_t leat_peer_use(const leat_peer *p, leat_address_use use);
/* True if that address is a crowd now (leat_address_limit_is_crowd). */
bool leat_peer_in_crowd(const leat_peer *p, leat_address_use use);

/* True if a message of that size may be queued on top of what events may fill. */
bool leat_peer_takes(const leat_peer *p, size_t bytes);

/* Opens a message in an empty buffer; data_len is the size of its largest part. */
static inline void leat_peer_begin(const leat_peer *p, leat_buf *out, const leat_peer_label *label,
                                   size_t data_len)
{
    p->ops->begin(out, label, data_len + LEAT_PEER_USUAL_BYTES);
}
/* Takes the message, empties the buffer. If far too much is queued already (leat_peer_takes), drops
 * the message, and on_slow follows. */
void leat_peer_send(leat_peer *p, leat_buf *message);

static inline void leat_peer_send_event(leat_peer *p, leat_event *e, const leat_epoch *epoch)
{
    p->ops->send_event(p, e, epoch);
}

/* Sends several events at once: joined's frame is all of their frames. longest: the longest payload
 * of one. Returns false, and sends nothing, if the peer's transport writes each event differently,
 * or if so much does not fit below max_send_buffer_bytes. */
bool leat_peer_send_joined(leat_peer *p, leat_event *joined, size_t longest);

/* No message is delivered, and nothing is read, until leat_peer_release. */
static inline void leat_peer_hold(leat_peer *p)
{
    p->ops->hold(p);
}
static inline void leat_peer_release(leat_peer *p)
{
    p->ops->release(p);
}

/* Ends the connection in order; code is one of RFC 6455 or ours. Harmless if it is ending. */
static inline void leat_peer_close(leat_peer *p, int code, const char *reason)
{
    p->ops->close(p, code, reason);
}

/* Bytes received and not yet delivered; 0 if it is gone. */
size_t leat_peer_received(const leat_peer *p);
/* Ends the connection so that its memory is free at once. It is told the code only if nothing waits
 * to be sent. The owner's on_close may be called from inside. */
void leat_peer_shed(leat_peer *p, int code, const char *reason);

/* The conn is gone. */
static inline void leat_peer_free(leat_peer *p)
{
    p->ops->free(p);
}

/* --- for the kinds --- */

/* Fills in the head, takes conn and begins to look after it. conn_handler's owner is p. */
void leat_peer_init(leat_peer *p, const leat_peer_ops *ops, leat_conn *conn, const leat_net *net,
                    const leat_conn_handler *conn_handler);
/* The first look at the peer is in so many milliseconds at the latest. */
void leat_peer_look_within(leat_peer *p, uint64_t ms);
/* Something was queued: the output may be full. */
void leat_peer_sent(leat_peer *p);
/* The conn's on_drain and on_close. */
void leat_peer_on_drain(void *peer);
void leat_peer_on_conn_closed(void *peer, int err);
/* The peer is closing: nothing more is queued, and its timer stops. */
void leat_peer_shut(leat_peer *p);
/* The peer does not answer: it is closed without a word. */
void leat_peer_give_up(leat_peer *p);

#endif
