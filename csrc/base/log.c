#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/utf8.h"

enum {
    MAX_LINE = 8192, /* longer ones are cut */
};

struct leat_log {
    atomic_int min_level;
    leat_log_sink sink;
    void *arg;
    pthread_mutex_t lock; /* held while the sink runs */
};

static _Thread_local leat_log *bound;

static const char *const level_names[] = {
    [LEAT_LOG_LEVEL_DEBUG] = "DEBUG",
    [LEAT_LOG_LEVEL_INFO] = "INFO",
    [LEAT_LOG_LEVEL_WARN] = "WARN",
    [LEAT_LOG_LEVEL_ERROR] = "ERROR",
};

leat_log *leat_log_new(leat_log_level min_level, leat_log_sink sink, void *arg)
{
    leat_log *log = leat_calloc(1, sizeof(*log));
    atomic_init(&log->min_level, (int)min_level);
    log->sink = sink;
    log->arg = arg;
    int failed = pthread_mutex_init(&log->lock, NULL);
    LEAT_ASSERT(failed == 0);
    return log;
}

void leat_log_free(leat_log *log)
{
    if (log == NULL)
        return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void leat_log_set_level(leat_log *log, leat_log_level min_level)
{
    atomic_store_explicit(&log->min_level, (int)min_level, memory_order_relaxed);
}

int leat_log_level_parse(leat_log_level *level, const char *name)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *level = (leat_log_level)i;
            return 0;
        }
    }
    return LEAT_EBADMSG;
}

void leat_log_bind(leat_log *log)
{
    bound = log;
}

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

/* A caller who forgot to quote must not be able to forge a line. */
static void blank_controls(char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
            at[i] = ' ';
    }
}

void leat_log_write(leat_log_level level, const char *subsystem, const char *format, ...)
{
    leat_log *log = bound;
    if (log == NULL || (int)level < atomic_load_explicit(&log->min_level, memory_order_relaxed))
        return;
    char line[MAX_LINE];
    size_t len = print_time(line, sizeof(line));
    len += (size_t)snprintf(line + len, 64, " %s %.40s ", level_names[level], subsystem);
    va_list args;
    va_start(args, format);
    int text_len = vsnprintf(line + len, sizeof(line) - len, format, args);
    va_end(args);
    size_t text_at = len;
    if (text_len > 0)
        len += (size_t)text_len;
    if (len >= sizeof(line)) {
        len = sizeof(line) - 1;
        memcpy(line + len - 3, "...", 3);
    }
    blank_controls(line + text_at, len - text_at);
    pthread_mutex_lock(&log->lock);
    log->sink(log->arg, level, line, len);
    pthread_mutex_unlock(&log->lock);
}

/* How many characters of a value the next piece of text takes, and what they become. */
typedef struct piece {
    char text[4];
    size_t len;
    bool plain; /* as it was: needs no quotes */
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

/* Copies as many whole pieces as fit in room, and whole UTF-8 characters. Returns the length. */
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
    if (around > room) { /* too small a buffer to say anything */
        out[0] = '\0';
        return out;
    }
    size_t at = strlen(mark);
    memcpy(out, mark, at);
    at += copy_pieces(out + at, room - around, text, len, utf8);
    memcpy(out + at, end, strlen(end) + 1);
    return out;
}
