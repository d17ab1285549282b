/* confine_landlock.h - the files of the process, limited by Landlock (Linux 5.13 and later).
 *
 * Ownership  paths are borrowed.
 * Threads    the calling thread, and those that it starts later.
 * Units      none.
 * Errors     an errno: ENOSYS or EOPNOTSUPP where the kernel has no Landlock.
 */
#ifndef LEAT_APP_CONFINE_LANDLOCK_H
#define LEAT_APP_CONFINE_LANDLOCK_H

#include "app/confine_paths.h"
#include "base/err.h"

/* Allows reading below the paths, making and renaming files in the folder `writable` unless it is
 * NULL, and nothing else. The process must have promised to gain no rights
 * (PR_SET_NO_NEW_PRIVS). Sets *version to that of the kernel's interface. */
LEAT_MUST_CHECK int leat_confine_landlock(const leat_confine_paths *paths, const char *writable,
                                          int *version);

#endif
