/* confine.h - the process gives up rights that it does not need, once it is set up.
 *
 * Ownership  the caller owns a leat_confinement, which lives as long as the process.
 * Threads    leat_confine runs on the main thread before other threads start; they inherit it.
 *            The counter of a leat_confinement may be read on any thread.
 * Units      none.
 * Errors     LEAT_ECONFIG: mode is LEAT_CONFINE_ON, and the kernel cannot do it; with a message.
 *
 * Two mechanisms of the kernel, each of them used where the kernel has it:
 *
 *   landlock   reading is allowed below the folders that the configuration names, and those of the
 *              system; nothing can be written, made, removed or executed.
 *   seccomp    the system calls that a server needs are allowed. Any other one does nothing,
 *              returns ENOSYS and is counted. No program can be started, no file be opened for
 *              writing, no memory be made executable.
 *
 * Both last until the process ends, so a host that embeds the server does not call this.
 */
#ifndef LEAT_APP_CONFINE_H
#define LEAT_APP_CONFINE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/config.h"

typedef struct leat_confinement {
    int landlock;             /* version of the kernel's interface, 0: it is not active */
    bool seccomp;             /* it is active */
    _Atomic unsigned refused; /* system calls that were refused */
    _Atomic int last_refused; /* number of the last one */
} leat_confinement;

/* writable: a folder where one file may still be made and renamed; NULL: none. */
LEAT_MUST_CHECK int leat_confine(leat_confinement *out, const leat_config *config,
                                 const char *writable, leat_buf *error);

#endif
