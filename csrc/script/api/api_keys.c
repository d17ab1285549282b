/* api_keys.c - a table names one source of keys: secret, pem, jwk, file or url. Keys are made while
 * the app loads, so that no request decides which URL is fetched or which file is read. */
#include "script/api/api_keys.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "script/api/api_check.h"
#include "script/value/lua_json.h"

#define TYPE "leat.jwt.keys"
#define WHAT "leat.jwt.keys"

enum { MAX_URL_BYTES = 2000, MAX_PATH_BYTES = 4096 };

/* __gc                                                              [-0, +0, -] */
static int collect(lua_State *L)
{
    leat_api_keys *keys = luaL_checkudata(L, 1, TYPE);
    leat_jwk_set_unref(keys->set);
    leat_key_source_unref(keys->source);
    *keys = (leat_api_keys){NULL, NULL};
    return 0;
}

/* tostring(keys): nothing of what they are                           [-0, +1, m] */
static int describe(lua_State *L)
{
    lua_pushliteral(L, TYPE);
    return 1;
}

void leat_api_keys_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", collect},
        {"__tostring", describe},
        {NULL, NULL},
    };
    luaL_newmetatable(L, TYPE);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushliteral(L, TYPE);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

const leat_api_keys *leat_api_keys_at(lua_State *L, int index)
{
    return luaL_testudata(L, index, TYPE);
}

/* --- sources: each gets the value of its member at index --- */

struct source {
    const char *name;
    void (*take)(lua_State *L, leat_lua *lua, leat_api_keys *keys, int index);
};

/* [-0, +0, e] */
static void check_added(lua_State *L, int err, const char *name, const char *reason)
{
    if (err < 0)
        luaL_error(L, WHAT ": %s: %s", name, reason);
}

typedef int (*add_text)(leat_jwk_set *set, leat_slice text, const char **reason);

/* A text, or a list of texts. [-0, +0, e] */
static void take_texts(lua_State *L, leat_api_keys *keys, int index, const char *name, add_text add)
{
    const char *reason = NULL;
    leat_slice text;
    keys->set = leat_jwk_set_new();
    if (lua_type(L, index) == LUA_TSTRING) {
        text.at = lua_tolstring(L, index, &text.len);
        int err = add(keys->set, text, &reason);
        check_added(L, err, name, reason);
        return;
    }
    if (!lua_istable(L, index) || lua_rawlen(L, index) == 0)
        luaL_error(L, WHAT ": %s must be a text or a list of texts", name);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, index); i++) {
        if (lua_rawgeti(L, index, i) != LUA_TSTRING)
            luaL_error(L, WHAT ": %s must be a text or a list of texts", name);
        text.at = lua_tolstring(L, -1, &text.len);
        int err = add(keys->set, text, &reason);
        check_added(L, err, name, reason);
        lua_pop(L, 1);
    }
}

static void take_secret(lua_State *L, leat_lua *lua, leat_api_keys *keys, int index)
{
    (void)lua;
    take_texts(L, keys, index, "secret", leat_jwk_set_add_secret);
}

static void take_pem(lua_State *L, leat_lua *lua, leat_api_keys *keys, int index)
{
    (void)lua;
    take_texts(L, keys, index, "pem", leat_jwk_set_add_pem);
}

static void take_jwk(lua_State *L, leat_lua *lua, leat_api_keys *keys, int index)
{
    char why[300];
    const char *reason = NULL;
    leat_buf *json = &lua->scratch[0];
    json->len = 0;
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t len = 0;
        const char *text = lua_tolstring(L, index, &len);
        leat_buf_append(json, text, len);
    } else if (leat_lua_json_encode(L, index, json, lua->core->limits->jwks_max_bytes, why,
                                    sizeof(why)) < 0) {
        luaL_error(L, WHAT ": jwk must be a JWK or a JWK set, as a table or as its JSON");
    }
    keys->set = leat_jwk_set_new();
    int err = leat_jwk_set_add_json(keys->set, leat_buf_view(json), LEAT_JWK_SET_OPERATOR, &reason);
    check_added(L, err, "jwk", reason);
}

/* Reads the file into the buffer. Returns NULL, or what is wrong. */
static const char *read_file(const char *path, leat_buf *out, size_t max_bytes)
{
    out->len = 0;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return "cannot be opened";
    char *at = leat_buf_reserve(out, max_bytes + 1);
    out->len = fread(at, 1, max_bytes + 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed)
        return "cannot be read";
    return out->len > max_bytes ? "is larger than jwks_max_bytes" : NULL;
}

