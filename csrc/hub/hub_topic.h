/* hub_topic.h - puts a topic's events in order, and gives them to the workers that are interested.
 *
 * Ownership  the hub's map owns the topics; a topic is freed with its last interest.
 * Threads    the hub's.
 * Units      seq counts from 1.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_TOPIC_H
#define LEAT_HUB_HUB_TOPIC_H

#include "hub/hub_state.h"

/* NULL if no worker is interested in it. */
hub_topic *hub_topic_find(leat_hub *h, leat_slice name);

void hub_topic_arm(leat_hub *h, hub_worker *w, leat_topic_life life);
void hub_topic_disarm(leat_hub *h, hub_worker *w, leat_topic_life life);
/* The worker closes: it is interested in nothing any more. */
void hub_topic_disarm_all(leat_hub *h, const hub_worker *w);
/* The hub is ready: tells ARMED to the workers that armed a topic while it was not. */
void hub_topic_confirm_all(leat_hub *h);

/* A worker's read has seen the topic at that position. */
void hub_topic_position(leat_hub *h, leat_slice name, const leat_named_position *at);
/* Returns false if the announcement may not be an anchor: a number of the topic was announced
 * twice, and the outbox has not said yet what is true. */
bool hub_topic_announce(leat_hub *h, const leat_announcement *a);

/* The outbox has answered for the topic. hub_topic_fetched takes each row. hub_topic_fetched_all
 * takes the last row once more, when the topic's rows are complete. */
void hub_topic_fetched(hub_topic *t, const leat_history_row *row);
void hub_topic_fetched_all(hub_topic *t, const leat_history_row *last);

/* The history or the timeline has changed: every topic begins anew. */
void hub_topic_reset_all(leat_hub *h);

#endif
