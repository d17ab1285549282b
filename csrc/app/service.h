/* service.h - what systemd wants to hear: that the service is ready, stops, and lives.
 *
 * Ownership  none: the socket's address is read from the environment once.
 * Threads    the main thread.
 * Units      milliseconds.
 * Errors     none: without NOTIFY_SOCKET, and where nobody listens, nothing is told.
 *
 * The protocol is systemd's: datagrams to the Unix socket that NOTIFY_SOCKET names. */
#ifndef LEAT_APP_SERVICE_H
#define LEAT_APP_SERVICE_H

#include <stdint.h>

typedef enum leat_service_state {
    LEAT_SERVICE_READY,
    LEAT_SERVICE_STOPPING,
    LEAT_SERVICE_ALIVE, /* the answer to the watchdog */
} leat_service_state;

/* Tells the service manager the state. Does not wait. */
void leat_service_tell(leat_service_state state);

/* Returns how long the service manager waits for LEAT_SERVICE_ALIVE; 0 if it does not. */
uint64_t leat_service_watchdog_ms(void);

#endif
