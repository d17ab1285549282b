/* broker_postgres.h - announcements by LISTEN/NOTIFY: the broker that needs nothing but Postgres.
 *
 * Ownership  returns an owned broker. options are borrowed for its lifetime.
 * Threads    the hub's loop thread.
 * Units      bytes.
 * Errors     none.
 */
#ifndef LEAT_HUB_BROKER_POSTGRES_H
#define LEAT_HUB_BROKER_POSTGRES_H

#include "base/err.h"
#include "hub/broker.h"

LEAT_MUST_CHECK int leat_broker_postgres_new(leat_broker **out, leat_loop *loop,
                                             leat_metrics *metrics,
                                             const leat_pg_listener_options *options,
                                             const leat_broker_handler *handler, void *arg);

#endif
