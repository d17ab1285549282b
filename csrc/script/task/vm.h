/* vm.h - one load of the operator's app: its Lua state, what it registered, and the calls into it.
 *
 * Ownership  script.c makes a leat_lua and frees it. Whoever needs it alive holds it
 *            (leat_vm_hold): a task from leat_task_new to its end, a grant as long as it exists, a
 *            raw WebSocket as long as it exists. A session holds none: it belongs to no load and
 *            outlives them.
 * Threads    loop thread of the worker.
 * Units      bytes.
 * Errors     leat_vm_call returns how a run ended, leat_vm_examine what it failed with.
 *
 * Reload: the worker loads a second leat_lua beside the first, gives it to the core, and retires
 * the first (leat_lua_retire). New requests run on the second. What began on the first ends on the
 * first: its running handlers, its raw WebSockets, and the refresh and snapshot functions of its
 * grants, which refer to functions and rows in its state. A subscription has its grant replaced
 * when its handler has run again on the second. With the last hold the first is freed.
 */
#ifndef LEAT_SCRIPT_TASK_VM_H
#define LEAT_SCRIPT_TASK_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/buf.h"
#include "base/list.h"
#include "core/core.h"
#include "core/script.h"
#include "script/sandbox/sandbox.h"
#include "script/task/catalog.h"
#include "script/task/keep.h"

typedef struct leat_lua leat_lua;
struct leat_task;

struct leat_lua {
    leat_script script; /* what the core knows of it */
    leat_core *core;
    leat_sandbox *sandbox;
    lua_State *L;         /* the main state, on which no handler runs */
    const char *app_path; /* borrowed; valid until the app is loaded */

    leat_catalog catalog; /* what the app registered */
    leat_keep keep;       /* the rows and functions of its grants */

    /* Tasks (task.c). */
    struct leat_task *running; /* its coroutine runs now; NULL: none does */
    uint64_t last_task_id;
    leat_list ready; /* tasks to be begun at the end of this turn, or of the next ones */
    leat_list spare; /* ended ones, with their coroutine, to be used again */
    size_t n_spare;
    leat_sweep sweep;
    uint64_t turn;     /* of the loop, in which tasks began */
    uint64_t spent_ns; /* in that turn */

    leat_list raws; /* open raw WebSockets (raw.c) */
    size_t n_raws;

    leat_buf scratch[2];  /* for C functions that an error may leave, and that call no script */
    size_t gauged_memory; /* what this state has added to LEAT_M_SCRIPT_MEMORY */

    size_t holds;
    void (*unheld)(struct leat_lua *lua); /* NULL until it is retired */
    leat_sweep last_drop;                 /* calls unheld */
    void (*retired_cb)(void *arg);        /* script.c: tells the worker that it is gone */
    void *retired_arg;
};

void leat_vm_init(leat_lua *lua);
void leat_vm_close(leat_lua *lua);

void leat_vm_hold(leat_lua *lua);
void leat_vm_drop(leat_lua *lua);

/* unheld runs once, at the end of the turn in which the last hold is dropped. */
void leat_vm_retire(leat_lua *lua, void (*unheld)(leat_lua *lua));

/* The can_run of core/route.h's table. */
bool leat_vm_can_run(const leat_script *s, leat_buf *reason);

typedef enum leat_vm_outcome {
    LEAT_VM_DONE,
    LEAT_VM_YIELDED,
    LEAT_VM_FAILED, /* raised; the error value is on top of co */
    LEAT_VM_BUDGET, /* computed too long */
} leat_vm_outcome;

/* The one function that calls into scripts: resumes co with the n_args values on top of its stack,
 * protected and within the budget. The first time, the function to run is below them. */
leat_vm_outcome leat_vm_call(leat_lua *lua, lua_State *co, int n_args);

/* Runs a C function of ours on the main state, protected and within the budget. arg is its only
 * argument, as light userdata. Returns 0, or LEAT_ENOMEM if fn raised: ours raise only if memory is
 * out. */
LEAT_MUST_CHECK int leat_vm_protect(leat_lua *lua, lua_CFunction fn, void *arg);

/* What a coroutine failed with. */
typedef struct leat_vm_failure {
    leat_code code;
    uint32_t retry_after_ms;
    bool read_failed;
    bool refused;     /* the script raised a leat.deny: that is a decision and no error */
    char sqlstate[6]; /* "" if there is none */
    leat_buf message; /* a refusal's or read error's message; owned by whoever examined */
    leat_buf trace;   /* a script error's message and traceback; likewise */
} leat_vm_failure;

/* Fills out (whose buffers are initialised) after LEAT_VM_FAILED or LEAT_VM_BUDGET, and counts it.
 */
void leat_vm_examine(leat_lua *lua, lua_State *co, leat_vm_outcome outcome, leat_vm_failure *out);

/* A new coroutine, kept by the registry reference *ref; NULL if memory is out. */
lua_State *leat_vm_new_coroutine(leat_lua *lua, int *ref);

/* Ends a coroutine wherever it stands (its to-be-closed variables are closed, within the budget;
 * they cannot wait). Returns whether it can be used again; it is to be let go of (leat_vm_unref)
 * otherwise. */
bool leat_vm_reset_coroutine(leat_lua *lua, lua_State *co);

/* Drops a registry reference and sets it to LUA_NOREF. Harmless for LUA_NOREF. */
void leat_vm_unref(leat_lua *lua, int *ref);

#endif
