#include "archive/dropped.h"

#include "base/hash.h"

#include <stdlib.h>

#define ROW_OCTETS ((size_t)102) /* without a name */
#define FILE_MAX   (DROPPED_MAX * ROW_OCTETS + 64)
#define MEMORY     ((size_t)2 << 30)
#define SUM        ((size_t)8)

static enum nr_err
parse(struct nr_bytes in, struct nr_arena *arena, struct seg_file **out,
    size_t *n)
{
    struct nr_bytes head = NR_BYTES(DROPPED_HEAD);
    struct nr_cur c;
    struct seg_file *v;

    if (in.n < head.n + SUM || !nr_bytes_starts(in, head) ||
        (in.n - head.n - SUM) % ROW_OCTETS != 0)
        return NR_EDAMAGED;
    c = nr_cur(nr_bytes_sub(in, in.n - SUM, in.n));
    if (nr_cur_le64(&c) != nr_xxh64(nr_bytes_sub(in, 0, in.n - SUM), 0))
        return NR_EDAMAGED;
    v = nr_new(arena, struct seg_file, in.n / ROW_OCTETS + 1);
    if (!v)
        return NR_ENOMEM;
    c = nr_cur(nr_bytes_sub(in, head.n, in.n - SUM));
    for (*n = 0; nr_cur_left(&c) > 0; ++*n)
        if (!seg_get_file(&c, &v[*n]) || v[*n].name.n > 0)
            return NR_EDAMAGED;
    *out = v;
    return NR_OK;
}

enum nr_err
dropped_read(const char *dir, struct nr_arena *arena, struct seg_file **out,
    size_t *n, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_bytes in = { 0 };
    struct nr_diag why = { 0 };
    enum nr_err err = nr_path_join(path, dir, DROPPED_FILE, d);

    *out = NULL;
    *n = 0;
    if (err)
        return err;
    err = nr_file_read(arena, path, FILE_MAX, &in, &why);
    if (err == NR_ENOTFOUND)
        return NR_OK;
    if (err) {
        if (d)
            *d = why;
        return err;
    }
    err = parse(in, arena, out, n);
    if (err == NR_EDAMAGED)
        return nr_fail_name(d, err,
            "archive: the list of what was dropped is damaged; restore it, or "
            "remove it: logs that are still there come back then",
            path);
    return err ? nr_fail(d, err, 0, "archive: no memory") : NR_OK;
}

static int
by_id(const void *a, const void *b)
{
    const struct seg_file *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static int
by_age(const void *a, const void *b)
{
    const struct seg_file *x = a, *y = b;

    return (x->mtime_s < y->mtime_s) - (x->mtime_s > y->mtime_s);
}

/* The rows of all that goes behind V[0..*N), with ROOM. */
static enum nr_err
gather(struct nr_archive *a, const struct nr_keep_plan *p,
    struct nr_arena *arena, struct seg_file *v, size_t *n, struct nr_diag *d)
{
    for (size_t i = 0; i < a->n; i++) {
        struct seg_file *files;
        struct nr_diag why = { 0 };
        size_t k = 0;
        enum nr_err err;

        if (p->fate[i] != NR_KEEP_AGE && p->fate[i] != NR_KEEP_SIZE)
            continue;
        err = segment_files(a->v[i], arena, &files, &k, &why);
        if (err == NR_EDAMAGED)
            store_say(a, &why); /* its names are lost either way */
        else if (err)
            return nr_fail(d, err, 0, "archive: no memory");
        for (size_t j = 0; !err && j < k; j++) {
            v[*n] = files[j];
            v[(*n)++].name = NR_STR("");
        }
    }
    return NR_OK;
}

static enum nr_err
write_file(const struct nr_archive *a, const struct seg_file *v, size_t n,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_buf b;
    enum nr_err err = nr_path_join(path, a->dir, DROPPED_FILE, d);

    if (err)
        return err;
    nr_buf_init(&b, FILE_MAX);
    nr_buf_put_str(&b, NR_STR(DROPPED_HEAD));
    for (size_t i = 0; i < n; i++)
        seg_put_file(&b, &v[i]);
    nr_buf_put_le(&b, nr_xxh64(nr_buf_bytes(&b), 0), 8);
    err = b.err ? nr_fail(d, NR_ENOMEM, 0, "archive: no memory")
                : nr_file_replace(path, nr_buf_bytes(&b), 0600, d);
    nr_buf_fini(&b);
    return err;
}

enum nr_err
dropped_add(struct nr_archive *a, const struct nr_keep_plan *p,
    struct nr_diag *d)
{
    struct nr_arena arena;
    struct seg_file *old = NULL, *v = NULL;
    size_t n = 0, all = 0, kept = 0;
    enum nr_err err;

    nr_arena_init(&arena, MEMORY);
    err = dropped_read(a->dir, &arena, &old, &n, d);
    for (size_t i = 0; i < a->n; i++)
        all += (size_t)segment_file_count(a->v[i]);
    if (!err)
        v = calloc(all + n + 1, sizeof(*v));
    if (!err && !v)
        err = nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    for (size_t i = 0; v && i < n; i++)
        v[i] = old[i];
    all = n;
    if (!err)
        err = gather(a, p, &arena, v, &all, d);
    if (!err && all > 0) {
        qsort(v, all, sizeof(*v), by_id);
        for (size_t i = 0; i < all; i++)
            if (i == 0 || v[i].id != v[kept - 1].id ||
                v[i].from != v[kept - 1].from || v[i].to != v[kept - 1].to)
                v[kept++] = v[i];
        if (kept > DROPPED_MAX) {
            qsort(v, kept, sizeof(*v), by_age);
            kept = DROPPED_MAX;
        }
        err = write_file(a, v, kept, d);
    }
    free(v);
    nr_arena_fini(&arena);
    return err;
}
