/* confine_seccomp.h - the system calls of the process, limited by a seccomp filter.
 *
 * Ownership  the counters are borrowed for as long as the process lives.
 * Threads    all threads of the process, also those that run already. A signal handler (SIGSYS)
 *            changes the counters, on any thread.
 * Units      none.
 * Errors     an errno: ENOSYS where the kernel or the processor is none that the filter knows.
 */
#ifndef LEAT_APP_CONFINE_SECCOMP_H
#define LEAT_APP_CONFINE_SECCOMP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

typedef struct leat_confine_calls {
    bool rename; /* files may be renamed */
    /* Opens files for reading as static files need it, but a filter cannot see that it is not for
     * writing. To be allowed where Landlock sees to that. Without it no symbolic link in static_dir
     * is followed. */
    bool openat2;
} leat_confine_calls;

/* The process must have promised to gain no rights (PR_SET_NO_NEW_PRIVS). */
LEAT_MUST_CHECK int leat_confine_seccomp(leat_confine_calls may, _Atomic unsigned *refused,
                                         _Atomic int *last_refused);

#endif
