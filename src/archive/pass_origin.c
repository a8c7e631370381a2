/*
 * URLs in a segment that does not index them. The blocks that show the origin
 * of any URL asked for are read once each, and every URL in them is looked up
 * among those asked for: lists hold thousands of URLs of one host.
 */
#include "archive/hunt.h"

#include "base/table.h"

#include <stdlib.h>

static void
put(struct nr_buf *b, const void *v, size_t n)
{
    nr_buf_put(b, (struct nr_bytes){ v, n });
}

void
pass_origin_hit(struct pass *p, uint32_t probe, uint64_t at)
{
    put(&p->origins, &at, sizeof(at));
    put(&p->urls, &probe, sizeof(probe));
}

static int
by_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int
by_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* V[0..n) in order, each once: how many are left. */
static size_t
unique_u32(uint32_t *v, size_t n)
{
    size_t kept = 0;

    if (n > 1)
        qsort(v, n, sizeof(*v), by_u32);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || v[i] != v[i - 1])
            v[kept++] = v[i];
    return kept;
}

/* The blocks of all entries that were hit, in order, into BLOCKS. */
static enum nr_err
gather(struct pass *p, struct nr_buf *blocks, struct nr_diag *d)
{
    uint64_t *at = (uint64_t *)(void *)p->origins.p;
    size_t n = p->origins.n / sizeof(*at);
    enum nr_err err = p->origins.err;

    if (n > 1)
        qsort(at, n, sizeof(*at), by_u64);
    for (size_t i = 0; !err && i < n; i++) {
        struct seg_posting post;

        if (i > 0 && at[i] == at[i - 1])
            continue;
        err = segment_posting(p->s, SEG_NAME, at[i], &p->mem, &post, d);
        if (!err)
            put(blocks, post.blocks, post.n_blocks * sizeof(*post.blocks));
    }
    if (err)
        return err;
    blocks->n = unique_u32((uint32_t *)(void *)blocks->p,
                    blocks->n / sizeof(uint32_t)) *
        sizeof(uint32_t);
    return blocks->err;
}

/* The URLs asked for, by their octets: *LIST of probes, those of one URL side
 * by side, and where each begins. */
struct asked {
    const struct probe **list; /* owned */
    size_t n;
    struct nr_table table;
};

static int
by_key(const void *a, const void *b)
{
    const struct probe *const *x = a, *const *y = b;
    int c = nr_bytes_cmp((*x)->key, (*y)->key);

    return c ? c
             : ((*x)->indicator > (*y)->indicator) -
            ((*x)->indicator < (*y)->indicator);
}

static enum nr_err
ask(struct pass *p, struct asked *q)
{
    uint32_t *v = (uint32_t *)(void *)p->urls.p;

    if (p->urls.err)
        return p->urls.err;
    q->n = unique_u32(v, p->urls.n / sizeof(*v));
    q->list = calloc(q->n + 1, sizeof(const struct probe *));
    if (!q->list)
        return NR_ENOMEM;
    for (size_t i = 0; i < q->n; i++)
        q->list[i] = &p->probes->v[v[i]];
    if (q->n > 1)
        qsort(q->list, q->n, sizeof(const struct probe *), by_key);
    for (size_t i = 0; i < q->n; i++)
        if ((i == 0 || !nr_bytes_eq(q->list[i]->key, q->list[i - 1]->key)) &&
            !nr_table_put(&q->table, q->list[i]->key, i, NULL))
            return NR_ENOMEM;
    return NR_OK;
}

/* Count the lines of block I that show URLs asked for. */
static enum nr_err
count(struct pass *p, const struct asked *q, uint32_t i, struct nr_diag *d)
{
    struct seg_block b;
    enum nr_err err = pass_open(p, i, &b, d);

    if (!err && !(b.flags & SEG_CUT))
        err = p->scanner.scan(p->text.text, &p->tokens);
    if (err || (b.flags & SEG_CUT))
        return err;
    for (size_t k = 0; k < p->tokens.n; k++) {
        const struct nr_token *t = &p->tokens.v[k];
        struct nr_bytes key = nr_token_key(&p->tokens, t);
        const uint64_t *at;

        if (t->kind != NR_KIND_URL || t->line >= b.lines)
            continue;
        at = nr_table_get(&q->table, key);
        for (size_t j = at ? *at : q->n;
             j < q->n && nr_bytes_eq(q->list[j]->key, key); j++)
            pass_count(p, q->list[j]->indicator, true, i, &b, t->line);
    }
    return NR_OK;
}

enum nr_err
pass_origins(struct pass *p, struct nr_diag *d)
{
    struct asked q = { 0 };
    struct nr_buf blocks;
    enum nr_err err;

    if (p->urls.n == 0)
        return NR_OK;
    nr_buf_init(&blocks, SIZE_MAX / 2);
    nr_table_init(&q.table, p->urls.n);
    err = gather(p, &blocks, d);
    if (!err)
        err = ask(p, &q);
    for (size_t i = 0; !err && i < blocks.n / sizeof(uint32_t); i++)
        err = count(p, &q, ((const uint32_t *)(const void *)blocks.p)[i], d);
    nr_table_fini(&q.table);
    free(q.list);
    nr_buf_fini(&blocks);
    return err;
}
