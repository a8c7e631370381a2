#include "archive/ingest.h"

#include "archive/dropped.h"

#include "base/num.h"
#include "input/input.h"

#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#define FILES_MEMORY ((size_t)1 << 31) /* of one segment's list of files */
/* Files of equal beginning whose content is compared with a new one. */
#define CANDIDATES_MAX ((size_t)16)
#define COMPARE_BLOCK  ((size_t)1 << 20)

void
hash128(struct nr_bytes b, uint8_t out[16])
{
    XXH128_canonical_t h;

    XXH128_canonicalFromHash(&h, XXH3_128bits(b.p, b.n));
    memcpy(out, h.digest, 16);
}

void
catalogue_fini(struct catalogue *c)
{
    free(c->v);
    *c = (struct catalogue){ 0 };
}

enum nr_err
catalogue_put(struct catalogue *c, const struct seg_file *f, struct nr_diag *d)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 256;
        struct part *v = realloc(c->v, cap * sizeof(*v));

        if (!v)
            return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for files");
        c->v = v;
        c->cap = cap;
    }
    c->v[c->n].f = *f;
    c->v[c->n++].f.name = NR_STR("");
    return NR_OK;
}

/* What was dropped is known as if it were there. */
static enum nr_err
load_dropped(struct catalogue *c, struct nr_archive *a, struct nr_arena *arena,
    struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    struct seg_file *v;
    size_t n;
    enum nr_err err;

    nr_arena_reset(arena);
    err = dropped_read(a->dir, arena, &v, &n, &why);
    if (err == NR_EDAMAGED) {
        store_say(a, &why);
        return NR_OK;
    }
    if (err && d)
        *d = why;
    for (size_t i = 0; !err && i < n; i++)
        err = catalogue_put(c, &v[i], d);
    return err;
}

enum nr_err
catalogue_load(struct catalogue *c, struct nr_archive *a, struct nr_diag *d)
{
    struct nr_arena arena;
    enum nr_err err = NR_OK;

    nr_arena_init(&arena, FILES_MEMORY);
    for (size_t i = 0; !err && i < a->n; i++) {
        struct nr_diag why = { 0 };
        struct seg_file *v;
        size_t n = 0;

        nr_arena_reset(&arena);
        err = segment_files(a->v[i], &arena, &v, &n, &why);
        if (err == NR_EDAMAGED) {
            store_say(a, &why);
            err = NR_OK;
            continue;
        }
        if (err && d)
            *d = why;
        for (size_t k = 0; !err && k < n; k++)
            err = catalogue_put(c, &v[k], d);
    }
    if (!err)
        err = load_dropped(c, a, &arena, d);
    nr_arena_fini(&arena);
    return err;
}

/* The parts of one file, in the order of the text. */
struct chain {
    uint64_t id, end;
    const struct seg_file *v[64]; /* the youngest ones, if there are more */
    size_t n;
    bool same; /* the very file: device and inode */
};

static bool
begins_alike(const struct seg_file *f, const struct identity *who,
    uint32_t *cached, uint8_t hash[16])
{
    if (f->head_n == 0 || f->head_n > who->head_n)
        return false;
    if (*cached != f->head_n)
        hash128((struct nr_bytes){ who->head, f->head_n }, hash);
    *cached = f->head_n;
    return memcmp(hash, f->head, 16) == 0;
}

static void
chain_add(struct chain *x, const struct seg_file *f)
{
    size_t i, max = sizeof(x->v) / sizeof(x->v[0]);

    if (x->n == max) {
        memmove(x->v, x->v + 1, (max - 1) * sizeof(x->v[0]));
        x->n--;
    }
    for (i = x->n; i > 0 && x->v[i - 1]->from > f->from; i--)
        x->v[i] = x->v[i - 1];
    x->v[i] = f;
    x->n++;
    x->end = f->to > x->end ? f->to : x->end;
}

/* How much F's beginning says about WHO: many logs begin with the same
 * header, so the very file and long beginnings are looked at first. */
static int
likeness(const struct seg_file *f, const struct identity *who)
{
    if (f->ino != 0 && f->ino == who->ino && f->dev == who->dev)
        return 0;
    return f->head_n == SEG_HEAD || f->head_n == who->head_n ? 1 : 2;
}

/* Files that begin as WHO does, the likeliest CANDIDATES_MAX. */
static size_t
candidates(const struct catalogue *c, const struct identity *who,
    struct chain *v)
{
    uint32_t cached = 0;
    uint8_t hash[16] = { 0 };
    size_t n = 0;

