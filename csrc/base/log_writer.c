/* log_writer.c - leat_log_writer_put -> (on the thread) take -> write_all.
 *
 * The queue is a ring of bytes. Each line in it ends with a newline, and may continue at the
 * beginning of the ring. take copies lines to the batch under the lock; write_all writes the batch
 * without it.
 */
#include "base/log_writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"

enum {
    TICK_MS = 1000,
    RETRY_MS = 1000, /* for a descriptor that is non-blocking and full */
    MAX_BATCH = 16384,
};

/* What the thread is doing. */
typedef enum activity {
    WAITING,
    WRITING, /* the batch */
    TICKING, /* the tick runs */
    ENDED,   /* the thread does not touch the writer any more, unless it was abandoned */
} activity;

/* What the thread is told to do. */
typedef enum order {
    RUN,
    STOP,    /* no more ticks; the thread ends when all lines are written */
    ABANDON, /* the thread ends as soon as it can, and frees the writer */
} order;

struct leat_log_writer {
    int fd;
    leat_log_writer_tick tick;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;    /* of everything below except batch and torn */
    pthread_cond_t filled;   /* there is a line, or another order */
    pthread_cond_t advanced; /* a batch or a tick is done, or the thread has ended */
    char *ring;
    size_t size;
    size_t at; /* offset of the oldest byte */
    size_t used;
    activity doing;
    order told;
    uint64_t failed; /* lines that could not be written */
    int error;
    bool torn; /* only the thread uses it: the last line was written in part */
    char batch[MAX_BATCH];
};

static void *run(void *arg);

static void init_sync(leat_log_writer *w)
{
    pthread_condattr_t attr;
    int failed = pthread_mutex_init(&w->lock, NULL);
    failed |= pthread_condattr_init(&attr);
    failed |= pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(&w->filled, &attr);
    failed |= pthread_cond_init(&w->advanced, &attr);
    pthread_condattr_destroy(&attr);
    LEAT_ASSERT(failed == 0);
}

static void free_writer(leat_log_writer *w)
{
    pthread_cond_destroy(&w->filled);
    pthread_cond_destroy(&w->advanced);
    pthread_mutex_destroy(&w->lock);
    free(w->ring);
    free(w);
}

leat_log_writer *leat_log_writer_new(int fd, size_t bytes, leat_log_writer_tick tick, void *arg)
{
    leat_log_writer *w = leat_calloc(1, sizeof(*w));
    w->fd = fd;
    w->tick = tick;
    w->arg = arg;
    w->ring = leat_calloc(1, bytes);
    w->size = bytes;
    init_sync(w);
    /* A SIGPIPE stays pending in the thread, which blocks it, and has no effect. */
    if (leat_thread_start(&w->thread, NULL, run, w) != 0) {
        free_writer(w);
        return NULL;
    }
    return w;
}

/* --- the queue --- */

static void append(leat_log_writer *w, const char *bytes, size_t len)
{
    size_t end = (w->at + w->used) % w->size;
    size_t first = len < w->size - end ? len : w->size - end;
    memcpy(w->ring + end, bytes, first);
    memcpy(w->ring, bytes + first, len - first);
    w->used += len;
}

bool leat_log_writer_put(leat_log_writer *w, const char *line, size_t len, bool urgent)
{
    pthread_mutex_lock(&w->lock);
    size_t most = urgent ? w->size : w->size - w->size / 4;
    bool fits = len + 1 <= MAX_BATCH && w->used + len + 1 <= most;
    if (fits) {
        append(w, line, len);
        append(w, "\n", 1);
        if (w->doing != WRITING)
            pthread_cond_signal(&w->filled);
    }
    pthread_mutex_unlock(&w->lock);
    return fits;
}

/* The length, newline included, of the line at that offset from the oldest byte. */
static size_t line_at(const leat_log_writer *w, size_t offset)
{
    size_t n = 0;
    while (w->ring[(w->at + offset + n) % w->size] != '\n')
        n++;
    return n + 1;
}

/* Moves one line to the batch, and further ones while a single write keeps them together. */
static size_t take(leat_log_writer *w)
{
    size_t len = 0;
    while (len < w->used) {
        size_t line = line_at(w, len);
        if (len > 0 && len + line > PIPE_BUF)
            break;
        len += line;
    }
    size_t first = len < w->size - w->at ? len : w->size - w->at;
    memcpy(w->batch, w->ring + w->at, first);
    memcpy(w->batch + first, w->ring, len - first);
    w->at = (w->at + len) % w->size;
    w->used -= len;
    return len;
}

/* --- the thread --- */

static size_t count_lines(const char *at, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += at[i] == '\n';
    return n;
}

