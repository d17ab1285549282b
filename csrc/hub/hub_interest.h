/* hub_interest.h - the workers that are interested in a topic, and what each is told of it.
 *
 * Ownership  an interest belongs to its topic and its worker, and is freed by hub_interest_free.
 * Threads    the hub's.
 * Units      seq.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_INTEREST_H
#define LEAT_HUB_HUB_INTEREST_H

#include "hub/hub_state.h"

/* A new interest, HUB_INTEREST_UNARMED. */
hub_interest *hub_interest_new(hub_topic *t, hub_worker *w, uint64_t generation);
void hub_interest_free(hub_topic *t, hub_interest *i);
/* NULL if the worker has no interest of that generation in the topic. */
hub_interest *hub_interest_find(const hub_topic *t, const hub_worker *w, uint64_t generation);

/* The hub is ready: tells the worker that the topic is armed, and where it stands if that is known.
 */
void hub_interest_arm(hub_topic *t, hub_interest *i);

/* Tells all of the topic's workers where it stands: the events that are given from now on come
 * after that position. */
void hub_interest_tell_begin(hub_topic *t);
/* Tells all of them that the events cannot be continued. */
void hub_interest_tell_reset(hub_topic *t, int reason);
/* Gives it to all of them. kind is LEAT_HUB_EVENT or LEAT_HUB_SIGNAL. Takes the reference. If a
 * worker's line has no room for an event or a conflating signal, the worker is left behind
 * (HUB_INTEREST_BEHIND). If it has none for another signal, the worker does not get the signal. */
void hub_interest_give(hub_topic *t, leat_event *e, leat_hub_news_kind kind);

/* The worker's line has room again: the worker is told where the topics stand with which it was
 * left behind, and is given the newest of their conflating signals. */
void hub_interest_catch_up(hub_worker *w);

#endif
