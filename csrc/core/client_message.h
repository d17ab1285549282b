/* client_message.h - what a client says: one message of leat.v1, one operation, one answer.
 *
 * Ownership  the text is borrowed.
 * Threads    loop thread only.
 * Units      bytes.
 * Errors     answered on the wire; a message that is not leat.v1 is a `bad_request`.
 */
#ifndef LEAT_CORE_CLIENT_MESSAGE_H
#define LEAT_CORE_CLIENT_MESSAGE_H

#include "core/client_state.h"

/* May close the client. */
void client_message(leat_client *c, leat_slice text);

#endif