/* Waits if somebody made the descriptor non-blocking and it is full. Returns 0 or an errno. */
static int write_some(int fd, const char *at, size_t len, size_t *written)
{
    for (;;) {
        ssize_t n = write(fd, at, len);
        if (n > 0) {
            *written = (size_t)n;
            return 0;
        }
        int error = n == 0 ? EIO : errno;
        if (error == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, RETRY_MS);
        else if (error != EINTR)
            return error;
    }
}

/* Returns the number of lines that could not be written. */
static size_t write_all(leat_log_writer *w, size_t len, int *error)
{
    size_t done = 0;
    size_t n = 0;
    if (w->torn && write_some(w->fd, "\n", 1, &n) == 0)
        w->torn = false;
    while (done < len) {
        *error = write_some(w->fd, w->batch + done, len - done, &n);
        if (*error != 0) {
            w->torn = w->torn || (done > 0 && w->batch[done - 1] != '\n');
            return count_lines(w->batch + done, len - done);
        }
        done += n;
    }
    return 0;
}

static struct timespec in_ms(uint64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* run_tick and write_batch are called with the lock, and release it while they work. */
static void run_tick(leat_log_writer *w)
{
    w->doing = TICKING;
    pthread_mutex_unlock(&w->lock);
    w->tick(w->arg);
    pthread_mutex_lock(&w->lock);
    w->doing = WAITING;
    pthread_cond_broadcast(&w->advanced);
}

static void write_batch(leat_log_writer *w)
{
    size_t len = take(w);
    int error = 0;
    w->doing = WRITING;
    pthread_mutex_unlock(&w->lock);
    size_t failed = write_all(w, len, &error);
    pthread_mutex_lock(&w->lock);
    w->doing = WAITING;
    w->failed += failed;
    w->error = failed > 0 ? error : w->error;
    pthread_cond_broadcast(&w->advanced);
}

static void *run(void *arg)
{
    leat_log_writer *w = arg;
    leat_thread_name("leat-log");
    uint64_t tick_at = now_ms() + TICK_MS;
    pthread_mutex_lock(&w->lock);
    while (w->told == RUN || (w->told == STOP && w->used > 0)) {
        uint64_t now = now_ms();
        if (now >= tick_at && w->told == RUN) {
            tick_at = now + TICK_MS;
            run_tick(w);
        } else if (w->used > 0) {
            write_batch(w);
        } else {
            struct timespec until = in_ms(tick_at - now);
            pthread_cond_timedwait(&w->filled, &w->lock, &until);
        }
    }
    w->doing = ENDED;
    bool abandoned = w->told == ABANDON;
    pthread_cond_broadcast(&w->advanced);
    pthread_mutex_unlock(&w->lock);
    if (abandoned)
        free_writer(w);
    return NULL;
}

/* --- the end --- */

uint64_t leat_log_writer_take_failed(leat_log_writer *w, int *error)
{
    pthread_mutex_lock(&w->lock);
    uint64_t failed = w->failed;
    w->failed = 0;
    *error = w->error;
    pthread_mutex_unlock(&w->lock);
    return failed;
}

static bool is_written(const leat_log_writer *w)
{
    return w->used == 0 && w->doing != WRITING;
}

static bool has_ended(const leat_log_writer *w)
{
    return w->doing == ENDED;
}

static bool is_between_ticks(const leat_log_writer *w)
{
    return w->doing != TICKING;
}

/* To be called with the lock. Returns false if the condition was not true in time. */
static bool await(leat_log_writer *w, bool (*condition)(const leat_log_writer *),
                  uint64_t timeout_ms)
{
    struct timespec until = in_ms(timeout_ms);
    while (!condition(w))
        if (pthread_cond_timedwait(&w->advanced, &w->lock, &until) == ETIMEDOUT)
            return condition(w);
    return true;
}

bool leat_log_writer_flush(leat_log_writer *w, uint64_t timeout_ms)
{
    pthread_mutex_lock(&w->lock);
    bool flushed = await(w, is_written, timeout_ms);
    pthread_mutex_unlock(&w->lock);
    return flushed;
}

void leat_log_writer_close(leat_log_writer *w, uint64_t timeout_ms)
{
    pthread_mutex_lock(&w->lock);
    w->told = STOP;
    pthread_cond_signal(&w->filled);
    bool ended = await(w, has_ended, timeout_ms);
    if (!ended) {
        while (!is_between_ticks(w)) /* a tick only puts lines, so it ends soon */
            pthread_cond_wait(&w->advanced, &w->lock);
        ended = has_ended(w);
        w->told = ended ? STOP : ABANDON;
    }
    pthread_t thread = w->thread;
    pthread_mutex_unlock(&w->lock);
    if (!ended) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    free_writer(w);
}
