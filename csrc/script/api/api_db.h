/* api_db.h - db handles: what scripts read and write with.
 *
 * Ownership  a handle is a userdata that names its task; it owns no connection.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock.
 * Errors     a statement that fails raises the error value of a failed read. Using a handle after
 *            its handler has ended is a script error.
 */
#ifndef LEAT_SCRIPT_API_API_DB_H
#define LEAT_SCRIPT_API_API_DB_H

#include <stdint.h>

#include <lua.h>

#include "script/task/task.h"

void leat_api_db_open(lua_State *L);

/* Pushes a handle of the task. Its statements end by deadline_ms, or by the deadline of the task if
 * that is sooner. [-0, +1, m] */
void leat_api_db_push(lua_State *L, leat_task *t, uint64_t deadline_ms);

#endif
