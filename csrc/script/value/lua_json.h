/* lua_json.h - between Lua values and the wire's JSON, and from Postgres' rows to Lua.
 *
 * Ownership  pushes values on the stack; encoders append to the caller's buffer.
 * Threads    the Lua state's.
 * Units      depth counts open arrays and objects.
 * Errors     encoding and decoding return LEAT_EBADMSG, LEAT_ETOOLARGE and a sentence; pushing may
 *            raise for lack of memory, so it is called from protected code. Encoding (and
 *            leat_lua_param) never raises, so that a C buffer may be held across it.
 *
 * Integers stay exact (int64); a number that neither an int64 nor a double can hold exactly is kept
 * as ready-made JSON (the same userdata as leat.json). An infinity, and the NaN of a row, are
 * strings in JSON, as Postgres writes them; leat.encode refuses infinities. Objects remember the
 * order of their keys and which were null (a shape, shared by all objects and rows alike, in the
 * metatable); a null member reads as nil and is written as null again; members added later follow.
 * Arrays, also empty ones, carry a metatable and are written as []. A null inside an array reads as
 * leat.null. A plain Lua table is an array if its keys are exactly 1..n (n > 0), an object if all
 * keys are strings (written in sorted order), else an error. Cycles are an error (depth). No
 * metamethod of a script's is ever called: tables are read raw.
 */
#ifndef LEAT_SCRIPT_VALUE_LUA_JSON_H
#define LEAT_SCRIPT_VALUE_LUA_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/pg_result.h"

/* Makes the metatables in the registry; pushes nothing. Once a state. */
void leat_lua_json_open(lua_State *L);

/* Adds to the table on top (the module `leat`):
 * null            the light userdata NULL
 * json(text)      ready-made JSON, validated here and passed through when encoded; raises
 * array([t])      marks t, or a new table, as a list; holes in it are written as null
 * encode(value)   -> text, at most 64 MiB; raises for what has no JSON form
 * decode(text)    -> value | nil, reason; a text that is just null reads as leat.null */
void leat_lua_json_functions(lua_State *L);

/* Appends the JSON of the value at index, at most max_bytes. On an error nothing is appended, and
 * reason says what was wrong and where ("messages[3].body: invalid UTF-8"). LEAT_EBUDGET: the
 * script's time is used up; the caller calls leat_sandbox_run_check as soon as it may be left. */
LEAT_MUST_CHECK int leat_lua_json_encode(lua_State *L, int index, leat_buf *out, size_t max_bytes,
                                         char *reason, size_t reason_size);

/* Pushes the decoded value (text.at == NULL, and a null that is the whole text, push nil). On
 * LEAT_EBADMSG nothing is pushed. */
LEAT_MUST_CHECK int leat_lua_json_push(lua_State *L, leat_slice text, char *reason,
                                       size_t reason_size);

/* The JSON that Postgres has made of the values whose type only it knows (column.h), in the order
 * of rows and columns, without those that are NULL. ends: a size_t each, where in texts it ends. */
typedef struct leat_lua_answers {
    leat_buf texts;
    leat_buf ends;
} leat_lua_answers;

/* Pushes row as a table: int2/4/8 and oid integers, float4/8 floats, bool booleans, json/jsonb
 * decoded, arrays lists, timestamps in ISO 8601, everything else (numeric, too) strings. Where
 * Postgres was asked, what its JSON decodes to; where the answer is missing, the text. */
void leat_lua_row_push(lua_State *L, const leat_pg_result *r, int row,
                       const leat_lua_answers *answers);
/* Pushes the list of all rows. */
void leat_lua_rows_push(lua_State *L, const leat_pg_result *r, const leat_lua_answers *answers);

/* A value for a query parameter: nil and leat.null are NULL; booleans, integers, floats and strings
 * as text (a float without a fraction as the integer that it is: cjson knows nothing else); tables
 * and leat.json as JSON text. Text is appended to out, *is_null is set.
 * LEAT_EBADMSG with a reason for what cannot be bound (functions, userdata...); LEAT_ETOOLARGE if
 * out would become larger than 64 MiB; LEAT_EBUDGET as leat_lua_json_encode. */
LEAT_MUST_CHECK int leat_lua_param(lua_State *L, int index, leat_buf *out, bool *is_null,
                                   char *reason, size_t reason_size);

#endif
