/* subscribe.h - beginning a subscription, on behalf of a client's message or of a script.
 *
 * Ownership  the request's texts are copied.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds; bytes.
 * Errors     a failure with a static sentence for people.
 */
#ifndef LEAT_CORE_SUBSCRIBE_H
#define LEAT_CORE_SUBSCRIBE_H

#include "base/err.h"
#include "core/sub.h"
#include "core/subscriber.h"

/* Begins the subscription, unless the subscriber may not have it: then it returns the reason and
 * *why says it all. request->done, if set, is called once, not from inside this call, with the
 * outcome; not if the subscriber goes away first, nor after leat_sub_forget. */
LEAT_MUST_CHECK leat_code leat_subscribe_begin(leat_subscriber *to, const leat_sub_request *request,
                                               leat_failure *why);

#endif
