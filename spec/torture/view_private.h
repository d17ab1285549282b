/* view_private.h - what view.c and sdk_view.c share: a message is held against a view.
 *
 * Ownership  see view.h.
 * Threads    main thread.
 * Units      seq, of an epoch.
 * Errors     violations.
 */
#ifndef TORTURE_VIEW_PRIVATE_H
#define TORTURE_VIEW_PRIVATE_H

#include "message.h"
#include "view.h"

/* Keeps the beginning of a message, for the context of a violation. */
void view_trail(viewer *v, leat_slice text);
void view_complain(viewer *v, int topic, const char *what);
/* -1: there is no such topic. */
int view_find_topic(leat_slice name);

/* What a snapshot says, but for its epoch. Returns false if it says nothing. */
bool view_read_snapshot(viewer *v, int topic, const message *m, standing *now);
/* The view is there from now on. */
void view_stand(view *w, standing now);
/* Moves the view on by an event; m->seq is its place. */
void view_take_change(viewer *v, int topic, const message *m);
/* As viewer_settled; look says what there is still to wait for, or NULL. */
bool view_settled(viewer *v, const char *(*look)(const viewer *v, int topic), bool report);
/* Enters in the ledger where the view is; how: a static word. */
void view_enter(viewer *v, int topic, const char *how);

#endif
