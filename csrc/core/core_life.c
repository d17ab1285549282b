/* core_life.c - start, drain and stop. on_news hands to the topics what the hub says. */
#include "core/core_life.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "core/client.h"
#include "core/client_request.h"
#include "core/sub.h"
#include "core/topic.h"

/* Takes the event out of the news. */
static void on_news(void *arg, leat_hub_news *news)
{
    leat_core *core = arg;
    switch (news->kind) {
    case LEAT_HUB_ARMED:
        leat_topic_on_armed(core, news->armed);
        break;
    case LEAT_HUB_BEGIN:
        leat_topic_on_begin(core, news->begin.topic, &news->begin.at);
        break;
    case LEAT_HUB_EVENT:
        leat_topic_on_event(core, news->event.generation, leat_hub_news_take_event(news));
        break;
    case LEAT_HUB_SIGNAL:
        leat_topic_on_signal(core, news->event.generation, leat_hub_news_take_event(news));
        break;
    case LEAT_HUB_RESET:
        leat_topic_on_reset(core, news->reset.topic, news->reset.reason);
        break;
    case LEAT_HUB_CONFIRMED:
    case LEAT_HUB_UNCONFIRMED:
        core->confirmed = news->kind == LEAT_HUB_CONFIRMED;
        break;
    case LEAT_HUB_CLOSED:
        break; /* never comes here: hub_link.c handles it */
    }
}

int leat_core_start(leat_core *core)
{
    core->net.loop = core->loop;
    core->net.metrics = core->metrics;
    core->net.limits = core->limits;
    leat_map_init(&core->topics);
    leat_map_init(&core->epochs);
    leat_account_set_init(&core->accounts);
    leat_list_init(&core->rings);
    leat_latest_store_init(&core->kept_signals, core->limits->kept_signal_bytes, core->metrics);
    leat_deadline_init(&core->round);
    leat_list_init(&core->clients);
    leat_list_init(&core->holders);
    leat_list_init(&core->orphans);
    leat_slots_init(&core->slots, core->limits->max_turns, core->metrics);
    leat_last_errors_init(&core->last_errors);
    leat_random_bytes(&core->mark, sizeof(core->mark));
    core->n_clients = core->n_handshakes = 0;
    core->draining = core->confirmed = false;
    core->generations = core->numberings = core->histories = 0;
    core->history[0] = '\0';
    core->on_empty = NULL;
    core->cursors = &leat_sub_cursors;
    core->renumbered = leat_topic_renumbered;
    core->positions = leat_positions_new(core->pool, core->loop);
    return leat_hub_link_open(&core->link, core->hub, core->limits->worker_mail_bytes, core->loop,
                              core->metrics, on_news, core);
}

void leat_core_set_script(leat_core *core, leat_script *script)
{
    core->script = script;
    for (leat_map_entry *e = leat_map_next(&core->topics, NULL); e != NULL;
         e = leat_map_next(&core->topics, e))
        leat_topic_scripts_changed(LEAT_CONTAINER_OF(e, leat_topic, ring.entry));
}

void leat_core_drain(leat_core *core, void (*done)(void *arg), void *arg)
{
    bool at_once = core->draining; /* asked for a second time */
    core->draining = true;
    core->on_empty = done;
    core->on_empty_arg = arg;
    uint64_t until = leat_loop_now(core->loop) + core->limits->drain_ms;
    leat_client_drain_all(core, at_once ? 0 : until);
    leat_core_check_empty(core);
}

void leat_core_stop(leat_core *core, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(core->n_clients == 0);
    leat_deadline_cancel(&core->round);
    client_request_cancel_orphans(core);
    leat_topic_free_all(core);
    leat_positions_free(core->positions);
    leat_map_close(&core->topics);
    LEAT_ASSERT(core->epochs.count == 0);
    leat_map_close(&core->epochs);
    LEAT_ASSERT(core->n_handshakes == 0);
    leat_account_set_close(&core->accounts);
    leat_last_errors_close(&core->last_errors);
    leat_hub_link_close(core->link, done, arg);
}
