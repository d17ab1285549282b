/* sandbox_state.h - what the files of the sandbox share: its struct, and the flags of a coroutine.
 *
 * Ownership  the struct belongs to sandbox.c, which makes and frees it.
 * Threads    the owner's.
 * Units      bytes, milliseconds.
 * Errors     none.
 *
 * The extra space of each coroutine (lua_getextraspace) holds the address of the sandbox and, in
 * the lowest bits, the flags of the coroutine. So no table of coroutines is needed.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_STATE_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "script/sandbox/watchdog.h"

enum {
    LEAT_SANDBOX_CO_SCRIPT = 1,  /* the script made it, and may resume it */
    LEAT_SANDBOX_CO_WAITING = 2, /* a function of ours waits inside it: only that may resume it */
    LEAT_SANDBOX_CO_STOPPED = 4, /* it was stopped for its budget: it never runs again */
    LEAT_SANDBOX_CO_FLAGS = 7,
};

typedef enum leat_sandbox_run_state {
    LEAT_SANDBOX_RUN_COMPUTING,
    LEAT_SANDBOX_RUN_WAITING, /* the run ends in a yield of ours (leat_sandbox_run_wait) */
    LEAT_SANDBOX_RUN_STOPPED, /* it has used up its budget: no script runs in it any more */
} leat_sandbox_run_state;

enum { LEAT_SANDBOX_HOLD_MARK = 16 }; /* bytes */

typedef struct leat_sandbox {
    lua_State *L;
    leat_watchdog *watchdog;
    size_t memory;          /* in use */
    struct leat_pool *pool; /* of small blocks */
    size_t max_memory;
    size_t max_block;      /* the largest allocation within a run */
    size_t collect_at;     /* memory in use at which a collection begins */
    uint64_t collected_ms; /* when the last full collection was */
    bool refused;          /* an allocation was refused since the last full collection */
    bool exhausted;        /* the last full collection freed hardly anything */
    uint64_t code;         /* leat_sandbox_code */
    bool locked;           /* the application has been loaded (sandbox_lock.h) */
    struct {               /* sandbox_hold.h */
        unsigned char mark[LEAT_SANDBOX_HOLD_MARK];
        size_t size; /* of a hold's block; 0: not measured yet */
    } hold;
    struct { /* of the present run, or of the last one */
        size_t memory_before;
        leat_sandbox_run_state state;
        uintptr_t stack; /* an address near the top of the C stack where it began */
        int barriers;    /* running coroutines that were resumed where yielding is impossible */
        char where[128]; /* the place where it was stopped, "app.lua:12" */
    } run;
} leat_sandbox;

leat_sandbox *leat_sandbox_state_of(lua_State *L); /* from any coroutine of the state */

unsigned leat_sandbox_state_flags(lua_State *co);
void leat_sandbox_state_set(lua_State *co, unsigned flags);
void leat_sandbox_state_clear(lua_State *co, unsigned flags);

#endif
