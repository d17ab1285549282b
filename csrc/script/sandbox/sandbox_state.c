/* sandbox_state.c - the extra space of a coroutine: an address, and flags in its lowest bits. */
#include "script/sandbox/sandbox_state.h"

static uintptr_t *extra_space(lua_State *co)
{
    return lua_getextraspace(co);
}

leat_sandbox *leat_sandbox_state_of(lua_State *L)
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
