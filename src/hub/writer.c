#include "hub/writer.h"

static void
run_one(struct nr_writer *writer, struct nr_write *w)
{
    struct nr_diag d = { 0 };
    enum nr_err err;

    w->err = nr_db_run(&writer->db, &w->diag, "SAVEPOINT one", "");
    if (w->err)
        return;
    w->err = w->run(w, &writer->db, &w->diag);
    /* After a full disk SQLite may have taken back everything already. */
    if (sqlite3_get_autocommit(writer->db.sql))
        return;
    err = NR_OK;
    if (w->err)
        err = nr_db_run(&writer->db, &d, "ROLLBACK TO one", "");
    if (!err)
        err = nr_db_run(&writer->db, &d, "RELEASE one", "");
    if (err) { /* then nothing of this commit may stand */
        w->err = err;
        w->diag = d;
        nr_db_rollback(&writer->db);
    }
}

static void
commit(struct nr_writer *writer, struct nr_write *batch)
{
    struct nr_diag d = { 0 };
    enum nr_err err = nr_db_begin(&writer->db, &d);

    for (struct nr_write *w = batch; !err && w; w = w->next) {
        run_one(writer, w);
        if (w->err && sqlite3_get_autocommit(writer->db.sql)) {
            err = w->err;
            d = w->diag;
        }
    }
    if (!err)
        err = nr_db_commit(&writer->db, &d);
    if (err)
        nr_db_rollback(&writer->db);
    for (struct nr_write *w = batch; err && w; w = w->next) {
        w->err = err;
        w->diag = d;
    }
}

static struct nr_write *
take(struct nr_writer *writer)
{
    struct nr_write *batch, *w;
    size_t n = 1;

    (void)pthread_mutex_lock(&writer->lock);
    while (!writer->head && !writer->stop)
        (void)pthread_cond_wait(&writer->wake, &writer->lock);
    batch = w = writer->head;
    while (w && w->next && n < NR_WRITER_BATCH) {
        w = w->next;
        n++;
    }
    if (w) {
        writer->head = w->next;
        w->next = NULL;
        writer->commits++;
        writer->writes += n;
    }
    if (!writer->head)
        writer->tail = &writer->head;
    (void)pthread_mutex_unlock(&writer->lock);
    return batch;
}

static void *
work(void *arg)
{
    struct nr_writer *writer = arg;
    struct nr_write *batch, *next;

    while ((batch = take(writer)) != NULL) {
        commit(writer, batch);
        for (; batch; batch = next) {
            next = batch->next; /* done() may free it */
            batch->done(batch);
        }
    }
    return NULL;
}

enum nr_err
nr_writer_start(struct nr_writer *w, const char *path, struct nr_diag *d)
{
    enum nr_err err = nr_db_open(&w->db, path, NR_DB_OPEN, d);

    if (err)
        return err;
    w->head = NULL;
    w->tail = &w->head;
    w->stop = false;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->wake, NULL);
    if (pthread_create(&w->thread, NULL, work, w) != 0) {
        nr_db_close(&w->db);
        return nr_fail(d, NR_ESYS, 0, "writer: no thread");
    }
    w->running = true;
    return NR_OK;
}

void
nr_writer_put(struct nr_writer *writer, struct nr_write *w)
{
    w->next = NULL;
    w->err = NR_OK;
    w->diag = (struct nr_diag){ .err = NR_OK };
    (void)pthread_mutex_lock(&writer->lock);
    *writer->tail = w;
    writer->tail = &w->next;
    (void)pthread_cond_signal(&writer->wake);
    (void)pthread_mutex_unlock(&writer->lock);
}

void
nr_writer_stop(struct nr_writer *w)
{
    if (!w->running)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    w->running = false;
    nr_db_close(&w->db);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->wake);
}
