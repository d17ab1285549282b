/* sub_turn.c - turns: whatever a live subscription has to ask the database for its own sake.
 *
 * A revocation of everyone, another numbering, a stale row: each may concern a topic's thousands at
 * the same moment. They do not fall upon the database together, but wait in line for one of
 * max_turns; a handshake, for which a client waits, takes none. A turn lasts until sub_end_turn:
 * the handler, and the read that follows it, are one.
 *
 * What is tried again because it failed, or to replace a stale snapshot, may hang once more,
 * however many they are. So it stands in a line of its own, which gets at most half of the turns,
 * and always one.
 */
#include "core/sub_private.h"

static void begin_turn(leat_sub *s, sub_go go, bool repeats);

/* The cursor goes on only while a stale snapshot is read anew. */
static bool is_repetition(const leat_sub *s)
{
    return s->work->attempts > 0 || s->state == LEAT_SUB_LIVE || s->state == LEAT_SUB_REPLAYING;
}

static bool is_free(const leat_core *core, bool repeats)
{
    size_t most = core->limits->max_turns;
    return core->n_turns < most && (!repeats || core->n_repeats < most / 2);
}

static void wait_in_line(leat_sub *s, sub_go go, bool repeats)
{
    leat_core *core = s->client->core;
    sub_work *w = s->work;
    LEAT_ASSERT(w->go == NULL);
    w->go = go;
    leat_list_push(repeats ? &core->repeats : &core->turns, &w->turn);
    leat_metrics_add(core->metrics, LEAT_M_TURN_WAITERS, 1);
}

/* What it waited to do; NULL: it did not wait. */
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

void sub_take_turn(leat_sub *s, sub_go go)
{
    sub_work *w = sub_work_of(s);
    bool repeats = is_repetition(s);
    if (w->in_turn)
        go(s);
    else if (is_free(s->client->core, repeats))
        begin_turn(s, go, repeats);
    else
        wait_in_line(s, go, repeats);
}

static void begin_turn(leat_sub *s, sub_go go, bool repeats)
{
    leat_core *core = s->client->core;
    sub_work *w = s->work;
    w->in_turn = true;
    w->repeats = repeats;
    core->n_turns++;
    core->n_repeats += repeats;
    go(s);
}

/* Whose turn it is, now that one has ended. */
static void next_turn(leat_core *core)
{
    bool repeats = core->n_repeats == 0 || leat_list_empty(&core->turns);
    repeats = repeats && !leat_list_empty(&core->repeats) && is_free(core, true);
    leat_list *line = repeats ? &core->repeats : &core->turns;
    if (leat_list_empty(line))
        return;
    sub_work *w = LEAT_LIST_ENTRY(line->next, sub_work, turn);
    begin_turn(w->sub, leave_line(core, w), repeats);
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
    core->n_repeats -= w->repeats;
    next_turn(core);
}
