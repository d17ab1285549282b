#include "pg/pg_backoff.h"

#include <string.h>

#include <uv.h>

#include "base/log.h"

enum { FIRST_MS = 50, LOG_EVERY_MS = 5000 };

void leat_pg_backoff_init(leat_pg_backoff *b, uint64_t max_ms)
{
    *b = (leat_pg_backoff){.max_ms_ = max_ms < FIRST_MS ? FIRST_MS : max_ms};
    if (uv_random(NULL, NULL, &b->random_, sizeof(b->random_), 0, NULL) < 0)
        b->random_ = uv_hrtime();
    b->random_ |= 1; /* xorshift stays at zero */
}

uint64_t leat_pg_backoff_next(leat_pg_backoff *b)
{
    uint64_t ms = FIRST_MS;
    for (unsigned i = 0; i < b->failures_ && ms < b->max_ms_; i++)
        ms *= 2;
    if (ms > b->max_ms_)
        ms = b->max_ms_;
    b->failures_++;
    b->random_ ^= b->random_ << 13;
    b->random_ ^= b->random_ >> 7;
    b->random_ ^= b->random_ << 17;
    return ms / 2 + b->random_ % (ms / 2 + 1);
}

void leat_pg_backoff_reset(leat_pg_backoff *b)
{
    b->failures_ = 0;
}

void leat_pg_backoff_warn(leat_pg_backoff *b, uint64_t now_ms, const char *phrase,
                          const char *error)
{
    if (b->logged_ms_ != 0 && now_ms - b->logged_ms_ < LOG_EVERY_MS) {
        b->unlogged_++;
        return;
    }
    char quoted[600];
    leat_log_quote(quoted, sizeof(quoted), error, strlen(error));
    LEAT_LOG_WARN("pg", "%s err=%s unlogged=%u", phrase, quoted, b->unlogged_);
    b->logged_ms_ = now_ms == 0 ? 1 : now_ms;
    b->unlogged_ = 0;
}
