/* log_series.h - a warning that repeats itself while something stays broken.
 *
 * Ownership  a plain value of its owner; all zero at first.
 * Threads    the owner's.
 * Units      milliseconds of a monotonic clock.
 * Errors     none.
 *
 * The first warning is logged at once, later ones every five seconds. Each line tells how many were
 * left out before it.
 */
#ifndef LEAT_BASE_LOG_SERIES_H
#define LEAT_BASE_LOG_SERIES_H

#include <stdint.h>

typedef struct leat_log_series {
    uint64_t logged_ms_; /* 0: never */
    unsigned unlogged_;  /* since then */
} leat_log_series;

void leat_log_series_warn(leat_log_series *s, uint64_t now_ms, const char *subsystem,
                          const char *phrase, const char *error);

#endif
