/*
 * Writer: one thread that commits what many requests want to write.
 *
 * Everything that waits when a commit begins shares its fsync; a write is done
 * (done() called) only when it is durable. A write that fails is taken back
 * alone; when the commit itself fails, all of its writes fail.
 */
#ifndef NR_HUB_WRITER_H
#define NR_HUB_WRITER_H

#include "hub/db.h"

#include <pthread.h>

#define NR_WRITER_BATCH ((size_t)512) /* writes that share one commit */

struct nr_write {
    /* In the writer's thread, inside its transaction. */
    enum nr_err (*run)(struct nr_write *w, struct nr_db *db, struct nr_diag *d);
    /* In the writer's thread, after the commit; W is the caller's again. */
    void (*done)(struct nr_write *w);
    enum nr_err err;
    struct nr_diag diag;
    struct nr_write *next;
};

struct nr_writer {
    struct nr_db db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct nr_write *head, **tail; /* under lock */
    bool stop, running;            /* under lock */
    uint64_t commits, writes;      /* under lock */
};

enum nr_err nr_writer_start(struct nr_writer *w, const char *path,
    struct nr_diag *d) NR_MUST_USE;
/* Thread-safe. W must live until done(). */
void nr_writer_put(struct nr_writer *writer, struct nr_write *w);
/* Finish what waits, then end. Safe on a writer that never started. */
void nr_writer_stop(struct nr_writer *w);

#endif
