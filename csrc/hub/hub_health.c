/* hub_health.c - a copy of the phase and of what is wrong, under a lock. */
#include "hub/hub_health.h"

#include <stdio.h>
#include <string.h>

int hub_health_init(hub_health *h)
{
    memset(h, 0, sizeof(*h));
    return uv_mutex_init(&h->lock_);
}

void hub_health_close(hub_health *h)
{
    uv_mutex_destroy(&h->lock_);
}

void hub_health_set_phase(hub_health *h, hub_phase phase)
{
    uv_mutex_lock(&h->lock_);
    h->phase_ = phase;
    uv_mutex_unlock(&h->lock_);
}

void hub_health_set_trouble(hub_health *h, leat_hub_part part, const char *text)
{
    uv_mutex_lock(&h->lock_);
    snprintf(h->troubles_[part], sizeof(h->troubles_[part]), "%s", text == NULL ? "" : text);
    uv_mutex_unlock(&h->lock_);
}

bool hub_health_check(hub_health *h, leat_hub_part part, leat_buf *reason)
{
    size_t len = reason->len;
    uv_mutex_lock(&h->lock_);
    if (part == LEAT_HUB_LISTENER && h->phase_ == HUB_UNCONNECTED)
        leat_buf_text(reason, h->troubles_[part][0] != '\0' ? "down: " : "down");
    leat_buf_text(reason, h->troubles_[part]);
    if (part == LEAT_HUB_HISTORY && h->phase_ != HUB_READY && reason->len == len)
        leat_buf_text(reason, "not confirmed yet");
    uv_mutex_unlock(&h->lock_);
    return reason->len == len;
}
