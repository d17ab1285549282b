/* confine_paths.c - folders of the system, then those of the configuration, then libpq's files. */
#include "app/confine_paths.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "pg/pg_files.h"

enum { MAX_LINKS = 40 }; /* that one path may lead through, as in the kernel */

/* Libraries, look-up of names and users, certificates, time zones, and what the kernel tells. */
static const char *const system_paths[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/var/lib/sss",
    "/var/lib/ca-certificates",
    "/nix/store",
    "/gnu/store",
};

static void add_exactly(leat_confine_paths *paths, const char *path)
{
    for (size_t i = 0; i < paths->count; i++)
        if (strcmp(paths->at[i], path) == 0)
            return;
    char **more = realloc(paths->at, (paths->count + 1) * sizeof(*more));
    LEAT_ASSERT(more != NULL);
    paths->at = more;
    paths->at[paths->count++] = leat_strdup(path);
}

/* Adds the folder that holds the first len bytes of path. Returns false if that is the root. */
static bool add_folder_of(leat_confine_paths *paths, const char *path, size_t len)
{
    char folder[PATH_MAX];
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len <= 1)
        return false;
    snprintf(folder, sizeof(folder), "%.*s", (int)len - 1, path);
    add_exactly(paths, folder);
    return true;
}

/* Finds the first symbolic link on the path. Returns the length of its name, 0 if there is none. */
static size_t find_link(const char *path)
{
    char prefix[PATH_MAX];
    struct stat st;
    for (size_t i = 1;; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(prefix, sizeof(prefix), "%.*s", (int)i, path);
        if (lstat(prefix, &st) == 0 && S_ISLNK(st.st_mode))
            return i;
        if (path[i] == '\0')
            return 0;
    }
}

/* Replaces the link, which is the first len bytes of path, by what it holds. */
static bool follow(char path[PATH_MAX], size_t len)
{
    char link[PATH_MAX];
    char target[PATH_MAX];
    char next[3 * PATH_MAX];
    snprintf(link, sizeof(link), "%.*s", (int)len, path);
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    *strrchr(link, '/') = '\0';
    int size = target[0] == '/' ? snprintf(next, sizeof(next), "%s%s", target, path + len)
                                : snprintf(next, sizeof(next), "%s/%s%s", link, target, path + len);
    if (size < 0 || size >= PATH_MAX)
        return false;
    memcpy(path, next, (size_t)size + 1);
    return true;
}

static bool make_absolute(char path[PATH_MAX], const char *name)
{
    char here[PATH_MAX] = "";
    if (name[0] == '\0' || (name[0] != '/' && getcwd(here, sizeof(here)) == NULL))
        return false;
    int size = snprintf(path, PATH_MAX, "%s%s%s", here, here[0] == '\0' ? "" : "/", name);
    return size > 0 && size < PATH_MAX;
}

void leat_confine_paths_add(leat_confine_paths *paths, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    if (!make_absolute(path, name))
        return;
    for (int links = 0; links < MAX_LINKS; links++) {
        size_t len = find_link(path);
        if (len == 0)
            break;
        add_folder_of(paths, path, len);
        if (!follow(path, len))
            return;
    }
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (is_folder && strcmp(path, "/") != 0)
        add_exactly(paths, path);
    else if (!is_folder && !add_folder_of(paths, path, strlen(path)))
        add_exactly(paths, path);
}

static void add_list(leat_confine_paths *paths, const char *list)
{
    char path[PATH_MAX];
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        size_t blanks = strspn(list, " ");
        if (len > blanks && len - blanks < sizeof(path)) {
            snprintf(path, sizeof(path), "%.*s", (int)(len - blanks), list + blanks);
            leat_confine_paths_add(paths, path);
        }
        list += list[len] == ',' ? len + 1 : len;
    }
}

/* libpq's files lie in the home folder, which must not become readable as a whole. */
static void on_pg_file(void *arg, const char *path)
{
    add_exactly(arg, path);
}

void leat_confine_paths_collect(leat_confine_paths *paths, const leat_config *config)
{
    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    for (size_t i = 0; i < sizeof(system_paths) / sizeof(system_paths[0]); i++)
        add_exactly(paths, system_paths[i]);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].kind == LEAT_KEY_PATH)
            leat_confine_paths_add(paths, leat_config_text(config, &keys[i]));
        else if (keys[i].kind == LEAT_KEY_PATHS)
            add_list(paths, leat_config_text(config, &keys[i]));
    }
    if (config->file != NULL)
        leat_confine_paths_add(paths, config->file); /* a reload reads it again */
    leat_confine_paths_add(paths, config->lua_dir);
    leat_confine_paths_add(paths, config->schema_dir);
    leat_confine_paths_add(paths, config->client_dir);
    leat_confine_paths_add(paths, config->web_dir);
    leat_pg_files(config->database_url, on_pg_file, paths);
    leat_pg_files(config->listen_url, on_pg_file, paths);
}

void leat_confine_paths_close(leat_confine_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->at[i]);
    free(paths->at);
    *paths = (leat_confine_paths){.count = 0};
}
