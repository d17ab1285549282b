/* lua_shape.h - what lua_encode, lua_decode and lua_row share; private to them.
 *
 * Ownership  the codec belongs to the Lua state, which frees it when it is closed.
 * Threads    the Lua state's.
 * Units      bytes.
 * Errors     what pushes may raise for lack of memory. The buffers are the codec's, so that
 *            nothing is lost then.
 *
 * A shape is a metatable: the names of an object's members in their order and, for each, what to
 * write if the table has none: null (a column, a member that was null) or nothing (a member that
 * the script has taken out). A column's mark also says where JSON has another form for its values
 * than Lua. All rows of a result and all objects with the same members share one.
 * Its array part: the names 1..n, then n+1..2n each name as JSON with its colon.
 */
#ifndef LEAT_SCRIPT_VALUE_LUA_SHAPE_H
#define LEAT_SCRIPT_VALUE_LUA_SHAPE_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#include "base/buf.h"
#include "base/slice.h"

enum {
    LEAT_LUA_SHAPE_MAX_DEPTH = 100, /* of arrays and objects */
    LEAT_LUA_SHAPE_NULL = 'n',      /* absent members are written as null */
    LEAT_LUA_SHAPE_OMIT = '-',      /* or not at all */
    LEAT_LUA_SHAPE_NUMERIC = 'N',   /* null; a string of digits is written as a number */
    LEAT_LUA_SHAPE_FLOAT = 'F',     /* null; NaN and the infinities are written as strings */
    LEAT_LUA_SHAPE_OID = 'O',       /* null; an integer is written as a string */
};

typedef struct leat_lua_codec {
    leat_buf strings; /* the JSON reader's */
    leat_buf members; /* descriptions of the shapes being read, inner ones behind outer ones */
    leat_buf entries; /* keys being sorted, likewise */
    leat_buf text;    /* on its way to Lua */
    leat_buf forms;   /* of the columns of the rows being pushed, a byte each */
    leat_buf list;    /* an array of Postgres, on its way to Lua */
    bool strict;      /* an infinity has no JSON form, but in a column of a row */
    locale_t c_locale;
    const void *array; /* addresses of the metatables, to know them by */
    const void *json;
    int n_shapes; /* in the cache */
} leat_lua_codec;

/* The NaN of a row: one that is written as "NaN", as Postgres does, wherever a script puts it.
 * Another NaN comes out of a mistake of the script, and has no JSON form. */
double leat_lua_shape_nan(void);
bool leat_lua_shape_is_nan(double n);

/* Makes the codec and its metatables. Once a state. */
void leat_lua_shape_open(lua_State *L);

leat_lua_codec *leat_lua_shape_codec(lua_State *L);

/* Empties a buffer of the codec and gives memory back that an unusually large value has needed. */
void leat_lua_shape_rest(leat_buf *b);

/* Appends a member to a description. Returns the offset of its mark (LEAT_LUA_SHAPE_NULL...). */
size_t leat_lua_shape_member(leat_buf *members, leat_slice name, char absent);

/* Pushes the shape of a description. Members of one name are one: the last, in the place of the
 * first. */
void leat_lua_shape_push(lua_State *L, leat_lua_codec *c, leat_slice description);

/* If the table at index, a metatable, is a shape: a mark for each member (LEAT_LUA_SHAPE_NULL...).
 * Else at is NULL. Never raises. */
leat_slice leat_lua_shape_absent(lua_State *L, int index);

/* Pushes the metatable of lists. */
void leat_lua_shape_push_array(lua_State *L);

/* Turns the text on top into ready-made JSON. */
void leat_lua_shape_mark_json(lua_State *L);

/* Whether the value at index is ready-made JSON; if so, pushes its text. Never raises. */
bool leat_lua_shape_push_json(lua_State *L, const leat_lua_codec *c, int index);

#endif
