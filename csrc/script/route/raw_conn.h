/* raw_conn.h - one connection of an app:websocket route: frames in and out, handlers one at a time.
 *
 * Ownership  a leat_raw owns its conn and its session, holds its leat_lua, and frees itself once
 *            the conn is gone and the last handler has run.
 * Threads    loop thread of the worker.
 * Units      bytes, milliseconds.
 * Errors     what the peer does wrong closes its connection with the code of RFC 6455.
 *
 * The messages of one connection are handled in order, each after the last one's handler has ended.
 * While they wait, at most what was read at once is kept, and reading stops. Of messages that came
 * compressed, at most max_message_bytes and one message are kept inflated.
 */
#ifndef LEAT_SCRIPT_ROUTE_RAW_CONN_H
#define LEAT_SCRIPT_ROUTE_RAW_CONN_H

#include "base/buf.h"
#include "base/list.h"
#include "core/client_round.h"
#include "core/script.h"
#include "net/ws_peer.h"
#include "script/task/task.h"

typedef struct leat_raw leat_raw;

struct leat_raw {
    leat_list link;
    leat_lua *lua;
    const leat_catalog_route *route;
    leat_peer *peer; /* NULL once it is gone */
    client_holder holder;
    leat_session *session;
    leat_buf head;
    bool ended_by_us;   /* we closed it: what the peer still says is not handled */
    bool close_told;    /* the close handler has been queued */
    leat_list inbox;    /* what the handlers are to be told; the first, while its handler runs */
    size_t inbox_bytes; /* of the messages in it */
    leat_task *task;    /* the handler that runs */
    int ref;            /* of the Lua object, LUA_NOREF before the first handler */
    leat_raw **box;     /* in the Lua object: set to NULL when this goes away */
};

/* What a handler is told. */
typedef struct leat_raw_item {
    leat_list link;
    enum { LEAT_RAW_ITEM_OPEN, LEAT_RAW_ITEM_MESSAGE, LEAT_RAW_ITEM_CLOSE } kind;
    bool binary;
    int code; /* CLOSE */
    size_t len;
    char data[]; /* the message, or the reason */
} leat_raw_item;

/* Returns 0; LEAT_ECLOSED; LEAT_EBUSY if too much is unsent; LEAT_ETOOLARGE if it never fits;
 * LEAT_EBADMSG if text is no UTF-8. */
LEAT_MUST_CHECK int leat_raw_send(leat_raw *r, leat_slice data, bool binary);

/* Begins the close handshake. Harmless if it has begun. */
void leat_raw_close(leat_raw *r, int code, const char *reason);

#endif
