/* log.c - leat_log_write: is_wanted -> admit -> write_line: print_line -> deliver.
 *
 * The lock is held while the limit is asked and while a line is queued, never while a line is
 * formatted or written. The writer's thread calls report_each_second, which logs how many lines
 * were left out or dropped. A sink that is a function takes every line at once, without limits.
 */
#include "base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log_json.h"
#include "base/log_limit.h"
#include "base/log_writer.h"
#include "base/mem.h"
#include "base/utf8.h"

enum {
    MAX_LINE = 8192, /* longer ones are cut */
    MAX_JSON = LEAT_LOG_JSON_MAX(MAX_LINE),
    LOST_MS = 5000,  /* between two lines about lines that could not be written */
    ABORT_MS = 1000, /* an assertion that fails waits so long for the log */
};

struct leat_log {
    atomic_uchar levels[LEAT_LOG_SUBSYSTEM_COUNT]; /* as leat_log_levels */
    atomic_uchar lowest;                           /* of them: most lines are below it */
    atomic_int format;
    leat_log_sink sink; /* NULL: the writer */
    void *arg;
    leat_log_writer *writer;
    leat_log_limit *limit;
    pthread_mutex_t lock;  /* of everything below, and of limit; held while the sink runs */
    leat_metrics *metrics; /* or NULL */
    uint64_t dropped;      /* lines without room in the queue, not yet reported */
    uint64_t lost;         /* lines that could not be written, not yet reported */
    int lost_error;
    uint64_t lost_reported_ms;
};

static _Thread_local leat_log *bound;
static _Thread_local leat_log_subject subject;

static const char *const level_names[] = {
    [LEAT_LOG_LEVEL_DEBUG] = "DEBUG",
    [LEAT_LOG_LEVEL_INFO] = "INFO",
    [LEAT_LOG_LEVEL_WARN] = "WARN",
    [LEAT_LOG_LEVEL_ERROR] = "ERROR",
};

static void report_each_second(void *arg);
static bool log_assertion(const char *text);

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

leat_log *leat_log_new(leat_log_level min_level, leat_log_sink sink, void *arg)
{
    leat_log *log = leat_calloc(1, sizeof(*log));
    leat_log_levels levels = leat_log_levels_all(min_level);
    leat_log_set_levels(log, &levels);
    atomic_init(&log->format, LEAT_LOG_FORMAT_LOGFMT);
    log->sink = sink;
    log->arg = arg;
    int failed = pthread_mutex_init(&log->lock, NULL);
    LEAT_ASSERT(failed == 0);
    return log;
}

leat_log *leat_log_open(leat_log_level min_level, int fd, const leat_log_limits *limits)
{
    leat_log *log = leat_log_new(min_level, NULL, NULL);
    log->limit = leat_log_limit_new(
        &(leat_log_limit_options){
            .rate = limits->rate,
            .burst = limits->burst,
            .bytes_rate = limits->bytes_per_s,
            .bytes_burst = limits->buffer_bytes,
        },
        now_ms());
    log->writer = leat_log_writer_new(fd, limits->buffer_bytes, report_each_second, log);
    if (log->writer == NULL) {
        leat_log_free(log);
        return NULL;
    }
    return log;
}

void leat_log_count_in(leat_log *log, leat_metrics *metrics)
{
    pthread_mutex_lock(&log->lock);
    log->metrics = metrics;
    pthread_mutex_unlock(&log->lock);
}

void leat_log_set_levels(leat_log *log, const leat_log_levels *levels)
{
    unsigned char lowest = LEAT_LOG_LEVEL_ERROR;
    for (int i = 0; i < LEAT_LOG_SUBSYSTEM_COUNT; i++) {
        atomic_store_explicit(&log->levels[i], levels->of[i], memory_order_relaxed);
        lowest = levels->of[i] < lowest ? levels->of[i] : lowest;
    }
    atomic_store_explicit(&log->lowest, lowest, memory_order_relaxed);
}

void leat_log_set_format(leat_log *log, leat_log_format format)
{
    atomic_store_explicit(&log->format, (int)format, memory_order_relaxed);
}

