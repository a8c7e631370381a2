#include "base/thread.h"

#include <signal.h>

bool
nr_thread_start(pthread_t *t, void *(*run)(void *), void *arg)
{
    sigset_t all, old;
    int e;

    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
        return false;
    e = pthread_create(t, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return e == 0;
}
