/* core.c - facts of a worker that its topics and its clients share. */
#include "core/core.h"

#include <string.h>

void leat_core_check_empty(leat_core *core)
{
    if (core->on_empty == NULL || core->n_clients > 0 || !leat_list_empty(&core->orphans))
        return;
    void (*done)(void *arg) = core->on_empty;
    core->on_empty = NULL;
    done(core->on_empty_arg);
}

/* Returns what the epoch begins with, up to its last "-": the timeline and the history. */
static leat_slice history_of(const leat_epoch *epoch)
{
    leat_slice text = leat_epoch_text(epoch);
    while (text.len > 0 && text.at[text.len - 1] != '-')
        text.len--;
    return text;
}

void leat_core_note_history(leat_core *core, const leat_epoch *epoch)
{
    leat_slice history = history_of(epoch);
    if (history.len >= sizeof(core->history) || leat_slice_is(history, core->history))
        return;
    if (core->history[0] != '\0')
        core->histories++;
    memcpy(core->history, history.at, history.len);
    core->history[history.len] = '\0';
}
