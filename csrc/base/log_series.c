#include "base/log_series.h"

#include <string.h>

#include "base/log.h"

enum { LOG_EVERY_MS = 5000 };

void leat_log_series_warn(leat_log_series *s, uint64_t now_ms, const char *subsystem,
                          const char *phrase, const char *error)
{
    if (s->logged_ms_ != 0 && now_ms - s->logged_ms_ < LOG_EVERY_MS) {
        s->unlogged_++;
        return;
    }
    char quoted[600];
    leat_log_quote(quoted, sizeof(quoted), error, strlen(error));
    LEAT_LOG_WARN(subsystem, "%s err=%s unlogged=%u", phrase, quoted, s->unlogged_);
    s->logged_ms_ = now_ms == 0 ? 1 : now_ms;
    s->unlogged_ = 0;
}
