/* db_error.h - raises what a statement failed with, as the error value of a failed read.
 *
 * Ownership  nothing of its own.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     the functions raise, always. [-0, +0, e]
 */
#ifndef LEAT_SCRIPT_TASK_DB_ERROR_H
#define LEAT_SCRIPT_TASK_DB_ERROR_H

#include "script/task/task.h"

/* The error that the last wait ended with (t->wait.err). */
int leat_db_error_raise(lua_State *L, leat_task *t);

/* A value that the client has sent cannot be a parameter. */
int leat_db_error_raise_parameter(lua_State *L, leat_slice reason);

/* The transaction could only be rolled back, because one of its statements failed and the script
 * went on. */
int leat_db_error_raise_aborted(lua_State *L);

#endif
