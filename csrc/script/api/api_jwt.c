/* api_jwt.c - verify -> find_key (may wait for keys, and comes back) -> check_signature (may wait)
 * -> check_claims.
 *
 * On the stack of verify: the token, the options, the keys. They stay there during a wait, and what
 * was read of them is read again after it: cheaper than keeping it. No byte of a token gets into an
 * error or the log. */
#include "script/api/api_jwt.h"

#include <time.h>

#include <lauxlib.h>

#include "script/api/api_check.h"
#include "script/api/api_keys.h"
#include "script/task/task.h"
#include "script/task/verification.h"
#include "script/value/lua_json.h"
#include "script/value/refusal.h"
#include "wire/jwt_claims.h"

#define WHAT "leat.jwt.verify"

enum { TOKEN = 1, OPTIONS = 2, KEYS = 3 };

enum { MAX_LEEWAY_S = 3600, MAX_AGE_S = 366 * 86400 };

struct call {
    leat_lua *lua;
    leat_slice token;
    const leat_api_keys *keys;
    unsigned algs;
    leat_slice type; /* at == NULL: not asked for */
    leat_jwt_claims_rules rules;
    leat_jwt jwt;
};

static leat_lua *lua_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* --- options --- */

/* Also after each wait: meanwhile another function may have given the options a metatable.
 * [-0, +0, e] */
static void check_options(lua_State *L)
{
    static const char *const known[] = {"keys",    "algorithms", "issuer",   "audience",
                                        "subject", "required",   "leeway_s", "max_age_s",
                                        "type",    NULL};
    leat_api_check_keys(L, OPTIONS, known, WHAT);
}

/* Reads a text, or a list of texts, that the options keep. [-0, +0, e] */
static void read_names(lua_State *L, const char *name, leat_jwt_claims_names *out)
{
    int type = lua_getfield(L, OPTIONS, name);
    out->n = 0;
    if (type == LUA_TSTRING) {
        out->names[0].at = lua_tolstring(L, -1, &out->names[0].len);
        out->n = 1;
    } else if (type == LUA_TTABLE) {
        size_t n = lua_rawlen(L, -1);
        if (n == 0 || n > LEAT_JWT_CLAIMS_NAMES)
            luaL_error(L, WHAT ": %s must have 1 to %d texts", name, LEAT_JWT_CLAIMS_NAMES);
        for (; out->n < n; out->n++) {
            if (lua_rawgeti(L, -1, (lua_Integer)out->n + 1) != LUA_TSTRING)
                luaL_error(L, WHAT ": %s must be a text or a list of texts", name);
            leat_slice *s = &out->names[out->n];
            s->at = lua_tolstring(L, -1, &s->len);
            lua_pop(L, 1); /* the list keeps it */
        }
    } else if (type != LUA_TNIL) {
        luaL_error(L, WHAT ": %s must be a text or a list of texts", name);
    }
    lua_pop(L, 1);
}

/* [-0, +0, e] */
static int64_t read_seconds(lua_State *L, const char *name, int64_t max)
{
    int64_t seconds = 0;
    if (lua_getfield(L, OPTIONS, name) != LUA_TNIL) {
        int is_integer = 0;
        seconds = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || seconds < 0 || seconds > max)
            luaL_error(L, WHAT ": %s must be a whole number from 0 to %d", name, (int)max);
    }
    lua_pop(L, 1);
    return seconds;
}

/* [-0, +0, e] */
static unsigned read_algorithms(lua_State *L)
{
    leat_jwt_claims_names list;
    unsigned algs = 0;
    read_names(L, "algorithms", &list);
    if (list.n == 0)
        luaL_error(L, WHAT ": algorithms is missing: name those that your tokens are signed with, "
                           "{ \"RS256\" } for example");
    for (size_t i = 0; i < list.n; i++) {
        leat_jwt_alg alg;
        if (!leat_jwt_alg_of(list.names[i], &alg))
            luaL_error(L, WHAT ": there is no algorithm '%s'", list.names[i].at);
        algs |= LEAT_JWT_BIT(alg);
    }
    return algs;
}

/* The audience may be false: it is not looked at. [-0, +0, e] */
static void read_audience(lua_State *L, leat_jwt_claims_rules *rules)
{
    rules->audiences.n = 0;
    rules->any_audience =
        lua_getfield(L, OPTIONS, "audience") == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (!rules->any_audience)
        read_names(L, "audience", &rules->audiences);
}

/* A token that never expires must be asked for: `required = {}`. [-0, +0, e] */
static void read_required(lua_State *L, leat_jwt_claims_rules *rules)
{
    int type = lua_getfield(L, OPTIONS, "required");
    bool none = type == LUA_TTABLE && lua_rawlen(L, -1) == 0;
    lua_pop(L, 1);
    rules->required = (leat_jwt_claims_names){.n = 0};
    if (type == LUA_TNIL)
        rules->required = (leat_jwt_claims_names){.n = 1, .names = {leat_slice_of("exp")}};
    else if (!none)
        read_names(L, "required", &rules->required);
}

