/* Writing a run. */
#include "archive/run.h"

#include "archive/seal_in.h"

#include "base/file.h"
#include "base/hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLASS_MAX ((uint64_t)UINT32_MAX) /* octets of groups: PTRs have four */
#define TABLE_MAX ((size_t)1 << 32)      /* octets of a directory, of sums */
#define OUT_MAX   ((size_t)1 << 20)      /* octets kept before write(2) */

struct key_class {
    uint64_t keys, groups, at, octets, dir_at;
    unsigned shift;
};

struct run_writer {
    char dir[NR_PATH_MAX], tmp[NR_PATH_MAX];
    int fd;
    struct seal_writer *to; /* of FD */
    uint64_t number, at;    /* octets written or in OUT */
    struct run_covered *covered;
    size_t n_covered;
    unsigned ordinal_bits;
    struct nr_buf out, sums, table;
    int cls; /* the class begun last; -1: none */
    struct key_class classes[SEG_CLASSES];
    /* the group being gathered */
    uint64_t key[RUN_GROUP];
    uint32_t one[RUN_GROUP]; /* ordinal, or n_covered + RUN_* */
    uint32_t n;
    uint32_t list[RUN_GROUP * RUN_NAMED_MAX];
    uint32_t n_list;
    /* the segments of its last key, ascending */
    uint32_t *of;
    uint32_t n_of;
};

/* --- octets --- */

/* Sums of all pages of OUT that are whole, or of all; then write them. */
static enum nr_err
flush(struct run_writer *w, bool all, struct nr_diag *d)
{
    size_t at = 0;
    enum nr_err err;

    while (w->out.n - at >= RUN_PAGE || (all && at < w->out.n)) {
        size_t end = w->out.n - at >= RUN_PAGE ? at + RUN_PAGE : w->out.n;

        nr_buf_put_le(&w->sums,
            nr_xxh64(nr_bytes_sub(nr_buf_bytes(&w->out), at, end), 0), 8);
        at = end;
    }
    if (w->out.err || w->sums.err || w->table.err)
        return nr_fail(d, NR_ENOMEM, 0, "run: no memory to write one");
    err = seal_writer_put(w->to, nr_bytes_sub(nr_buf_bytes(&w->out), 0, at), d);
    if (err) {
        nr_diag_add_name(d, w->tmp);
        return err;
    }
    memmove(w->out.p, w->out.p + at, w->out.n - at);
    w->out.n -= at;
    return NR_OK;
}

/* N numbers of WIDTH bits, the first bit lowest, to whole octets. */
struct packer {
    struct nr_buf *out;
    uint64_t word;
    unsigned used;
};

static void
pack(struct packer *k, uint64_t v, unsigned width)
{
    if (width == 64) { /* always on a boundary: all are */
        nr_buf_put_le(k->out, v, 8);
        return;
    }
    k->word |= v << k->used;
    k->used += width;
    while (k->used >= 8) {
        nr_buf_put_c(k->out, (char)(uint8_t)k->word);
        k->word >>= 8;
        k->used -= 8;
    }
}

static void
pack_end(struct packer *k)
{
    if (k->used > 0)
        nr_buf_put_c(k->out, (char)(uint8_t)k->word);
}

/* --- groups --- */

static enum nr_err
end_group(struct run_writer *w, struct nr_diag *d)
{
    struct key_class *c = &w->classes[w->cls];
    struct packer values = { .out = &w->out }, ordinals = { .out = &w->out };
    struct packer lists = { .out = &w->out };
    size_t before = w->out.n;
    uint64_t span;
    unsigned width;

    if (w->n == 0)
        return NR_OK;
    span = w->key[w->n - 1] - w->key[0];
    width = span ? 64 - (unsigned)__builtin_clzll(span) : 0;
    width = width > RUN_WIDTH_MAX ? 64 : width;
    nr_buf_put_le(&w->table, w->key[0], 8);
    nr_buf_put_le(&w->table, c->octets, 4);
    nr_buf_put_c(&w->out, (char)(uint8_t)width);
    for (uint32_t i = 0; i < w->n; i++)
        pack(&values, w->key[i] - w->key[0], width);
    pack_end(&values);
    for (uint32_t i = 0; i < w->n; i++)
        pack(&ordinals, w->one[i], w->ordinal_bits);
    pack_end(&ordinals);
    for (uint32_t i = 0; i < w->n_list; i++)
        pack(&lists, w->list[i], w->ordinal_bits);
    pack_end(&lists);
    c->keys += w->n;
    c->groups++;
    c->octets += w->out.n - before;
    w->at += w->out.n - before;
    w->n = 0;
    w->n_list = 0;
    if (c->octets > CLASS_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "run: too many keys of a class");
    return w->out.n >= OUT_MAX ? flush(w, false, d) : NR_OK;
}

