/* service.h - talking to systemd: the sockets that it hands over (sd_listen_fds(3)), and what it
 * wants to hear: that the service is ready, stops, and lives (sd_notify(3)).
 *
 * Ownership  the descriptors that are handed over stay open as long as the process lives.
 * Threads    the main thread.
 * Units      milliseconds.
 * Errors     sockets that cannot be used are LEAT_ECONFIG, with a message for people. Telling has
 *            none: without NOTIFY_SOCKET, and where nobody listens, nothing is told.
 */
#ifndef LEAT_APP_SERVICE_H
#define LEAT_APP_SERVICE_H

#include <stdint.h>

#include "base/buf.h"
#include "engine/config.h"
#include "engine/host.h"

typedef enum leat_service_state {
    LEAT_SERVICE_READY,
    LEAT_SERVICE_STOPPING,
    LEAT_SERVICE_ALIVE, /* the answer to the watchdog */
} leat_service_state;

/* Tells the service manager the state. Does not wait. */
void leat_service_tell(leat_service_state state);

/* Takes over the sockets that the service manager hands over, by their names: `listen` and
 * `tls_listen`. None, if the environment does not say that it is for this process. */
LEAT_MUST_CHECK int leat_service_sockets(leat_engine_sockets *out, const leat_config *config,
                                         leat_buf *error);

/* Returns how long the service manager waits for LEAT_SERVICE_ALIVE; 0 if it does not. */
uint64_t leat_service_watchdog_ms(void);

#endif
