/* client_message.h - what a client says: one message of its protocol, one operation, one answer.
 *
 * Ownership  the frame is borrowed.
 * Threads    loop thread only.
 * Units      bytes.
 * Errors     answered on the wire; a message that cannot be read is a `bad_request`.
 */
#ifndef LEAT_CORE_CLIENT_MESSAGE_H
#define LEAT_CORE_CLIENT_MESSAGE_H

#include "core/client_state.h"

/* Looks at the messages of a frame, as long as the client may ask; the others are kept. May close
 * the client. */
void client_messages(leat_client *c, leat_slice frame);

#endif
