/* http_guest.h - WebSocket clients that bring their token in their first message: whether one may,
 * and what they cost until they are known.
 *
 * Ownership  a guest belongs to its client, whose end as a guest frees it.
 * Threads    loop thread of the worker.
 * Units      bytes.
 * Errors     a refusal is answered here.
 */
#ifndef LEAT_HTTP_HTTP_GUEST_H
#define LEAT_HTTP_HTTP_GUEST_H

#include "http/http_conn.h"

typedef struct leat_http_guest leat_http_guest;

typedef enum leat_http_guest_answer {
    LEAT_HTTP_GUEST_NOT, /* the request does not ask for that */
    LEAT_HTTP_GUEST_WELCOME,
    LEAT_HTTP_GUEST_REFUSED, /* and answered: there are too many, or the request is malformed */
} leat_http_guest_answer;

/* Looks at the request's ?authenticate=message. */
leat_http_guest_answer leat_http_guest_asks(leat_http_conn *c);

/* Decides about a client that always does so, because its protocol does. */
leat_http_guest_answer leat_http_guest_admit(leat_http_conn *c);

/* One more, for the request. What it may hold counts as a guest's. */
leat_http_guest *leat_http_guest_new(leat_http_conn *c);

/* It is known, or has gone: a leat_guest_cb. */
void leat_http_guest_end(void *guest);

#endif
