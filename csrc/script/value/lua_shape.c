#include "script/value/lua_shape.h"

#include <stdint.h>

#include <lauxlib.h>

#include "base/err.h"
#include "wire/json.h"

enum {
    MAX_CACHED = 1024,       /* shapes */
    MAX_CACHED_BYTES = 4096, /* of the description of a shape */
    REST_BYTES = 1 << 16,    /* a buffer of this size is kept */
};

/* The addresses are keys of the registry, and the key of the marks of a shape. A script has no
 * light userdata but NULL, so it can neither make nor change a shape. */
static const char codec_key = 'c';
static const char array_key = 'a';
static const char json_key = 'j';
static const char cache_key = 's';
static const char absent_key = 'n';

/* --- the codec --- */

static int free_codec(lua_State *L)
{
    leat_lua_codec *c = lua_touserdata(L, 1);
    leat_buf_close(&c->strings);
    leat_buf_close(&c->members);
    leat_buf_close(&c->entries);
    leat_buf_close(&c->text);
    leat_buf_close(&c->list);
    leat_buf_close(&c->forms);
    if (c->c_locale != (locale_t)0)
        freelocale(c->c_locale);
    c->c_locale = (locale_t)0;
    return 0;
}

/* json:__tostring() -> text                                        [-0, +1, -] */
static int json_tostring(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    return 1;
}

/* Names the metatable on top. getmetatable gives scripts that name instead of the table. */
static void name_metatable(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
}

void leat_lua_shape_open(lua_State *L)
{
    leat_lua_codec *c = lua_newuserdatauv(L, sizeof(*c), 0);
    *c = (leat_lua_codec){.n_shapes = 0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_codec);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &codec_key);
    c->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    LEAT_ASSERT(c->c_locale != (locale_t)0);

    lua_createtable(L, 0, 2);
    name_metatable(L, "leat.array");
    c->array = lua_topointer(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);

    lua_createtable(L, 0, 3);
    name_metatable(L, "leat.json");
    lua_pushcfunction(L, json_tostring);
    lua_setfield(L, -2, "__tostring");
    c->json = lua_topointer(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &json_key);

    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cache_key);
}

leat_lua_codec *leat_lua_shape_codec(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &codec_key);
    leat_lua_codec *c = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return c;
}

void leat_lua_shape_empty(leat_buf *b)
{
    if (b->cap > REST_BYTES)
        leat_buf_close(b);
    b->len = 0;
}

/* --- NaN --- */

/* A NaN has unused bits, which hold a mark. Copying and calculating keep it. */
static const uint64_t nan_bits = 0x7ff8000000001ea7;

double leat_lua_shape_nan(void)
{
    double n;
    memcpy(&n, &nan_bits, sizeof(n));
    return n;
}

bool leat_lua_shape_is_nan(double n)
{
    uint64_t bits;
    memcpy(&bits, &n, sizeof(bits));
    return (bits & ~(UINT64_C(1) << 63)) == nan_bits;
}

/* --- descriptions: for each member the absent byte, four bytes of length, the name --- */

size_t leat_lua_shape_member(leat_buf *members, leat_slice name, char absent)
{
    size_t at = members->len;
    uint32_t len = (uint32_t)name.len;
    leat_buf_char(members, absent);
    leat_buf_append(members, &len, sizeof(len));
    leat_buf_slice(members, name);
    return at;
}

/* Removes the first member from the description and returns it. */
static leat_slice next_member(leat_slice *description, char *absent)
{
    uint32_t len = 0;
    *absent = description->at[0];
    memcpy(&len, description->at + 1, sizeof(len));
    size_t head = 1 + sizeof(len);
    leat_slice name = {description->at + head, len};
    description->at += head + len;
    description->len -= head + len;
    return name;
}

/* --- shapes --- */

/* Puts the names into the shape below the top. The table on top maps names to numbers. c->text gets
 * the marks. */
static int fill_names(lua_State *L, leat_lua_codec *c, leat_slice description)
{
    int n = 0;
    c->text.len = 0;
    while (description.len > 0) {
        char absent;
        leat_slice name = next_member(&description, &absent);
        lua_pushlstring(L, name.at, name.len);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNUMBER) { /* a second member of this name */
            c->text.at[lua_tointeger(L, -1) - 1] = absent;
            lua_pop(L, 2);
            continue;
        }
        lua_pop(L, 1);
        leat_buf_char(&c->text, absent);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -4, ++n);
        lua_pushinteger(L, n);
        lua_rawset(L, -3);
    }
    return n;
}

/* A name that is not valid UTF-8 gets an empty text. */
static void fill_texts(lua_State *L, leat_lua_codec *c, int n)
{
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        leat_slice name = {NULL, 0};
        name.at = lua_tolstring(L, -1, &name.len);
        c->text.len = 0;
        if (leat_json_write_string(&c->text, name) == 0)
            leat_buf_char(&c->text, ':');
        lua_pop(L, 1);
        lua_pushlstring(L, c->text.len > 0 ? c->text.at : "", c->text.len);
        lua_rawseti(L, -2, n + i);
    }
}

static void push_new_shape(lua_State *L, leat_lua_codec *c, leat_slice description)
{
    lua_createtable(L, 0, 3);
    name_metatable(L, "leat.row");
    lua_newtable(L);
    int n = fill_names(L, c, description);
    lua_pop(L, 1);
    lua_pushlstring(L, n > 0 ? c->text.at : "", (size_t)n);
    lua_rawsetp(L, -2, &absent_key);
    fill_texts(L, c, n);
}

void leat_lua_shape_push(lua_State *L, leat_lua_codec *c, leat_slice description)
{
    luaL_checkstack(L, 8, "shape");
    if (description.len > MAX_CACHED_BYTES) {
        push_new_shape(L, c, description);
        return;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &cache_key);
    lua_pushlstring(L, description.len > 0 ? description.at : "", description.len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        push_new_shape(L, c, description);
        if (c->n_shapes < MAX_CACHED) {
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5);
            c->n_shapes++;
        }
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

leat_slice leat_lua_shape_absent(lua_State *L, int index)
{
    leat_slice absent = {NULL, 0};
    if (lua_rawgetp(L, index, &absent_key) == LUA_TSTRING)
        absent.at = lua_tolstring(L, -1, &absent.len);
    lua_pop(L, 1);
    return absent;
}

void leat_lua_shape_push_array(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
}

/* --- ready-made JSON --- */

void leat_lua_shape_mark_json(lua_State *L)
{
    lua_newuserdatauv(L, 0, 1);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &json_key);
    lua_setmetatable(L, -2);
}

bool leat_lua_shape_push_json(lua_State *L, const leat_lua_codec *c, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return false;
    bool is_json = lua_topointer(L, -1) == c->json;
    lua_pop(L, 1);
    if (is_json)
        lua_getiuservalue(L, index, 1);
    return is_json;
}
