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
void hub_interest_free(hub_interest *i);
/* NULL if the worker has no interest of that generation in the topic. */
hub_interest *hub_interest_find(const hub_topic *t, const hub_worker *w, uint64_t generation);

/* The hub is ready: tells the worker that the topic is armed, and where it stands if that is known.
 */
void hub_interest_arm(hub_interest *i);

/* What follows act on all of a topic's interests. The events that are given from now on follow the
 * topic's position. */
void hub_interest_tell_begin(hub_topic *t);
void hub_interest_tell_reset(hub_topic *t, int reason);
/* LEAT_HUB_EVENT or LEAT_HUB_SIGNAL. Takes the reference. A worker that has no room for an event is
 * left behind; a signal that it has no room for is lost. */
void hub_interest_give(hub_topic *t, leat_event *e, leat_hub_news_kind kind);

/* The worker has room again: it is told where the topics stand that it was left behind with. */
void hub_interest_catch_up(hub_worker *w);

#endif
