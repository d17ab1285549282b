/* lua_encode.h - what lua_encode.c (values, lists) and lua_encode_object.c share; private to them.
 *
 * Ownership  an encoder lives in its caller's frame.
 * Threads    the Lua state's.
 * Units      bytes.
 * Errors     as leat_lua_json_encode; nothing here raises.
 */
#ifndef LEAT_SCRIPT_VALUE_LUA_ENCODE_H
#define LEAT_SCRIPT_VALUE_LUA_ENCODE_H

#include <stddef.h>

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "script/value/lua_shape.h"

enum { LEAT_LUA_ENCODER_PATH = 160 };

typedef struct leat_lua_encoder {
    lua_State *L;
    leat_lua_codec *codec;
    leat_buf *out;
    size_t start; /* of the value in out */
    size_t max_bytes;
    size_t n_values;
    int depth;
    const char *why;                  /* of the error, static */
    char path[LEAT_LUA_ENCODER_PATH]; /* to it; filled from the end */
    size_t path_at;
} leat_lua_encoder;

/* Appends the value at index, which is absolute. On success the stack is as before. */
LEAT_MUST_CHECK int leat_lua_encode_value(leat_lua_encoder *e, int index);

/* Appends a table as an object. shape: the index of its shape, or 0; absent: the shape's marks. May
 * leave values on the stack. */
LEAT_MUST_CHECK int leat_lua_encode_object(leat_lua_encoder *e, int table, int shape,
                                           leat_slice absent);

/* Appends what has no number's form, as to_jsonb writes it. */
void leat_lua_encode_special(leat_lua_encoder *e, double n);

/* Whether extra more bytes are within the limit. */
LEAT_MUST_CHECK int leat_lua_encode_check_size(leat_lua_encoder *e, size_t extra);

/* Both return err, for the caller to return: the first notes why, the second where. */
int leat_lua_encode_fail(leat_lua_encoder *e, int err, const char *why);
int leat_lua_encode_under_key(leat_lua_encoder *e, int err, leat_slice key);

#endif
