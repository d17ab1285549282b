/* topic_hook.h - events of a topic on their way through the scripts' `event` hook.
 *
 * Ownership  takes the events pushed; they go into the topic's ring, or nowhere.
 * Threads    loop thread only.
 * Units      none.
 * Errors     a hook that fails never lets the raw data through: the topic restarts behind the
 *            event, and its subscriptions resync.
 */
#ifndef LEAT_CORE_TOPIC_HOOK_H
#define LEAT_CORE_TOPIC_HOOK_H

#include "core/topic.h"

/* Takes e, the next after all that were pushed. One hook runs at a time, in order. */
void leat_topic_hook_push(leat_topic *t, leat_event *e);

/* Drops everything that waits, and the hook that runs. */
void leat_topic_hook_stop(leat_topic *t);

#endif
