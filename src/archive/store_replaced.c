/* Segments that another one stands in for: they are not asked, and their files
 * go when nobody can need them any more. */
#include "archive/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
store_name(uint64_t seq, char out[STORE_NAME])
{
    (void)snprintf(out, STORE_NAME, "%016llx.seg", (unsigned long long)seq);
}

static int
by_seq(const void *a, const void *b)
{
    const struct store_hidden *x = a, *y = b;

    if (x->of.seq != y->of.seq)
        return x->of.seq < y->of.seq ? -1 : 1;
    return (x->by > y->by) - (x->by < y->by);
}

/* All that the segments of A name, by number. */
static enum nr_err
gather(struct nr_archive *a, struct store_hidden **out, size_t *n,
    struct nr_diag *d)
{
    struct store_hidden *v;
    size_t all = 0, k = 0;

    for (size_t i = 0; i < a->n; i++)
        all += segment_replaced_count(a->v[i]);
    v = calloc(all + 1, sizeof(*v));
    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    for (size_t i = 0; i < a->n; i++)
        for (uint64_t j = 0; j < segment_replaced_count(a->v[i]); j++) {
            struct nr_diag why = { 0 };

            v[k].by = segment_info(a->v[i])->seq;
            /* A damaged page: what it names shows again beside it. Nothing is
             * lost, lines may count twice; it is said, as all damage is. */
            if (segment_replaced(a->v[i], j, &v[k].of, &why) == NR_OK)
                k++;
            else if (why.err == NR_EDAMAGED)
                store_say(a, &why);
        }
    qsort(v, k, sizeof(*v), by_seq);
    *out = v;
    *n = k;
    return NR_OK;
}

static const struct store_hidden *
find(const struct store_hidden *v, size_t n, uint64_t seq)
{
    const struct store_hidden key = { .of = { .seq = seq } };
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (by_seq(&v[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && v[lo].of.seq == seq ? &v[lo] : NULL;
}

bool
store_is_hidden(const struct nr_archive *a, uint64_t seq)
{
    return find(a->hidden, a->n_hidden, seq) != NULL;
}

static bool
is_replaced(const struct store_hidden *v, size_t n, const struct segment *s,
    struct store_hidden *by)
{
    const struct store_hidden *h = find(v, n, segment_info(s)->seq);

    if (!h || h->of.sum != segment_sum(s))
        return false;
    *by = *h;
    return true;
}

enum nr_err
store_hide(struct nr_archive *a, uint64_t *bad, size_t *n_bad,
    struct nr_diag *d)
{
    struct store_hidden *v = NULL, *kept;
    size_t n = 0, k = 0, left = 0;
    enum nr_err err = gather(a, &v, &n, d);

    if (err || n == 0) {
        free(v);
        return err;
    }
    kept = calloc(a->n + *n_bad + a->n_hidden + 1, sizeof(*kept));
    if (!kept) {
        free(v);
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    }
    for (size_t i = 0; i < a->n_hidden; i++)
        kept[k++] = a->hidden[i];
    for (size_t i = 0; i < a->n; i++) {
        struct segment *s = a->v[i];

        if (is_replaced(v, n, s, &kept[k])) {
            k++;
            segment_close(s);
        } else {
            a->v[left++] = s;
        }
    }
    a->n = left;
    left = 0;
    for (size_t i = 0; i < *n_bad; i++) {
        const struct store_hidden *h = find(v, n, bad[i]);

        if (h)
            kept[k++] = *h;
        else
            bad[left++] = bad[i];
    }
    *n_bad = left;
    qsort(kept, k, sizeof(*kept), by_seq);
    free(v);
    free(a->hidden);
    a->hidden = kept;
    a->n_hidden = k;
    return NR_OK;
}

static enum nr_err
remove_file(const struct nr_archive *a, uint64_t seq, struct nr_diag *d)
{
    char path[NR_PATH_MAX], name[STORE_NAME];
    enum nr_err err;

    store_name(seq, name);
    err = nr_path_join(path, a->dir, name, d);
    if (!err && unlink(path) != 0 && errno != ENOENT)
        err = nr_fail_file(d, "segment: remove", path);
    return err;
}

static enum nr_err
sync_dir(const struct nr_archive *a, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, a->dir, "lock", d);

    return err ? err : nr_dir_sync_of(path, d);
}

enum nr_err
store_sweep(struct nr_archive *a, int64_t now_s, size_t *n, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    size_t kept = 0, gone = 0;

    for (size_t i = 0; i < a->n_hidden; i++) {
        const struct store_hidden *h = &a->hidden[i];

        if (err || now_s - h->of.since_s < STORE_GRACE_S) {
            a->hidden[kept++] = *h;
            continue;
        }
        err = remove_file(a, h->of.seq, d);
        gone += err == NR_OK;
    }
    a->n_hidden = kept;
    *n = gone;
    if (gone > 0 && !err)
        err = sync_dir(a, d);
    return err;
}

enum nr_err
store_sweep_of(struct nr_archive *a, size_t i, struct nr_diag *d)
{
    struct segment *s = a->v[i];
    struct seg_replaced r;
    size_t gone = 0;
    enum nr_err err = NR_OK;

    for (uint64_t k = 0; !err && k < segment_replaced_count(s); k++) {
        err = segment_replaced(s, k, &r, d);
        if (err || !find(a->hidden, a->n_hidden, r.seq))
            continue;
        err = remove_file(a, r.seq, d);
        gone++;
    }
    return gone > 0 && !err ? sync_dir(a, d) : err;
}
