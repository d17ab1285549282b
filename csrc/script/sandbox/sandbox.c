/* The life of a run: leat_sandbox_run_begin starts the watchdog's count; the script computes, and
 * either ends, or waits (leat_sandbox_yield), or the watchdog sets on_budget, which stops whatever
 * runs. Stopping by a yield leaves no pcall a say. Where yielding is impossible on_budget raises
 * instead; since it stays set, for every instruction, whoever catches that error meets it again at
 * once, until a frame is reached that can yield, or the coroutine's end. */
#include "script/sandbox/sandbox.h"

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "script/sandbox/sandbox_co.h"
#include "script/sandbox/sandbox_lib.h"
#include "script/sandbox/sandbox_state.h"

enum {
    MAX_BLOCK_PART = 12, /* of the memory: the largest block of a script */
    MIN_MAX_BLOCK = 8 * 1024 * 1024,
    EXHAUSTED_PART = 32,       /* of the memory: scripts that leave less cannot go on */
    EXHAUSTED_PAUSE_MS = 1000, /* between two attempts to collect then */
};

static void on_budget(lua_State *L, lua_Debug *ar);

/* --- the flags of a coroutine --- */

static uintptr_t *extra_space(lua_State *co)
{
    return lua_getextraspace(co);
}

leat_sandbox *leat_sandbox_of(lua_State *L)
{
    return (leat_sandbox *)(*extra_space(L) & ~(uintptr_t)LEAT_SANDBOX_CO_FLAGS);
}

unsigned leat_sandbox_state_flags(lua_State *co)
{
    return (unsigned)(*extra_space(co) & LEAT_SANDBOX_CO_FLAGS);
}

void leat_sandbox_state_set(lua_State *co, unsigned flags)
{
    *extra_space(co) |= flags;
}

void leat_sandbox_state_clear(lua_State *co, unsigned flags)
{
    *extra_space(co) &= ~(uintptr_t)flags;
}

/* --- memory --- */

/* lua_Alloc. Between runs the limit does not hold: the host works outside of protected calls there,
 * and a refusal would abort the process. */
static void *on_alloc(void *arg, void *at, size_t old_size, size_t new_size)
{
    leat_sandbox *s = arg;
    if (at == NULL)
        old_size = 0; /* it names a type then */
    if (new_size == 0) {
        leat_watchdog_gate(s->watchdog);
        free(at);
        s->memory -= old_size;
        return NULL;
    }
    size_t growth = new_size > old_size ? new_size - old_size : 0;
    if (growth > 0 && leat_watchdog_running(s->watchdog)) {
        if (s->memory > s->max_memory || growth > s->max_memory - s->memory) {
            s->refused = true;
            return NULL;
        }
        if (new_size > s->max_block)
            return NULL;
    }
    void *moved = realloc(at, new_size);
    if (moved != NULL)
        s->memory = s->memory - old_size + new_size;
    return moved;
}

size_t leat_sandbox_memory(const leat_sandbox *s)
{
    return s->memory;
}

void leat_sandbox_collect(leat_sandbox *s, uint64_t now_ms)
{
    if (!s->refused && s->memory < s->collect_at)
        return;
    /* A full heap takes long to walk, and walking it again finds no more. */
    if (s->exhausted && now_ms - s->collected_ms < EXHAUSTED_PAUSE_MS)
        return;
    lua_gc(s->L, LUA_GCCOLLECT);
    size_t room = s->max_memory > s->memory ? s->max_memory - s->memory : 0;
    s->collect_at = s->memory + room / 2;
    s->exhausted = room < s->max_memory / EXHAUSTED_PART;
    s->collected_ms = now_ms;
    s->refused = false;
}

bool leat_sandbox_exhausted(const leat_sandbox *s)
{
    return s->exhausted;
}

/* --- making and freeing --- */

/* Lua calls this for an error outside of every protected call: a bug of the host. */
static int on_panic(lua_State *L)
{
    const char *what = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error value";
    LEAT_LOG_ERROR("script", "unprotected error in the host err=%s", what);
    return 0;
}

static int open_libraries(lua_State *L)
{
    leat_sandbox_lib_open(L);
    leat_sandbox_co_open(L);
    return 0;
}

/* As a run of its own, so that memory_bytes holds for it. */
static int fill(leat_sandbox *s)
{
    leat_watchdog_begin(s->watchdog, s->L);
    lua_pushcfunction(s->L, open_libraries);
    int status = lua_pcall(s->L, 0, 0, 0);
    leat_watchdog_end(s->watchdog);
    lua_settop(s->L, 0);
    return status == LUA_OK ? 0 : LEAT_ENOMEM;
}

