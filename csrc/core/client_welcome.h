/* client_welcome.h - the answer to a greeting (connect), while it is put together: it tells of the
 * subscriptions that the server makes before it.
 *
 * Ownership  belongs to the client's client_foreign.
 * Threads    loop thread only.
 * Units      absolute milliseconds; bytes.
 * Errors     none.
 */
#ifndef LEAT_CORE_CLIENT_WELCOME_H
#define LEAT_CORE_CLIENT_WELCOME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/slice.h"

typedef struct client_welcome {
    leat_buf id;    /* of the greeting */
    leat_buf known; /* the positions that it brought (leat_message.known) */
    uint64_t deadline_ms;
    size_t n_open; /* subscriptions that are not yet answered */
    size_t bytes;  /* of the parts */
    leat_list parts_;
} client_welcome;

/* Returns owned. The texts are copied. */
client_welcome *client_welcome_new(leat_slice id, leat_slice known, uint64_t deadline_ms);
void client_welcome_free(client_welcome *w); /* NULL is allowed */

/* Sets the part about a topic, or replaces it. Takes what the buffer holds. */
void client_welcome_put(client_welcome *w, leat_slice topic, leat_buf *part);
/* The subscription has ended already. */
void client_welcome_drop(client_welcome *w, leat_slice topic);
/* Appends all parts. */
void client_welcome_join(const client_welcome *w, leat_buf *out);

#endif
