/* hub_phase.c - changes the phase, and tells the workers if the hub becomes ready or unready. */
#include "hub/hub_phase.h"

void hub_phase_set(leat_hub *h, hub_phase phase)
{
    bool ready = phase == HUB_READY;
    bool told_otherwise = ready != (h->phase == HUB_READY);
    h->phase = phase;
    hub_health_set_phase(&h->health, phase);
    if (!told_otherwise)
        return;
    for (leat_list *l = h->workers.next; l != &h->workers; l = l->next)
        hub_worker_tell_confirmed(LEAT_CONTAINER_OF(l, hub_worker, hub_link), ready);
}
