/* sandbox_hold.c - a hold is told from other blocks of its size by random bytes that no script
 * sees. How large its block is, is measured once; the userdata is the block's end. */
#include "script/sandbox/sandbox_hold.h"

#include <string.h>

#include "base/random.h"

struct hold {
    unsigned char mark[LEAT_SANDBOX_HOLD_MARK];
    leat_sandbox_drop *drop;
    void *held;
};

void **leat_sandbox_hold_push(lua_State *L, leat_sandbox_drop *drop)
{
    struct hold *h = lua_newuserdatauv(L, sizeof(*h), 0);
    memcpy(h->mark, leat_sandbox_state_of(L)->hold.mark, sizeof(h->mark));
    h->drop = drop;
    h->held = NULL;
    return &h->held;
}

void leat_sandbox_hold_open(lua_State *L)
{
    leat_sandbox *s = leat_sandbox_state_of(L);
    leat_random_bytes(s->hold.mark, sizeof(s->hold.mark));
    lua_gc(L, LUA_GCSTOP); /* so that nothing is freed meanwhile */
    size_t before = s->memory;
    lua_newuserdatauv(L, sizeof(struct hold), 0);
    s->hold.size = s->memory - before;
    lua_pop(L, 1);
    lua_gc(L, LUA_GCRESTART);
}

/* A block of this size comes from the pool, which has zeroed it: so no mark is older than the
 * block. */
void leat_sandbox_hold_freed(const leat_sandbox *s, const void *block)
{
    const struct hold *h =
        (const struct hold *)((const char *)block + s->hold.size - sizeof(struct hold));
    if (memcmp(h->mark, s->hold.mark, sizeof(h->mark)) == 0 && h->held != NULL)
        h->drop(h->held);
}
