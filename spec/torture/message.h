/* message.h - what a server says, and what its frames are made of; the client's half of the wire.
 *
 * Ownership  slices point into the bytes parsed.
 * Threads    any.
 * Units      bytes; seq.
 * Errors     parsing returns false.
 */
#ifndef TORTURE_MESSAGE_H
#define TORTURE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledger.h"

typedef struct message {
    leat_slice op, topic, code, epoch, data;
    int64_t id;  /* 0: none */
    int64_t seq; /* -1: none */
    bool stale;
} message;

bool message_parse(message *m, leat_slice text);

/* What an event tells of. */
typedef struct change {
    int64_t uid; /* of the write; negative: the row of that write is gone */
    summary delta;
    bool bereft; /* the hook found no row for it */
} change;

/* The data of an event, once hash and body have been found to belong to its uid. The hook takes the
 * hash from the row that it reads. */
bool message_read_item(leat_slice data, bool hooked, change *c);
/* The data of a watched table's event: a row of that shelf came, went, or was changed. */
bool message_read_row(leat_slice data, int64_t shelf, change *c);
/* The data of a snapshot. */
bool message_read_summary(leat_slice data, summary *s);

typedef struct frame {
    int op;
    leat_slice payload;
} frame;

/* The first whole frame of the bytes, and how many it takes; 0: none yet; -1: not a server's frame.
 */
long frame_cut(frame *f, leat_slice bytes);
/* Appends a client's frame (its mask is zero, which is a mask like any other). */
void frame_put(leat_buf *out, int op, leat_slice payload);

#endif
