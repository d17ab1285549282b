/* client_send.h - what a client is sent, in its own protocol.
 *
 * Ownership  texts are borrowed for the call.
 * Threads    loop thread only.
 * Units      bytes.
 * Errors     what the client's peer does not take ends the client.
 */
#ifndef LEAT_CORE_CLIENT_SEND_H
#define LEAT_CORE_CLIENT_SEND_H

#include <time.h>

#include "base/failure.h"
#include "core/client_state.h"

/* The time in seconds since 1970, rounded up. So the seconds that a client is told until an expiry
 * are never too many. */
static inline int64_t client_next_second(void)
{
    return (int64_t)time(NULL) + 1;
}

/* Returns whole seconds until at_s. They are at least one, because 0 would mean: never. */
static inline uint64_t client_seconds_until(int64_t at_s)
{
    int64_t left_s = at_s - client_next_second();
    return left_s > 0 ? (uint64_t)left_s : 1;
}

/* False if the client was told to subscribe anew instead. */
bool client_send_snapshot(leat_subscriber *to, leat_slice id, leat_slice topic,
                          const leat_snapshot *snapshot);
void client_send_resumed(leat_subscriber *to, leat_slice id, leat_slice topic,
                         const leat_position *at);
/* epoch is NULL for a signal. */
void client_send_event(leat_subscriber *to, leat_event *e, const leat_epoch *epoch);
bool client_send_run(leat_subscriber *to, const leat_run *run);
/* Likewise, for a codec that encodes events of its own. */
void client_send_event_form(leat_subscriber *to, leat_event *e, const leat_epoch *epoch);
/* If topic is absent (topic.at == NULL), this answers the request with that id. Otherwise it is the
 * error of a stream's topic. */
void client_send_error(leat_subscriber *to, leat_slice id, leat_slice topic,
                       const leat_failure *failure);
void client_send_closed(leat_subscriber *to, leat_slice topic, const leat_failure *failure);
/* The client's identity is accepted, or renewed. */
void client_send_welcome(leat_subscriber *to, leat_slice id, leat_slice written, leat_slice subs);
/* data_len: of the events, together. */
void client_send_history(leat_subscriber *to, leat_slice id, const leat_stored *stored,
                         size_t data_len);
/* Answers a renewal. The right to the topic ends in expires_s seconds; 0: never. */
void client_send_renewed(leat_subscriber *to, leat_slice id, uint64_t expires_s);
void client_send_ping(leat_subscriber *to);
/* json.at == NULL: no data. */
void client_send_ok(leat_subscriber *to, leat_slice id, leat_slice json, leat_slice written);

#endif
