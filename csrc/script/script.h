/* script.h - the operator's Lua: loading, handlers as tasks, routes. What the core asks goes
 * through core/script.h's table, what HTTP asks through core/route.h's.
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

/* The view for the core. */
leat_script *leat_lua_script(leat_lua *lua);

/* Frees it now if nothing uses it any more, else when the last user lets go; done (may be NULL)
 * runs then. No new task starts on it through the core. */
void leat_lua_retire(leat_lua *lua, void (*done)(void *arg), void *arg);

#endif
