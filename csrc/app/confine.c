/* confine.c - collects what must stay readable (confine_paths.c), and then gives up the rest:
 * the files (confine_landlock.c), and the system calls (confine_seccomp.c). */
#include "app/confine.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "app/confine_landlock.h"
#include "app/confine_paths.h"
#include "app/confine_seccomp.h"

/* Sanitizers and coverage need files and system calls of their own. */
#ifdef LEAT_UNCONFINED
static const bool may_confine = false;
#else
static const bool may_confine = true;
#endif

static int refuse(leat_buf *error, const char *what, int err)
{
    leat_buf_printf(error, "confine = \"on\": the kernel has no %s for this process (%s)", what,
                    strerror(err));
    return LEAT_ECONFIG;
}

int leat_confine(leat_confinement *out, const leat_config *config, const char *writable,
                 leat_buf *error)
{
    bool must = config->confine_mode == LEAT_CONFINE_ON;
    if (config->confine_mode == LEAT_CONFINE_OFF || (!may_confine && !must))
        return 0;
    if (!may_confine || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return must ? refuse(error, "confinement", ENOTSUP) : 0;
    leat_confine_paths paths = {.count = 0};
    leat_confine_paths_collect(&paths, config);
    int err = leat_confine_landlock(&paths, writable, &out->landlock);
    leat_confine_paths_close(&paths);
    if (err != 0 && must)
        return refuse(error, "landlock", err);
    leat_confine_calls may = {.rename = writable != NULL, .openat2 = out->landlock > 0};
    err = leat_confine_seccomp(may, &out->refused, &out->last_refused);
    out->seccomp = err == 0;
    return err != 0 && must ? refuse(error, "seccomp", err) : 0;
}
