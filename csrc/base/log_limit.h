/* log_limit.h - bounds how many lines of each kind the log takes.
 *
 * Ownership  the log owns its limit.
 * Threads    none of its own: the log calls it under its lock.
 * Units      milliseconds of a monotonic clock; lines; bytes.
 * Errors     none.
 *
 * A kind of line is a constant phrase of the source, or a message of the application. Each kind may
 * have rate lines a second, and burst lines at once. All kinds together may have bytes_rate bytes a
 * second. Errors have the same number of bytes for themselves, so that other lines do not use up
 * their share.
 *
 * Some hundred kinds have an allowance of their own. So have some dozens of invented kinds: texts
 * that the application chose. Further kinds share one allowance, and further invented kinds share
 * another one.
 */
#ifndef LEAT_BASE_LOG_LIMIT_H
#define LEAT_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEAT_LOG_LIMIT_PHRASE = 64 };

typedef struct leat_log_limit leat_log_limit;

typedef struct leat_log_limit_options {
    uint64_t rate;
    uint64_t burst;
    uint64_t bytes_rate;
    uint64_t bytes_burst;
} leat_log_limit_options;

typedef struct leat_log_limit_line {
    uint64_t kind;
    const char *phrase; /* describes the kind in reports; copied up to its first key=value */
    int level;
    bool invented;
    bool urgent; /* an error */
} leat_log_limit_line;

/* Lines that were left out since the last report about their kind. */
typedef struct leat_log_limit_report {
    char phrase[LEAT_LOG_LIMIT_PHRASE];
    int level; /* the highest of these lines */
    uint64_t lines;
} leat_log_limit_report;

leat_log_limit *leat_log_limit_new(const leat_log_limit_options *options, uint64_t now_ms);
void leat_log_limit_free(leat_log_limit *l);

/* Returns true if the line may be written now. Otherwise counts it as left out. */
bool leat_log_limit_admit(leat_log_limit *l, const leat_log_limit_line *line, uint64_t now_ms);

/* Tells how many bytes an admitted line had. */
void leat_log_limit_charge(leat_log_limit *l, bool urgent, size_t bytes);

/* Takes the next report that is due; all: the next report, due or not. Returns false if there is
 * none. */
bool leat_log_limit_take(leat_log_limit *l, uint64_t now_ms, bool all, leat_log_limit_report *out);

#endif
