/* client_request.h - publish, call and authenticate: a handler runs, and its verdict is the answer.
 *
 * Ownership  a request belongs to its client. When the client goes away, a publish or a call runs
 *            on as an orphan of the core, and nobody hears its verdict.
 * Threads    loop thread only.
 * Units      absolute milliseconds; bytes.
 * Errors     a verdict.
 *
 * A client's publishes to one topic run one after the other, in the order in which they came.
 */
#ifndef LEAT_CORE_CLIENT_REQUEST_H
#define LEAT_CORE_CLIENT_REQUEST_H

#include "core/client_state.h"
#include "wire/codec.h"

/* Answers a request; may close the client. The verdict's session, if it has one, is the callee's.
 */
typedef void (*client_answer_cb)(leat_client *c, leat_op op, leat_slice id, const leat_verdict *v);

/* Begins one. subject is the topic, the method or the token; body is JSON or absent. Both are
 * copied, as is the id. */
void client_request_new(leat_client *c, const leat_message *m, leat_slice subject, leat_slice body,
                        uint64_t deadline_ms, client_answer_cb answer);

/* The client goes away. */
void client_request_abandon_all(leat_client *c);

/* Ends the requests of clients that have gone. */
void client_request_cancel_orphans(leat_core *core);

#endif
