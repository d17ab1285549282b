/* process_metrics.c - leat_process_metrics_render: one function for each source of figures. */
#include "base/process_metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Appends the two comment lines of a metric. */
static void head(leat_buf *out, const char *name, const char *type, const char *help)
{
    leat_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(leat_buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    leat_buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* Reads the start of a file. Returns false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    size_t n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = '\0';
    return n > 0;
}

typedef struct memory {
    uint64_t total;
    uint64_t resident;
} memory;

static memory read_memory(void)
{
    char text[128];
    uint64_t total = 0;
    uint64_t resident = 0;
    if (!read_text("/proc/self/statm", text, sizeof(text)) ||
        /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers, which fit. */
        sscanf(text, "%" SCNu64 " %" SCNu64, &total, &resident) != 2)
        return (memory){0, 0};
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (memory){total * page, resident * page};
}

size_t leat_process_resident_bytes(void)
{
    return (size_t)read_memory().resident;
}

static void render_memory(leat_buf *out)
{
    memory m = read_memory();
    if (m.total == 0)
        return;
    gauge(out, "process_resident_memory_bytes", "Memory of the process in RAM.", m.resident);
    gauge(out, "process_virtual_memory_bytes", "Addresses that the process has mapped.", m.total);
}

static void render_cpu(leat_buf *out)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) != 0)
        return;
    int64_t us = (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
                 used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    head(out, "process_cpu_seconds_total", "counter",
         "Time that all threads have computed, in the program and in the kernel.");
    leat_buf_printf(out, "process_cpu_seconds_total %" PRId64 ".%06" PRId64 "\n", us / 1000000,
                    us % 1000000);
}

/* Returns the text behind the n-th space, counted from 1; NULL: there are fewer. */
static const char *behind_space(const char *text, int n)
{
    while (text != NULL && n-- > 0) {
        text = strchr(text, ' ');
        text = text == NULL ? NULL : text + 1;
    }
    return text;
}

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The start is told in clock ticks since the system's boot (proc(5): field 22 of stat, 20 behind
 * the program's name, which stands in parentheses and may contain anything). */
static void render_start(leat_buf *out)
{
    char text[1024];
    uint64_t ticks = 0;
    if (!read_text("/proc/self/stat", text, sizeof(text)))
        return;
    const char *name_end = strrchr(text, ')');
    const char *start = name_end == NULL ? NULL : behind_space(name_end, 20);
    /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote this number, which fits. */
    if (start == NULL || sscanf(start, "%" SCNu64, &ticks) != 1)
        return;
    uint64_t ms = clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME) +
                  ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    head(out, "process_start_time_seconds", "gauge", "When the process began, since 1970.");
    leat_buf_printf(out, "process_start_time_seconds %" PRIu64 ".%03" PRIu64 "\n", ms / 1000,
                    ms % 1000);
}

/* Linux tells the number of open descriptors from 6.2 on, as the size of their folder. To count
 * them one by one would hold up a server with many connections. */
static void render_descriptors(leat_buf *out)
{
    struct stat folder;
    struct rlimit limit;
    if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
        gauge(out, "process_open_fds", "Open file descriptors.", (uint64_t)folder.st_size);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        gauge(out, "process_max_fds", "File descriptors that the process may open.",
              (uint64_t)limit.rlim_cur);
}

void leat_process_metrics_render(leat_buf *out)
{
    head(out, "leat_build_info", "gauge", "Always 1; the labels tell which Leat this is.");
    leat_buf_text(out, "leat_build_info{version=\"" LEAT_VERSION "\"} 1\n");
    render_cpu(out);
    render_memory(out);
    render_start(out);
    render_descriptors(out);
}
