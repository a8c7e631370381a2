#include "archive/merge.h"

#include <stdlib.h>
#include <xxhash.h>

#define FILES_MEMORY ((size_t)1 << 30) /* lists of files of one merge */
#define PACK_MAX     (2 * SEG_BLOCK_MAX)
#define POST_MEMORY  ((size_t)1 << 20) /* of postings, then given back */

/* One of the segments, with its files. */
struct from {
    struct segment *s;
    struct seg_file *files;
    size_t n_files;
    uint32_t *first; /* block in which each file begins; one more: the end */
    bool *done;
};

/* Lines that follow each other in a file and have not become a block yet. */
struct pack {
    struct nr_buf text;
    struct nr_buf rows; /* struct seg_line */
    uint64_t at, first_line;
    unsigned source;
    bool continues;
};

struct merge {
    struct nr_archive *a;
    struct from *v;
    size_t n, at; /* at: the segment that is being read */
    size_t memory;
    struct build *b;
    struct nr_arena arena;
    struct seg_text t;
    struct pack pack;
    XXH3_state_t *hash, *check;
};

enum nr_err
merge_is_whole(struct segment *s, bool *is, struct nr_diag *d)
{
    *is = true;
    for (uint32_t i = 0; i < segment_blocks(s); i++) {
        struct seg_block b;
        enum nr_err err = segment_block(s, i, &b, d);

        if (err)
            return err;
        *is = *is && !(b.flags & SEG_CUT);
    }
    return NR_OK;
}

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "compact: no memory");
}

/* The files of F and where their blocks begin. */
static enum nr_err
open_from(struct merge *m, struct from *f, struct nr_diag *d)
{
    uint32_t n = segment_blocks(f->s);
    size_t file = 0;
    enum nr_err err = segment_files(f->s, &m->arena, &f->files, &f->n_files, d);

    if (err)
        return err;
    f->first = nr_new(&m->arena, uint32_t, f->n_files + 1);
    f->done = nr_new(&m->arena, bool, f->n_files + 1);
    if (!f->first || !f->done)
        return no_memory(d);
    for (uint32_t i = 0; i < n; i++) {
        struct seg_block b;

        err = segment_block(f->s, i, &b, d);
        if (!err && b.file < file)
            err = nr_fail_name(d, NR_EDAMAGED,
                "segment: blocks are not in the order of files",
                segment_name(f->s));
        if (err)
            return err;
        while (file < b.file)
            f->first[++file] = i;
    }
    while (file < f->n_files)
        f->first[++file] = n;
    return NR_OK;
}

/* --- packing --- */

/* Make the first LINES lines of the pack, N octets, a block. */
static enum nr_err
put_block(struct merge *m, size_t n, uint32_t lines, struct nr_diag *d)
{
    struct pack *p = &m->pack;
    size_t rows = lines * sizeof(struct seg_line);
    struct build_lines in = { .text = { p->text.p, n },
        .at = p->at,
        .first_line = p->first_line,
        .lines = lines,
        .continues = p->continues,
        .keep = true };
    enum nr_err err = build_stored(m->b, &in,
        (const struct seg_line *)(const void *)p->rows.p, p->source, d);

    memmove(p->text.p, p->text.p + n, p->text.n - n);
    memmove(p->rows.p, p->rows.p + rows, p->rows.n - rows);
    p->text.n -= n;
    p->rows.n -= rows;
    p->at += n;
    p->first_line += lines;
    p->continues = false;
    if (!err && build_memory(m->b) > m->memory)
        err = NR_ELIMIT;
    return err;
}

static enum nr_err
flush(struct merge *m, struct nr_diag *d)
{
    struct pack *p = &m->pack;

    if (p->rows.n == 0)
        return NR_OK;
    return put_block(m, p->text.n,
        (uint32_t)(p->rows.n / sizeof(struct seg_line)), d);
}

