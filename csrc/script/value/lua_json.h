/* lua_json.h - Lua values to JSON and back, and rows of Postgres to Lua.
 *
 * Ownership  pushes values on the stack; encoders append to the buffer of the caller.
 * Threads    that of the Lua state.
 * Units      depth counts open arrays and objects.
 * Errors     encoding and decoding return LEAT_EBADMSG or LEAT_ETOOLARGE and a sentence. Pushing
 *            raises if memory is out, so it is called from protected code. Encoding and
 *            leat_lua_param never raise, so a C buffer may be held across them.
 *
 * Numbers: an int64 stays exact. A number that neither an int64 nor a double holds exactly becomes
 * ready-made JSON, the userdata of leat.json. An infinity, and the NaN of a row, are strings in
 * JSON, as Postgres writes them; leat.encode refuses infinities. Objects: their metatable is a
 * shape, which keeps the order of the members and which of them were null. A null member reads as
 * nil and is written as null again. Members that a script adds follow. Arrays: they have a
 * metatable, so an empty one is written as [], too. A null in an array reads as leat.null. Tables
 * of scripts: an array if the keys are exactly 1..n (n > 0), an object with sorted members if all
 * keys are strings, otherwise an error. A cycle is an error, because the depth is limited. Tables
 * are read raw: no metamethod of a script is called.
 */
#ifndef LEAT_SCRIPT_VALUE_LUA_JSON_H
#define LEAT_SCRIPT_VALUE_LUA_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/pg_result.h"

/* Makes the metatables in the registry. Called once for each state. [-0, +0, m] */
void leat_lua_json_open(lua_State *L);

/* Adds to the table on top (the module `leat`):
 * null            the light userdata NULL
 * json(text)      ready-made JSON, validated here and passed through when encoded; raises
 * array([t])      marks t, or a new table, as a list, whose holes are written as null
 * encode(value)   -> text, at most 64 MiB; raises for what has no JSON form
 * decode(text)    -> value | nil, reason; a text that is just null reads as leat.null */
void leat_lua_json_functions(lua_State *L);

/* Appends the JSON of the value at index, at most max_bytes. On an error nothing is appended, and
 * reason says what is wrong and where ("messages[3].body: invalid UTF-8"). LEAT_EBUDGET: the budget
 * of the script is used up; the caller must call leat_sandbox_run_check as soon as an error may
 * leave it. */
LEAT_MUST_CHECK int leat_lua_json_encode(lua_State *L, int index, leat_buf *out, size_t max_bytes,
                                         char *reason, size_t reason_size);

/* Pushes the decoded value (text.at == NULL, and a null that is the whole text, push nil). On
 * LEAT_EBADMSG nothing is pushed. */
LEAT_MUST_CHECK int leat_lua_json_push(lua_State *L, leat_slice text, char *reason,
                                       size_t reason_size);

/* The JSON that Postgres made of the values whose types only Postgres knows (column.h), in the
 * order of rows and columns, without the NULLs. ends has a size_t for each: where it ends in texts.
 */
typedef struct leat_lua_answers {
    leat_buf texts;
    leat_buf ends;
} leat_lua_answers;

/* Pushes row as a table: int2/4/8 and oid integers, float4/8 floats, bool booleans, json/jsonb
 * decoded, arrays lists, timestamps in ISO 8601, and everything else strings, numeric, too. A
 * value that Postgres was asked about is what its JSON decodes to, or its text if there is no
 * answer. */
void leat_lua_row_push(lua_State *L, const leat_pg_result *r, int row,
                       const leat_lua_answers *answers);
/* Pushes the list of all rows. */
void leat_lua_rows_push(lua_State *L, const leat_pg_result *r, const leat_lua_answers *answers);

/* Appends the value at index to out as a parameter, or sets *is_null for nil and leat.null.
 * Booleans, numbers and strings become text. A float without a fraction becomes an integer, because
 * cjson reads all numbers as floats. Tables and leat.json become JSON. LEAT_EBADMSG with a reason
 * for what cannot be bound (functions, userdata...); LEAT_ETOOLARGE if out would become larger than
 * 64 MiB; LEAT_EBUDGET as leat_lua_json_encode. */
LEAT_MUST_CHECK int leat_lua_param(lua_State *L, int index, leat_buf *out, bool *is_null,
                                   char *reason, size_t reason_size);

#endif