int leat_log_format_parse(leat_log_format *format, const char *name)
{
    if (strcmp(name, "logfmt") == 0)
        *format = LEAT_LOG_FORMAT_LOGFMT;
    else if (strcmp(name, "json") == 0)
        *format = LEAT_LOG_FORMAT_JSON;
    else
        return LEAT_EBADMSG;
    return 0;
}

void leat_log_bind(leat_log *log)
{
    bound = log;
    leat_assert_bind(log == NULL ? NULL : log_assertion);
}

leat_log_subject leat_log_about(leat_slice request)
{
    leat_log_subject before = subject;
    subject.text_[0] = '\0';
    if (request.at != NULL && request.len <= LEAT_LOG_REQUEST_MAX)
        snprintf(subject.text_, sizeof(subject.text_), " request=%.*s", (int)request.len,
                 request.at);
    return before;
}

void leat_log_about_end(const leat_log_subject *before)
{
    subject = *before;
}

/* --- one line --- */

/* Writes "2026-11-23T18:31:58.123Z" and returns its length. */
static size_t print_time(char *out, size_t size)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    int ms = snprintf(out + len, size - len, ".%03dZ", (int)(now.tv_nsec / 1000000));
    return len + (size_t)ms;
}

/* If a caller forgot to quote a value, the value must still not look like another line. */
static void blank_controls(char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
            at[i] = ' ';
    }
}

/* Ends the line with dots, without cutting a character in two. Returns its length. */
static size_t cut(char line[MAX_LINE], size_t text_at)
{
    static const char dots[] = "...";
    size_t end = MAX_LINE - sizeof(dots);
    for (int i = 0; i < 3 && end > text_at && ((unsigned char)line[end] & 0xc0) == 0x80; i++)
        end--;
    memcpy(line + end, dots, sizeof(dots));
    return end + sizeof(dots) - 1;
}

/* Returns the line's length. */
static size_t print_logfmt(char line[MAX_LINE], leat_log_level level, const char *subsystem,
                           const char *format, va_list args)
{
    size_t len = print_time(line, MAX_LINE);
    len += (size_t)snprintf(line + len, 64, " %s %.40s ", level_names[level], subsystem);
    size_t text_at = len;
    int text_len = vsnprintf(line + len, MAX_LINE - len, format, args);
    if (text_len > 0)
        len += (size_t)text_len;
    size_t subject_len = strlen(subject.text_);
    if (len + subject_len < MAX_LINE) {
        memcpy(line + len, subject.text_, subject_len + 1);
        len += subject_len;
    } else if (len >= MAX_LINE) {
        len = cut(line, text_at);
    }
    blank_controls(line + text_at, len - text_at);
    return len;
}

/* Returns the length of the line in the log's format. */
static size_t print_line(const leat_log *log, char out[MAX_JSON], leat_log_level level,
                         const char *subsystem, const char *format, va_list args)
{
    if (atomic_load_explicit(&log->format, memory_order_relaxed) == LEAT_LOG_FORMAT_LOGFMT)
        return print_logfmt(out, level, subsystem, format, args);
    LEAT_UNINITIALIZED char line[MAX_LINE];
    return leat_log_json(out, line, print_logfmt(line, level, subsystem, format, args));
}

static void count(leat_log *log, leat_metric metric, uint64_t lines)
{
    if (log->metrics != NULL)
        leat_metrics_add(log->metrics, metric, (int64_t)lines);
}

static bool is_urgent(leat_log_level level)
{
    return level == LEAT_LOG_LEVEL_ERROR;
}

/* To be called with the lock. Writes a line of the log about itself; no limit applies to it. */
static bool __attribute__((format(printf, 3, 4)))
write_own(leat_log *log, leat_log_level level, const char *format, ...)
{
    LEAT_UNINITIALIZED char line[MAX_JSON];
    va_list args;
    va_start(args, format);
    size_t len = print_line(log, line, level, "log", format, args);
    va_end(args);
    return leat_log_writer_put(log->writer, line, len, true);
}