int leat_sandbox_new(leat_sandbox **out, size_t memory_bytes, uint64_t budget_ms)
{
    leat_sandbox *s = leat_calloc(1, sizeof(*s));
    s->max_memory = memory_bytes;
    s->max_block = memory_bytes / MAX_BLOCK_PART;
    if (s->max_block < MIN_MAX_BLOCK)
        s->max_block = MIN_MAX_BLOCK;
    s->collect_at = memory_bytes / 2;
    int err = leat_watchdog_new(&s->watchdog, budget_ms, on_budget);
    if (err < 0) {
        free(s);
        return err;
    }
    s->L = lua_newstate(on_alloc, s);
    if (s->L == NULL) {
        leat_sandbox_free(s);
        return LEAT_ENOMEM;
    }
    lua_atpanic(s->L, on_panic);
    *extra_space(s->L) = (uintptr_t)s;
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
    leat_watchdog_free(s->watchdog);
    free(s);
}

lua_State *leat_sandbox_state(leat_sandbox *s)
{
    return s->L;
}

/* --- runs --- */

void leat_sandbox_run_begin(leat_sandbox *s, lua_State *co)
{
    s->stopped = false;
    s->waits = false;
    s->barriers = 0;
    s->where[0] = '\0';
    leat_watchdog_begin(s->watchdog, co);
}

void leat_sandbox_run_end(leat_sandbox *s)
{
    leat_watchdog_end(s->watchdog);
}

bool leat_sandbox_expired(const leat_sandbox *s)
{
    return s->stopped;
}

const char *leat_sandbox_where(const leat_sandbox *s)
{
    return s->where;
}

bool leat_sandbox_reset(leat_sandbox *s, lua_State *co)
{
    if ((leat_sandbox_state_flags(co) & LEAT_SANDBOX_CO_STOPPED) != 0)
        return false;
    leat_sandbox_run_begin(s, co);
    lua_resetthread(co);
    lua_settop(co, 0);
    leat_sandbox_run_end(s);
    return !s->stopped;
}

/* --- stopping --- */

/* level: of lua_getstack, the function to be blamed. Only the first place counts: the others are
 * those that caught the error. */
static void note_stop(leat_sandbox *s, lua_State *L, int level)
{
    if (L != s->L) /* whose extra space every new coroutine copies */
        leat_sandbox_state_set(L, LEAT_SANDBOX_CO_STOPPED);
    if (s->stopped)
        return;
    s->stopped = true;
    lua_Debug ar;
    if (lua_getstack(L, level, &ar) && lua_getinfo(L, "Sl", &ar) && ar.currentline > 0)
        snprintf(s->where, sizeof(s->where), "%s:%d", ar.short_src, ar.currentline);
}

static int raise_stop(lua_State *L)
{
    const char *where = leat_sandbox_of(L)->where;
    return luaL_error(L, "%s%scomputed for longer than script_budget_ms without a wait", where,
                      *where != '\0' ? ": " : "");
}

/* The watchdog's hook. A yield takes effect when it has returned. */
static void on_budget(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    leat_sandbox *s = leat_sandbox_of(L);
    if (!leat_watchdog_fired(s->watchdog)) {
        lua_sethook(L, NULL, 0,
                    0); /* a coroutine that was born while another run was being stopped */
        return;
    }
    note_stop(s, L, 0);
    if (lua_isyieldable(L))
        lua_yield(L, 0);
    else
        raise_stop(L);
}

bool leat_sandbox_out_of_time(lua_State *L)
{
    const leat_sandbox *s = leat_sandbox_of(L);
    return s != NULL && leat_watchdog_fired(s->watchdog);
}

void leat_sandbox_check(lua_State *L)
{
    if (!leat_sandbox_out_of_time(L))
        return;
    leat_sandbox *s = leat_sandbox_of(L);
    note_stop(s, L, 1);
    if (lua_isyieldable(L))
        lua_yield(L, 0);
    else
        raise_stop(L);
}

/* --- waiting --- */

int leat_sandbox_yield(lua_State *L, lua_KFunction k, lua_KContext context)
{
    leat_sandbox *s = leat_sandbox_of(L);
    if (!lua_isyieldable(L) || s->barriers > 0)
        return luaL_error(L, "cannot wait here");
    s->waits = true;
    return lua_yieldk(L, 0, context, k);
}
