/* confine_landlock.c - a rule set names the rights that it takes away; a rule gives some of them
 * back below a folder. The C library has no functions for it, and headers of an older kernel lack
 * the newer rights, so the numbers of those are here. A kernel refuses rights that it does not
 * know: the version of its interface says which it does. */
#include "app/confine_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

/* Since versions 2, 3, 5 and 6 of the interface. */
#define RIGHT_REFER (UINT64_C(1) << 13)
#define RIGHT_TRUNCATE (UINT64_C(1) << 14)
#define RIGHT_IOCTL_DEV (UINT64_C(1) << 15)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

#define RIGHTS_TO_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_TO_RENAME                                                                           \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_OF_FILES                                                                            \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE)

/* As the kernel has it in version 6; older kernels take the beginning. */
struct rule_set {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

static int interface_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (int)version;
}

/* The rights of version 1 are the lowest bits; the last of them is in this line. */
static uint64_t known_rights(int version)
{
    uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    rights |= version >= 2 ? RIGHT_REFER : 0;
    rights |= version >= 3 ? RIGHT_TRUNCATE : 0;
    return rights | (version >= 5 ? RIGHT_IOCTL_DEV : 0);
}

static int make_rule_set(int version)
{
    struct rule_set set = {
        .files = known_rights(version),
        .scopes = version >= 6 ? SCOPE_SIGNAL : 0,
    };
    size_t size = version >= 6 ? sizeof(set) : sizeof(set.files);
    return (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
}

/* What cannot be opened cannot be read either, and needs no rule. */
static void allow(int set, const char *path, uint64_t rights)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = S_ISDIR(st.st_mode) ? rights : rights & RIGHTS_OF_FILES,
            .parent_fd = fd,
        };
        syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    close(fd);
}

int leat_confine_landlock(const leat_confine_paths *paths, const char *writable, int *version)
{
    int known = interface_version();
    int set = known > 0 ? make_rule_set(known) : -1;
    if (set < 0)
        return errno != 0 ? errno : ENOSYS;
    for (size_t i = 0; i < paths->count; i++)
        allow(set, paths->at[i], RIGHTS_TO_READ);
    if (writable != NULL)
        allow(set, writable, RIGHTS_TO_RENAME);
    int err = syscall(SYS_landlock_restrict_self, set, 0) == 0 ? 0 : errno;
    close(set);
    if (err == 0)
        *version = known;
    return err;
}
