/* follow.h - `leat tail` and `leat publish`: the events of one topic, out of a running server and
 * into it.
 *
 * Ownership  options are borrowed.
 * Threads    main thread; it blocks.
 * Units      none.
 * Errors     as operator.h, with a message for people.
 */
#ifndef LEAT_APP_FOLLOW_H
#define LEAT_APP_FOLLOW_H

#include "app/options.h"
#include "base/buf.h"
#include "base/err.h"

/* Prints the topic's events until the process is interrupted, or the server ends the subscription.
 * If the server goes away, it says so, and goes on where it was once there is one. */
LEAT_MUST_CHECK int leat_tail(const leat_options *options, leat_buf *error);

/* Publishes, and appends the event's position to out. */
LEAT_MUST_CHECK int leat_publish_once(const leat_options *options, leat_buf *out, leat_buf *error);

#endif
