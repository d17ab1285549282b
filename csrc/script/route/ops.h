/* ops.h - what the core asks of the scripts: the functions behind the tables of core/script.h
 * and core/route.h.
 *
 * Ownership  as core/script.h says.
 * Threads    loop thread of the worker.
 * Units      as core/script.h says.
 * Errors     every answer is a verdict.
 */
#ifndef LEAT_SCRIPT_ROUTE_OPS_H
#define LEAT_SCRIPT_ROUTE_OPS_H

#include "core/script.h"
#include "script/task/task.h"

const leat_script_ops *leat_ops_table(void);
const leat_route_ops *leat_ops_routes(void);

/* The cancel of core/script.h's table. */
void leat_lua_cancel(leat_call *call);

/* The handler's result, on top, as JSON into t->out; a refusal, and a result that is too large,
 * become the verdict. False then. [-0, +0, e] */
bool leat_ops_take_json(lua_State *L, leat_task *t);

/* If the value at index is a refusal, makes it the verdict. [-0, +0, -] */
bool leat_ops_take_refusal(lua_State *L, leat_task *t, int index);

#endif
