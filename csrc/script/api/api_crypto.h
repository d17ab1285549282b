/* api_crypto.h - leat.crypto: hashes, HMAC, random bytes, base64, for tokens and signatures.
 *
 * Ownership  the functions belong to the Lua state.
 * Threads    the Lua state's. Nothing here yields.
 * Units      bytes; a text may have 16 MiB.
 * Errors     raises for wrong arguments; reading base64 returns nil and a reason.
 */
#ifndef LEAT_SCRIPT_API_API_CRYPTO_H
#define LEAT_SCRIPT_API_API_CRYPTO_H

#include <lua.h>

/* Pushes the table leat.crypto. [-0, +1, m] */
void leat_api_crypto_push(lua_State *L);

#endif
