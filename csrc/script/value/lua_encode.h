/* lua_encode.h - what lua_encode.c (values, lists) and lua_encode_object.c share; private to them.
 *
 * Ownership  an encoder lives in the frame of its caller.
 * Threads    that of the Lua state.
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
    size_t start; /* where the value begins in out */
    size_t max_bytes;
    size_t n_values;
    int depth;
    const void *metatable;            /* the last one that was looked at; rows follow each other */
    leat_slice absent;                /* its marks; at is NULL if it is no shape */
    const char *why;                  /* the reason of the error, a static text */
    char path[LEAT_LUA_ENCODER_PATH]; /* to the value without a JSON form; filled from the end */
    size_t path_at;
} leat_lua_encoder;

/* Appends the value at index, which is absolute. On success the stack is as before. */
LEAT_MUST_CHECK int leat_lua_encode_value(leat_lua_encoder *e, int index);

/* Appends a table as an object. shape: the index of its shape, or 0; absent: the marks of the
 * shape. May leave values on the stack. */
LEAT_MUST_CHECK int leat_lua_encode_object(leat_lua_encoder *e, int table, int shape,
                                           leat_slice absent);

/* Appends NaN or an infinity as to_jsonb does. */
void leat_lua_encode_special(leat_lua_encoder *e, double n);

/* Returns 0 if extra more bytes are within the limit. */
LEAT_MUST_CHECK int leat_lua_encode_check_size(leat_lua_encoder *e, size_t extra);

/* Both return err, which the caller returns. The first records the reason, the second the place. */
int leat_lua_encode_fail(leat_lua_encoder *e, int err, const char *why);
int leat_lua_encode_under_key(leat_lua_encoder *e, int err, leat_slice key);

#endif
