/* result.h - what a handler returned becomes the verdict of its task.
 *
 * Ownership  the bytes are the task's.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     a result that has no JSON form is a script error. [-0, +0, e]
 */
#ifndef LEAT_SCRIPT_ROUTE_RESULT_H
#define LEAT_SCRIPT_ROUTE_RESULT_H

#include "script/task/task.h"

/* If the value at index is a refusal, makes it the verdict and returns true. Never raises. */
bool leat_result_take_refusal(lua_State *L, leat_task *t, int index);

/* Appends the JSON of the value on top to t->out. Returns false if the value is a refusal, or too
 * large; that is the verdict then. */
bool leat_result_take_json(lua_State *L, leat_task *t);

/* True for nil, false and leat.null: values that say that there is nothing. */
bool leat_result_is_nothing(lua_State *L, int index);

#endif