/* A path is relative to the folder of the app. [-0, +1, e] */
static const char *push_path(lua_State *L, const leat_lua *lua, const char *path)
{
    const char *slash = strrchr(lua->app_path, '/');
    if (path[0] == '/' || slash == NULL)
        return lua_pushstring(L, path);
    lua_pushlstring(L, lua->app_path, (size_t)(slash + 1 - lua->app_path));
    lua_pushstring(L, path);
    lua_concat(L, 2);
    return lua_tostring(L, -1);
}

/* The text at index, without a byte that a path or URL cannot have. [-0, +0, e] */
static const char *check_text(lua_State *L, int index, const char *name, size_t max_bytes)
{
    size_t len = 0;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, WHAT ": %s must be a text", name);
    const char *text = lua_tolstring(L, index, &len);
    if (len == 0 || len > max_bytes || strlen(text) != len)
        luaL_error(L, WHAT ": %s is empty, too long, or has a NUL", name);
    return text;
}

static void take_file(lua_State *L, leat_lua *lua, leat_api_keys *keys, int index)
{
    const char *reason = NULL;
    const char *path = push_path(L, lua, check_text(L, index, "file", MAX_PATH_BYTES));
    leat_buf *text = &lua->scratch[0];
    const char *problem = read_file(path, text, lua->core->limits->jwks_max_bytes);
    if (problem != NULL)
        luaL_error(L, WHAT ": file %s %s", path, problem);
    keys->set = leat_jwk_set_new();
    leat_slice view = leat_buf_view(text);
    bool is_pem = view.len > 0 && memmem(view.at, view.len, "-----BEGIN ", 11) != NULL;
    int err = is_pem ? leat_jwk_set_add_pem(keys->set, view, &reason)
                     : leat_jwk_set_add_json(keys->set, view, LEAT_JWK_SET_OPERATOR, &reason);
    check_added(L, err, path, reason);
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* [-0, +0, e] */
static void check_url(lua_State *L, const char *url, bool allow_http)
{
    if (!begins_with(url, "https://") && !(allow_http && begins_with(url, "http://")))
        luaL_error(L,
                   WHAT ": url must begin with https:// (or with http:// and allow_http = true)");
    const char *host = strstr(url, "://") + 3;
    for (const char *at = url; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            luaL_error(L, WHAT ": url has a space or a control character");
    if (memchr(host, '@', strcspn(host, "/?#")) != NULL)
        luaL_error(L, WHAT ": url must not have a name and a password");
}

static void take_url(lua_State *L, leat_lua *lua, leat_api_keys *keys, int index)
{
    const char *url = check_text(L, index, "url", MAX_URL_BYTES);
    const char *ca_file = NULL;
    lua_getfield(L, 1, "allow_http");
    bool allow_http = lua_toboolean(L, -1);
    if (lua_getfield(L, 1, "ca_file") != LUA_TNIL)
        ca_file = push_path(L, lua, check_text(L, -1, "ca_file", MAX_PATH_BYTES));
    check_url(L, url, allow_http);
    if (lua->core->keys == NULL)
        return;
    int err = leat_key_store_open(&keys->source, lua->core->keys, url, ca_file, allow_http);
    if (err < 0)
        luaL_error(L, WHAT ": there is no thread that can fetch");
}

static const struct source sources[] = {
    {"secret", take_secret}, {"pem", take_pem}, {"jwk", take_jwk},
    {"file", take_file},     {"url", take_url},
};

/* Pushes the member that names the source. [-0, +1, e] */
static const struct source *find_source(lua_State *L)
{
    const struct source *found = NULL;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (lua_getfield(L, 1, sources[i].name) == LUA_TNIL) {
            lua_pop(L, 1);
            continue;
        }
        if (found != NULL)
            luaL_error(L, WHAT ": give either %s or %s", found->name, sources[i].name);
        found = &sources[i];
    }
    if (found == NULL)
        luaL_error(L, WHAT ": give one of secret, pem, jwk, file, url");
    return found;
}

int leat_api_keys_make(lua_State *L)
{
    static const char *const known[] = {"secret", "pem",     "jwk",        "file",
                                        "url",    "ca_file", "allow_http", NULL};
    leat_lua *lua = lua_touserdata(L, lua_upvalueindex(1));
    leat_api_check_keys(L, 1, known, WHAT);
    if (lua->catalog.complete)
        luaL_error(L, WHAT ": make keys once, while the application loads, and not in a handler");
    lua_settop(L, 1);
    leat_api_keys *keys = lua_newuserdatauv(L, sizeof(*keys), 0);
    *keys = (leat_api_keys){NULL, NULL};
    luaL_setmetatable(L, TYPE);
    const struct source *source = find_source(L);
    source->take(L, lua, keys, lua_gettop(L));
    lua_settop(L, 2);
    return 1;
}
