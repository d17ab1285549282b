/* db_wait.h - a handler waits for Postgres.
 *
 * Ownership  works on the leat_db of the task.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     t->wait.err in the continuation; db_error.h raises it.
 *
 * Each function is the last of a C function that Lua calls: `return leat_db_wait_...(L, t, k)`. The
 * continuation k finds the result in t->db. [-0, +0, e] yields
 */
#ifndef LEAT_SCRIPT_TASK_DB_WAIT_H
#define LEAT_SCRIPT_TASK_DB_WAIT_H

#include "script/task/task.h"

/* Runs the statement (leat_db_run). */
int leat_db_wait_statement(lua_State *L, leat_task *t, lua_KFunction k);
/* Opens a transaction (leat_db_run_begin). */
int leat_db_wait_begin(lua_State *L, leat_task *t, lua_KFunction k);
/* Runs the last statement of the transaction (leat_db_run_end). */
int leat_db_wait_end(lua_State *L, leat_task *t, lua_KFunction k);

#endif
