/* operator.h - the client side of the operator's socket (control/): one request at a time.
 *
 * Ownership  texts are borrowed; answers are appended to the caller's buffer.
 * Threads    main thread; it blocks.
 * Units      milliseconds.
 * Errors     LEAT_ECLOSED: there is no server, or the connection has ended. LEAT_EDEADLINE: a
 * server is there, and is silent. LEAT_EBADMSG: the server refuses now. LEAT_ECONFIG: it refuses
 *            the request for what it is. All with a message for people.
 */
#ifndef LEAT_APP_OPERATOR_H
#define LEAT_APP_OPERATOR_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the path of the socket, zero-terminated: the one that was given, else that of
 * LEAT_CONTROL, else the user's, else the service's. */
void leat_operator_path(leat_buf *out, const char *given);

/* Appends NAME=VALUE to a target, percent-encoded, behind a ? or an &. value NULL: nothing. */
void leat_operator_add(leat_buf *target, const char *name, const char *value);

typedef struct leat_operator_request {
    const char *socket;
    const char *method;
    const char *target;  /* "/topics?limit=10" */
    const char *body;    /* NULL: none */
    uint64_t timeout_ms; /* 0: none */
    /* How long the server may be silent, while the answer's head is awaited and afterwards. Its
     * head may say that signs of life come, and how often (LEAT_TAIL_ALIVE): that is added. If it
     * does not, it may be silent after the head. 0: no limit. */
    uint64_t silence_ms;
    /* Called for each piece of the answer in place of appending it; returns false to end it. */
    bool (*on_piece)(void *arg, leat_slice piece);
    void *arg;
} leat_operator_request;

LEAT_MUST_CHECK int leat_operator_send(const leat_operator_request *request, leat_buf *answer,
                                       leat_buf *error);

#endif
