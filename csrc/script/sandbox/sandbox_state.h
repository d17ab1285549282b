/* sandbox_state.h - what sandbox.c and the wrapped coroutine library share; private to both.
 *
 * Ownership  the struct is the sandbox's.
 * Threads    the owner's.
 * Units      bytes.
 * Errors     none.
 *
 * The extra space of each coroutine holds the sandbox's address and, in its lowest bits, what the
 * coroutine is: there is then no table of coroutines to keep.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_STATE_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "script/sandbox/sandbox.h"
#include "script/sandbox/watchdog.h"

enum {
    LEAT_SANDBOX_CO_SCRIPT = 1,  /* made by the script, which may resume it */
    LEAT_SANDBOX_CO_WAITING = 2, /* inside it something of ours waits: only that may resume it */
    LEAT_SANDBOX_CO_STOPPED = 4, /* was stopped for its budget: never runs again */
    LEAT_SANDBOX_CO_FLAGS = 7,
};

struct leat_sandbox {
    lua_State *L;
    leat_watchdog *watchdog;
    size_t memory;
    size_t max_memory;
    size_t max_block;      /* one allocation within a run */
    size_t collect_at;     /* between runs, memory beyond this is worth a full collection */
    uint64_t collected_ms; /* when the last one was */
    bool refused;          /* memory was refused since then */
    bool exhausted;        /* it found hardly anything to free */
    bool stopped;          /* this run has been told to stop */
    bool waits;            /* this run ends in a yield of ours */
    int barriers;          /* running coroutines that were resumed where yielding is impossible */
    char where[128];       /* the run was stopped there */
};

unsigned leat_sandbox_state_flags(lua_State *co);
void leat_sandbox_state_set(lua_State *co, unsigned flags);
void leat_sandbox_state_clear(lua_State *co, unsigned flags);

#endif
