/* process.h - what another process has used, as the system counts it.
 *
 * Ownership  results are copied into the caller's structs.
 * Threads    any.
 * Units      seconds of processor time; kB of memory.
 * Errors     a process that is gone ends the program with a message: there is nothing left to
 * measure.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

enum {
    PROCESS_THREADS = 64,
    PROCESS_NAME = 32,
};

typedef struct process_thread {
    int id;
    char name[PROCESS_NAME];
    double cpu_s;
} process_thread;

typedef struct process_cpu {
    double total_s; /* of all threads, those that ended too; in nanoseconds' steps */
    double user_s;  /* utime and stime, in the steps of the system's clock, mostly 10 ms */
    double system_s;
    double waiting_s; /* for a core, though it could have run; of the threads that are alive */
    int n_threads;    /* the first PROCESS_THREADS of them are listed */
    process_thread threads[PROCESS_THREADS];
} process_cpu;

typedef struct process_memory {
    long resident_kb;
    long proportional_kb; /* shared pages counted by their share */
} process_memory;

void process_read_cpu(int pid, process_cpu *out);
void process_read_memory(int pid, process_memory *out);

#endif
