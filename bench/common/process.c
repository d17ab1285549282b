/* process.c - reads the processor clock of a process, and its files below /proc. */
#include "common/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static FILE *open_file(int pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "bench: process %d, which is measured, is gone\n", pid);
        exit(1);
    }
    return f;
}

/* The fields of a stat file that come after the name in parentheses. */
static void read_ticks(FILE *f, double *user_s, double *system_s)
{
    char line[1024];
    unsigned long user = 0, sys = 0;
    double per_second = (double)sysconf(_SC_CLK_TCK);
    const char *after_name = fgets(line, sizeof(line), f) != NULL ? strrchr(line, ')') : NULL;
    if (after_name != NULL)
        sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
    *user_s = (double)user / per_second;
    *system_s = (double)sys / per_second;
}

static double thread_seconds(int pid, int thread, double *waiting_s)
{
    char name[64];
    unsigned long long ns = 0, waiting_ns = 0;
    snprintf(name, sizeof(name), "task/%d/schedstat", thread);
    FILE *f = open_file(pid, name);
    if (fscanf(f, "%llu %llu", &ns, &waiting_ns) != 2)
        ns = waiting_ns = 0;
    fclose(f);
    *waiting_s += (double)waiting_ns / 1e9;
    return (double)ns / 1e9;
}

static void read_thread(int pid, int thread, process_thread *out, double *waiting_s)
{
    char name[64];
    out->id = thread;
    out->cpu_s = thread_seconds(pid, thread, waiting_s);
    snprintf(name, sizeof(name), "task/%d/comm", thread);
    FILE *f = open_file(pid, name);
    if (fgets(out->name, sizeof(out->name), f) == NULL)
        out->name[0] = '\0';
    out->name[strcspn(out->name, "\n")] = '\0';
    fclose(f);
}

static void read_threads(int pid, process_cpu *out)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    out->n_threads = 0;
    out->waiting_s = 0;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.' && out->n_threads < PROCESS_THREADS)
            read_thread(pid, atoi(e->d_name), &out->threads[out->n_threads++], &out->waiting_s);
    if (dir != NULL)
        closedir(dir);
}

void process_read_cpu(int pid, process_cpu *out)
{
    clockid_t clock;
    struct timespec t = {0};
    FILE *f = open_file(pid, "stat");
    read_ticks(f, &out->user_s, &out->system_s);
    fclose(f);
    read_threads(pid, out);
    out->total_s = out->user_s + out->system_s;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
        out->total_s = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void process_read_memory(int pid, process_memory *out)
{
    char line[256];
    FILE *f = open_file(pid, "smaps_rollup");
    *out = (process_memory){0};
    while (fgets(line, sizeof(line), f) != NULL) {
        sscanf(line, "Rss: %ld", &out->resident_kb);
        sscanf(line, "Pss: %ld", &out->proportional_kb);
    }
    fclose(f);
}
