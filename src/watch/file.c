/* Known files. */
#include "watch/engine.h"

#include "base/hash.h"
#include "base/num.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM_MIN ((size_t)16)

bool
nr_watch_room(void *v, size_t *cap, size_t n, size_t size)
{
    void **at = v;
    size_t more = *cap ? *cap * 2 : ROOM_MIN;
    void *p;

    if (n < *cap)
        return true;
    p = reallocarray(*at, more, size);
    if (!p)
        return false;
    *at = p;
    *cap = more;
    return true;
}

struct file *
nr_file_add(struct nr_watch *w, const char *path, struct nr_diag *d)
{
    struct file *f = calloc(1, sizeof(*f));

    if (f) {
        f->fd = -1;
        f->done_size = UINT64_MAX;
        f->path = strdup(path);
        f->name = strdup(path);
    }
    (void)pthread_mutex_lock(&w->known_lock);
    if (w->n_files == NR_WATCH_FILES_MAX) {
        (void)nr_fail_name(d, NR_ELIMIT, "watch: too many files", path);
    } else if (!f || !f->path || !f->name ||
        !nr_watch_room(&w->files, &w->cap_files, w->n_files,
            sizeof(struct file *))) {
        (void)nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    } else {
        w->files[w->n_files++] = f;
        (void)pthread_mutex_unlock(&w->known_lock);
        return f;
    }
    (void)pthread_mutex_unlock(&w->known_lock);
    nr_file_free(f);
    return NULL;
}

void
nr_file_free(struct file *f)
{
    if (!f)
        return;
    nr_read_close(f);
    nr_logfile_free(f->log);
    free(f->mark.head);
    free(f->intro);
    free(f->told);
    free(f->cursor);
    free(f->path);
    free(f->name);
    free(f);
}

/* The first octets of what IN gives, whole lines or not. */
static enum nr_err
read_head(struct nr_watch *w, struct nr_input *in, struct nr_bytes *head,
    struct nr_bytes *intro, struct nr_diag *d)
{
    struct nr_block b;
    enum nr_err err = NR_OK;
    size_t n = 0;

    *intro = (struct nr_bytes){ w->head, 0 };
    while (!err && n < NR_WATCH_HEAD_MAX) {
        size_t k;

        err = nr_input_next_in(in, w->probe, &b, n ? NULL : d);
        if (err || b.text.n == 0)
            break;
        k = nr_min(b.text.n, NR_WATCH_HEAD_MAX - n);
        memcpy(w->head + n, b.text.p, k);
        if (n == 0 && b.text.n > k)
            *intro = b.text; /* the loop ends here */
        n += k;
    }
    *head = (struct nr_bytes){ w->head, n };
    if (intro->p == w->head)
        *intro = *head;
    return n ? NR_OK : err; /* what comes later is said when it is read */
}

enum nr_err
nr_file_probe(struct nr_watch *w, const char *path, uint64_t dev, uint64_t ino,
    struct nr_bytes *head, struct nr_bytes *intro, struct nr_diag *d)
{
    struct nr_input_options o = { .block = NR_WATCH_BLOCK, .uncounted = true };
    struct nr_input *in = NULL;
    struct nr_bytes none;
    struct stat st;
    size_t mark;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    enum nr_err err;

    if (fd < 0)
        return errno == ENOENT
            ? nr_fail_name(d, NR_EBUSY, "watch: moved", path)
            : nr_fail_file(d, "watch: cannot be opened", path);
    if (fstat(fd, &st) != 0 || st.st_dev != dev || st.st_ino != ino)
        err = nr_fail_name(d, NR_EBUSY, "watch: moved", path);
    else
        err = nr_input_from_fd(fd, path, &o, &in, d);
    if (!err)
        err = read_head(w, in, head, intro ? intro : &none, d);
    w->probe_flat = in && nr_input_is_flat(in, &mark);
    nr_input_free(in);
    (void)close(fd);
    return err;
}

uint64_t
nr_mark_hash(const struct mark *m, size_t n)
{
    if (!m->head)
        return m->head_hash;
    return nr_xxh64((struct nr_bytes){ m->head, n }, n);
}

bool
nr_mark_matches(const struct mark *m, struct nr_bytes head)
{
    if (head.n < m->head_n)
        return false;
    head.n = m->head_n;
    return nr_xxh64(head, head.n) == nr_mark_hash(m, m->head_n);
}

static enum nr_err
grow(struct file *f, struct nr_bytes text, struct nr_diag *d)
{
    struct mark *m = &f->mark;
    size_t n = nr_min(text.n, NR_WATCH_HEAD_MAX - m->head_n);

    if (!m->head) {
        m->head = malloc(NR_WATCH_HEAD_MAX);
        if (!m->head)
            return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    }
    memcpy(m->head + m->head_n, text.p, n);
    m->head_n += (uint32_t)n;
    if (m->head_n == NR_WATCH_HEAD_MAX)
        m->head_hash = nr_mark_hash(m, NR_WATCH_HEAD_MAX);
    return NR_OK;
}

/* What all hits of the file have in their id: its first line. */
static void
keep_first(struct nr_watch *w, struct file *f, struct nr_bytes text)
{
    struct nr_bytes first = nr_bytes_sub(text, 0,
        nr_min(text.n, NR_WATCH_HEAD_MAX));
    const uint8_t *lf = first.n ? memchr(first.p, '\n', first.n) : NULL;

    if (lf)
        first.n = (size_t)(lf - first.p);
    (void)pthread_mutex_lock(&w->known_lock); /* the state wants it, too */
    nr_xxh128(first, 0, f->first);
    f->has_first = true;
    (void)pthread_mutex_unlock(&w->known_lock);
}

enum nr_err
nr_mark_grow(struct nr_watch *w, struct file *f, uint64_t at,
    struct nr_bytes text, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (!f->has_first)
        keep_first(w, f, text);
    if (f->stream || f->mark.head_n == NR_WATCH_HEAD_MAX ||
        at != f->mark.head_n)
        return NR_OK;
    (void)pthread_mutex_lock(&w->known_lock);
    err = grow(f, text, d);
    (void)pthread_mutex_unlock(&w->known_lock);
    return err;
}
