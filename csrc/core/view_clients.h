/* view_clients.h - the clients of a worker, for an operator: the first ones in some order, or one.
 *
 * Ownership  rows are copies: they outlive the clients.
 * Threads    loop thread of the worker, but for leat_client_rows_*: whoever has them.
 * Units      bytes; milliseconds.
 * Errors     none.
 *
 * A walk is made in parts, as in view_topics.h. Secrets stay out: of a session only user.id is
 * shown, of a subscription no params.
 */
#ifndef LEAT_CORE_VIEW_CLIENTS_H
#define LEAT_CORE_VIEW_CLIENTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "core/core.h"

typedef enum leat_client_order {
    LEAT_CLIENTS_QUEUED, /* bytes that wait to be sent */
    LEAT_CLIENTS_SUBSCRIPTIONS,
    LEAT_CLIENTS_SILENT, /* those that were silent longest */
    LEAT_CLIENT_ORDERS,
} leat_client_order;

typedef struct leat_client_row {
    size_t worker;
    uint64_t number;
    char remote[64];
    char user[96]; /* user.id, cut if it is longer; "" if it has none */
    const char *protocol;
    const char *status;
    size_t subscriptions;
    size_t inflight;
    size_t queued; /* bytes */
    size_t held;   /* bytes of requests under way, and of what was received */
    uint64_t silent_ms;
    bool slow; /* takes no more events at present */
} leat_client_row;

typedef struct leat_client_rows {
    leat_client_order order;
    size_t limit;
    size_t count;
    leat_client_row *at; /* room for limit + 1 */
} leat_client_rows;

void leat_client_rows_init(leat_client_rows *rows, leat_client_order order, size_t limit);
void leat_client_rows_add(leat_client_rows *rows, const leat_client_row *row);
void leat_client_rows_close(leat_client_rows *rows);

typedef struct leat_client_walk {
    leat_client_rows *rows;
    const char *user; /* only clients of this user; NULL: all */
    size_t worker;
    size_t total; /* clients that were met */
    size_t left;  /* to be met; 0 at first */
    bool begun;
} leat_client_walk;

/* One part. Returns false at the end. A client that is closed or comes meanwhile may be missed, and
 * so may a sixteenth of the others if client_round.h turns the list meanwhile. */
bool leat_view_clients(leat_core *core, leat_client_walk *walk);

/* Appends members of a JSON object, each with a comma before it, about the client of that number.
 * Of its subscriptions it shows LEAT_VIEW_SUBSCRIPTIONS. False: there is no such client. */
enum { LEAT_VIEW_SUBSCRIPTIONS = 200 };
bool leat_view_client(leat_core *core, size_t worker, uint64_t number, leat_buf *json);

/* Borrowed; NULL: there is no such client. */
struct leat_client *leat_view_find_client(leat_core *core, uint64_t number);

/* Appends a row's members, the first one without a comma. */
void leat_client_row_write(const leat_client_row *row, leat_buf *json);

#endif