/* The segments of the last key are complete. */
static void
end_key(struct run_writer *w)
{
    uint32_t several = (uint32_t)w->n_covered;

    if (w->n_of == 0)
        return;
    if (w->n_of == 1)
        w->one[w->n - 1] = w->of[0];
    else if (w->n_of > RUN_NAMED_MAX)
        w->one[w->n - 1] = several + RUN_ANY;
    else
        w->one[w->n - 1] = several + (w->n_of == 2 ? RUN_TWO : RUN_THREE);
    for (uint32_t i = 0; w->n_of > 1 && w->n_of <= RUN_NAMED_MAX && i < w->n_of;
         i++)
        w->list[w->n_list++] = w->of[i];
    w->n_of = 0;
}

static enum nr_err
end_class(struct run_writer *w, struct nr_diag *d)
{
    struct key_class *c = &w->classes[w->cls];
    enum nr_err err;

    end_key(w);
    err = end_group(w, d);
    if (err)
        return err;
    nr_buf_put_le(&w->table, UINT64_MAX, 8);
    nr_buf_put_le(&w->table, c->octets, 4);
    c->dir_at = w->at;
    nr_buf_put(&w->out, nr_buf_bytes(&w->table));
    w->at += w->table.n;
    nr_buf_reset(&w->table);
    return flush(w, false, d);
}

enum nr_err
run_writer_class(struct run_writer *w, enum seg_class c, unsigned shift,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    while (!err && w->cls < (int)c) {
        if (w->cls >= 0)
            err = end_class(w, d);
        w->cls++;
        w->classes[w->cls] = (struct key_class){ .at = w->at,
            .shift = w->cls == (int)c ? shift : 0 };
    }
    return err;
}

enum nr_err
run_writer_put(struct run_writer *w, uint64_t key, uint32_t ordinal,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    uint32_t at;

    key >>= w->classes[w->cls].shift;
    if (w->n_of == 0 || key != w->key[w->n - 1]) {
        end_key(w);
        if (w->n == RUN_GROUP)
            err = end_group(w, d);
        w->key[w->n++] = key;
    }
    /* keys that differ in what is dropped come one after the other */
    at = w->n_of;
    while (at > 0 && w->of[at - 1] > ordinal)
        at--;
    if (at > 0 && w->of[at - 1] == ordinal)
        return err;
    memmove(w->of + at + 1, w->of + at, (w->n_of - at) * sizeof(*w->of));
    w->of[at] = ordinal;
    w->n_of++;
    return err;
}

/* --- the file --- */

static void
put_header(struct run_writer *w, struct nr_buf *b)
{
    nr_buf_put(b, NR_BYTES(RUN_MAGIC));
    nr_buf_put_le(b, SEG_ENDIAN, 4);
    nr_buf_put_le(b, RUN_VERSION, 4);
    nr_buf_put_le(b, w->number, 8);
    nr_buf_put_le(b, nr_xxh64(nr_buf_bytes(b), 0), 8);
}

enum nr_err
run_writer_open(const char *dir, uint64_t number, const struct run_covered *v,
    size_t n, const struct nr_archive_key *key, struct run_writer **out,
    struct nr_diag *d)
{
    struct run_writer *w;
    enum nr_err err = NR_OK;
    int k;

