/* db_ask.h - asks Postgres for the JSON of values whose types only it knows.
 *
 * Ownership  works on the task's leat_db: the result that is there, and the answers.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     what Postgres cannot answer is left out, and its text is shown. Other failures (the
 *            connection, the deadline) end in leat_db_asked.
 */
#ifndef LEAT_SCRIPT_TASK_DB_ASK_H
#define LEAT_SCRIPT_TASK_DB_ASK_H

#include "script/task/task.h"

/* Begins to ask about the task's result. True if leat_db_asked will follow; false: there is nothing
 * to ask. */
bool leat_db_ask(leat_task *t);

/* In db.c: the answers are in, or err says why not. */
void leat_db_asked(leat_task *t, int err);

#endif
