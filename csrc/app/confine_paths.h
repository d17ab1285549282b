/* confine_paths.h - the files and folders that a confined server can still read.
 *
 * Ownership  the list owns its paths.
 * Threads    the main thread.
 * Units      none.
 * Errors     none: what does not exist is left out.
 */
#ifndef LEAT_APP_CONFINE_PATHS_H
#define LEAT_APP_CONFINE_PATHS_H

#include <stddef.h>

#include "engine/config.h"

typedef struct leat_confine_paths {
    char **at;
    size_t count;
} leat_confine_paths;

void leat_confine_paths_collect(leat_confine_paths *paths, const leat_config *config);

/* Adds the path of a file or folder that may be replaced while the server runs. So the folder of a
 * file is added, and not the file; and where the path leads through symbolic links, the folders
 * that hold them, because such a link may lead elsewhere after a deployment. The root folder is
 * never added: a file in it is added alone. */
void leat_confine_paths_add(leat_confine_paths *paths, const char *path);
void leat_confine_paths_close(leat_confine_paths *paths);

#endif
