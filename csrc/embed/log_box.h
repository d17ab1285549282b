/* log_box.h - the log of a server in a program: its lines wait in the inbox.
 *
 * Ownership  a log_box is embedded in the server, and outlives its log, which leat_log_free frees.
 *            It is allocated with its lines zero.
 * Threads    lines come from every thread of Leat's.
 * Units      lines.
 * Errors     a line beyond LOG_BOX_LINES that wait is left out, and counted.
 */
#ifndef LEAT_EMBED_LOG_BOX_H
#define LEAT_EMBED_LOG_BOX_H

#include <stdatomic.h>

#include "base/log.h"
#include "embed/inbox.h"
#include "embed/leat.h"

enum { LOG_BOX_LINES = 4096 };

typedef struct log_box {
    inbox *inbox;
    leat_log_fn on_log; /* NULL: nothing is logged */
    void *arg;
    atomic_uint waiting_;
    atomic_uint lost_;
} log_box;

/* Returns owned. */
leat_log *log_box_open(log_box *b, const leat_log_levels *levels);

#endif
