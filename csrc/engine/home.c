/* home.c - the search begins at the file that this code was linked into: libleat.so, a plugin with
 * libleat.a in it, or the program. */
#include "engine/home.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* From build/release/csrc/app/leat to the source tree is four steps up; from bin/leat to the
 * prefix, one; from lib/x86_64-linux-gnu/libleat.so to the prefix, two. */
#define MAX_STEPS_UP 5

static const char installed[] = "/share/leat";

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

/* Turns the path of a file into that of the home near it. path has room for `installed` more. */
static bool walk_up(char *path)
{
    for (int step = 0; step <= MAX_STEPS_UP; step++) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path)
            return false;
        *slash = '\0';
        if (is_home(path))
            return true;
        memcpy(slash, installed, sizeof(installed));
        if (is_home(path))
            return true;
        *slash = '\0';
    }
    return false;
}

static bool near_program(char *path)
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(installed));
    if (n <= 0)
        return false;
    path[n] = '\0';
    return walk_up(path);
}

/* The loader names the program itself by an empty text, and knows its path from argv[0] only. */
static bool near_library(char *path)
{
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1((void *)(uintptr_t)leat_home_find, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 ||
        map == NULL || map->l_name[0] == '\0')
        return false;
    if (realpath(map->l_name, path) == NULL || strlen(path) >= PATH_MAX - sizeof(installed))
        return false;
    return walk_up(path);
}

int leat_home_find(char **out, leat_buf *error)
{
    static const char *const built_in[] = {LEAT_DATA_DIR, LEAT_SOURCE_DIR};
    char path[PATH_MAX];
    if (near_library(path) || near_program(path)) {
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
