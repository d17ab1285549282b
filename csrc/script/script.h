/* script.h - the operator's scripts: loaded, replaced, retired. What the core asks of them goes
 * through the table of core/script.h, what HTTP asks through that of core/route.h.
 *
 * Ownership  leat_lua_new returns owned. leat_lua_retire frees it once its last task, raw
 *            WebSocket and grant are gone.
 * Threads    one leat_lua for each worker and load, on the loop thread of that worker. (The
 *            watchdog thread of the budget only sets a hook.)
 * Units      milliseconds, bytes.
 * Errors     LEAT_ESCRIPT with a message for people: "file:line: what".
 */
#ifndef LEAT_SCRIPT_SCRIPT_H
#define LEAT_SCRIPT_SCRIPT_H

#include <stdbool.h>

#include "base/buf.h"
#include "core/core.h"
#include "core/script.h"

typedef struct leat_lua leat_lua;

typedef struct leat_lua_options {
    const char *app_path;        /* app.lua of the operator; require looks in its folder first */
    const char *app_source;      /* the app's text in place of that file; NULL: the file counts */
    const char *lua_dir;         /* the folder of the framework's Lua modules */
    const char *require_folders; /* further ones, separated by commas; NULL: none */
    uint64_t budget_ms;  /* script_budget_ms: how long a script may compute without a wait */
    size_t memory_bytes; /* script_memory_bytes */
    leat_core *core;     /* borrowed: loop, pool, metrics, limits */
} leat_lua_options;

/* Loads the app. On LEAT_ESCRIPT, error holds the message; further lines hold the traceback. */
LEAT_MUST_CHECK int leat_lua_new(leat_lua **out, const leat_lua_options *options, leat_buf *error);

/* Calls on_overlap for each pair of topic patterns, or of routes with the same method, that match a
 * name in common: `first` serves it, `name` is one. Texts are borrowed within the callback. */
typedef void (*leat_lua_overlap_cb)(void *arg, const char *first, const char *second,
                                    const char *name);
void leat_lua_overlaps(const leat_lua *lua, leat_lua_overlap_cb on_overlap, void *arg);

/* Tells versions of the code apart: the app, and what was required so far (leat_sandbox_code). */
uint64_t leat_lua_code(const leat_lua *lua);

/* The view for the core. */
leat_script *leat_lua_script(leat_lua *lua);

/* Frees it now if nothing holds it (vm.h), otherwise with the last hold. done (may be NULL) runs
 * then. The core must not start new tasks on it. */
void leat_lua_retire(leat_lua *lua, void (*done)(void *arg), void *arg);

#endif
