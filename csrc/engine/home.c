#include "engine/home.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* From build/release/csrc/app/leat to the source tree is four steps up; from bin/leat to the
 * prefix, one. */
#define MAX_STEPS_UP 5

static bool holds(const char *folder, const char *name)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static bool is_home(const char *folder)
{
    return holds(folder, "config/schema") && holds(folder, "lua");
}

/* Walks up from the binary; the folder found is written to path (PATH_MAX bytes). */
static bool walk_up(char *path)
{
    static const char installed[] = "/share/leat";
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 16);
    if (n <= 0)
        return false;
    path[n] = '\0';
    for (int step = 0; step <= MAX_STEPS_UP; step++) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path)
            return false;
        *slash = '\0';
        if (is_home(path))
            return true;
        memcpy(slash, installed, sizeof(installed)); /* path has room for it */
        if (is_home(path))
            return true;
        *slash = '\0';
    }
    return false;
}

int leat_home_find(char **out, leat_buf *error)
{
    static const char *const built_in[] = {LEAT_DATA_DIR, LEAT_SOURCE_DIR};
    char path[PATH_MAX];
    if (walk_up(path)) {
        *out = leat_strdup(path);
        return 0;
    }
    for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
        if (is_home(built_in[i])) {
            *out = leat_strdup(built_in[i]);
            return 0;
        }
    leat_buf_printf(error,
                    "the files that belong to leat (lua/, config/schema/) are neither near the "
                    "binary nor in %s",
                    LEAT_DATA_DIR);
    return LEAT_ECONFIG;
}
