/* proxy.h - stands between leat and Postgres, and mistreats announcements.
 *
 * Ownership  proxy_new listens on a socket for each node of Postgres, in a folder of its own;
 *            proxy_close ends all.
 * Threads    main thread; proxy_mistreat, proxy_pids and the doors: any.
 * Units      milliseconds; percent.
 * Errors     when one side goes, so does the other.
 *
 * Everything passes unchanged but NotificationResponse on a channel of Leat's (message type 'A',
 * protocol version 3): those may be dropped, doubled, or held back while later ones pass. The
 * listener's own fence passes, or the listener would never come up.
 */
#ifndef TORTURE_PROXY_H
#define TORTURE_PROXY_H

#include "torture.h"

proxy *proxy_new(torture *t);
void proxy_close(proxy *p); /* memory is freed when the loop has run on */

/* In percent of the announcements, from now on. 0, 0, 0: all is well again. */
void proxy_mistreat(proxy *p, unsigned drop, unsigned twice, unsigned hold);

/* While a node of Postgres is gone, its socket is, too. Any thread. */
void proxy_show_door(proxy *p, int which);
void proxy_hide_door(proxy *p, int which);

/* Backends of a node that leat is connected to: the one that listens, or the others. Returns how
 * many. */
int proxy_pids(proxy *p, int which, bool listener, int *pids, int max);

#endif
