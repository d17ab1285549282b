/* log_writer.h - a bounded queue of lines and the one thread that writes them.
 *
 * Ownership  _close frees it. A thread that hangs in a write when the wait ends is left behind with
 *            its memory, which it frees if it ever returns.
 * Threads    every function from any thread; the tick runs on the writer's own.
 * Units      milliseconds; bytes.
 * Errors     _new returns NULL if no thread can be had. A line for which there is no room is
 *            refused; one that cannot be written is counted and given up.
 *
 * Nobody but the thread ever waits for the file descriptor. It takes whole lines, as many as one
 * write to a pipe keeps together (PIPE_BUF), so that lines of other processes do not come in
 * between.
 */
#ifndef LEAT_BASE_LOG_WRITER_H
#define LEAT_BASE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct leat_log_writer leat_log_writer;

/* Called about once a second. */
typedef void (*leat_log_writer_tick)(void *arg);

leat_log_writer *leat_log_writer_new(int fd, size_t bytes, leat_log_writer_tick tick, void *arg);

/* Queues the line, and a newline. False: there is no room. Lines that are not urgent leave a
 * quarter of the room to those that are. */
LEAT_MUST_CHECK bool leat_log_writer_put(leat_log_writer *w, const char *line, size_t len,
                                         bool urgent);

/* The lines that could not be written since the last call, and the errno of the last. */
uint64_t leat_log_writer_take_failed(leat_log_writer *w, int *error);

/* Waits until all that was put has been written or given up. False: the time was over first. */
bool leat_log_writer_flush(leat_log_writer *w, uint64_t limit_ms);

/* As _flush; then ends the thread. The tick does not run any more when this returns. */
void leat_log_writer_close(leat_log_writer *w, uint64_t limit_ms);

#endif
