/* hub_health.h - how the hub is, for other threads to see: /readyz asks.
 *
 * Ownership  embedded in the hub; texts are copied.
 * Threads    _set_phase and _set_trouble: the hub's. _check: any.
 * Units      none.
 * Errors     _init returns UV_E*.
 */
#ifndef LEAT_HUB_HUB_HEALTH_H
#define LEAT_HUB_HUB_HEALTH_H

#include <stdbool.h>

#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum hub_phase {
    HUB_UNCONNECTED, /* the broker is not connected */
    HUB_UNCONFIRMED, /* it is, but the history is not confirmed: nothing is armed, heard or read */
    HUB_READY,
} hub_phase;

/* What the hub's work rests on. */
typedef enum leat_hub_part {
    LEAT_HUB_LISTENER, /* announcements arrive */
    LEAT_HUB_HISTORY,  /* the database has been asked whether its history is still the same */
    LEAT_HUB_OUTBOX,   /* events can be read */
    LEAT_HUB_SCHEMA,   /* it is one that this server can use */
    LEAT_HUB_PARTS,
} leat_hub_part;

typedef struct hub_health {
    uv_mutex_t lock_; /* of all below */
    hub_phase phase_;
    char troubles_[LEAT_HUB_PARTS][320]; /* "": none */
} hub_health;

LEAT_MUST_CHECK int hub_health_init(hub_health *h);
void hub_health_close(hub_health *h);

void hub_health_set_phase(hub_health *h, hub_phase phase);
/* text: what is wrong with the part, or NULL if all is well with it. */
void hub_health_set_trouble(hub_health *h, leat_hub_part part, const char *text);

/* Returns true if all is well with the part; else appends the reason. */
bool hub_health_check(hub_health *h, leat_hub_part part, leat_buf *reason);

#endif