static void report_lost(leat_log *log, uint64_t now)
{
    int error = 0;
    uint64_t lost = leat_log_writer_take_failed(log->writer, &error);
    if (lost > 0) {
        count(log, LEAT_M_LOG_DROPPED_FAILED, lost);
        log->lost += lost;
        log->lost_error = error;
    }
    /* Reported together with another line, not once a second: while a disk is full, this line is
     * lost, too. */
    if (log->lost == 0 || now - log->lost_reported_ms < LOST_MS)
        return;
    if (write_own(log, LEAT_LOG_LEVEL_WARN, "lines lost lines=%" PRIu64 " err=\"%s\"", log->lost,
                  strerrordesc_np(log->lost_error)))
        log->lost = 0;
    log->lost_reported_ms = now;
}

static void report_dropped(leat_log *log)
{
    if (log->dropped > 0 &&
        write_own(log, LEAT_LOG_LEVEL_WARN,
                  "lines dropped, nobody reads fast enough lines=%" PRIu64, log->dropped))
        log->dropped = 0;
}

static void report_left_out(leat_log *log, uint64_t now, bool all)
{
    leat_log_limit_report r;
    while (leat_log_limit_take(log->limit, now, all, &r)) {
        if (r.level >= atomic_load_explicit(&log->lowest, memory_order_relaxed) &&
            !write_own(log, (leat_log_level)r.level, "lines left out phrase=\"%s\" lines=%" PRIu64,
                       r.phrase, r.lines))
            log->dropped++;
    }
}

static void report_each_second(void *arg)
{
    leat_log *log = arg;
    pthread_mutex_lock(&log->lock);
    report_dropped(log);
    report_left_out(log, now_ms(), false);
    pthread_mutex_unlock(&log->lock);
}

/* To be called with the lock. */
static void deliver(leat_log *log, leat_log_level level, const char *line, size_t len)
{
    if (log->sink != NULL) {
        log->sink(log->arg, level, line, len);
        return;
    }
    report_lost(log, now_ms());
    report_dropped(log);
    leat_log_limit_charge(log->limit, is_urgent(level), len);
    if (leat_log_writer_put(log->writer, line, len, is_urgent(level)))
        return;
    log->dropped++;
    count(log, LEAT_M_LOG_DROPPED_FULL, 1);
}

/* Most lines that are not wanted end at the first comparison. */
static bool is_wanted(const leat_log *log, leat_log_level level, const char *subsystem)
{
    if (log == NULL || (int)level < atomic_load_explicit(&log->lowest, memory_order_relaxed))
        return false;
    int place = leat_log_levels_place(subsystem);
    return place == LEAT_LOG_SUBSYSTEM_COUNT ||
           (int)level >= atomic_load_explicit(&log->levels[place], memory_order_relaxed);
}

/* Returns true if the line may be written; otherwise counts it as left out. */
static bool admit(leat_log *log, const leat_log_limit_line *line)
{
    if (log->limit == NULL)
        return true;
    pthread_mutex_lock(&log->lock);
    bool admitted = leat_log_limit_admit(log->limit, line, now_ms());
    if (!admitted)
        count(log, LEAT_M_LOG_DROPPED_RATE, 1);
    pthread_mutex_unlock(&log->lock);
    return admitted;
}

static void write_line(leat_log *log, leat_log_level level, const char *subsystem,
                       const char *format, va_list args)
{
    LEAT_UNINITIALIZED char line[MAX_JSON];
    size_t len = print_line(log, line, level, subsystem, format, args);
    pthread_mutex_lock(&log->lock);
    deliver(log, level, line, len);
    pthread_mutex_unlock(&log->lock);
}

void leat_log_write(leat_log_level level, const char *subsystem, const char *format, ...)
{
    leat_log *log = bound;
    if (!is_wanted(log, level, subsystem) ||
        !admit(log, &(leat_log_limit_line){(uintptr_t)format, format, (int)level, false,
                                           is_urgent(level)}))
        return;
    va_list args;
    va_start(args, format);
    write_line(log, level, subsystem, format, args);
    va_end(args);
}

void leat_log_write_always(const char *subsystem, const char *format, ...)
{
    if (bound == NULL)
        return;
    va_list args;
    va_start(args, format);
    write_line(bound, LEAT_LOG_LEVEL_INFO, subsystem, format, args);
    va_end(args);
}

