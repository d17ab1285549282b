/* confine_seccomp.c - the filter is a program for the kernel, put together from the tables below:
 * calls that are always allowed, calls whose arguments decide, and calls that quietly fail because
 * their callers know another way. For every other call the kernel raises SIGSYS instead. Its
 * handler counts the call, and makes it return ENOSYS.
 *
 * Calls of the first table cost next to nothing: the kernel remembers that the filter allows them
 * whatever their arguments. */
#include "app/confine_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/err.h"

#if defined(__x86_64__)
#define PROCESSOR AUDIT_ARCH_X86_64
#define RESULT_REGISTER(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define PROCESSOR AUDIT_ARCH_AARCH64
#define RESULT_REGISTER(context) ((context)->uc_mcontext.regs[0])
#endif

#ifdef PROCESSOR

enum { MAX_PROGRAM = 640, FIRST_X32_CALL = 0x40000000 };

static const int allowed[] = {
    /* descriptors and files */
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_preadv,
    SYS_preadv2,
    SYS_close,
    SYS_close_range,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_lseek,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_fcntl,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_fadvise64,
    SYS_sendfile,
    SYS_flock,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    /* memory */
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_mincore,
    SYS_mlock,
    SYS_munlock,
    SYS_membarrier,
    /* threads and signals */
    SYS_futex,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_rseq,
    SYS_set_tid_address,
    SYS_exit,
    SYS_exit_group,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getcpu,
    SYS_gettid,
    SYS_getpid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    SYS_restart_syscall,
    /* time and the system */
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_times,
    SYS_getrusage,
    SYS_getrlimit,
    SYS_prlimit64,
    SYS_sysinfo,
    SYS_uname,
    SYS_getrandom,
    /* waiting */
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_ppoll,
    SYS_pselect6,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    /* sockets */
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_connect,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_shutdown,
#ifdef __x86_64__
    SYS_access,
    SYS_stat,
    SYS_lstat,
    SYS_readlink,
    SYS_getdents,
    SYS_poll,
    SYS_select,
    SYS_epoll_wait,
    SYS_epoll_create,
    SYS_eventfd,
    SYS_pipe,
    SYS_dup2,
    SYS_time,
    SYS_arch_prctl,
    SYS_getpgrp,
#endif
};

static const int allowed_for_renaming[] = {
    SYS_renameat,
    SYS_renameat2,
#ifdef __x86_64__
    SYS_rename,
#endif
};

/* Libraries try these and then do without. Their arguments lie in memory, where a filter cannot
 * look, or they would be a way around the filter. */
static const int quietly_missing[] = {
    SYS_clone3,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
};

/* --- the program --- */

typedef struct program {
    struct sock_filter at[MAX_PROGRAM];
    size_t len;
} program;

static void append(program *p, const struct sock_filter *instructions, size_t n)
{
    LEAT_ASSERT(p->len + n <= MAX_PROGRAM); /* the tables are constant */
    memcpy(p->at + p->len, instructions, n * sizeof(*instructions));
    p->len += n;
}

