/* log_writer.c - put -> (the thread:) take -> write_all.
 *
 * The queue is a ring of bytes in which each line ends in its newline; a line may go on at the
 * ring's beginning. take copies lines out under the lock; they are written without it.
 */
#include "base/log_writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    TICK_MS = 1000,
    RETRY_MS = 1000, /* for a descriptor that is non-blocking and full */
    MAX_BATCH = 16384,
};

struct leat_log_writer {
    int fd;
    leat_log_writer_tick tick;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;    /* of everything below but batch and torn */
    pthread_cond_t filled;   /* there is a line, or the end has come */
    pthread_cond_t advanced; /* a batch is done, or a tick */
    char *ring;
    size_t size;
    size_t at; /* of the oldest byte */
    size_t used;
    bool busy;      /* a batch is being written */
    bool ticking;   /* the tick runs */
    bool stopping;  /* no more ticks, and no thread when all is written */
    bool abandoned; /* the thread frees all when it comes back */
    bool ended;     /* the thread has nothing more to do */
    uint64_t failed;
    int error;
    bool torn; /* the thread's own: the last line was written in part */
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
    /* The process's signals are for other threads; a SIGPIPE stays pending here and does nothing.
     */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
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
        if (!w->busy)
            pthread_cond_signal(&w->filled);
    }
    pthread_mutex_unlock(&w->lock);
    return fits;
}

/* The length of the first line at an offset from the oldest byte, with its newline. */
static size_t line_at(const leat_log_writer *w, size_t offset)
{
    size_t n = 0;
    while (w->ring[(w->at + offset + n) % w->size] != '\n')
        n++;
    return n + 1;
}

/* Moves whole lines into the batch: one, and then as many as one write keeps together. */
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

/* A descriptor that somebody made non-blocking is waited for. Returns 0 or an errno. */
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

/* Returns how many lines were given up, because they cannot be written. */
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

/* Both are called with the lock, and give it back while they work. */
static void run_tick(leat_log_writer *w)
{
    w->ticking = true;
    pthread_mutex_unlock(&w->lock);
    w->tick(w->arg);
    pthread_mutex_lock(&w->lock);
    w->ticking = false;
    pthread_cond_broadcast(&w->advanced);
}

static void write_batch(leat_log_writer *w)
{
    size_t len = take(w);
    int error = 0;
    w->busy = true;
    pthread_mutex_unlock(&w->lock);
    size_t failed = write_all(w, len, &error);
    pthread_mutex_lock(&w->lock);
    w->busy = false;
    w->failed += failed;
    w->error = failed > 0 ? error : w->error;
    pthread_cond_broadcast(&w->advanced);
}

static void *run(void *arg)
{
    leat_log_writer *w = arg;
    uint64_t tick_at = now_ms() + TICK_MS;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping || (w->used > 0 && !w->abandoned)) {
        uint64_t now = now_ms();
        if (now >= tick_at && !w->stopping) {
            tick_at = now + TICK_MS;
            run_tick(w);
        } else if (w->used > 0) {
            write_batch(w);
        } else {
            struct timespec until = in_ms(tick_at - now);
            pthread_cond_timedwait(&w->filled, &w->lock, &until);
        }
    }
    w->ended = true;
    bool mine = w->abandoned;
    pthread_cond_broadcast(&w->advanced);
    pthread_mutex_unlock(&w->lock);
    if (mine)
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
    return w->used == 0 && !w->busy;
}

static bool has_ended(const leat_log_writer *w)
{
    return w->ended;
}

static bool is_between_ticks(const leat_log_writer *w)
{
    return !w->ticking;
}

/* With the lock. Returns whether it has come true. */
static bool await(leat_log_writer *w, bool (*what)(const leat_log_writer *), uint64_t limit_ms)
{
    struct timespec until = in_ms(limit_ms);
    while (!what(w))
        if (pthread_cond_timedwait(&w->advanced, &w->lock, &until) == ETIMEDOUT)
            return what(w);
    return true;
}

bool leat_log_writer_flush(leat_log_writer *w, uint64_t limit_ms)
{
    pthread_mutex_lock(&w->lock);
    bool flushed = await(w, is_written, limit_ms);
    pthread_mutex_unlock(&w->lock);
    return flushed;
}

void leat_log_writer_close(leat_log_writer *w, uint64_t limit_ms)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->filled);
    bool ended = await(w, has_ended, limit_ms);
    if (!ended) {
        while (!is_between_ticks(w)) /* a tick only puts lines: it is soon over */
            pthread_cond_wait(&w->advanced, &w->lock);
        ended = w->ended;
        w->abandoned = !ended;
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
