/* client_send.h - what a client is sent, in its own protocol.
 *
 * Ownership  texts are borrowed for the call.
 * Threads    loop thread only.
 * Units      bytes.
 * Errors     what the client's peer does not take ends the client.
 */
#ifndef LEAT_CORE_CLIENT_SEND_H
#define LEAT_CORE_CLIENT_SEND_H

#include "base/failure.h"
#include "core/client_state.h"

void client_send_snapshot(leat_subscriber *to, leat_slice id, leat_slice topic,
                          const leat_snapshot *snapshot);
void client_send_resumed(leat_subscriber *to, leat_slice id, leat_slice topic,
                         const leat_position *at);
/* epoch is NULL for a signal. */
void client_send_event(leat_subscriber *to, leat_event *e, const leat_epoch *epoch);
bool client_send_run(leat_subscriber *to, const leat_run *run);
/* If topic is absent (topic.at == NULL), this answers the request with that id. Otherwise it is the
 * error of a stream's topic. */
void client_send_error(leat_subscriber *to, leat_slice id, leat_slice topic,
                       const leat_failure *failure);
void client_send_closed(leat_subscriber *to, leat_slice topic, const leat_failure *failure);
/* json.at == NULL: no data. */
void client_send_ok(leat_subscriber *to, leat_slice id, leat_slice json, leat_slice written);

#endif