/* Full blocks of the pack, each as many whole lines as it can hold. */
static enum nr_err
put_full(struct merge *m, struct nr_diag *d)
{
    struct pack *p = &m->pack;
    enum nr_err err = NR_OK;

    while (!err && p->text.n > SEG_TEXT_BLOCK) {
        const uint8_t *lf = memrchr(p->text.p, '\n', SEG_TEXT_BLOCK);
        uint32_t lines = 0;
        size_t n;

        if (!lf)
            lf = memchr(p->text.p, '\n', p->text.n);
        if (!lf)
            return flush(m, d); /* a line that goes on in the next block */
        n = (size_t)(lf - p->text.p) + 1;
        for (size_t i = 0; i < n; i++)
            lines += p->text.p[i] == '\n';
        err = put_block(m, n, lines, d);
    }
    return err;
}

/* The rows of the block that is open, appended to the pack. */
static enum nr_err
take_rows(struct merge *m, const struct seg_block *b, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(m->t.meta);
    int64_t prev = 0;
    uint32_t n = 0;

    for (; nr_cur_left(&c) > 0 && !c.err; n++) {
        struct seg_line l = seg_meta_next(&c, &prev);

        nr_buf_put(&m->pack.rows,
            (struct nr_bytes){ (const uint8_t *)&l, sizeof(l) });
    }
    if (c.err || n != b->lines)
        return nr_fail_name(d, NR_EDAMAGED,
            "segment: the lines of a block are not sound",
            segment_name(m->v[m->at].s));
    return m->pack.rows.err ? no_memory(d) : NR_OK;
}

static bool
goes_on(const struct pack *p, const struct seg_block *b)
{
    return p->rows.n > 0 && !(b->flags & SEG_CONTINUES) && p->text.n > 0 &&
        p->text.p[p->text.n - 1] == '\n' && p->source == b->source &&
        p->at + p->text.n == b->text_at &&
        p->first_line + p->rows.n / sizeof(struct seg_line) == b->first_line;
}

static enum nr_err
take_block(struct merge *m, uint32_t i, uint64_t *to, struct nr_diag *d)
{
    struct segment *s = m->v[m->at].s;
    struct pack *p = &m->pack;
    struct seg_block b;
    enum nr_err err = segment_block(s, i, &b, d);

    if (!err)
        err = segment_read(s, &b, &m->t, d);
    if (!err && !goes_on(p, &b)) {
        err = flush(m, d);
        p->at = b.text_at;
        p->first_line = b.first_line;
        p->source = b.source;
        p->continues = (b.flags & SEG_CONTINUES) != 0;
    }
    if (!err)
        err = take_rows(m, &b, d);
    if (err)
        return err;
    nr_buf_put(&p->text, m->t.text);
    if (p->text.err)
        return no_memory(d);
    if (b.text_at + b.text > *to) {
        size_t skip = *to > b.text_at ? (size_t)(*to - b.text_at) : 0;

        (void)XXH3_128bits_update(m->hash, m->t.text.p + skip,
            m->t.text.n - skip);
        *to = b.text_at + b.text;
    }
    return put_full(m, d);
}

/* --- files --- */

static bool
is_hash(XXH3_state_t *h, const uint8_t want[16])
{
    XXH128_canonical_t got;

    XXH128_canonicalFromHash(&got, XXH3_128bits_digest(h));
    return memcmp(got.digest, want, 16) == 0;
}

/* Does the text of file I of F hash as its row says? That of a file that was
 * mended does not: it stays a part by itself. */
static enum nr_err
is_proven(struct merge *m, const struct from *f, size_t i, bool *is,
    struct nr_diag *d)
{
    uint64_t to = f->files[i].from;