    if (n > RUN_SEGMENTS_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "run: of more than 4096 segments");
    w = calloc(1, sizeof(*w));
    if (!w)
        return nr_fail(d, NR_ENOMEM, 0, "run: no memory to write one");
    w->fd = -1;
    w->cls = -1;
    w->number = number;
    w->n_covered = n;
    w->ordinal_bits = run_ordinal_bits(n);
    nr_buf_init(&w->out, TABLE_MAX + 2 * OUT_MAX);
    nr_buf_init(&w->sums, TABLE_MAX);
    nr_buf_init(&w->table, TABLE_MAX);
    w->covered = calloc(n + 1, sizeof(*w->covered));
    w->of = calloc(n + 2, sizeof(*w->of));
    k = snprintf(w->tmp, sizeof(w->tmp), "%s/%016llx.tmp.XXXXXX", dir,
        (unsigned long long)number);
    if (!w->covered || !w->of)
        err = nr_fail(d, NR_ENOMEM, 0, "run: no memory to write one");
    else if (k < 0 || (size_t)k >= sizeof(w->tmp))
        err = nr_fail_name(d, NR_ELIMIT, "path: too long", dir);
    if (err) {
        w->tmp[0] = '\0';
        run_writer_close(w);
        return err;
    }
    if (n > 0)
        memcpy(w->covered, v, n * sizeof(*v));
    (void)snprintf(w->dir, sizeof(w->dir), "%s", dir);
    w->fd = mkostemp(w->tmp, O_CLOEXEC);
    if (w->fd < 0) {
        err = nr_fail_file(d, "run: create", w->tmp);
        w->tmp[0] = '\0';
        run_writer_close(w);
        return err;
    }
    w->at = RUN_HEADER;
    err = seal_writer_open(key, w->fd, &w->to, d);
    put_header(w, &w->sums);
    if (!err)
        err = w->sums.err ? nr_fail(d, NR_ENOMEM, 0, "run: no memory")
                          : seal_writer_put(w->to, nr_buf_bytes(&w->sums), d);
    nr_buf_reset(&w->sums);
    if (err) {
        run_writer_close(w);
        return err;
    }
    *out = w;
    return NR_OK;
}

void
run_writer_close(struct run_writer *w)
{
    if (!w)
        return;
    seal_writer_close(w->to);
    if (w->fd >= 0)
        close(w->fd);
    if (w->tmp[0])
        (void)unlink(w->tmp);
    nr_buf_fini(&w->out);
    nr_buf_fini(&w->sums);
    nr_buf_fini(&w->table);
    free(w->covered);
    free(w->of);
    free(w);
}

static void
put_foot(struct run_writer *w)
{
    for (size_t i = 0; i < w->n_covered; i++) {
        nr_buf_put_le(&w->out, w->covered[i].seq, 8);
        nr_buf_put_le(&w->out, w->covered[i].sum, 8);
    }
    for (unsigned i = 0; i < SEG_CLASSES; i++) {
        const struct key_class *c = &w->classes[i];

        nr_buf_put_le(&w->out, c->keys, 8);
        nr_buf_put_le(&w->out, c->groups, 8);
        nr_buf_put_le(&w->out, c->shift, 8);
        nr_buf_put_le(&w->out, c->at, 8);
        nr_buf_put_le(&w->out, c->octets, 8);
        nr_buf_put_le(&w->out, c->dir_at, 8);
    }
    w->at += w->n_covered * RUN_COVER_ROW + SEG_CLASSES * RUN_CLASS_ROW;
}

enum nr_err
run_writer_publish(struct run_writer *w, uint64_t *size, struct nr_diag *d)
{
    char path[NR_PATH_MAX], name[32];
    uint64_t foot_at, sums_at;
    enum nr_err err = run_writer_class(w, SEG_CLASSES - 1, 0, d);

    if (!err)
        err = end_class(w, d);
    if (err)
        return err;
    foot_at = w->at;
    put_foot(w);
    sums_at = w->at;
    err = flush(w, true, d);
    if (err)
        return err;
    *size = sums_at + w->sums.n + RUN_TRAILER;
    nr_buf_put(&w->sums, NR_BYTES(RUN_MAGIC_END));
    nr_buf_put_le(&w->sums, SEG_ENDIAN, 4);
    nr_buf_put_le(&w->sums, RUN_VERSION, 4);
    nr_buf_put_le(&w->sums, foot_at, 8);
    nr_buf_put_le(&w->sums, w->n_covered, 8);
    nr_buf_put_le(&w->sums, sums_at, 8);
    nr_buf_put_le(&w->sums, *size, 8);
    nr_buf_put_le(&w->sums, 0, 8);
    nr_buf_put_le(&w->sums, nr_xxh64(nr_buf_bytes(&w->sums), 0), 8);
    if (w->sums.err)
        return nr_fail(d, NR_ENOMEM, 0, "run: no memory to write one");
    (void)snprintf(name, sizeof(name), "%016llx.run",
        (unsigned long long)w->number);
    err = nr_path_join(path, w->dir, name, d);
    if (!err)
        err = seal_writer_put(w->to, nr_buf_bytes(&w->sums), d);
    if (!err)
        err = seal_writer_end(w->to, d);
    if (!err)
        err = nr_file_publish(w->fd, w->tmp, path, d);
    if (!err)
        w->tmp[0] = '\0';
    return err;
}
