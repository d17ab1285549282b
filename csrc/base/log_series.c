/* log_series.c - the last warning is kept as a hash: what it said is only compared. */
#include "base/log_series.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { LOG_EVERY_MS = 5000 };

/* FNV-1a */
static uint32_t add_to_hash(uint32_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

void leat_log_series_warn(leat_log_series *s, uint64_t now_ms, const char *subsystem,
                          const char *phrase, const char *error)
{
    uint32_t says = add_to_hash(add_to_hash(2166136261u, phrase), error);
    bool repeats = says == s->said_;
    s->said_ = says;
    if (repeats && s->logged_ms_ != 0 && now_ms - s->logged_ms_ < LOG_EVERY_MS) {
        s->unlogged_++;
        return;
    }
    char quoted[600], whose[64] = "", left_out[32] = "";
    if (s->connection != NULL)
        snprintf(whose, sizeof(whose), " connection=\"%s\"", s->connection);
    if (s->unlogged_ > 0)
        snprintf(left_out, sizeof(left_out), " unlogged=%u", s->unlogged_);
    leat_log_quote(quoted, sizeof(quoted), error, strlen(error));
    LEAT_LOG_WARN(subsystem, "%s%s err=%s%s", phrase, whose, quoted, left_out);
    s->logged_ms_ = now_ms == 0 ? 1 : now_ms;
    s->unlogged_ = 0;
}
