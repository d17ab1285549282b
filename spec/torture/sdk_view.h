/* sdk_view.h - what an application of an SDK is told, held against what it knows.
 *
 * Ownership  a viewer is the caller's (view.h).
 * Threads    main thread.
 * Units      seq, of an epoch.
 * Errors     violations.
 *
 * An SDK asks and comes back by itself, and shows no skips. So a line says only what the
 * application is told: that a subscription begins or goes on, an event with its place, the end. A
 * place is not told for each seq. An event that was missed shows by the state, which is another one
 * then than every other client's at that place.
 */
#ifndef TORTURE_SDK_VIEW_H
#define TORTURE_SDK_VIEW_H

#include "message.h"
#include "view.h"

/* line: m as it was written. */
void sdk_view_take(viewer *v, const message *m, leat_slice line);
bool sdk_view_settled(viewer *v, bool report);

#endif
