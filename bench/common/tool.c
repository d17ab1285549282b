/* tool.c - small things that every program of the bench needs. */
#include "common/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const uint64_t NS = 1000000000;

uint64_t tool_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

void tool_sleep_until(uint64_t at_ns)
{
    struct timespec t = {.tv_sec = (time_t)(at_ns / NS), .tv_nsec = (long)(at_ns % NS)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ; /* a signal */
}

void tool_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *tool_calloc(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL)
        tool_fail("out of memory");
    return p;
}

void *tool_realloc(void *p, size_t size)
{
    p = realloc(p, size);
    if (p == NULL)
        tool_fail("out of memory");
    return p;
}

void tool_need_files(unsigned long wanted)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return;
    if (limit.rlim_max < wanted) {
        struct rlimit more = {.rlim_cur = wanted, .rlim_max = wanted};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0) /* root may */
            return;
        tool_fail("%lu open files are needed and the hard limit is %lu: raise it (ulimit -Hn)",
                  wanted, (unsigned long)limit.rlim_max);
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        tool_fail("cannot raise the limit of open files");
}

const char *tool_option(char **argv, const char *name, const char *otherwise)
{
    size_t length = strlen(name);
    for (char **a = argv + 1; *a != NULL; a++)
        if (strncmp(*a, name, length) == 0 && (*a)[length] == '=')
            otherwise = *a + length + 1;
    return otherwise;
}

double tool_number(char **argv, const char *name, double otherwise)
{
    const char *text = tool_option(argv, name, NULL);
    char *end = NULL;
    double value = text != NULL ? strtod(text, &end) : otherwise;
    if (text != NULL && (end == text || *end != '\0'))
        tool_fail("%s=%s: a number is expected", name, text);
    return value;
}
