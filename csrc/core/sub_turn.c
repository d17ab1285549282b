/* sub_turn.c - turns: whatever a live subscription has to ask the database for its own sake.
 *
 * A revocation of everyone, another numbering, a stale row: each may concern a topic's thousands at
 * the same moment. They do not fall upon the database together, but wait in line for one of
 * max_turns; a handshake, for which a client waits, takes none. A turn lasts until sub_end_turn:
 * the handler, and the read that follows it, are one.
 *
 * What is tried again because it failed, or to replace a stale snapshot, may hang once more,
 * however many they are. So it does not stand in line, where others would stand behind it: it comes
 * back every now and then, and gets at most half of the turns.
 */
#include "core/sub_private.h"

#include <stdlib.h>

enum { COME_BACK_MS = 200 };

static void come_back(leat_deadline *d);
static void begin_turn(leat_sub *s, sub_go go, bool repeats);

/* The cursor goes on only while a stale snapshot is read anew. */
static bool is_repetition(const leat_sub *s)
{
    return s->work->attempts > 0 || s->state == LEAT_SUB_LIVE || s->state == LEAT_SUB_REPLAYING;
}

static bool is_free(const leat_core *core, bool repeats)
{
    size_t most = core->limits->max_turns;
    return core->n_turns < most && (!repeats || core->n_repeats < (most + 1) / 2);
}

static void wait_for_turn(leat_sub *s, sub_go go, bool repeats)
{
    leat_core *core = s->client->core;
    sub_work *w = s->work;
    LEAT_ASSERT(w->go == NULL);
    w->go = go;
    leat_metrics_add(core->metrics, LEAT_M_TURN_WAITERS, 1);
    if (!repeats)
        leat_list_push(&core->turns, &w->turn);
    else
        leat_deadline_arm(leat_loop_deadlines(core->loop), &w->wait,
                          leat_loop_now(core->loop) + COME_BACK_MS / 2 +
                              (uint64_t)random() % COME_BACK_MS,
                          come_back);
}

/* What it waited to do; NULL: it did not wait. */
static sub_go stop_waiting(leat_core *core, sub_work *w)
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
        wait_for_turn(s, go, repeats);
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

static void come_back(leat_deadline *d)
{
    sub_work *w = LEAT_LIST_ENTRY(d, sub_work, wait);
    sub_take_turn(w->sub, stop_waiting(w->sub->client->core, w));
}

void sub_end_turn(leat_sub *s)
{
    leat_core *core = s->client->core;
    sub_work *w = s->work;
    stop_waiting(core, w);
    if (!w->in_turn)
        return;
    w->in_turn = false;
    core->n_turns--;
    core->n_repeats -= w->repeats;
    if (leat_list_empty(&core->turns))
        return;
    w = LEAT_LIST_ENTRY(core->turns.next, sub_work, turn);
    begin_turn(w->sub, stop_waiting(core, w), false);
}
