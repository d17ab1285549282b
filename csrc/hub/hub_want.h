/* hub_want.h - which topics the outbox is to be asked about, and how soon.
 *
 * Ownership  a topic is in at most one of the lists (hub_query).
 * Threads    the hub's.
 * Units      milliseconds.
 * Errors     none.
 *
 * One fetch asks for all that is wanted in a turn (hub_repair.c). It starts at the end of the turn,
 * unless another one runs, or waits after a failure.
 */
#ifndef LEAT_HUB_HUB_WANT_H
#define LEAT_HUB_HUB_WANT_H

#include "hub/hub_state.h"

/* start: starts a fetch if none runs. */
void hub_want_init(leat_hub *h, leat_sweep_cb start);
void hub_want_stop(leat_hub *h);

/* The topic lacks something: the next fetch asks for it. If the running one does already, its
 * answer decides whether more is wanted. */
void hub_want_next(hub_topic *t);
/* As hub_want_next. But if the running fetch asks for the topic already, it may have looked too
 * early: then the next fetch asks once more. */
void hub_want_again(hub_topic *t);
/* As hub_want_next, but after a moment, so that an announcement on its way can arrive first. */
void hub_want_shortly(hub_topic *t);
/* Nothing is wanted of the topic any more. The answer of a running fetch about it is ignored. */
void hub_want_forget(hub_topic *t);

/* Takes the next topic that a fetch is to ask for, which then is HUB_ASKED. NULL if there is none.
 */
hub_topic *hub_want_take(leat_hub *h);
/* True if the running fetch asks for the topic. */
bool hub_want_is_asked(const hub_topic *t);
/* The fetch that asked for the topic has ended. Returns true if it may have looked too early. */
bool hub_want_end(hub_topic *t);

/* Every topic is to be compared with the outbox: announcements may have been lost. */
void hub_want_all(leat_hub *h);
/* Reads the outbox, even if no topic wants it, to find out whether it can be read. At most once a
 * second. */
void hub_want_probe(leat_hub *h);

#endif
