/* api_terms.h - the limits that `connect` sets for a user: the fields `limits` and `tenant` of what
 * it returns.
 *
 * Ownership  the tenant's name is borrowed from the stack.
 * Threads    that of the Lua state.
 * Units      as the configuration's keys of the same names.
 * Errors     an unknown name, and a value that is no integer in range, is a script error.
 */
#ifndef LEAT_SCRIPT_API_API_TERMS_H
#define LEAT_SCRIPT_API_API_TERMS_H

#include <stdbool.h>

#include <lua.h>

#include "base/limits.h"

/* Fills in the terms of the user at index; what the script does not set is as in `otherwise`.
 * Returns false if it sets nothing. Leaves on the stack what the terms borrow. [-0, +?, e] */
bool leat_api_terms_read(lua_State *L, int user, const leat_allowance *otherwise, leat_terms *out);

#endif
