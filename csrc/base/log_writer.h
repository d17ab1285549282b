/* log_writer.h - a bounded queue of lines and the one thread that writes them.
 *
 * Ownership  _close frees the writer. If the thread still hangs in a write when the timeout of
 *            _close has passed, it keeps the memory, and frees it if the write ever returns.
 * Threads    every function from any thread; the tick runs on the writer's own thread.
 * Units      milliseconds; bytes.
 * Errors     _new returns NULL if the thread cannot be started. A line is refused if there is no
 *            room for it. A line that cannot be written is counted and dropped.
 *
 * Only the thread waits for the file descriptor. One write takes whole lines, as many as a pipe
 * keeps together (PIPE_BUF), so that lines of other processes do not come in between.
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

/* Queues the line, and a newline. Returns false if there is no room. A quarter of the room is kept
 * for urgent lines. */
LEAT_MUST_CHECK bool leat_log_writer_put(leat_log_writer *w, const char *line, size_t len,
                                         bool urgent);

/* The number of lines that could not be written since the last call, and the errno of the last. */
uint64_t leat_log_writer_take_failed(leat_log_writer *w, int *error);

/* Waits until all queued lines were written or dropped. Returns false if the timeout came first. */
bool leat_log_writer_flush(leat_log_writer *w, uint64_t timeout_ms);

/* As _flush, and then ends the thread. No tick runs after this returns. */
void leat_log_writer_close(leat_log_writer *w, uint64_t timeout_ms);

#endif
