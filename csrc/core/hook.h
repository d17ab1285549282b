/* hook.h - a topic's events on their way through the scripts' `event` hook.
 *
 * Ownership  embedded in its topic. Takes the events that are pushed, and gives them to `passed`,
 *            or drops them.
 * Threads    loop thread only.
 * Units      seq; bytes.
 * Errors     a hook that fails never lets the raw data through: `failed` runs instead of `passed`.
 */
#ifndef LEAT_CORE_HOOK_H
#define LEAT_CORE_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/event.h"
#include "base/list.h"
#include "core/core.h"
#include "core/script.h"

typedef struct leat_hook leat_hook;

typedef struct leat_hook_handler {
    /* The next event, as the hook has made it, or a signal. Takes a reference. */
    void (*passed)(leat_hook *h, leat_event *e);
    /* The events up to seq cannot be shown. The events after it still follow. */
    void (*failed)(leat_hook *h, int64_t seq);
} leat_hook_handler;

struct leat_hook {
    leat_core *core;
    leat_slice topic; /* the topic's name; owned by the topic */
    const leat_hook_handler *handler;
    enum {
        LEAT_HOOK_UNKNOWN,
        LEAT_HOOK_ABSENT,
        LEAT_HOOK_PRESENT
    } script_;          /* whether the scripts have one */
    leat_list waiting_; /* hooked_event; the first one's hook runs */
    int64_t last_seq_;  /* of the last that waits */
    size_t bytes_;      /* of all that wait */
    leat_call call_;
};

void leat_hook_init(leat_hook *h, leat_core *core, leat_slice topic,
                    const leat_hook_handler *handler);

/* True if the current scripts have a hook for the topic. (Then history is not for clients: it has
 * not passed the hook.) */
bool leat_hook_applies(leat_hook *h);
/* The scripts were replaced. */
void leat_hook_scripts_changed(leat_hook *h);

/* Takes e, the next event after all that were pushed. One hook runs at a time, in order. */
void leat_hook_push(leat_hook *h, leat_event *e);
/* While events wait: takes the signal, which passes behind them. Returns false if there is no room:
 * the signal is still the caller's. */
bool leat_hook_push_signal(leat_hook *h, leat_event *signal);
/* True if events wait; *last_seq is the last one's. */
bool leat_hook_waits(const leat_hook *h, int64_t *last_seq);

/* Drops all events and signals that wait, and ends the hook that runs. */
void leat_hook_stop(leat_hook *h);

#endif
