/* client_round.h - looks at a worker's clients again and again: who has been silent too long, and
 * who has to go because all of them together make the server hold too much. Of the latter are also
 * holders: connections that are no clients, as the WebSockets that a script serves itself.
 *
 * Ownership  the deadline is the core's; a holder is embedded in its owner, who takes it out before
 *            the peer is freed.
 * Threads    loop thread of the worker.
 * Units      bytes; milliseconds.
 * Errors     none: such a client is closed.
 */
#ifndef LEAT_CORE_CLIENT_ROUND_H
#define LEAT_CORE_CLIENT_ROUND_H

#include <stdbool.h>
#include <stddef.h>

#include "core/core.h"
#include "net/peer.h"

/* In so much time each client is looked at. */
enum { CLIENT_ROUND_TIME_MS = 4000 };

typedef struct client_holder {
    leat_list link_;
    leat_peer *peer_;
} client_holder;

/* There is a client: rounds begin, unless they have begun. They end with the last client and the
 * last holder. */
void client_round_begin(leat_core *core);
/* A client is gone. */
void client_round_end(leat_core *core);

void client_round_join(leat_core *core, client_holder *h, leat_peer *peer);
void client_round_leave(client_holder *h); /* harmless if it is out */

/* True if the clients together may make the server hold so many bytes more. */
bool client_round_has_room(const leat_core *core, size_t bytes);

#endif