    (void)XXH3_128bits_reset(m->check);
    for (uint32_t k = f->first[i]; k < f->first[i + 1]; k++) {
        struct seg_block b;
        size_t skip;
        enum nr_err err = segment_block(f->s, k, &b, d);

        if (!err)
            err = segment_read(f->s, &b, &m->t, d);
        if (err)
            return err;
        if (b.text_at + b.text <= to)
            continue;
        skip = to > b.text_at ? (size_t)(to - b.text_at) : 0;
        (void)XXH3_128bits_update(m->check, m->t.text.p + skip,
            m->t.text.n - skip);
        to = b.text_at + b.text;
    }
    *is = to == f->files[i].to && is_hash(m->check, f->files[i].hash);
    return NR_OK;
}

/* The part that goes on where X ends, in a segment that is not older. A last
 * line without its end was taken again whole: both count, as two parts. */
static bool
find_next(const struct merge *m, const struct seg_file *x, size_t *at,
    size_t *file)
{
    if (x->open_at != x->to)
        return false;
    for (size_t i = *at; i < m->n; i++)
        for (size_t k = 0; k < m->v[i].n_files; k++) {
            const struct seg_file *f = &m->v[i].files[k];

            if (m->v[i].done[k] || f->id != x->id || f->from != x->to ||
                f->dev != x->dev || f->ino != x->ino || f->to == f->from ||
                !nr_str_eq(f->name, x->name))
                continue;
            *at = i;
            *file = k;
            return true;
        }
    return false;
}

static enum nr_err
take_blocks(struct merge *m, size_t file, uint64_t *to, struct nr_diag *d)
{
    const struct from *f = &m->v[m->at];
    enum nr_err err = NR_OK;

    for (uint32_t k = f->first[file]; !err && k < f->first[file + 1]; k++)
        err = take_block(m, k, to, d);
    if (!err)
        m->v[m->at].done[file] = true;
    return err;
}

/* File FILE of segment AT with all the parts that follow upon it. */
static enum nr_err
take_file(struct merge *m, size_t at, size_t file, struct nr_diag *d)
{
    struct seg_file x = m->v[at].files[file];
    uint64_t to = x.from;
    bool joined = false, proven;
    enum nr_err err = is_proven(m, &m->v[at], file, &proven, d);

    (void)XXH3_128bits_reset(m->hash);
    m->at = at;
    if (!err)
        err = take_blocks(m, file, &to, d);
    while (!err && proven && find_next(m, &x, &at, &file)) {
        const struct seg_file *f = &m->v[at].files[file];

        err = is_proven(m, &m->v[at], file, &proven, d);
        if (err || !proven)
            break;
        m->at = at;
        err = take_blocks(m, file, &to, d);
        x = (struct seg_file){ .from = x.from,
            .name = x.name,
            .id = f->id,
            .dev = f->dev,
            .ino = f->ino,
            .head_n = f->head_n,
            .to = f->to,
            .lines = f->lines,
            .open_at = f->open_at,
            .mtime_s = f->mtime_s };
        memcpy(x.head, f->head, sizeof(x.head));
        joined = true;
    }
    if (!err)
        err = flush(m, d);
    if (err)
        return err;
    if (joined) {
        XXH128_canonical_t h;

        XXH128_canonicalFromHash(&h, XXH3_128bits_digest(m->hash));
        memcpy(x.hash, h.digest, sizeof(x.hash));
    }
    build_file(m->b, &x);
    return NR_OK;
}

/* --- what the lines do not say --- */

static enum nr_err
take_presence(struct merge *m, struct segment *s, struct nr_diag *d)
{
    struct seg_presence p;
    struct seg_stream x;
    struct nr_cur c;
    enum nr_err err = segment_presence_begin(s, &c, d);

    if (err)
        return err;
    while (!err && segment_presence_next(&c, &p))
        err = build_take_days(m->b, &p);
    if (err)
        return no_memory(d);
    if (!c.err)
        err = segment_rhythm_begin(s, &c, d);
    while (!err && !c.err && segment_rhythm_next(&c, &x))
        if (build_rhythm_take(&m->b->rhythm, &x))
            return no_memory(d);
    if (!err && c.err)
        err = nr_fail_name(d, NR_EDAMAGED, "segment: days are not sound",
            segment_name(s));
    build_take_info(m->b, segment_info(s));
    return err;
}

