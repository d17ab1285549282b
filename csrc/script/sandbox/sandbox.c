/* sandbox.c - makes a Lua state with a limited allocator, opens the libraries in it, and collects
 * its garbage between runs. sandbox_run.c has the runs.
 */
#include "script/sandbox/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "script/sandbox/sandbox_co.h"
#include "script/sandbox/sandbox_hold.h"
#include "script/sandbox/sandbox_lib.h"
#include "script/sandbox/sandbox_lock.h"
#include "script/sandbox/sandbox_run.h"
#include "script/sandbox/sandbox_state.h"

enum {
    SMALL = 256,         /* bytes of a block that comes from the pool */
    POOL_PART = 4,       /* 1/4 of the memory is the most that the pool's chunks take */
    MAX_BLOCK_PART = 12, /* 1/12 of the memory is the largest block of a script */
    MIN_MAX_BLOCK = 8 * 1024 * 1024,
    EXHAUSTED_PART = 16, /* scripts that leave less than 1/16 of the memory free cannot go on */
    RESERVE_PART = 32,   /* 1/32 of the memory is only for runs that need little: */
    LITTLE_PART = 256,   /* 1/256 of it */
    EXHAUSTED_PAUSE_MS = 1000, /* between two collections then */
};

/* The collector works in steps. With Lua's own numbers one step looks at some hundred thousand
 * objects: everybody waits for it, for up to 100 ms. With these it looks at some thousand, in less
 * than a millisecond. A cycle that is over soon leaves little garbage behind it. */
enum {
    GC_PAUSE = 200,     /* per cent of the memory in use at which a cycle begins */
    GC_STEP_WORK = 100, /* for each 16 bytes that were allocated */
    GC_STEP_SIZE = 9,   /* a step for each 2^9 bytes */
};

/* --- memory --- */

/* Returns what the scripts may hold together if this run grows by so much. A run that takes much
 * meets the limit before the others do, so that the error ends the task which took it. */
static size_t limit(const leat_sandbox *s, size_t growth)
{
    bool takes_little = s->memory + growth <= s->run.memory_before + s->max_memory / LITTLE_PART;
    return takes_little ? s->max_memory : s->max_memory - s->max_memory / RESERVE_PART;
}

static void release(leat_sandbox *s, void *at, size_t size)
{
    if (size <= SMALL)
        leat_pool_give(s->pool, at);
    else
        free(at);
}

/* Strings, tables and closures are small and many: they lie side by side, without a header each. */
static void *resize(leat_sandbox *s, void *at, size_t old_size, size_t new_size)
{
    if (at != NULL && old_size > SMALL && new_size > SMALL)
        return realloc(at, new_size);
    void *moved = new_size <= SMALL ? leat_pool_take(s->pool, new_size) : malloc(new_size);
    if (at != NULL && moved != NULL) {
        memcpy(moved, at, old_size < new_size ? old_size : new_size);
        release(s, at, old_size);
    }
    return moved;
}

/* The lua_Alloc of the state. Between runs the limit does not apply: the host then works outside of
 * protected calls, where a refusal would abort the process. */
static void *on_alloc(void *arg, void *at, size_t old_size, size_t new_size)
{
    leat_sandbox *s = arg;
    if (at == NULL)
        old_size = 0; /* Lua passes a type in its place then */
    if (new_size == 0) {
        leat_watchdog_gate(s->watchdog);
        if (old_size == s->hold.size && old_size > 0)
            leat_sandbox_hold_freed(s, at);
        release(s, at, old_size);
        s->memory -= old_size;
        return NULL;
    }
    size_t growth = new_size > old_size ? new_size - old_size : 0;
    if (growth > 0 && leat_watchdog_running(s->watchdog)) {
        size_t most = limit(s, growth);
        if (s->memory > most || growth > most - s->memory) {
            s->refused = true;
            return NULL;
        }
        if (new_size > s->max_block)
            return NULL;
    }
    void *moved = resize(s, at, old_size, new_size);
    if (moved != NULL)
        s->memory = s->memory - old_size + new_size;
    return moved;
}

size_t leat_sandbox_memory(const leat_sandbox *s)
{
    return s->memory;
}

static size_t room_of(const leat_sandbox *s)
{
    return s->max_memory > s->memory ? s->max_memory - s->memory : 0;
}

