/* log.h - one line an occurrence: time, level, subsystem, constant phrase, key=value.
 *
 * Ownership  a leat_log is owned by whoever made it (leat_server's owner) and outlives its users.
 * Threads    a leat_log is shared by all threads. Each thread binds the log it writes to once; a
 *            thread that bound none logs nothing. (That binding is thread-local state, the one
 *            exception to "no globals": a log parameter in every function would bury what the
 *            functions are about.)
 * Units      times are UTC, to the millisecond.
 * Errors     logging cannot fail, and never waits for the log's reader: lines go through a bounded
 *            queue to a thread that writes them (log_writer). A line is left out if its kind has
 *            too many (log_limit), if the queue has no room, or if it cannot be written. Such lines
 *            are counted, and their number is logged.
 *
 * Never payloads, tokens or SQL parameters. Values that hold spaces, quotes or control
 * characters are quoted by the caller with leat_log_quote.
 */
#ifndef LEAT_BASE_LOG_H
#define LEAT_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/metrics.h"

typedef enum leat_log_level {
    LEAT_LOG_LEVEL_DEBUG,
    LEAT_LOG_LEVEL_INFO,
    LEAT_LOG_LEVEL_WARN,
    LEAT_LOG_LEVEL_ERROR,
} leat_log_level;

typedef struct leat_log leat_log;

/* What bounds a log (config/leat.lua says what each means). */
typedef struct leat_log_limits {
    uint64_t rate;  /* lines of one kind a second */
    uint64_t burst; /* and at once */
    uint64_t bytes_per_s;
    size_t buffer_bytes; /* of lines that wait to be written */
} leat_log_limits;

/* A log that is written to fd, which is borrowed and never closed. Returns NULL if the thread that
 * writes cannot be had. */
leat_log *leat_log_open(leat_log_level min_level, int fd, const leat_log_limits *limits);

/* Receives one complete line, without the newline; must not block. */
typedef void (*leat_log_sink)(void *arg, leat_log_level level, const char *line, size_t len);

/* A log whose lines, all of them, go to a function, under the log's lock. */
leat_log *leat_log_new(leat_log_level min_level, leat_log_sink sink, void *arg);

/* Waits until all lines are written, but not longer than limit_ms; false: some are not. */
bool leat_log_flush(leat_log *log, uint64_t limit_ms);

/* Waits as leat_log_flush does, for LEAT_LOG_EXIT_MS. */
void leat_log_free(leat_log *log);

enum { LEAT_LOG_EXIT_MS = 2000 };

/* What is left out is counted there from now on; NULL: nowhere. Only the log writes to these. */
void leat_log_count_in(leat_log *log, leat_metrics *metrics);

void leat_log_set_level(leat_log *log, leat_log_level min_level);

/* Returns 0 and writes *level, or LEAT_EBADMSG: "debug", "info", "warn", "error". */
LEAT_MUST_CHECK int leat_log_level_parse(leat_log_level *level, const char *name);

/* Binds (NULL: unbinds) the calling thread. */
void leat_log_bind(leat_log *log);

/* Writes text into out (size bytes, always terminated) as a value that is safe in a line: bare if
 * it needs no quotes, else in double quotes with \n, \" and \xNN escapes. A text that is too long
 * is cut, and "..." is put behind it. Returns out. */
const char *leat_log_quote(char *out, size_t size, const char *text, size_t len);

/* The format's constant phrase is the line's kind: it must be a literal. */
void leat_log_write(leat_log_level level, const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A line whose kind is a text that somebody else chose: an application's message. */
void leat_log_write_text(leat_log_level level, const char *subsystem, const char *message,
                         const char *line);

#define LEAT_LOG_DEBUG(...) leat_log_write(LEAT_LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LEAT_LOG_INFO(...) leat_log_write(LEAT_LOG_LEVEL_INFO, __VA_ARGS__)
#define LEAT_LOG_WARN(...) leat_log_write(LEAT_LOG_LEVEL_WARN, __VA_ARGS__)
#define LEAT_LOG_ERROR(...) leat_log_write(LEAT_LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
