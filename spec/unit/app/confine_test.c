/* What the confinement leaves to a process: each test is tried in a child, which it would spoil
 * for the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/confine_landlock.h"
#include "app/confine_paths.h"
#include "app/confine_seccomp.h"
#include "base/thread.h"

enum { PASSED = 0, FAILED = 1, UNCONFINED = 2 };

static _Atomic unsigned refused;
static _Atomic int last_refused;

/* Runs the check in a child of its own. Skips the test where the kernel cannot confine. */
static void in_child(int (*check)(const char *folder), const char *folder)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(check(folder));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == UNCONFINED)
        skip();
    assert_int_equal(WEXITSTATUS(status), PASSED);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            return FAILED;                                                                         \
        }                                                                                          \
    } while (0)

/* --- the files --- */

static const char *in_folder(const char *folder, const char *name)
{
    static char path[4][4096];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static void write_file(const char *path)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs("x", f);
    fclose(f);
}

static int make_folder(void **state)
{
    char template[] = "/tmp/leat-confine-XXXXXX";
    char *folder = mkdtemp(template);
    if (folder == NULL)
        return -1;
    *state = strdup(folder);
    const char *const folders[] = {"releases", "releases/1", "releases/2", "secret", "run"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdir(in_folder(folder, folders[i]), 0755) != 0)
            return -1;
    const char *const files[] = {"releases/1/app.lua", "releases/2/app.lua", "secret/key"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        write_file(in_folder(folder, files[i]));
    return symlink("releases/1", in_folder(folder, "current"));
}

static int remove_folder(void **state)
{
    char command[4200];
    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    free(*state);
    return system(command);
}

static int read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

static int restrict_files(const char *folder, const char *readable)
{
    leat_confine_paths paths = {.count = 0};
    int version = 0;
    leat_confine_paths_add(&paths, in_folder(folder, readable));
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int err = leat_confine_landlock(&paths, in_folder(folder, "run"), &version);
    leat_confine_paths_close(&paths);
    return err;
}

static int check_files(const char *folder)
{
    if (restrict_files(folder, "releases/1/app.lua") != 0)
        return UNCONFINED;
    CHECK(read_file(in_folder(folder, "releases/1/app.lua")) == 0);
    CHECK(read_file(in_folder(folder, "releases/2/app.lua")) == EACCES);
    CHECK(read_file(in_folder(folder, "secret/key")) == EACCES);
    CHECK(open(in_folder(folder, "releases/1/new"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600) < 0);
    CHECK(open(in_folder(folder, "releases/1/app.lua"), O_RDWR | O_CLOEXEC) < 0);
    CHECK(unlink(in_folder(folder, "releases/1/app.lua")) != 0 && errno == EACCES);
    CHECK(rename(in_folder(folder, "releases/1/app.lua"), in_folder(folder, "run/app.lua")) != 0);
    CHECK(mkdir(in_folder(folder, "run/deeper"), 0700) != 0);
    CHECK(execl("/bin/true", "true", (char *)NULL) != 0 && errno == EACCES);
    return PASSED;
}

static void test_files(void **state)
{
    in_child(check_files, *state);
}

static int check_address_file(const char *folder)
{
    const char *fresh = in_folder(folder, "run/address.new");
    FILE *f = fopen(fresh, "we");
    CHECK(f != NULL);
    if (restrict_files(folder, "releases/1/app.lua") != 0)
        return UNCONFINED;
    CHECK(fputs("127.0.0.1:80\n", f) > 0);
    CHECK(fclose(f) == 0);
    CHECK(rename(fresh, in_folder(folder, "run/address")) == 0);
    return PASSED;
}

static void test_address_file(void **state)
{
    in_child(check_address_file, *state);
}

static int check_deployment(const char *folder)
{
    if (restrict_files(folder, "current/app.lua") != 0)
        return UNCONFINED;
    CHECK(read_file(in_folder(folder, "current/app.lua")) == 0);
    CHECK(read_file(in_folder(folder, "releases/2/app.lua")) == 0);
    return PASSED;
}

static void test_deployment(void **state)
{
    in_child(check_deployment, *state);
}

/* --- the system calls --- */

static int restrict_calls(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return leat_confine_seccomp((leat_confine_calls){false, false}, &refused, &last_refused);
}

static int check_refused(const char *folder)
{
    (void)folder;
    if (restrict_calls() != 0)
        return UNCONFINED;
    CHECK(execl("/bin/true", "true", (char *)NULL) != 0 && errno == ENOSYS);
    CHECK(refused == 1 && last_refused == SYS_execve);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 && errno == ENOSYS);
    CHECK(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL) != 0);
    CHECK(syscall(SYS_bpf, 0, NULL, 0) != 0);
    CHECK(syscall(SYS_setuid, 0) != 0);
    CHECK(syscall(SYS_unshare, 0) != 0);
    CHECK(syscall(1000000) != 0 && errno == ENOSYS);
    CHECK(unlink("/nowhere") != 0 && errno == ENOSYS);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
               0) == MAP_FAILED);
    CHECK(refused == 9);
    return PASSED;
}

static void test_refused(void **state)
{
    (void)state;
    in_child(check_refused, NULL);
}

static int check_arguments(const char *folder)
{
    (void)folder;
    pid_t child = 0;
    char *const none[] = {NULL};
    if (restrict_calls() != 0)
        return UNCONFINED;
    CHECK(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT);
    CHECK(socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 && errno == EAFNOSUPPORT);
    CHECK(open("/tmp", O_TMPFILE | O_WRONLY, 0600) < 0 && errno == EACCES);
    CHECK(open("/dev/null", O_RDWR) < 0 && errno == EACCES);
    CHECK(kill(getppid(), 0) != 0 && errno == EPERM);
    CHECK(kill(-1, 0) != 0 && errno == EPERM);
    CHECK(fork() < 0 && errno == EPERM);
    CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, none, none) == EPERM);
    CHECK(refused == 0);
    return PASSED;
}

static void test_arguments(void **state)
{
    (void)state;
    in_child(check_arguments, NULL);
}

static void *call_in_thread(void *arg)
{
    leat_thread_name("leat-test");
    *(int *)arg = syscall(SYS_setuid, 0) != 0 ? errno : 0;
    return NULL;
}

static int check_allowed(const char *folder)
{
    (void)folder;
    pthread_t thread;
    int result = 0;
    int pair[2];
    if (restrict_calls() != 0)
        return UNCONFINED;
    CHECK(read_file("/etc/passwd") == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    CHECK(write(pair[0], "x", 1) == 1);
    CHECK(kill(getpid(), 0) == 0);
    /* A thread that blocks all signals of the process still survives a refused call. */
    CHECK(leat_thread_start(&thread, NULL, call_in_thread, &result) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(result == ENOSYS && refused == 1 && last_refused == SYS_setuid);
    return PASSED;
}

static void test_allowed(void **state)
{
    (void)state;
    in_child(check_allowed, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_address_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_deployment, make_folder, remove_folder),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_allowed),
    };
    return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
