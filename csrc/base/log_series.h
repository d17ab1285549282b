/* log_series.h - a warning that repeats itself while something stays broken.
 *
 * Ownership  a plain value of its owner; all zero at first, but for the name, which is borrowed.
 * Threads    the owner's.
 * Units      milliseconds of a monotonic clock.
 * Errors     none.
 *
 * The first warning is logged at once, and so is one that says something else than the one before:
 * a lost connection, and then why no other one can be made. Repetitions are logged every five
 * seconds. Each line tells how many were left out before it.
 */
#ifndef LEAT_BASE_LOG_SERIES_H
#define LEAT_BASE_LOG_SERIES_H

#include <stdint.h>

typedef struct leat_log_series {
    const char *connection; /* whose trouble it is, as pg_stat_activity names it; NULL: not told */
    uint64_t logged_ms_;    /* 0: never */
    uint32_t said_;         /* a hash of the last warning */
    unsigned unlogged_;     /* since then */
} leat_log_series;

void leat_log_series_warn(leat_log_series *s, uint64_t now_ms, const char *subsystem,
                          const char *phrase, const char *error);

#endif
