#include "base/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

enum { RING = 65536 };

static void on_tick(void *arg)
{
    (void)arg;
}

static leat_log_writer *open_writer(int fd, size_t bytes)
{
    leat_log_writer *w = leat_log_writer_new(fd, bytes, on_tick, NULL);
    assert_non_null(w);
    return w;
}

static bool put(leat_log_writer *w, const char *line)
{
    return leat_log_writer_put(w, line, strlen(line), false);
}

/* Reads until the other end is closed, or n bytes. */
static size_t read_all(int fd, char *out, size_t n)
{
    size_t len = 0;
    ssize_t got = 0;
    while (len < n && (got = read(fd, out + len, n - len)) > 0)
        len += (size_t)got;
    return len;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void writes_lines_in_their_order(void **state)
{
    (void)state;
    int ends[2];
    static char all[200000];
    char expected[16];
    assert_int_equal(pipe(ends), 0);
    leat_log_writer *w = open_writer(ends[1], RING);

    size_t len = 0;
    for (int i = 0; i < 20000; i++) { /* several times round the ring */
        snprintf(expected, sizeof(expected), "%d", i);
        while (!put(w, expected))
            len += read_all(ends[0], all + len, 1000);
    }
    size_t total = 10 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 10000 * 6;
    len += read_all(ends[0], all + len, total - len);
    assert_true(leat_log_writer_flush(w, 5000));
    leat_log_writer_close(w, 5000);
    close(ends[1]);

    assert_int_equal(len, total);
    const char *at = all;
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(expected, sizeof(expected), "%d\n", i);
        assert_memory_equal(at, expected, (size_t)n);
        at += n;
    }
    close(ends[0]);
}

/* A pipe that takes nothing more. */
static void open_full_pipe(int ends[2])
{
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], "x", 1) == 1)
        continue;
    fcntl(ends[1], F_SETFL, 0);
}

static void never_waits_for_a_reader(void **state)
{
    (void)state;
    int ends[2];
    open_full_pipe(ends);
    leat_log_writer *w = open_writer(ends[1], RING);
    char line[100];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';

    uint64_t begun = now_ms();
    int taken = 0;
    int refused = 0;
    for (int i = 0; i < 20000; i++) {
        if (put(w, line))
            taken++;
        else
            refused++;
    }
    assert_true(refused > 10000);
    assert_true(leat_log_writer_put(w, "urgent", 6, true)); /* room is kept for it */
    assert_false(leat_log_writer_flush(w, 50));
    leat_log_writer_close(w, 50); /* its thread hangs in the pipe, and is left behind */
    assert_true(now_ms() - begun < 5000);

    close(
        ends[0]); /* EPIPE: the thread comes back and frees everything; ends[1] is still its own */
}

static void counts_what_cannot_be_written(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    leat_log_writer *w = open_writer(full, RING);
    int error = 0;

    for (int i = 0; i < 10; i++)
        assert_true(put(w, "line"));
    assert_true(leat_log_writer_flush(w, 5000));

    assert_int_equal(leat_log_writer_take_failed(w, &error), 10);
    assert_int_equal(error, ENOSPC);
    assert_int_equal(leat_log_writer_take_failed(w, &error), 0);
    leat_log_writer_close(w, 5000);
    close(full);
}

static void outlives_a_reader_that_goes(void **state)
{
    (void)state;
    int ends[2];
    int error = 0;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_DFL); /* a host that does not ignore it must live on, too */
    leat_log_writer *w = open_writer(ends[1], RING);

    assert_true(put(w, "line"));
    assert_true(leat_log_writer_flush(w, 5000));

    assert_int_equal(leat_log_writer_take_failed(w, &error), 1);
    assert_int_equal(error, EPIPE);
    leat_log_writer_close(w, 5000);
    close(ends[1]);
}

static void waits_for_a_descriptor_that_is_non_blocking(void **state)
{
    (void)state;
    int ends[2];
    static char all[300000];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    fcntl(ends[0], F_SETFL, 0);
    leat_log_writer *w = open_writer(ends[1], 4 * RING);
    char line[1000];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';

    for (int i = 0; i < 150; i++)
        assert_true(put(w, line));
    assert_int_equal(read_all(ends[0], all, 150000), 150000);

    int error = 0;
    assert_int_equal(leat_log_writer_take_failed(w, &error), 0);
    leat_log_writer_close(w, 5000);
    close(ends[0]);
    close(ends[1]);
}

/* --- the log that uses it --- */

