/* api_jwt.h - leat.jwt: keys, and the verification of tokens.
 *
 * Ownership  the functions belong to the Lua state.
 * Threads    that of the Lua state. Verifying yields if the keys are not there, or if a signature
 *            takes long.
 * Units      seconds, bytes.
 * Errors     wrong options are a script error; a token that is not good is nil and a code; keys
 * that cannot be fetched are a read error, as of db.
 */
#ifndef LEAT_SCRIPT_API_API_JWT_H
#define LEAT_SCRIPT_API_API_JWT_H

#include <lua.h>

#include "script/task/vm.h"

/* Pushes the table leat.jwt. [-0, +1, m] */
void leat_api_jwt_push(lua_State *L, leat_lua *lua);

#endif
