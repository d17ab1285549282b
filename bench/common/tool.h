/* tool.h - what the programs of the bench share: the clock, errors, name=value arguments.
 *
 * Ownership  strings that are returned belong to argv.
 * Threads    any.
 * Units      nanoseconds of the monotonic clock, which all processes of a machine share.
 * Errors     tool_fail ends the program with a sentence and exit code 1.
 */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stddef.h>
#include <stdint.h>

uint64_t tool_now_ns(void);
void tool_sleep_until(uint64_t at_ns);

void tool_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *tool_calloc(size_t n, size_t size);
void *tool_realloc(void *p, size_t size);

/* Lifts the limit of open files to what the system allows; fails if that is less than `wanted`. */
void tool_need_files(unsigned long wanted);

/* The value of the last NAME=VALUE among the arguments, or `otherwise`. */
const char *tool_option(char **argv, const char *name, const char *otherwise);
double tool_number(char **argv, const char *name, double otherwise);

#endif
