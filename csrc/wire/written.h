/* written.h - the positions that a handler's transactions have come to: from Postgres' report to
 * the answer's `at` and to the header Leat-Position.
 *
 * Ownership  the caller's buffers; what leat_written_next reads borrows from the lines.
 * Threads    any.
 * Units      seq < 2^53.
 * Errors     LEAT_EBADMSG for a report that is not of the form.
 *
 * Positions are kept as lines, "EPOCH SEQ TOPIC\n" each, at most one for a topic: an epoch contains
 * no space, and a topic no line break. */
#ifndef LEAT_WIRE_WRITTEN_H
#define LEAT_WIRE_WRITTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* The SQLSTATE of a report, which is a message of severity INFO. */
#define LEAT_WRITTEN_SQLSTATE "LEAT0"

/* Of more topics the last ones are kept. */
enum { LEAT_WRITTEN_MAX = 32 };

typedef struct leat_written_position {
    leat_slice topic;
    leat_slice epoch;
    int64_t seq;
} leat_written_position;

/* Adds what a transaction reports (config/schema/0009_positions.sql) to the lines. A topic that is
 * there already gets the later position. */
LEAT_MUST_CHECK int leat_written_add(leat_buf *lines, leat_slice report);

/* Reads the next position, and takes it off *lines. False if there is none. */
bool leat_written_next(leat_slice *lines, leat_written_position *out);

/* Appends the header line Leat-Position, or nothing if there are no positions: "TOPIC EPOCH:SEQ",
 * separated by ", ". In a topic, all bytes but letters, digits and !$&'()*+-./:;=?@_~ are
 * percent-encoded. */
void leat_written_write_header(leat_buf *out, leat_slice lines);

#endif
