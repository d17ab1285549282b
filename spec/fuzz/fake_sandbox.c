#include "fake_sandbox.h"

#include <lauxlib.h>

#include "fuzz.h"
#include "script/sandbox/sandbox_run.h"

static size_t looks_left;
static bool expired;

void fake_sandbox_allow(size_t n)
{
    looks_left = n;
    expired = false;
}

bool fake_sandbox_expired(void)
{
    return expired;
}

bool leat_sandbox_run_out_of_time(lua_State *L)
{
    (void)L;
    CHECK(!expired); /* who has been told goes no further */
    expired = looks_left == 0;
    looks_left -= !expired;
    return expired;
}

void leat_sandbox_run_check(lua_State *L)
{
    if (leat_sandbox_run_out_of_time(L))
        luaL_error(L, "out of time");
}
