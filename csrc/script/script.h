/* script.h - the operator's Lua: loading, handlers as tasks, routes. What the core asks goes
 * through core/script.h's table; what the HTTP side of a worker asks is here.
 *
 * Ownership  leat_lua_new returns owned; leat_lua_retire frees it once its last task, session and
 *            grant are gone.
 * Threads    one leat_lua a worker and load, on that worker's loop thread. (The budget's watchdog
 *            thread only sets a hook.)
 * Units      milliseconds, bytes.
 * Errors     LEAT_ESCRIPT with a message (file:line: what) for people.
 */
#ifndef LEAT_SCRIPT_SCRIPT_H
#define LEAT_SCRIPT_SCRIPT_H

#include <stdbool.h>

#include "base/buf.h"
#include "core/client.h"
#include "core/core.h"
#include "core/script.h"

typedef struct leat_lua leat_lua;

typedef struct leat_lua_options {
    const char *app_path; /* the operator's app.lua; its folder comes first in package.path */
    const char *lua_dir;  /* where lua/leat/ lies */
    uint64_t budget_ms;   /* script_budget_ms: of computing without a wait */
    size_t memory_bytes;  /* script_memory_bytes */
    leat_core *core;      /* borrowed: loop, pool, metrics, limits */
} leat_lua_options;

/* Loads the app. On LEAT_ESCRIPT, error holds the message and, on later lines, the traceback. */
LEAT_MUST_CHECK int leat_lua_new(leat_lua **out, const leat_lua_options *options, leat_buf *error);

/* True if handlers have memory to run in; else appends why not to *reason, one line. */
bool leat_lua_can_run(const leat_lua *lua, leat_buf *reason);

/* The view for the core. */
leat_script *leat_lua_script(leat_lua *lua);

/* Frees it now if nothing uses it any more, else when the last user lets go; done (may be NULL)
 * runs then. No new task starts on it through the core. */
void leat_lua_retire(leat_lua *lua, void (*done)(void *arg), void *arg);

/* --- routes, for the HTTP side --- */

typedef enum leat_route_kind {
    LEAT_ROUTE_NONE,
    LEAT_ROUTE_HTTP,
    LEAT_ROUTE_STREAM,
    LEAT_ROUTE_WEBSOCKET
} leat_route_kind;

typedef struct leat_route_match {
    leat_route_kind kind;
    int route;       /* index, for leat_lua_route and leat_lua_raw_open */
    bool is_public;  /* { public = true } */
    bool path_known; /* kind NONE: the path exists with another method: 405 */
    char topic[256]; /* STREAM: the topic that the path stands for, zero-terminated */
} leat_route_match;

/* Finds what serves method and path (still percent-encoded). */
void leat_lua_match(leat_lua *lua, leat_slice method, leat_slice path, leat_route_match *out);

/* A session without a user, for the clients of public stream routes. Returns owned. */
leat_session *leat_lua_guest(leat_core *core, const leat_http_request *request, const char *remote);

/* Runs an app:route handler. session: NULL on a public route. The response comes back through cb,
 * exactly once, never from inside the call; borrowed. call->cb is not used; leat_lua_cancel(call)
 * drops it. */
typedef struct leat_http_answer {
    int status;
    leat_slice content_type;
    leat_slice headers; /* further lines, "Name: value\r\n"..., checked for line breaks */
    leat_slice body;
} leat_http_answer;
typedef void (*leat_lua_route_cb)(leat_call *call, const leat_http_answer *answer);
void leat_lua_route(leat_lua *lua, leat_call *call, int route, leat_session *session,
                    const leat_http_request *request, const char *remote, uint64_t deadline_ms,
                    leat_lua_route_cb cb);
void leat_lua_cancel(leat_call *call);

/* Opens an app:websocket connection: takes conn, whose 101 has been queued, and the session (NULL
 * on a public route). Bytes after the head are fed at once. */
void leat_lua_raw_open(leat_lua *lua, int route, leat_session *session, leat_conn *conn,
                       const leat_http_request *request, const char *bytes, size_t len);
/* Open raw connections: closed with 1001 at draining. */
size_t leat_lua_raw_count(const leat_lua *lua);
void leat_lua_raw_close_all(leat_lua *lua, int code, const char *reason);

#endif
