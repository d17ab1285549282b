/* source.h - where raw's events come from: notifications of Postgres, or lines of a named pipe.
 *
 * Ownership  source_open returns owned; a source lives as long as the program.
 * Threads    one.
 * Units      bytes.
 * Errors     a source that breaks ends the program.
 */
#ifndef BENCH_SOURCE_H
#define BENCH_SOURCE_H

#include <stddef.h>

typedef struct source source;

/* One event: "TOPIC DATA". */
typedef void (*source_cb)(void *arg, const char *text, size_t n);

/* database or pipe is NULL. */
source *source_open(const char *database, const char *pipe);

/* To be watched for reading. */
int source_fd(const source *s);

/* Reads what there is, and calls cb with each event. */
void source_read(source *s, source_cb cb, void *arg);

#endif
