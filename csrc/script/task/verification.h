/* verification.h - a signature is checked on another thread, while the handler waits.
 *
 * Ownership  a verification belongs to the Lua state, which collects it. What the other thread
 *            works on is counted, and outlives the handler if need be.
 * Threads    loop thread of the worker; the check itself runs in libuv's pool.
 * Units      none.
 * Errors     t->wait.err in the continuation: 0 for a good signature, LEAT_EBADMSG for another
 *            one, UV_E* if there is no thread.
 */
#ifndef LEAT_SCRIPT_TASK_VERIFICATION_H
#define LEAT_SCRIPT_TASK_VERIFICATION_H

#include "script/task/task.h"
#include "wire/jwk_set.h"

typedef struct leat_verification leat_verification;

/* What is to be checked; all of it is copied, and the set is held. */
typedef struct leat_verification_input {
    leat_jwk_set *set;
    const leat_jwk *const *keys; /* of the set; one of them must have signed */
    size_t n_keys;
    leat_jwt_alg alg;
    leat_slice text;
    leat_slice signature;
} leat_verification_input;

/* Returns whether one of the keys has signed. Any thread. */
bool leat_verification_run(const leat_verification_input *input);

/* Waits for the check: `return leat_verification_wait(L, t, input, k)`. [-0, +1, e] yields */
int leat_verification_wait(lua_State *L, leat_task *t, const leat_verification_input *input,
                           lua_KFunction k);

#endif
