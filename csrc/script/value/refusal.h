/* refusal.h - two values that stand for a no: the refusal, which leat.deny makes and a handler
 * returns, and the read error, which db functions raise.
 *
 * Ownership  both are userdata of the Lua state; the pointer that leat_refusal_at returns is valid
 *            as long as the value.
 * Threads    that of the Lua state.
 * Units      retry_after_ms in milliseconds, 0: there is none.
 * Errors     pushing raises only if memory is out.
 *
 * For scripts, both have the fields code, message and retry_after_ms, and read errors also
 * sqlstate. tostring() gives one line. Scripts can neither make nor change them in another way.
 */
#ifndef LEAT_SCRIPT_VALUE_REFUSAL_H
#define LEAT_SCRIPT_VALUE_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct leat_refusal {
    leat_code code;
    uint32_t retry_after_ms;
    bool read_failed; /* it is a read error, and not made by leat.deny */
    char sqlstate[6]; /* "" if Postgres gave none */
    size_t message_len;
    char message[];
} leat_refusal;

/* Makes the metatables. Called once for each state. */
void leat_refusal_open(lua_State *L);

/* message.at == NULL: there is none. [-0, +1, m] */
void leat_refusal_push_deny(lua_State *L, leat_code code, leat_slice message,
                            uint32_t retry_after_ms);
void leat_refusal_push_read_error(lua_State *L, leat_code code, const char *sqlstate,
                                  leat_slice message, uint32_t retry_after_ms);

/* Returns the refusal or read error at index, or NULL if the value is neither. Never raises. */
const leat_refusal *leat_refusal_at(lua_State *L, int index);

/* leat.deny(code [, message [, { retry_after_ms = n }]]) -> refusal        [-0, +1, arg] */
int leat_refusal_deny(lua_State *L);

#endif