    for (int like = 0; like < 3; like++)
        for (size_t i = 0; i < c->n && n < CANDIDATES_MAX; i++) {
            const struct seg_file *f = &c->v[i].f;
            size_t k = 0;

            if (likeness(f, who) != like ||
                !begins_alike(f, who, &cached, hash))
                continue;
            while (k < n && v[k].id != f->id)
                k++;
            if (k == n)
                v[n++] = (struct chain){ .id = f->id, .same = like == 0 };
        }
    for (size_t i = 0; n > 0 && i < c->n; i++)
        for (size_t k = 0; k < n; k++)
            if (v[k].id == c->v[i].f.id)
                chain_add(&v[k], &c->v[i].f);
    return n;
}

static void
know(struct known *out, const struct seg_file *f)
{
    out->id = f->id;
    out->to = f->to;
    out->lines = f->lines;
    out->open_at = f->open_at;
}

/* Feed BLOCK of the text at AT to the parts of X from *PART on. False: the
 * text differs from part *PART. */
static bool
compare_block(const struct chain *x, size_t *part, XXH3_state_t *h,
    struct nr_bytes block, uint64_t at)
{
    uint64_t end = at + block.n;

    while (*part < x->n) {
        const struct seg_file *f = x->v[*part];
        uint64_t from = f->from > at ? f->from : at;
        uint64_t to = f->to < end ? f->to : end;
        XXH128_canonical_t got;

        if (from < to)
            (void)XXH3_128bits_update(h, block.p + (from - at), to - from);
        if (f->to > end)
            return true;
        XXH128_canonicalFromHash(&got, XXH3_128bits_digest(h));
        if (memcmp(got.digest, f->hash, 16) != 0)
            return false;
        (void)XXH3_128bits_reset(h);
        ++*part;
    }
    return true;
}

/* How many parts of X the text of FD begins with. Parts that were pruned are
 * holes: what stood there was here once, and is not added again. */
static enum nr_err
compare(int fd, const char *name, const struct chain *x, size_t *parts,
    struct nr_diag *d)
{
    struct nr_input_options o = { .block = COMPARE_BLOCK };
    struct nr_input *in = NULL;
    XXH3_state_t *h = XXH3_createState();
    enum nr_err err;

    *parts = 0;
    if (!h)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory to compare files");
    (void)XXH3_128bits_reset(h);
    (void)lseek(fd, 0, SEEK_SET);
    err = nr_input_from_fd(fd, name, &o, &in, d);
    while (!err && *parts < x->n) {
        struct nr_block b;

        err = nr_input_next(in, &b, NULL);
        if (err || b.text.n == 0 || !compare_block(x, parts, h, b.text, b.at))
            break;
    }
    nr_input_free(in);
    XXH3_freeState(h);
    (void)lseek(fd, 0, SEEK_SET);
    /* What cannot be read is found out again, and said, when it is added. */
    return err == NR_ENOMEM ? err : NR_OK;
}

enum nr_err
catalogue_find(const struct catalogue *c, int fd, const char *name,
    const struct identity *who, struct known *out, struct nr_diag *d)
{
    struct chain *v = calloc(CANDIDATES_MAX, sizeof(*v));
    enum nr_err err = NR_OK;
    uint32_t cached = 0;
    uint8_t hash[16] = { 0 };
    size_t n;

    *out = (struct known){ 0 };
    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory to compare files");
    n = candidates(c, who, v);
    for (size_t i = 0; i < n; i++) {
        const struct chain *x = &v[i];

        /* The youngest part knows the longest beginning: a file that was
         * emptied and filled anew may share its header with the old one. */
        if (x->same && who->size >= x->end && x->end > out->to &&
            begins_alike(x->v[x->n - 1], who, &cached, hash))
            know(out, x->v[x->n - 1]);
    }
    for (size_t i = 0; !err && i < n; i++) {
        size_t parts = 0;

        if (v[i].end <= out->to)
            continue;
        err = compare(fd, name, &v[i], &parts, d);
        if (parts > 0 && v[i].v[parts - 1]->to > out->to) {
            know(out, v[i].v[parts - 1]);
            /* Another file, or one that parts from what is known, goes on by
             * itself: many files begin with the same header. */
            if (parts < v[i].n || !v[i].same)
                out->id = 0;
        }
    }
    free(v);
    return err;
}
