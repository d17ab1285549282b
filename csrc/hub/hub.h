/* hub.h - the one place of the process where announcements become events of topics, contiguous and
 * in order: what is missing is fetched from the outbox.
 *
 * Ownership  a leat_hub belongs to the server.
 * Threads    that of the loop on which the hub is made. Before the loop runs: leat_hub_new, _start.
 *            After it has ended: _free. Any: _stop, _mailbox, _check.
 * Units      milliseconds.
 * Errors     _new and _start return negative errors; after that the hub heals by itself.
 */
#ifndef LEAT_HUB_HUB_H
#define LEAT_HUB_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "hub/hub_health.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "pg/pg_listener.h"
#include "pg/pg_pool.h"

typedef struct leat_hub leat_hub;

typedef struct leat_hub_options {
    const leat_limits *limits;
    leat_pg_pool_options pool;         /* the hub's own small pool: repair, comparison, trimming */
    leat_pg_listener_options listener; /* broker "postgres" */
    int schema_version;                /* the newest one that this server knows */
    leat_metrics_registry *metrics;
    leat_loop *loop;
} leat_hub_options;

/* options are copied; what they point at is borrowed for the hub's lifetime. */
LEAT_MUST_CHECK int leat_hub_new(leat_hub **out, const leat_hub_options *options);
/* Makes all that the hub works with. If that fails, leat_hub_stop is to be called as well. */
LEAT_MUST_CHECK int leat_hub_start(leat_hub *h);
/* Tells the hub to close; all links must be closed. Nothing of it is left on the loop then, once
 * that has turned. */
void leat_hub_stop(leat_hub *h);
void leat_hub_free(leat_hub *h);

/* Where workers post their mail (mail/hub_link.h). */
leat_mailbox *leat_hub_mailbox(leat_hub *h);

/* For /readyz: true if all is well with it; else it appends the reason. Any thread. */
bool leat_hub_check(leat_hub *h, leat_hub_part part, leat_buf *reason);

#endif
