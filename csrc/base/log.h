/* log.h - log lines: time, level, subsystem, constant phrase, key=value.
 *
 * Ownership  a leat_log belongs to its maker (the owner of leat_engine) and outlives its users.
 * Threads    all threads share a leat_log. Each thread binds the log that it writes to; a thread
 *            without one logs nothing. This binding is thread-local state, the one exception to
 *            "no globals": otherwise every function would need a log parameter.
 * Units      times are UTC, to the millisecond.
 * Errors     logging cannot fail, and never waits for the reader of the log: lines go through a
 *            bounded queue to a thread that writes them (log_writer.h). A line is left out if its
 *            kind has too many (log_limit.h), if the queue has no room, or if it cannot be
 *            written. Such lines are counted, and their number is logged.
 *
 * Never log payloads, tokens or SQL parameters. The caller quotes values that may contain spaces,
 * quotes or control characters (leat_log_quote).
 */
#ifndef LEAT_BASE_LOG_H
#define LEAT_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log_levels.h"
#include "base/metrics.h"
#include "base/slice.h"

/* How a line is written: as text, or as a JSON object (log_json.h). */
typedef enum leat_log_format {
    LEAT_LOG_FORMAT_LOGFMT,
    LEAT_LOG_FORMAT_JSON,
} leat_log_format;

typedef struct leat_log leat_log;

/* The bounds of a log; config/leat.lua explains them. */
typedef struct leat_log_limits {
    uint64_t rate;  /* lines of one kind a second */
    uint64_t burst; /* lines of one kind at once */
    uint64_t bytes_per_s;
    size_t buffer_bytes; /* of the lines that wait for the writer */
} leat_log_limits;

/* Makes a log that writes to fd, which is borrowed and never closed. Returns NULL if the writer's
 * thread cannot be started. */
leat_log *leat_log_open(leat_log_level min_level, int fd, const leat_log_limits *limits);

/* Receives one complete line, without the newline; must not block. */
typedef void (*leat_log_sink)(void *arg, leat_log_level level, const char *line, size_t len);

/* Makes a log that gives all its lines to a function, under the log's lock. */
leat_log *leat_log_new(leat_log_level min_level, leat_log_sink sink, void *arg);

/* Waits until all lines are written. Returns false if the timeout came first. */
bool leat_log_flush(leat_log *log, uint64_t timeout_ms);

/* Flushes the log, for LEAT_LOG_EXIT_MS at most, and frees it. */
void leat_log_free(leat_log *log);

enum { LEAT_LOG_EXIT_MS = 2000 };

/* Counts lines that are left out in metrics from now on, which only the log may write; NULL: does
 * not count them. */
void leat_log_count_in(leat_log *log, leat_metrics *metrics);

/* From the next line on. */
void leat_log_set_levels(leat_log *log, const leat_log_levels *levels);

/* From the next line on. */
void leat_log_set_format(leat_log *log, leat_log_format format);

/* Returns 0 and writes *format, or LEAT_EBADMSG: "logfmt", "json". */
LEAT_MUST_CHECK int leat_log_format_parse(leat_log_format *format, const char *name);

/* Binds the calling thread to the log; NULL: to none. */
void leat_log_bind(leat_log *log);

enum { LEAT_LOG_REQUEST_MAX = 64 };

/* What ends the lines of a thread. */
typedef struct leat_log_subject {
    char text_[sizeof(" request=") + LEAT_LOG_REQUEST_MAX]; /* or "" */
} leat_log_subject;

/* Until leat_log_about_end, the lines of this thread are about the request with that id, and end
 * with request=ID. The id is copied, without quotes, at most LEAT_LOG_REQUEST_MAX bytes; at ==
 * NULL: about none. Returns what the lines were about before: such spans may be nested. */
LEAT_MUST_CHECK leat_log_subject leat_log_about(leat_slice request);
void leat_log_about_end(const leat_log_subject *before);

/* Writes text into out (size bytes, always terminated) as a value that is safe in a line: bare if
 * it needs no quotes, else in double quotes with \n, \" and \xNN escapes. A text that is too long
 * is cut, and "..." is put behind it. Returns out. */
const char *leat_log_quote(char *out, size_t size, const char *text, size_t len);

/* The format's constant phrase is the line's kind: it must be a literal. */
void leat_log_write(leat_log_level level, const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes a line of the level info whatever the levels are, and however many lines there were: that
 * somebody has changed the levels. */
void leat_log_write_always(const char *subsystem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes a line whose kind is not a phrase of the source but an application's message. */
void leat_log_write_text(leat_log_level level, const char *subsystem, const char *message,
                         const char *line);

#define LEAT_LOG_DEBUG(...) leat_log_write(LEAT_LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LEAT_LOG_INFO(...) leat_log_write(LEAT_LOG_LEVEL_INFO, __VA_ARGS__)
#define LEAT_LOG_WARN(...) leat_log_write(LEAT_LOG_LEVEL_WARN, __VA_ARGS__)
#define LEAT_LOG_ERROR(...) leat_log_write(LEAT_LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
