/* client_foreign.h - what a client of another protocol than leat.v1 has: the rest of a frame that
 * holds several messages, the topics that it is to subscribe anew, and pings that are messages.
 *
 * Ownership  belongs to its client, which is told of it as `owner`.
 * Threads    loop thread only.
 * Units      bytes; milliseconds.
 * Errors     none.
 *
 * NULL stands for a client of leat.v1, which has nothing of that.
 */
#ifndef LEAT_CORE_CLIENT_FOREIGN_H
#define LEAT_CORE_CLIENT_FOREIGN_H

#include "core/client_welcome.h"
#include "core/core.h"

typedef struct client_foreign client_foreign;

/* on_rest gets the rest of a frame, borrowed. It returns false if it has freed what it belongs to.
 */
client_foreign *client_foreign_new(leat_core *core, bool (*on_rest)(void *owner, leat_slice frame),
                                   void *owner);
void client_foreign_free(client_foreign *f);

/* Keeps messages of a frame for a later turn: because they cannot be looked at yet, or because the
 * client has had its share of this turn. After client_foreign_go_on, on_rest gets them when it is
 * the client's turn. Called from within on_rest, `frame` is the end of what that got. */
void client_foreign_keep(client_foreign *f, leat_slice frame);
void client_foreign_go_on(client_foreign *f);
/* Bytes that kept messages hold, including those of their frame that were looked at already; 0:
 * none is kept. */
size_t client_foreign_waiting(const client_foreign *f);

/* The client's position in the topic is void: its next subscribe gets a snapshot. */
void client_foreign_void(client_foreign *f, leat_slice topic);
/* Returns true once after that. */
bool client_foreign_take_void(client_foreign *f, leat_slice topic);

/* The list of its client_history: requests for stored events under way. */
leat_list *client_foreign_histories(client_foreign *f);

/* The list of its client_renewal: requests to renew the right to a topic under way. */
leat_list *client_foreign_renewals(client_foreign *f);

/* The welcome that is being put together; NULL if there is none. What is set is taken. */
client_welcome **client_foreign_welcome(client_foreign *f);

/* Returns true if a ping is due, and counts it as sent. look_ms: when the next look may be. */
bool client_foreign_take_ping(client_foreign *f, uint64_t look_ms);

#endif