static void __attribute__((format(printf, 4, 5)))
write_admitted(leat_log *log, leat_log_level level, const char *subsystem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(log, level, subsystem, format, args);
    va_end(args);
}

/* FNV-1a. */
static uint64_t hash_of(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return h;
}

void leat_log_write_text(leat_log_level level, const char *subsystem, const char *message,
                         const char *line)
{
    leat_log *log = bound;
    if (is_wanted(log, level, subsystem) &&
        admit(log, &(leat_log_limit_line){hash_of(message), message, (int)level, true,
                                          is_urgent(level)}))
        write_admitted(log, level, subsystem, "%s", line);
}

/* --- the end --- */

bool leat_log_flush(leat_log *log, uint64_t timeout_ms)
{
    if (log->writer == NULL)
        return true;
    pthread_mutex_lock(&log->lock);
    report_dropped(log);
    report_left_out(log, now_ms(), true);
    pthread_mutex_unlock(&log->lock);
    return leat_log_writer_flush(log->writer, timeout_ms);
}

void leat_log_free(leat_log *log)
{
    if (log == NULL)
        return;
    if (log->writer != NULL) {
        bool flushed = leat_log_flush(log, LEAT_LOG_EXIT_MS);
        leat_log_writer_close(log->writer, flushed ? LEAT_LOG_EXIT_MS : 0);
    }
    leat_log_limit_free(log->limit);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

/* Logs a failed assertion of this thread, after the lines that are queued already. If nobody reads
 * the log, or if this thread holds its lock, the process aborts without that. */
static bool log_assertion(const char *text)
{
    leat_log *log = bound;
    struct timespec until;
    leat_log_bind(NULL); /* an assertion that fails in here has no log */
    if (log->writer == NULL)
        return false;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ABORT_MS / 1000;
    if (pthread_mutex_timedlock(&log->lock, &until) != 0)
        return false;
    bool written = write_own(log, LEAT_LOG_LEVEL_ERROR, "%s", text);
    pthread_mutex_unlock(&log->lock);
    leat_log_flush(log, ABORT_MS);
    return written;
}

/* --- quoting --- */

/* How one byte of a value is written. */
typedef struct piece {
    char text[4];
    size_t len;
    bool plain; /* it needs no quotes */
} piece;

static piece quote_byte(unsigned char c, bool utf8)
{
    static const char hex[] = "0123456789abcdef";
    if (c == '"' || c == '\\')
        return (piece){{'\\', (char)c}, 2, false};
    if (c == '\n')
        return (piece){"\\n", 2, false};
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
        return (piece){{'\\', 'x', hex[c >> 4], hex[c & 15]}, 4, false};
    return (piece){{(char)c}, 1, c != ' ' && c != '='};
}

/* Copies as many whole pieces, and whole UTF-8 characters, as fit. Returns the length. */
static size_t copy_pieces(char *out, size_t room, const char *text, size_t len, bool utf8)
{
    size_t used = 0;
    size_t boundary = 0;
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            boundary = used;
        piece p = quote_byte((unsigned char)text[i], utf8);
        if (used + p.len > room)
            return utf8 ? boundary : used;
        memcpy(out + used, p.text, p.len);
        used += p.len;
    }
    return used;
}

const char *leat_log_quote(char *out, size_t size, const char *text, size_t len)
{
    if (size == 0)
        return out;
    bool utf8 = leat_utf8_valid(text, len);
    bool bare = len > 0;
    size_t need = 0;
    for (size_t i = 0; i < len && need < size; i++) {
        piece p = quote_byte((unsigned char)text[i], utf8);
        bare = bare && p.plain;
        need += p.len;
    }
    const char *mark = bare ? "" : "\"";
    const char *end = mark;
    size_t room = size - 1;
    if (need + 2 * strlen(mark) > room)
        end = bare ? "..." : "...\"";
    size_t around = strlen(mark) + strlen(end);
    if (around > room) { /* the buffer is too small even for the quotes */
        out[0] = '\0';
        return out;
    }
    size_t at = strlen(mark);
    memcpy(out, mark, at);
    at += copy_pieces(out + at, room - around, text, len, utf8);
    memcpy(out + at, end, strlen(end) + 1);
    return out;
}
