/* thread.c - a new thread inherits the signal mask of the one that starts it. So the mask is set
 * before the start, and put back after it. */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>

enum { NAME_SIZE = 16 }; /* of the kernel, with its terminator */

int leat_thread_start(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *arg),
                      void *arg)
{
    static const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int err = pthread_create(out, attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

void leat_thread_name(const char *name)
{
    char cut[NAME_SIZE];
    snprintf(cut, sizeof(cut), "%s", name);
    pthread_setname_np(pthread_self(), cut);
}
