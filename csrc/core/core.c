/* core.c - one worker's core: its start, its drain, its stop, and what the hub sends it.
 */
#include "core/core.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/client_private.h"
#include "core/topic.h"

static void on_armed(void *arg, leat_slice topic, uint64_t generation)
{
    leat_topic_on_armed(arg, topic, generation);
}

static void on_begin(void *arg, leat_slice topic, uint64_t generation, leat_slice epoch,
                     int64_t seq, int64_t revoked)
{
    leat_topic_on_begin(arg, topic, generation, epoch, seq, revoked);
}

static void on_event(void *arg, leat_event *e)
{
    leat_topic_on_event(arg, e);
}

static void on_signal(void *arg, leat_event *e)
{
    leat_topic_on_signal(arg, e);
}

static void on_confirmed(void *arg, bool confirmed)
{
    leat_core *core = arg;
    core->confirmed = confirmed;
}

static void on_reset(void *arg, leat_slice topic, uint64_t generation, int reason)
{
    leat_topic_on_reset(arg, topic, generation, reason);
}

static const leat_hub_handler hub_handler = {
    .on_armed = on_armed,
    .on_begin = on_begin,
    .on_event = on_event,
    .on_signal = on_signal,
    .on_confirmed = on_confirmed,
    .on_reset = on_reset,
};

int leat_core_start(leat_core *core)
{
    leat_map_init(&core->topics);
    leat_map_init(&core->epochs);
    leat_list_init(&core->clients);
    leat_list_init(&core->orphans);
    leat_slots_init(&core->slots, core->limits->max_turns, core->metrics);
    core->n_clients = 0;
    core->draining = core->confirmed = false;
    core->generations = core->numberings = core->histories = 0;
    core->history[0] = '\0';
    core->on_empty = NULL;
    return leat_hub_link_open(&core->link, core->hub, core->limits, leat_loop_uv(core->loop),
                              &hub_handler, core);
}

void leat_core_set_script(leat_core *core, leat_script *script)
{
    core->script = script;
    for (leat_map_entry *e = leat_map_next(&core->topics, NULL); e != NULL;
         e = leat_map_next(&core->topics, e))
        leat_topic_scripts_changed(LEAT_CONTAINER_OF(e, leat_topic, entry));
}

void leat_core_check_empty(leat_core *core)
{
    if (core->on_empty == NULL || core->n_clients > 0 || !leat_list_empty(&core->orphans))
        return;
    void (*done)(void *arg) = core->on_empty;
    core->on_empty = NULL;
    done(core->on_empty_arg);
}

void leat_core_drain(leat_core *core, void (*done)(void *arg), void *arg)
{
    bool at_once = core->draining; /* asked for a second time */
    core->draining = true;
    core->on_empty = done;
    core->on_empty_arg = arg;
    uint64_t until = leat_loop_now(core->loop) + core->limits->drain_ms;
    for (leat_list *l = core->clients.next, *next = l->next; l != &core->clients;
         l = next, next = l->next)
        client_drain(LEAT_CONTAINER_OF(l, leat_client, link), at_once ? 0 : until);
    leat_core_check_empty(core);
}

void leat_core_stop(leat_core *core, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(core->n_clients == 0);
    leat_core_cancel_orphans(core);
    leat_topic_free_all(core);
    leat_map_close(&core->topics);
    LEAT_ASSERT(core->epochs.count == 0);
    leat_map_close(&core->epochs);
    leat_hub_link_close(core->link, done, arg);
}
