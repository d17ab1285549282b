/* native.h - handlers of the program that embeds the server, beside those of the scripts.
 *
 * Ownership  as core/script.h says of a leat_call. The session and the texts are borrowed during
 *            the request.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock.
 * Errors     an answer is a verdict.
 *
 * A request that is taken is answered exactly once, by call->cb, never from inside the request, and
 * by deadline_ms at the latest. After _cancel there is no answer. */
#ifndef LEAT_CORE_NATIVE_H
#define LEAT_CORE_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/script.h"

typedef struct leat_native leat_native;

typedef enum leat_native_kind { LEAT_NATIVE_METHOD, LEAT_NATIVE_PUBLISH } leat_native_kind;

typedef struct leat_native_ops {
    /* Takes the request, and returns true, if the program has a handler for that method or topic.
     * body: JSON, or at == NULL. */
    bool (*take)(leat_native *n, leat_native_kind kind, leat_call *call, leat_session *session,
                 leat_slice name, leat_slice body, uint64_t deadline_ms);
    void (*cancel)(leat_native *n, leat_call *call);
} leat_native_ops;

/* The head of the program's own struct. */
struct leat_native {
    const leat_native_ops *ops;
};

#endif