/* [-0, +0, e] */
static void read_type(lua_State *L, leat_slice *out)
{
    *out = (leat_slice){NULL, 0};
    int type = lua_getfield(L, OPTIONS, "type");
    if (type == LUA_TSTRING)
        out->at = lua_tolstring(L, -1, &out->len);
    else if (type != LUA_TNIL)
        luaL_error(L, WHAT ": type must be a text");
    lua_pop(L, 1);
}

/* Keys of the operator's own: each algorithm that is named must have one. [-0, +0, e] */
static void check_fits(lua_State *L, const struct call *c)
{
    for (leat_jwt_alg alg = 0; c->keys->set != NULL && alg < LEAT_JWT_ALGS; alg++) {
        if ((c->algs & LEAT_JWT_BIT(alg)) == 0 || leat_jwk_set_fits(c->keys->set, alg))
            continue;
        const leat_jwt_alg_traits *traits = leat_jwt_alg_traits_of(alg);
        if (traits->scheme == LEAT_JWT_HMAC)
            luaL_error(L, WHAT ": none of the keys is a secret of %d bytes, as %s needs",
                       (int)traits->min_secret, traits->name);
        luaL_error(L, WHAT ": none of the keys is one for %s", traits->name);
    }
}

/* Reads the arguments of the call. [-0, +0, e] */
static void read_call(lua_State *L, struct call *c)
{
    c->lua = lua_of(L);
    c->token.at = lua_tolstring(L, TOKEN, &c->token.len);
    c->keys = leat_api_keys_at(L, KEYS);
    c->algs = read_algorithms(L);
    read_type(L, &c->type);
    c->rules.now = (int64_t)time(NULL);
    c->rules.leeway_s = read_seconds(L, "leeway_s", MAX_LEEWAY_S);
    c->rules.max_age_s = read_seconds(L, "max_age_s", MAX_AGE_S);
    read_names(L, "issuer", &c->rules.issuers);
    read_names(L, "subject", &c->rules.subjects);
    read_audience(L, &c->rules);
    read_required(L, &c->rules);
}

static leat_jwt_result read_token(struct call *c)
{
    return leat_jwt_read(&c->jwt, c->token, c->lua->core->limits->max_token_bytes, c->algs,
                         &c->lua->scratch[0]);
}

/* --- results --- */

/* The metrics of the results stand in the order of leat_jwt_result. */
_Static_assert(LEAT_M_JWT_CLAIM - LEAT_M_JWT_OK == (int)LEAT_JWT_CLAIM, "a result has no metric");
_Static_assert(LEAT_JWT_RESULTS == LEAT_JWT_CLAIM + 1, "the last result is not the claim");

static void count(const leat_lua *lua, leat_metric id)
{
    leat_metrics_add(lua->core->metrics, id, 1);
}

/* [-0, +2, m] */
static int refuse(lua_State *L, leat_lua *lua, leat_jwt_result result)
{
    count(lua, (leat_metric)(LEAT_M_JWT_OK + (int)result));
    luaL_pushfail(L);
    lua_pushstring(L, leat_jwt_result_name(result));
    return 2;
}

/* As a read that fails: no script takes it for a bad token. [-0, +0, e] */
static int raise_unavailable(lua_State *L, leat_lua *lua, const leat_key_source *source)
{
    count(lua, LEAT_M_JWT_UNAVAILABLE);
    uint32_t retry_ms = source == NULL ? 0 : leat_key_source_retry_ms(source);
    leat_refusal_push_read_error(L, LEAT_CODE_UNAVAILABLE, "",
                                 leat_slice_of("the keys of the URL cannot be fetched"), retry_ms);
    return lua_error(L);
}

/* --- claims --- */

/* [-0, +1|+2, e] */
static int check_claims(lua_State *L, struct call *c)
{
    char reason[200];
    leat_buf *json = &c->lua->scratch[1];
    leat_jwt_result result = leat_jwt_payload(&c->jwt, json);
    if (result == LEAT_JWT_OK)
        result = leat_jwt_claims_check(leat_buf_view(json), &c->rules);
    if (result == LEAT_JWT_OK &&
        leat_lua_json_push(L, leat_buf_view(json), reason, sizeof(reason)) < 0)
        result = LEAT_JWT_MALFORMED;
    if (result != LEAT_JWT_OK)
        return refuse(L, c->lua, result);
    count(c->lua, LEAT_M_JWT_OK);
    return 1;
}

/* --- signature --- */

static int after_signature(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    struct call c;
    const leat_task *t = leat_task_waited(L, lua_of(L), ticket);
    int err = t->wait.err;
    check_options(L);
    read_call(L, &c);
    if (err == LEAT_EBADMSG)
        return refuse(L, c.lua, LEAT_JWT_SIGNATURE);
    if (err < 0)
        return raise_unavailable(L, c.lua, NULL);
    leat_jwt_result result = read_token(&c);
    return result == LEAT_JWT_OK ? check_claims(L, &c) : refuse(L, c.lua, result);
}