static int
by_key(const void *a, const void *b)
{
    const struct build_sources *x = a, *y = b;

    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    return seg_key_cmp(x->key, y->key);
}

/* The entries of S whose lines are of other sources than their blocks: a few
 * where programs share a file. */
static enum nr_err
odd_sources(struct segment *s, struct nr_arena *a, struct nr_buf *odd,
    struct nr_diag *d)
{
    uint32_t n = segment_blocks(s);
    uint8_t *source = calloc((size_t)n + 1, 1);
    enum nr_err err = source ? NR_OK : no_memory(d);

    for (uint32_t i = 0; !err && i < n; i++) {
        struct seg_block b;

        err = segment_block(s, i, &b, d);
        if (!err)
            source[i] = b.source;
    }
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        for (uint64_t i = 0; !err && i < segment_keys(s, c); i++) {
            struct build_sources x = { .cls = c };
            struct seg_posting p;
            uint32_t of_blocks = 0;

            if (a->used > POST_MEMORY)
                nr_arena_reset(a);
            err = segment_posting(s, c, i, a, &p, d);
            for (uint32_t k = 0; !err && k < p.n_blocks; k++)
                of_blocks |= 1u << (source[p.blocks[k]] & 31);
            if (!err && of_blocks == p.sources)
                continue;
            if (!err)
                err = segment_key(s, c, i, &x.key, d);
            if (!err)
                nr_buf_put(odd,
                    (struct nr_bytes){ (const uint8_t *)&x, sizeof(x) });
        }
    free(source);
    return err;
}

/* Into X->sources all that S says of its key. */
static enum nr_err
add_sources(struct segment *s, struct nr_arena *a, struct build_sources *x,
    struct nr_diag *d)
{
    struct seg_key key = x->key, is;
    uint64_t at;
    enum nr_err err;

    if (x->cls == SEG_NAME)
        key.lo <<= 64 - SEG_NAME_BITS;
    err = segment_seek(s, x->cls, 0, key, &at, d);
    for (; !err && at < segment_keys(s, x->cls); at++) {
        struct seg_posting p;

        err = segment_key(s, x->cls, at, &is, d);
        if (err || seg_key_cmp(is, x->key) != 0)
            break;
        nr_arena_reset(a);
        err = segment_posting(s, x->cls, at, a, &p, d);
        if (!err)
            x->sources |= p.sources;
    }
    return err;
}

static enum nr_err
take_sources(struct merge *m, struct nr_diag *d)
{
    struct build_sources *v;
    struct nr_arena a;
    struct nr_buf odd;
    size_t n, k = 0;
    enum nr_err err = NR_OK;

    nr_arena_init(&a, FILES_MEMORY);
    nr_buf_init(&odd, SIZE_MAX / 2);
    for (size_t i = 0; !err && i < m->n; i++) {
        m->at = i;
        err = odd_sources(m->v[i].s, &a, &odd, d);
    }
    if (!err && odd.err)
        err = no_memory(d);
    v = (struct build_sources *)(void *)odd.p;
    n = err ? 0 : odd.n / sizeof(*v);
    if (n > 1)
        qsort(v, n, sizeof(*v), by_key);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_key(&v[i], &v[k - 1]) != 0)
            v[k++] = v[i];
    for (size_t j = 0; !err && j < k; j++)
        for (size_t i = 0; !err && i < m->n; i++) {
            m->at = i;
            err = add_sources(m->v[i].s, &a, &v[j], d);
        }
    if (!err)
        build_set_sources(m->b, v, k);
    nr_buf_fini(&odd);
    nr_arena_fini(&a);
    return err;
}

/* --- replacing --- */