static size_t middle_of(const leat_sandbox *s)
{
    return s->memory + room_of(s) / 2;
}

static bool is_nearly_full(const leat_sandbox *s)
{
    return room_of(s) < s->max_memory / EXHAUSTED_PART;
}

static void collect_all(leat_sandbox *s, uint64_t now_ms)
{
    lua_gc(s->L, LUA_GCCOLLECT);
    s->exhausted = is_nearly_full(s);
    s->collected_ms = now_ms;
    s->refused = false;
    s->collect_at = middle_of(s);
}

void leat_sandbox_collect(leat_sandbox *s, uint64_t now_ms)
{
    if (middle_of(s) < s->collect_at)
        s->collect_at = middle_of(s);
    s->exhausted = s->exhausted && is_nearly_full(s);
    if (!s->refused && s->memory < s->collect_at)
        return;
    /* A collection of a full heap takes long, and another one soon after it would free no more. */
    if (s->exhausted && now_ms - s->collected_ms < EXHAUSTED_PAUSE_MS)
        return;
    if (s->refused || is_nearly_full(s)) {
        collect_all(s, now_ms);
        return;
    }
    lua_gc(s->L, LUA_GCRESTART); /* a cycle begins now, and goes on by steps */
    s->collect_at = middle_of(s);
}

bool leat_sandbox_exhausted(const leat_sandbox *s)
{
    return s->exhausted;
}

/* --- making and freeing --- */

/* Lua calls this for an error outside of all protected calls, which is a bug of the host. */
static int on_panic(lua_State *L)
{
    const char *what = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error value";
    LEAT_LOG_ERROR("script", "unprotected error in the host err=%s", what);
    return 0;
}

static int open_libraries(lua_State *L)
{
    static const char *const libraries[] = {"coroutine", "math", "os", "string", "table", "utf8"};
    leat_sandbox_hold_open(L);
    leat_sandbox_lib_open(L);
    leat_sandbox_co_open(L);
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
        leat_sandbox_lock_library(L, libraries[i]);
    leat_sandbox_lib_guard_package(L);
    leat_sandbox_lock_open(L);
    return 0;
}

/* This is a run of its own, so that memory_bytes applies to it. */
static int fill(leat_sandbox *s)
{
    leat_sandbox_run_begin(s, s->L);
    lua_pushcfunction(s->L, open_libraries);
    int status = lua_pcall(s->L, 0, 0, 0);
    leat_sandbox_run_end(s);
    lua_settop(s->L, 0);
    return status == LUA_OK ? 0 : LEAT_ENOMEM;
}

int leat_sandbox_new(leat_sandbox **out, size_t memory_bytes, uint64_t budget_ms)
{
    leat_sandbox *s = leat_calloc(1, sizeof(*s));
    s->pool = leat_pool_new_bounded(LEAT_PLAIN_POOL, memory_bytes / POOL_PART);
    s->max_memory = memory_bytes;
    s->max_block = memory_bytes / MAX_BLOCK_PART;
    if (s->max_block < MIN_MAX_BLOCK)
        s->max_block = MIN_MAX_BLOCK;
    s->collect_at = memory_bytes / 2;
    int err = leat_watchdog_new(&s->watchdog, budget_ms, leat_sandbox_run_on_budget);
    if (err < 0) {
        leat_pool_free(s->pool);
        free(s);
        return err;
    }
    s->L = lua_newstate(on_alloc, s);
    if (s->L == NULL) {
        leat_sandbox_free(s);
        return LEAT_ENOMEM;
    }
    lua_atpanic(s->L, on_panic);
    lua_gc(s->L, LUA_GCINC, GC_PAUSE, GC_STEP_WORK, GC_STEP_SIZE);
    *(leat_sandbox **)lua_getextraspace(s->L) = s;
    err = fill(s);
    if (err < 0) {
        leat_sandbox_free(s);
        return err;
    }
    *out = s;
    return 0;
}

void leat_sandbox_free(leat_sandbox *s)
{
    if (s == NULL)
        return;
    if (s->L != NULL)
        lua_close(s->L);
    leat_pool_free(s->pool);
    leat_watchdog_free(s->watchdog);
    free(s);
}

uint64_t leat_sandbox_code(const leat_sandbox *s)
{
    return s->code;
}

lua_State *leat_sandbox_state(leat_sandbox *s)
{
    return s->L;
}
