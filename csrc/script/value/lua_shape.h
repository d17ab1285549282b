/* lua_shape.h - the codec of a Lua state and its shapes: what lua_encode, lua_decode and lua_row
 * share.
 *
 * Ownership  the codec belongs to the Lua state, which frees it when it is closed.
 * Threads    that of the Lua state.
 * Units      bytes.
 * Errors     functions that push raise if memory is out. The buffers belong to the codec, so none
 *            is lost then.
 *
 * A shape is a metatable. It has the names of the members of an object in their order, and a mark
 * for each: what is written if the table has no such member. That is null for a column and for a
 * member that was null, and nothing for a member that the script has removed. The mark of a column
 * also says whether its values have another form in JSON than in Lua. All rows of a result, and all
 * objects with the same members, share one shape. In its array part, 1..n are the names and n+1..2n
 * the names as JSON with a colon.
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
    LEAT_LUA_SHAPE_OMIT = '-',      /* absent members are not written */
    LEAT_LUA_SHAPE_NUMERIC = 'N',   /* null; a string of digits is written as a number */
    LEAT_LUA_SHAPE_FLOAT = 'F',     /* null; NaN and the infinities are written as strings */
    LEAT_LUA_SHAPE_OID = 'O',       /* null; an integer is written as a string */
};

typedef struct leat_lua_codec {
    leat_buf strings; /* of the JSON reader */
    leat_buf members; /* descriptions of the shapes being read, inner ones after outer ones */
    leat_buf entries; /* keys being sorted, likewise */
    leat_buf text;    /* of a string that becomes a Lua string */
    leat_buf forms;   /* of the columns of the rows that are pushed, a byte each */
    leat_buf list;    /* of an array of Postgres, as JSON */
    bool strict;      /* an infinity has no JSON form, except in a column of a row */
    locale_t c_locale;
    const void *array; /* the addresses of two metatables, which identify them */
    const void *json;
    int n_shapes; /* in the cache */
} leat_lua_codec;

/* The NaN of a row. It is written as "NaN", as Postgres does, wherever a script puts it. Any other
 * NaN comes from a mistake of the script and has no JSON form. */
double leat_lua_shape_nan(void);
bool leat_lua_shape_is_nan(double n);

/* Makes the codec and its metatables. Called once for each state. */
void leat_lua_shape_open(lua_State *L);

leat_lua_codec *leat_lua_shape_codec(lua_State *L);

/* Empties a buffer of the codec. Frees its memory if an unusually large value needed much of it. */
void leat_lua_shape_empty(leat_buf *b);

/* Appends a member to a description. Returns the offset of its mark (LEAT_LUA_SHAPE_NULL...). */
size_t leat_lua_shape_member(leat_buf *members, leat_slice name, char absent);

/* Pushes the shape of a description. Of members with one name, the last counts, in the place of the
 * first. */
void leat_lua_shape_push(lua_State *L, leat_lua_codec *c, leat_slice description);

/* Returns the marks (LEAT_LUA_SHAPE_NULL...) of the members if the metatable at index is a shape;
 * otherwise at is NULL. Never raises. */
leat_slice leat_lua_shape_absent(lua_State *L, int index);

/* Pushes the metatable of lists. */
void leat_lua_shape_push_array(lua_State *L);

/* Replaces the text on top by ready-made JSON. */
void leat_lua_shape_mark_json(lua_State *L);

/* If the value at index is ready-made JSON, pushes its text and returns true. Never raises. */
bool leat_lua_shape_push_json(lua_State *L, const leat_lua_codec *c, int index);

#endif
