/* config_reload.c - the keys that are live, by name. Each is a number of leat_limits, or the level
 * of the log. */
#include "engine/config_reload.h"

#include <inttypes.h>
#include <string.h>

static const char *const live_keys[] = {
    "log_level",
    "control_timeout_ms",
    "max_timeout_ms",
    "max_subscriptions",
    "max_subscriptions_per_user",
    "max_handshakes",
    "max_handshakes_per_user",
    "retry_after_min_ms",
    "retry_after_max_ms",
    "publish_rate_per_user",
    "publish_burst_per_user",
    "max_inflight",
    "message_rate_per_client",
    "message_burst_per_client",
    "byte_rate_per_client",
    "byte_burst_per_client",
    "control_rate_per_client",
    "control_burst_per_client",
    "max_message_values",
    "max_send_buffer_bytes",
    "first_message_timeout_ms",
    "idle_timeout_ms",
    "slow_client_timeout_ms",
    "ping_interval_ms",
    "pong_timeout_ms",
    "close_timeout_ms",
    "authenticate_timeout_ms",
    "ring_events",
    "ring_bytes",
    "max_signal_backlog",
    "max_turns",
};

bool leat_config_key_is_live(const leat_config_key *key)
{
    for (size_t i = 0; i < sizeof(live_keys) / sizeof(live_keys[0]); i++)
        if (strcmp(live_keys[i], key->name) == 0)
            return true;
    return false;
}

static bool is_same(const leat_config *a, const leat_config *b, const leat_config_key *key)
{
    if (leat_config_key_is_number(key))
        return leat_config_number(a, key) == leat_config_number(b, key);
    if (key->kind == LEAT_KEY_BOOL)
        return *((const char *)a + key->offset) == *((const char *)b + key->offset);
    return strcmp(leat_config_text(a, key), leat_config_text(b, key)) == 0;
}

static void take_number(leat_config *now, const leat_config *fresh, const leat_config_key *key)
{
    uint64_t n = leat_config_number(fresh, key);
    if (leat_config_number(now, key) == n)
        return;
    leat_config_set_number(now, key, n);
    LEAT_LOG_INFO("server", "key taken over key=%s value=%" PRIu64, key->name, n);
}

void leat_config_take_over(leat_config_live *live, const leat_config *started,
                           const leat_config *fresh)
{
    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    leat_config now = *started; /* a view: its texts stay those of started */
    now.limits = live->limits;
    for (size_t i = 0; i < n; i++) {
        if (leat_config_key_is_live(&keys[i]) && leat_config_key_is_number(&keys[i]))
            take_number(&now, fresh, &keys[i]);
        else if (!leat_config_key_is_live(&keys[i]) && !is_same(started, fresh, &keys[i]))
            LEAT_LOG_WARN("server", "key needs a restart key=%s", keys[i].name);
    }
    live->limits = now.limits;
    if (memcmp(&live->levels, &fresh->levels, sizeof(live->levels)) != 0)
        LEAT_LOG_WARN("server", "key taken over key=log_level value=%s", fresh->log_level);
    live->levels = fresh->levels;
}
