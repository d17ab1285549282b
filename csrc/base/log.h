/* log.h - one line an occurrence: time, level, subsystem, constant phrase, key=value.
 *
 * Ownership  a leat_log is owned by whoever made it (leat_server) and outlives its users.
 * Threads    a leat_log is shared by all threads: its sink is called under its lock. Each thread
 *            binds the log it writes to once; a thread that bound none logs nothing. (That binding
 *            is thread-local state, the one exception to "no globals": a log parameter in every
 *            function would bury what the functions are about.)
 * Units      times are UTC, to the millisecond.
 * Errors     logging cannot fail.
 *
 * Never payloads, tokens or SQL parameters. Values that hold spaces, quotes or control
 * characters are quoted by the caller with leat_log_quote.
 */
#ifndef LEAT_BASE_LOG_H
#define LEAT_BASE_LOG_H

#include <stddef.h>

#include "base/err.h"

typedef enum leat_log_level {
    LEAT_LOG_LEVEL_DEBUG,
    LEAT_LOG_LEVEL_INFO,
    LEAT_LOG_LEVEL_WARN,
    LEAT_LOG_LEVEL_ERROR,
} leat_log_level;

typedef struct leat_log leat_log;

/* Receives one complete line, without the newline. */
typedef void (*leat_log_sink)(void *arg, leat_log_level level, const char *line, size_t len);

leat_log *leat_log_new(leat_log_level min_level, leat_log_sink sink, void *arg);
void leat_log_free(leat_log *log);
void leat_log_set_level(leat_log *log, leat_log_level min_level);

/* Returns 0 and writes *level, or LEAT_EBADMSG: "debug", "info", "warn", "error". */
LEAT_MUST_CHECK int leat_log_level_parse(leat_log_level *level, const char *name);

/* Binds (NULL: unbinds) the calling thread. */
void leat_log_bind(leat_log *log);

/* Writes text into out (size bytes, always terminated) as a value that is safe in a line: bare if
 * it needs no quotes, else in double quotes with \n, \" and \xNN escapes; cut if too long, ending
 * in
 * "...". Returns out. */
const char *leat_log_quote(char *out, size_t size, const char *text, size_t len);

void leat_log_write(leat_log_level level, const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define LEAT_LOG_DEBUG(...) leat_log_write(LEAT_LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LEAT_LOG_INFO(...) leat_log_write(LEAT_LOG_LEVEL_INFO, __VA_ARGS__)
#define LEAT_LOG_WARN(...) leat_log_write(LEAT_LOG_LEVEL_WARN, __VA_ARGS__)
#define LEAT_LOG_ERROR(...) leat_log_write(LEAT_LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