static const leat_log_limits limits = {
    .rate = 10, .burst = 3, .bytes_per_s = 65536, .buffer_bytes = RING};

/* What a log writes that is used in that way and then freed. */
static void written_by(void (*use)(void), char *out, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    leat_log *log = leat_log_open(LEAT_LOG_LEVEL_INFO, ends[1], &limits);
    assert_non_null(log);
    leat_log_bind(log);
    use();
    leat_log_bind(NULL);
    leat_log_free(log);
    close(ends[1]);
    out[read_all(ends[0], out, size - 1)] = '\0';
    close(ends[0]);
}

static int count_of(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void log_many(void)
{
    for (int i = 0; i < 50; i++)
        LEAT_LOG_WARN("http", "malformed request remote=%d", i);
    LEAT_LOG_ERROR("x", "something else");
    for (int i = 0; i < 50; i++)
        leat_log_write_text(LEAT_LOG_LEVEL_INFO, "app", "renamed", "renamed chat=42");
}

static void says_how_many_lines_of_a_kind_it_left_out(void **state)
{
    (void)state;
    static char text[RING];

    written_by(log_many, text, sizeof(text));

    assert_int_equal(count_of(text, " WARN http malformed request remote="), 3);
    assert_int_equal(count_of(text, " ERROR x something else\n"), 1);
    assert_int_equal(count_of(text, " INFO app renamed chat=42\n"), 3);
    assert_int_equal(
        count_of(text, " WARN log lines left out phrase=\"malformed request\" lines=47\n"), 1);
    assert_int_equal(count_of(text, " INFO log lines left out phrase=\"renamed\" lines=47\n"), 1);
}

static void fail_an_assertion(void)
{
    LEAT_LOG_INFO("x", "before");
    LEAT_ASSERT(1 > 2);
}

static void writes_the_last_lines_before_an_assertion(void **state)
{
    (void)state;
    int ends[2];
    char text[4096];
    int status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        leat_log *log = leat_log_open(LEAT_LOG_LEVEL_INFO, ends[1], &limits);
        leat_log_bind(log);
        signal(SIGABRT, SIG_DFL);
        fail_an_assertion();
        _exit(0);
    }
    close(ends[1]);
    text[read_all(ends[0], text, sizeof(text) - 1)] = '\0';
    waitpid(pid, &status, 0);
    close(ends[0]);

    assert_true(WIFSIGNALED(status));
    const char *before = strstr(text, " INFO x before\n");
    assert_non_null(before);
    assert_non_null(strstr(before, "assertion failed: 1 > 2\n"));
}

static void aborts_though_nobody_reads(void **state)
{
    (void)state;
    int ends[2];
    int status = 0;
    open_full_pipe(ends);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        leat_log_bind(leat_log_open(LEAT_LOG_LEVEL_INFO, STDERR_FILENO, &limits));
        signal(SIGABRT, SIG_DFL);
        fail_an_assertion();
        _exit(0);
    }
    uint64_t begun = now_ms();
    waitpid(pid, &status, 0);

    assert_true(WIFSIGNALED(status));
    assert_true(now_ms() - begun < 10000);
    close(ends[0]);
    close(ends[1]);
}

static void *log_from_a_thread(void *arg)
{
    leat_log_bind(arg);
    for (int i = 0; i < 1000; i++)
        LEAT_LOG_INFO("x", "line");
    leat_log_bind(NULL);
    return NULL;
}

static void counts_what_it_leaves_out(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY);
    leat_metrics_registry *r = leat_metrics_registry_new();
    leat_log *log = leat_log_open(LEAT_LOG_LEVEL_INFO, null, &limits);
    pthread_t threads[4];
    leat_log_count_in(log, leat_metrics_new(r));

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_from_a_thread, log), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    assert_in_range(leat_metrics_sum(r, LEAT_M_LOG_DROPPED_RATE), 3900, 3997);
    leat_log_count_in(log, NULL);
    leat_log_free(log);
    leat_metrics_registry_free(r);
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_lines_in_their_order),
        cmocka_unit_test(never_waits_for_a_reader),
        cmocka_unit_test(counts_what_cannot_be_written),
        cmocka_unit_test(outlives_a_reader_that_goes),
        cmocka_unit_test(waits_for_a_descriptor_that_is_non_blocking),
        cmocka_unit_test(says_how_many_lines_of_a_kind_it_left_out),
        cmocka_unit_test(writes_the_last_lines_before_an_assertion),
        cmocka_unit_test(aborts_though_nobody_reads),
        cmocka_unit_test(counts_what_it_leaves_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
