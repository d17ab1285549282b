/* api_terms.c - two tables of names. Those of `limits` are the configuration's. */
#include "script/api/api_terms.h"

#include <stddef.h>
#include <string.h>

#include <lauxlib.h>

#define MAX_LIMIT 1000000000

typedef struct term {
    const char *name;
    size_t offset;
    bool is_rate; /* the member is a uint64_t of a leat_rate; otherwise a size_t */
} term;

#define COUNT(name, member)                                                                        \
    {                                                                                              \
        name, offsetof(leat_terms, member), false                                                  \
    }
#define RATE(name, member)                                                                         \
    {                                                                                              \
        name, offsetof(leat_terms, member), true                                                   \
    }

static const term user_terms[] = {
    COUNT("max_subscriptions", allowance.max_subscriptions),
    COUNT("max_subscriptions_per_user", allowance.max_subscriptions_per_user),
    COUNT("max_handshakes_per_user", allowance.max_handshakes_per_user),
    RATE("message_rate_per_client", allowance.messages.per_s),
    RATE("message_burst_per_client", allowance.messages.burst),
    RATE("byte_rate_per_client", allowance.bytes.per_s),
    RATE("byte_burst_per_client", allowance.bytes.burst),
    RATE("control_rate_per_client", allowance.controls.per_s),
    RATE("control_burst_per_client", allowance.controls.burst),
    RATE("publish_rate_per_user", allowance.publishes.per_s),
    RATE("publish_burst_per_user", allowance.publishes.burst),
    {NULL, 0, false},
};

static const term tenant_terms[] = {
    COUNT("max_subscriptions", tenant_max_subscriptions),
    COUNT("max_handshakes", tenant_max_handshakes),
    RATE("publish_rate", tenant_publishes.per_s),
    RATE("publish_burst", tenant_publishes.burst),
    {NULL, 0, false},
};

static const term *find(const term *terms, const char *name)
{
    while (terms->name != NULL && strcmp(terms->name, name) != 0)
        terms++;
    return terms->name == NULL ? NULL : terms;
}

static void set(leat_terms *out, const term *t, uint64_t n)
{
    char *at = (char *)out + t->offset;
    if (t->is_rate)
        *(uint64_t *)(void *)at = n;
    else
        *(size_t *)(void *)at = (size_t)n;
}

/* Reads the table on top of the stack; `id` is no limit. [-0, +0, e] */
static void read_table(lua_State *L, const term *terms, const char *what, leat_terms *out)
{
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        const term *t = find(terms, name);
        if (t == NULL && terms == tenant_terms && strcmp(name, "id") == 0)
            continue;
        if (t == NULL)
            luaL_error(L, "connect: %s has no limit '%s'; docs/lua-api.md lists them", what, name);
        int is_integer = 0;
        lua_Integer n = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || n < 1 || n > MAX_LIMIT)
            luaL_error(L, "connect: %s.%s must be a whole number from 1 to %d", what, name,
                       MAX_LIMIT);
        set(out, t, (uint64_t)n);
    }
}

/* A rate without a burst, or the other way round, gives as much at once as in a second. */
static void complete(leat_rate *r)
{
    if (r->per_s == 0)
        r->per_s = r->burst;
    if (r->burst == 0)
        r->burst = r->per_s;
}

/* Takes the id on top of the stack. */
static void take_id(lua_State *L, leat_terms *out)
{
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "connect: a tenant's id must be a string or a number, not a %s",
                   luaL_typename(L, -1));
    out->tenant.at = lua_tolstring(L, -1, &out->tenant.len);
}

static bool read_tenant(lua_State *L, int user, leat_terms *out)
{
    out->tenant_max_subscriptions = out->tenant_max_handshakes = SIZE_MAX;
    int type = lua_getfield(L, user, "tenant");
    if (type == LUA_TNIL)
        return false;
    if (type == LUA_TTABLE) {
        read_table(L, tenant_terms, "tenant", out);
        complete(&out->tenant_publishes);
        lua_getfield(L, -1, "id");
    }
    take_id(L, out);
    return true;
}

bool leat_api_terms_read(lua_State *L, int user, const leat_allowance *otherwise, leat_terms *out)
{
    *out = (leat_terms){.allowance = *otherwise};
    int type = lua_getfield(L, user, "limits");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "connect: limits must be a table, not a %s", luaL_typename(L, -1));
    if (type == LUA_TTABLE)
        read_table(L, user_terms, "limits", out);
    return read_tenant(L, user, out) || type == LUA_TTABLE;
}
