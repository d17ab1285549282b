/* vm.h - one load of the operator's app: its Lua state, what it registered, and the way into it.
 *
 * Ownership  leat_lua_new returns owned. Whoever needs the state alive holds it (leat_vm_hold); a
 *            retired one is freed when the last lets go.
 * Threads    loop thread of the worker.
 * Units      bytes.
 * Errors     leat_vm_call says how a run ended; leat_vm_examine what went wrong.
 *
 * Private to csrc/script.
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

typedef struct leat_lua leat_lua;
struct leat_task;

struct leat_lua {
    leat_script script; /* first: the core's view is the address of the whole */
    leat_core *core;
    leat_sandbox *sandbox;
    lua_State *L; /* the main state, on which no handler runs */

    leat_catalog catalog; /* what the app registered */

    /* Tasks (task.c). */
    struct leat_task *running; /* whose coroutine runs now; NULL: none */
    uint64_t last_task_id;
    leat_list ready; /* tasks to be begun at the end of this turn */
    leat_list spare; /* ended ones, with their coroutine, to be used again */
    size_t n_spare;
    leat_sweep sweep;

    leat_list raws; /* open raw WebSockets (raw.c) */
    size_t n_raws;

    leat_buf scratch[2];  /* of C functions that may be jumped over and call nobody meanwhile */
    size_t gauged_memory; /* what this state has added to LEAT_M_SCRIPT_MEMORY */

    size_t holds;
    bool retired;
    void (*retired_cb)(void *arg);
    void *retired_arg;
    leat_sweep farewell; /* frees a retired one when nobody holds it any more */
};

void leat_vm_hold(leat_lua *lua);

/* Drops one hold; with the last, a retired lua is freed at the end of the turn. */
void leat_vm_drop(leat_lua *lua);

/* The can_run of core/route.h's table. */
bool leat_vm_can_run(const leat_script *s, leat_buf *reason);

typedef enum leat_vm_outcome {
    LEAT_VM_DONE,
    LEAT_VM_YIELDED,
    LEAT_VM_FAILED, /* raised; the error value is on top of co */
    LEAT_VM_BUDGET, /* computed too long */
} leat_vm_outcome;

/* The one function that calls into scripts: resumes co with the n_args values on its stack (and, at
 * the first time, the function below them), protected, within the budget. */
leat_vm_outcome leat_vm_call(leat_lua *lua, lua_State *co, int n_args);

/* Runs a C function of ours on the main state, protected and within the budget; arg is its only
 * argument, as light userdata. Returns 0, or LEAT_ENOMEM if it raised (which ours do for lack of
 * memory only). */
LEAT_MUST_CHECK int leat_vm_protect(leat_lua *lua, lua_CFunction fn, void *arg);

/* What a coroutine failed with. */
typedef struct leat_vm_failure {
    leat_code code;
    uint32_t retry_after_ms;
    bool read_failed;
    bool refused;     /* the script raised a leat.deny: a decision, no error */
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
