/* sub_turn.c - turns: whatever a live subscription has to ask the database for its own sake.
 *
 * A revocation of everyone, another numbering, a stale row: each may concern a topic's thousands at
 * the same moment. They do not fall upon the database together, but wait in line for one of
 * max_turns; a handshake, for which a client waits, takes none. A turn lasts until sub_end_turn:
 * the handler, and the read that follows it, are one.
 */
#include "core/sub_private.h"

void sub_take_turn(leat_sub *s, sub_go go)
{
    leat_core *core = s->client->core;
    sub_work *w = sub_work_of(s);
    if (!w->in_turn && core->n_turns >= core->limits->max_turns) {
        LEAT_ASSERT(w->go == NULL);
        w->go = go;
        leat_list_push(&core->turns, &w->turn);
        leat_metrics_add(core->metrics, LEAT_M_TURN_WAITERS, 1);
        return;
    }
    core->n_turns += !w->in_turn;
    w->in_turn = true;
    go(s);
}

static sub_go leave_line(leat_core *core, sub_work *w)
{
    sub_go go = w->go;
    if (go == NULL)
        return NULL;
    leat_list_unlink(&w->turn);
    leat_metrics_add(core->metrics, LEAT_M_TURN_WAITERS, -1);
    w->go = NULL;
    return go;
}

/* Not each keeps its turn: one may have to wait for its client. */
static void next_turns(leat_core *core)
{
    while (core->n_turns < core->limits->max_turns && !leat_list_empty(&core->turns)) {
        sub_work *w = LEAT_LIST_ENTRY(core->turns.next, sub_work, turn);
        sub_go go = leave_line(core, w);
        core->n_turns++;
        w->in_turn = true;
        go(w->sub);
    }
}

void sub_end_turn(leat_sub *s)
{
    leat_core *core = s->client->core;
    sub_work *w = s->work;
    leave_line(core, w);
    if (!w->in_turn)
        return;
    w->in_turn = false;
    core->n_turns--;
    next_turns(core);
}
