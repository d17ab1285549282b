/* ws_peer.h - one WebSocket connection, server side (RFC 6455): messages in and out, pings, the
 * close handshake.
 *
 * Ownership, threads, units, errors  as peer.h says.
 *
 * Pings are answered here. While the output is full only the last one is remembered, and answered
 * when it is open again (RFC 6455 §5.5.3). A peer that sends nothing for ping_interval_ms is
 * pinged, and given up if it still sends nothing for pong_timeout_ms.
 *
 * What a peer sends is counted against an allowance. For too many bytes it is read more slowly. It
 * is closed with 4429 if it sends more pings and pongs than its burst, or its burst of messages and
 * 200 more (or a burst more, if that is less).
 *
 * Where permessage-deflate was agreed (RFC 7692), a message may come compressed, and is inflated
 * here to at most max_message_bytes. What is sent is compressed where that makes it shorter.
 */
#ifndef LEAT_NET_WS_PEER_H
#define LEAT_NET_WS_PEER_H

#include "net/peer.h"
#include "wire/deflate.h"

/* Takes what opening holds. Messages in its rest are delivered in the loop's next turn.
 * net->deflate may be NULL if permessage-deflate was not agreed. */
leat_peer *leat_ws_peer_new(leat_opening *opening, const leat_net *net,
                            const leat_peer_handler *handler, void *owner);

/* Sends a message of the caller's own, copied. Dropped unless leat_ws_peer_is_open. */
void leat_ws_peer_send(leat_peer *p, bool binary, leat_slice payload);

/* From the next message on, one may have so many bytes; 0: max_message_bytes, as at first. */
void leat_ws_peer_set_max_message(leat_peer *p, size_t bytes);

/* Reads no more, until leat_peer_release; what was read is still delivered. */
void leat_ws_peer_pause(leat_peer *p);

/* What leat_peer_send sends from now on are binary messages. */
void leat_ws_peer_set_binary(leat_peer *p);

/* Counts one more message: the protocol has several in one of WebSocket. Returns false if that is
 * too many: on_close was called then. */
bool leat_ws_peer_charge_message(leat_peer *p);

/* For an owner whose messages have several in them (leat_ws_peer_charge_message). True if the peer
 * has had its share of this turn: the owner keeps the rest for a later turn. It calls _begin_turn
 * before it goes on with the rest then. */
bool leat_ws_peer_had_turn(const leat_peer *p);
void leat_ws_peer_begin_turn(leat_peer *p);

/* In on_message: milliseconds until the peer may send another message; 0: this one was in time. */
uint64_t leat_ws_peer_message_wait_ms(const leat_peer *p);

/* True until a close frame was sent: messages may still be sent after the peer's own one. */
bool leat_ws_peer_is_open(const leat_peer *p);

/* Answers on_close with the same code, and ends the connection. Harmless if there is nothing to
 * answer. */
void leat_ws_peer_answer(leat_peer *p, const char *reason);

#endif