/* Trying several keys takes long, too. */
static bool is_slow(const leat_verification_input *input)
{
    return leat_jwt_alg_traits_of(input->alg)->scheme != LEAT_JWT_HMAC &&
           (input->n_keys > 1 || leat_jwk_is_slow(input->keys[0], input->alg));
}

/* [-0, +1|+2, e] yields */
static int check_signature(lua_State *L, struct call *c, leat_verification_input *input)
{
    leat_buf *signature = &c->lua->scratch[1];
    signature->len = 0;
    if (leat_base64_read(signature, LEAT_BASE64_URL, c->jwt.signature) < 0)
        return refuse(L, c->lua, LEAT_JWT_MALFORMED);
    input->alg = c->jwt.alg;
    input->text = c->jwt.signed_text;
    input->signature = leat_buf_view(signature);
    if (c->lua->running != NULL && is_slow(input))
        return leat_verification_wait(L, c->lua->running, input, after_signature);
    if (!leat_verification_run(input))
        return refuse(L, c->lua, LEAT_JWT_SIGNATURE);
    return check_claims(L, c);
}

/* --- keys --- */

enum attempt { FIRST, AFTER_FETCH };

static int find_key(lua_State *L, enum attempt attempt);

static void on_keys(leat_key_waiter *w)
{
    leat_task_wake_soon(LEAT_CONTAINER_OF(w, leat_task, wait.key_waiter), 0);
}

static int start_keys(leat_task *t)
{
    if (!leat_key_source_want(t->wait.keys))
        return LEAT_ECLOSED;
    leat_key_source_wait(t->wait.keys, &t->wait.key_waiter, on_keys);
    return 0;
}

static void stop_keys(leat_task *t)
{
    leat_key_waiter_stop(&t->wait.key_waiter);
}

static int after_keys(lua_State *L, int status, lua_KContext ticket)
{
    (void)status;
    leat_task_waited(L, lua_of(L), ticket);
    check_options(L);
    return find_key(L, AFTER_FETCH);
}

static int wait_for_keys(lua_State *L, const struct call *c)
{
    static const leat_task_wait_kind kind = {LEAT_TASK_WAITING_KEYS, start_keys, stop_keys};
    leat_task *t = leat_task_running(L, c->lua);
    t->wait.keys = c->keys->source;
    return leat_task_wait(L, t, &kind, after_keys);
}

/* [-0, +1|+2, e] yields */
static int find_key(lua_State *L, enum attempt attempt)
{
    struct call c;
    const leat_jwk *found[LEAT_JWK_SET_TRIES];
    read_call(L, &c);
    leat_jwt_result result = read_token(&c);
    if (result == LEAT_JWT_OK && c.type.at != NULL && !leat_jwt_is_type(&c.jwt, c.type))
        result = LEAT_JWT_TYPE;
    if (result != LEAT_JWT_OK)
        return refuse(L, c.lua, result);
    leat_key_source *source = c.keys->source;
    leat_jwk_set *set = source != NULL ? leat_key_source_set(source) : c.keys->set;
    size_t n = set == NULL ? 0 : leat_jwk_set_find(set, c.jwt.alg, c.jwt.kid, found);
    if (n > 0) {
        leat_verification_input input = {.set = set, .keys = found, .n_keys = n};
        return check_signature(L, &c, &input);
    }
    if (source != NULL && attempt == FIRST && leat_key_source_want(source))
        return wait_for_keys(L, &c);
    if (set == NULL || (source != NULL && leat_key_source_in_doubt(source)))
        return raise_unavailable(L, c.lua, source);
    return refuse(L, c.lua, LEAT_JWT_KEY);
}

/* leat.jwt.verify(token, options) -> claims | nil, code             [-0, +1|+2, e] yields */
static int verify(lua_State *L)
{
    struct call c;
    lua_settop(L, OPTIONS);
    check_options(L);
    lua_getfield(L, OPTIONS, "keys");
    if (leat_api_keys_at(L, KEYS) == NULL)
        return luaL_error(L, WHAT ": keys must be what leat.jwt.keys returned");
    read_call(L, &c);
    check_fits(L, &c);
    if (lua_isnil(L, TOKEN))
        return refuse(L, c.lua, LEAT_JWT_MALFORMED);
    luaL_checktype(L, TOKEN, LUA_TSTRING);
    return find_key(L, FIRST);
}

void leat_api_jwt_push(lua_State *L, leat_lua *lua)
{
    static const luaL_Reg functions[] = {
        {"keys", leat_api_keys_make},
        {"verify", verify},
        {NULL, NULL},
    };
    leat_api_keys_open(L);
    luaL_newlibtable(L, functions);
    lua_pushlightuserdata(L, lua);
    luaL_setfuncs(L, functions, 1);
}