#define APPEND(p, ...)                                                                             \
    append(p, (const struct sock_filter[]){__VA_ARGS__},                                           \
           sizeof((const struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter))

#define LOAD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
/* The lower half of an argument, which is all of an int. Both processors are little-endian. */
#define LOAD_ARG(n) LOAD(args[n])
/* Skips `no` instructions unless they are equal, or unless all bits of k are set; else `yes`. */
#define IF_EQUAL(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(k), yes, no)
#define IF_ANY_BIT(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(k), yes, no)
#define AND(k) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (uint32_t)(k))
#define RETURN(k) BPF_STMT(BPF_RET | BPF_K, k)
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
#define FAIL(error) RETURN(SECCOMP_RET_ERRNO | (error))
#define REFUSE RETURN(SECCOMP_RET_TRAP)

/* The number of the call is loaded before and after each of these. */
static void append_calls(program *p, const int *calls, size_t n, uint32_t action)
{
    for (size_t i = 0; i < n; i++)
        APPEND(p, IF_EQUAL(calls[i], 0, 1), RETURN(action));
}

/* Sockets of this machine, of the internet, and those that tell which addresses there are. */
static void append_socket(program *p, int call)
{
    APPEND(p, IF_EQUAL(call, 0, 7), LOAD_ARG(0), IF_EQUAL(AF_INET, 3, 0), IF_EQUAL(AF_INET6, 2, 0),
           IF_EQUAL(AF_UNIX, 1, 0), IF_EQUAL(AF_NETLINK, 0, 1), ALLOW, FAIL(EAFNOSUPPORT));
}

/* Opens for reading only. O_TMPFILE contains O_DIRECTORY, which reading needs, and needs one of the
 * others. */
static void append_open(program *p, int call, int flags_at)
{
    APPEND(p, IF_EQUAL(call, 0, 4), LOAD_ARG(flags_at),
           IF_ANY_BIT(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0, 1), FAIL(EACCES), ALLOW);
}

/* A new process is made without CLONE_THREAD. Quietly: posix_spawn calls this with SIGSYS blocked.
 */
static void append_clone(program *p)
{
    APPEND(p, IF_EQUAL(SYS_clone, 0, 4), LOAD_ARG(0), IF_ANY_BIT(CLONE_THREAD, 0, 1), ALLOW,
           FAIL(EPERM));
}

/* No memory is written and then executed. Libraries that are loaded late map their code as it is.
 */
static void append_memory(program *p)
{
    APPEND(p, IF_EQUAL(SYS_mmap, 0, 5), LOAD_ARG(2), AND(PROT_WRITE | PROT_EXEC),
           IF_EQUAL(PROT_WRITE | PROT_EXEC, 0, 1), REFUSE, ALLOW);
    APPEND(p, IF_EQUAL(SYS_mprotect, 0, 4), LOAD_ARG(2), IF_ANY_BIT(PROT_EXEC, 0, 1), REFUSE,
           ALLOW);
}

static void append_control(program *p)
{
    APPEND(p, IF_EQUAL(SYS_ioctl, 0, 7), LOAD_ARG(1), IF_EQUAL(FIONBIO, 3, 0),
           IF_EQUAL(FIOCLEX, 2, 0), IF_EQUAL(FIONREAD, 1, 0), IF_EQUAL(TCGETS, 0, 1), ALLOW,
           FAIL(ENOTTY));
    APPEND(p, IF_EQUAL(SYS_prctl, 0, 6), LOAD_ARG(0), IF_EQUAL(PR_SET_NAME, 2, 0),
           IF_EQUAL(PR_GET_NAME, 1, 0), IF_EQUAL(PR_SET_VMA, 0, 1), ALLOW, FAIL(EINVAL));
}

/* Signals for this process only: abort() sends one. */
static void append_signals(program *p)
{
    uint32_t self = (uint32_t)getpid();
    APPEND(p, IF_EQUAL(SYS_kill, 1, 0), IF_EQUAL(SYS_tgkill, 0, 4), LOAD_ARG(0),
           IF_EQUAL(self, 0, 1), ALLOW, FAIL(EPERM));
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void make_program(program *p, leat_confine_calls may)
{
    APPEND(p, LOAD(arch), IF_EQUAL(PROCESSOR, 1, 0), REFUSE, LOAD(nr));
#ifdef __x86_64__
    APPEND(p, BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_X32_CALL, 0, 1), FAIL(ENOSYS));
#endif
    append_calls(p, allowed, COUNT(allowed), SECCOMP_RET_ALLOW);
    append_calls(p, quietly_missing, COUNT(quietly_missing), SECCOMP_RET_ERRNO | ENOSYS);
    if (may.rename)
        append_calls(p, allowed_for_renaming, COUNT(allowed_for_renaming), SECCOMP_RET_ALLOW);
    APPEND(p, IF_EQUAL(SYS_openat2, 0, 1),
           may.openat2 ? (struct sock_filter)ALLOW : (struct sock_filter)FAIL(ENOSYS));
    append_socket(p, SYS_socket);
    append_socket(p, SYS_socketpair);
    append_open(p, SYS_openat, 2);
#ifdef __x86_64__
    append_open(p, SYS_open, 1);
#endif
    append_clone(p);
    append_memory(p);
    append_control(p);
    append_signals(p);
    APPEND(p, REFUSE);
}

/* --- what is refused --- */

/* A signal handler has no argument of its own. The process is confined once, for good. */
static _Atomic unsigned *counter;
static _Atomic int *last;

static void on_refused(int number, siginfo_t *info, void *arg)
{
    (void)number;
    ucontext_t *context = arg;
    atomic_fetch_add(counter, 1);
    atomic_store(last, info->si_syscall);
    RESULT_REGISTER(context) = -ENOSYS;
}

static int install(program *p)
{
    struct sock_fprog filter = {.len = (unsigned short)p->len, .filter = p->at};
    unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0 ? 0 : errno;
}

int leat_confine_seccomp(leat_confine_calls may, _Atomic unsigned *refused,
                         _Atomic int *last_refused)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
    program p = {.len = 0};
    counter = refused;
    last = last_refused;
    if (sigaction(SIGSYS, &action, NULL) != 0)
        return errno;
    make_program(&p, may);
    return install(&p);
}

#else

int leat_confine_seccomp(leat_confine_calls may, _Atomic unsigned *refused,
                         _Atomic int *last_refused)
{
    (void)may;
    (void)refused;
    (void)last_refused;
    return ENOSYS;
}

#endif
