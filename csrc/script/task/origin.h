/* origin.h - finds out whether a value that Postgres refused came from the client.
 *
 * Ownership  everything is borrowed for the call.
 * Threads    that of the Lua state.
 * Units      bytes.
 * Errors     none: if it cannot be decided, the value is not the client's.
 *
 * This is asked only after a statement has failed, so values need no mark of their origin. A client
 * sends the topic, params and data, and the request (path, query, headers, token, body). A value is
 * the client's if one of these equals it, or contains it between two separators. A value with a
 * character that no text of Postgres can have is the client's if one of these has such a character,
 * too.
 */
#ifndef LEAT_SCRIPT_TASK_ORIGIN_H
#define LEAT_SCRIPT_TASK_ORIGIN_H

#include <stdbool.h>

#include "base/slice.h"
#include "script/task/task.h"

/* value: the text of a parameter, which may be JSON. */
bool leat_origin_is_client(const leat_task *t, leat_slice value);

#endif
