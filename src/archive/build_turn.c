/* Reading a block and counting the one before, side by side. */
#include "archive/build.h"

static void
take(struct build *b, struct build_job *j)
{
    if (b->err == NR_OK)
        b->err = build_take(b, j, &b->why);
}

static void *
work(void *arg)
{
    struct build *b = arg;

    (void)pthread_mutex_lock(&b->lock);
    while (!b->stop) {
        struct build_job *j = b->given;

        if (!j) {
            (void)pthread_cond_wait(&b->changed, &b->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&b->lock);
        take(b, j);
        (void)pthread_mutex_lock(&b->lock);
        b->given = NULL;
        (void)pthread_cond_signal(&b->changed);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

void
build_turn_begin(struct build *b)
{
    if (pthread_mutex_init(&b->lock, NULL) != 0)
        return;
    if (pthread_cond_init(&b->changed, NULL) != 0) {
        (void)pthread_mutex_destroy(&b->lock);
        return;
    }
    b->threaded = pthread_create(&b->thread, NULL, work, b) == 0;
    if (b->threaded)
        return;
    (void)pthread_cond_destroy(&b->changed);
    (void)pthread_mutex_destroy(&b->lock);
}

void
build_turn_end(struct build *b)
{
    if (!b->threaded)
        return;
    (void)pthread_mutex_lock(&b->lock);
    b->stop = true;
    (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
    (void)pthread_join(b->thread, NULL);
    (void)pthread_cond_destroy(&b->changed);
    (void)pthread_mutex_destroy(&b->lock);
    b->threaded = false;
}

struct build_job *
build_turn_job(struct build *b)
{
    return &b->jobs[b->turn];
}

enum nr_err
build_turn_wait(struct build *b, struct nr_diag *d)
{
    if (b->threaded) {
        (void)pthread_mutex_lock(&b->lock);
        while (b->given)
            (void)pthread_cond_wait(&b->changed, &b->lock);
        (void)pthread_mutex_unlock(&b->lock);
    }
    b->memory = build_index_memory(b);
    if (b->err && d)
        *d = b->why;
    return b->err;
}

enum nr_err
build_turn_give(struct build *b, struct build_job *j, struct nr_diag *d)
{
    enum nr_err err = build_turn_wait(b, d);

    if (err)
        return err;
    b->turn ^= 1;
    if (!b->threaded) {
        take(b, j);
        return build_turn_wait(b, d);
    }
    (void)pthread_mutex_lock(&b->lock);
    b->given = j;
    (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
    return NR_OK;
}