static int
by_seq(const void *a, const void *b)
{
    const struct seg_replaced *x = a, *y = b;

    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Name the segments and, as long as their files are there, those that they
 * replace: what is hidden now stays so when they go. */
static enum nr_err
put_replaced(struct merge *m, int64_t now_s, struct nr_diag *d)
{
    struct seg_replaced *v;
    size_t n = 0, all = m->n;

    for (size_t i = 0; i < m->n; i++)
        all += segment_replaced_count(m->v[i].s);
    v = nr_new(&m->arena, struct seg_replaced, all);
    if (!v)
        return no_memory(d);
    for (size_t i = 0; i < m->n; i++) {
        struct segment *s = m->v[i].s;

        v[n++] = (struct seg_replaced){ segment_info(s)->seq, segment_sum(s),
            now_s };
        for (uint64_t k = 0; k < segment_replaced_count(s); k++) {
            enum nr_err err = segment_replaced(s, k, &v[n], d);

            m->at = i;
            if (err)
                return err;
            n += store_is_hidden(m->a, v[n].seq);
        }
    }
    qsort(v, n, sizeof(*v), by_seq);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || v[i].seq != v[i - 1].seq) {
            seg_put_replaced(&m->b->replaced, &v[i]);
            m->b->n_replaced++;
        }
    return NR_OK;
}

static enum nr_err
fill(struct merge *m, int64_t now_s, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; !err && i < m->n; i++) {
        m->at = i;
        err = open_from(m, &m->v[i], d);
    }
    for (size_t i = 0; !err && i < m->n; i++) {
        m->at = i;
        err = take_presence(m, m->v[i].s, d); /* flags too: how to index */
    }
    for (size_t i = 0; !err && i < m->n; i++)
        for (size_t k = 0; !err && k < m->v[i].n_files; k++)
            if (!m->v[i].done[k])
                err = take_file(m, i, k, d);
    if (!err)
        err = build_turn_wait(m->b, d);
    if (!err)
        err = take_sources(m, d);
    if (!err)
        err = put_replaced(m, now_s, d);
    return err;
}

static enum nr_err
publish(struct merge *m, struct merge_result *out, struct nr_diag *d)
{
    char name[STORE_NAME];
    size_t none = 0;
    enum nr_err err;

    out->seq = m->a->next_seq;
    out->text = m->b->info.text;
    err = build_publish(m->b, &out->to, d);
    if (err)
        return err;
    m->a->next_seq++;
    store_name(out->seq, name);
    err = store_take(m->a, name, d);
    if (!err)
        err = store_hide(m->a, NULL, &none, d);
    return err ? err : store_recount(m->a, d);
}

enum nr_err
merge_segments(struct nr_archive *a, const size_t *v, size_t n, size_t memory,
    int64_t now_s, struct merge_result *out, struct nr_diag *d)
{
    struct merge m = { .a = a, .n = n, .memory = memory };
    enum nr_err err = NR_OK;

    *out = (struct merge_result){ 0 };
    nr_arena_init(&m.arena, FILES_MEMORY);
    nr_buf_init(&m.pack.text, PACK_MAX);
    nr_buf_init(&m.pack.rows, PACK_MAX * sizeof(struct seg_line));
    seg_text_init(&m.t);
    m.hash = XXH3_createState();
    m.check = XXH3_createState();
    m.v = nr_new(&m.arena, struct from, n);
    if (!m.v || !m.hash || !m.check)
        err = no_memory(d);
    for (size_t i = 0; !err && i < n; i++) {
        m.v[i].s = a->v[v[i]];
        out->from += segment_size(m.v[i].s);
    }
    if (!err)
        err = build_open(a->dir, a->next_seq, a->key, INT64_MIN, &m.b, d);
    if (!err)
        err = fill(&m, now_s, d);
    out->bad = m.at;
    if (!err)
        err = publish(&m, out, d);
    build_close(m.b);
    XXH3_freeState(m.hash);
    XXH3_freeState(m.check);
    seg_text_fini(&m.t);
    nr_buf_fini(&m.pack.text);
    nr_buf_fini(&m.pack.rows);
    nr_arena_fini(&m.arena);
    return err;
}
