/* client_round.h - looks at a worker's clients again and again: who has been silent too long, and
 * who has to go because all of them together make the server hold too much.
 *
 * Ownership  the deadline is the core's.
 * Threads    loop thread of the worker.
 * Units      bytes; milliseconds.
 * Errors     none: such a client is closed.
 */
#ifndef LEAT_CORE_CLIENT_ROUND_H
#define LEAT_CORE_CLIENT_ROUND_H

#include <stdbool.h>
#include <stddef.h>

#include "core/core.h"

/* In so much time each client is looked at. */
enum { CLIENT_ROUND_TIME_MS = 4000 };

/* There is a client: rounds begin, unless they have begun. They end with the last client. */
void client_round_begin(leat_core *core);

/* True if the clients together may make the server hold so many bytes more. */
bool client_round_has_room(const leat_core *core, size_t bytes);

#endif
