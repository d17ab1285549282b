/* route.h - what an HTTP server asks of the scripts: which handler serves a path, and its answer.
 *
 * Ownership  as script.h says: a leat_call belongs to the caller, a session is counted.
 * Threads    loop thread of the worker whose scripts they are.
 * Units      absolute milliseconds on the loop clock.
 * Errors     a handler that fails answers with the status of its failure.
 *
 * The script layer fills in the table, as it does that of script.h.
 */
#ifndef LEAT_CORE_ROUTE_H
#define LEAT_CORE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "net/opening.h"
#include "wire/http.h"

typedef struct leat_script leat_script;
typedef struct leat_call leat_call;
typedef struct leat_session leat_session;

typedef enum leat_route_kind {
    LEAT_ROUTE_NONE,
    LEAT_ROUTE_HTTP,
    LEAT_ROUTE_STREAM,
    LEAT_ROUTE_WEBSOCKET
} leat_route_kind;

typedef struct leat_route_match {
    leat_route_kind kind;
    int route;       /* its index, for leat_route_ops */
    bool is_public;  /* { public = true } */
    bool path_known; /* kind NONE: the path exists with another method, which is 405 */
    char topic[256]; /* STREAM: the topic that the path stands for, zero-terminated */
} leat_route_match;

/* What the handler of an HTTP route answered. Borrowed until the callback returns. */
typedef struct leat_route_answer {
    int status;
    leat_slice content_type;
    leat_slice headers; /* further lines, "Name: value\r\n" each, checked for line breaks */
    leat_slice body;
} leat_route_answer;

typedef void (*leat_route_cb)(leat_call *call, const leat_route_answer *answer);

typedef struct leat_route_ops {
    /* Finds the route for a method and a path (still percent-encoded). */
    void (*match)(leat_script *s, leat_slice method, leat_slice path, leat_route_match *out);
    /* Runs the handler of an HTTP route. session is NULL on a public route. cb runs exactly once,
     * never from inside this call; call->cb is not used. The `cancel` of script.h drops it. */
    void (*run)(leat_script *s, leat_call *call, int route, leat_session *session,
                const leat_http_request *request, const char *remote, uint64_t deadline_ms,
                leat_route_cb cb);
    /* Opens a connection of a WEBSOCKET route. Takes the session (NULL on a public route) and what
     * opening holds. */
    void (*open_socket)(leat_script *s, int route, leat_session *session, leat_opening *opening,
                        const leat_http_request *request);
    /* Returns owned: a session without a user, for the clients of public stream routes. */
    leat_session *(*guest)(leat_script *s, const leat_http_request *request, const char *remote);
    /* True if handlers have memory to run in; otherwise appends the reason, one line. */
    bool (*can_run)(const leat_script *s, leat_buf *reason);
} leat_route_ops;

#endif
