/* refusal.h - the two values that say no: leat.deny's, which a handler returns, and the error value
 * of a read that failed, which db functions raise.
 *
 * Ownership  both are userdata of the Lua state; what the accessors return lives as long as the
 *            value.
 * Threads    the Lua state's.
 * Units      retry_after_ms in milliseconds, 0: not told.
 * Errors     pushing raises for lack of memory only.
 *
 * To scripts both have the fields code, message, retry_after_ms and (read errors) sqlstate, nil
 * where there is none, and tostring() gives one line. Neither can be made or changed by other
 * means.
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
    bool read_failed; /* a read error's; false: leat.deny's */
    char sqlstate[6]; /* "" if Postgres gave none */
    size_t message_len;
    char message[];
} leat_refusal;

/* Makes the metatables. Once a state. */
void leat_refusal_open(lua_State *L);

/* message.at == NULL: none. */
void leat_refusal_push_deny(lua_State *L, leat_code code, leat_slice message,
                            uint32_t retry_after_ms);
void leat_refusal_push_read_error(lua_State *L, leat_code code, const char *sqlstate,
                                  leat_slice message, uint32_t retry_after_ms);

/* The refusal at index, of either kind; NULL if there is something else. Never raises. */
const leat_refusal *leat_refusal_at(lua_State *L, int index);

/* leat.deny(code [, message [, { retry_after_ms = n }]]) -> refusal        [-0, +1, arg] */
int leat_refusal_deny(lua_State *L);

#endif
