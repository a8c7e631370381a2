/* Helper threads. */
#ifndef NR_THREAD_H
#define NR_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Start RUN(ARG), to be joined. It takes no signals: these are for the threads
 * that wait for them. False: no thread is to be had (limits, a sandbox); the
 * caller does the work itself. */
bool nr_thread_start(pthread_t *t, void *(*run)(void *), void *arg);

#endif
