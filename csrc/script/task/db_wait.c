/* db_wait.c - three ways to start a leat_db, as kinds of wait. leat_db_end, which every end of a
 * task calls, gives up whatever is pending, so none of them needs a stop of its own. */
#include "script/task/db_wait.h"

static int start_statement(leat_task *t)
{
    return leat_db_run(&t->db);
}

int leat_db_wait_statement(lua_State *L, leat_task *t, lua_KFunction k)
{
    static const leat_task_wait_kind kind = {LEAT_TASK_WAITING_DATABASE, start_statement, NULL};
    return leat_task_wait(L, t, &kind, k);
}

static int start_begin(leat_task *t)
{
    leat_db_run_begin(&t->db, t->deadline_ms);
    return 0;
}

int leat_db_wait_begin(lua_State *L, leat_task *t, lua_KFunction k)
{
    static const leat_task_wait_kind kind = {LEAT_TASK_WAITING_DATABASE, start_begin, NULL};
    return leat_task_wait(L, t, &kind, k);
}

static int start_end(leat_task *t)
{
    return leat_db_run_end(&t->db);
}

int leat_db_wait_end(lua_State *L, leat_task *t, lua_KFunction k)
{
    static const leat_task_wait_kind kind = {LEAT_TASK_WAITING_DATABASE, start_end, NULL};
    return leat_task_wait(L, t, &kind, k);
}
