/* origin.h - whether a value that Postgres cannot take came from the client.
 *
 * Ownership  everything is borrowed for the call.
 * Threads    the Lua state's.
 * Units      bytes.
 * Errors     none: what cannot be told is not the client's.
 *
 * Asked only once a statement has failed, so that a value needs no mark of where it came from. What
 * a client sends: the topic, params and data, and the request (path, query, headers, token, body).
 * A value is the client's if one of these is it or has it between two separators. A value with a
 * character that no text of Postgres has is the client's if what the client sent has one, too.
 */
#ifndef LEAT_SCRIPT_TASK_ORIGIN_H
#define LEAT_SCRIPT_TASK_ORIGIN_H

#include <stdbool.h>

#include "base/slice.h"
#include "script/task/task.h"

/* value: a parameter as it is bound, a text or JSON. */
bool leat_origin_is_client(const leat_task *t, leat_slice value);

#endif
