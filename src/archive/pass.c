/* A hunt through one segment. */
#include "archive/hunt.h"

#include "base/cpu.h"
#include "base/hash.h"
#include "base/num.h"

#include <stdlib.h>

#define MEMORY ((size_t)1 << 30) /* postings of one segment that are hit */
#define TRIES  8                 /* places of a text tried before a full scan */
#define FEW    ((size_t)4) /* addresses looked for one by one in a block */

/* An entry of the index that a probe found. */
struct hit {
    uint32_t probe, indicator;
    struct seg_key key;
    struct seg_posting post;
};

/* A block that is to be opened. */
struct want {
    uint32_t block, probe, indicator;
    struct seg_key key; /* of the entry */
    bool exact; /* count its lines; else only look whether it is there */
    bool once;  /* it is on one line of the block ... */
    bool done;  /* ... which was found */
};

void
pass_init(struct pass *p, struct nr_archive *a, const struct probes *probes,
    bool lines)
{
    *p = (struct pass){ .a = a, .probes = probes, .lines = lines };
    p->scanner = nr_scanner_choose(NR_CPU_ALL);
    nr_arena_init(&p->mem, MEMORY);
    nr_buf_init(&p->days, SIZE_MAX / 2);
    nr_buf_init(&p->refs, NR_HUNT_LINES_MAX * sizeof(struct ref));
    nr_buf_init(&p->hits, SIZE_MAX / 2);
    nr_buf_init(&p->wants, SIZE_MAX / 2);
    nr_buf_init(&p->origins, SIZE_MAX / 2);
    nr_buf_init(&p->urls, SIZE_MAX / 2);
    nr_buf_init(&p->meta, SEG_BLOCK_MAX * sizeof(struct seg_line));
    nr_tokens_init(&p->tokens, 0);
    nr_tokens_init(&p->one, 0);
    seg_text_init(&p->text);
}

void
pass_fini(struct pass *p)
{
    nr_arena_fini(&p->mem);
    nr_buf_fini(&p->days);
    nr_buf_fini(&p->refs);
    nr_buf_fini(&p->hits);
    nr_buf_fini(&p->wants);
    nr_buf_fini(&p->origins);
    nr_buf_fini(&p->urls);
    nr_buf_fini(&p->meta);
    nr_tokens_fini(&p->tokens);
    nr_tokens_fini(&p->one);
    seg_text_fini(&p->text);
}

static void
put(struct nr_buf *b, const void *v, size_t n)
{
    nr_buf_put(b, (struct nr_bytes){ v, n });
}

void
sum_add_time(struct sum *s, int64_t t)
{
    if (t == NR_TIME_NONE)
        return;
    if (s->first_s == NR_TIME_NONE || t < s->first_s)
        s->first_s = t;
    if (s->last_s == NR_TIME_NONE || t > s->last_s)
        s->last_s = t;
}

/* Take the entry AT of the index as a hit of probe I. */
static enum nr_err
take_hit(struct pass *p, uint32_t i, struct seg_key key, uint64_t at,
    struct nr_diag *d)
{
    const struct probe *x = &p->probes->v[i];
    struct hit h = { .probe = i, .indicator = x->indicator, .key = key };
    enum nr_err err = NR_OK;

    p->sums[x->indicator] = SUM_CLEAR;
    if (x->origin) /* its blocks are those of many URLs: pass_origin.c */
        pass_origin_hit(p, i, at);
    else
        err = segment_posting(p->s, x->cls, at, &p->mem, &h.post, d);
    if (!err)
        put(&p->hits, &h, sizeof(h));
    return err;
}

/* Where the merge is in a class: the entry at it is the first that is not
 * below the probe before. */
struct place {
    uint64_t at, n;
    struct seg_key key; /* of it, as stored */
    bool is;
};

/* Merge the sorted batch with the sorted keys. */
static enum nr_err
look_up(struct pass *p, struct nr_diag *d)
{
    struct place now[SEG_CLASSES] = { 0 };

    for (unsigned c = 0; c < SEG_CLASSES; c++)
        now[c].n = segment_keys(p->s, c);
    for (size_t j = 0; j < (p->only ? p->n_only : p->probes->n); j++) {
        size_t i = p->only ? p->only[j] : j;
        const struct probe *x = &p->probes->v[i];
        struct place *q = &now[x->cls];
        struct seg_key lo = seg_stored_key(x->cls, x->lo), key;
        struct seg_key hi = seg_stored_key(x->cls, x->hi);
        enum nr_err err = NR_OK;

        if (!probe_is_for(x, segment_info(p->s)->flags))
            continue;
        if (q->at >= q->n || (q->is && seg_key_cmp(hi, q->key) < 0))
            continue;
        if (!q->is || seg_key_cmp(q->key, lo) < 0) {
            err = segment_seek(p->s, x->cls, q->at, x->lo, &q->at, d);
            if (!err && q->at < q->n)
                err = segment_key(p->s, x->cls, q->at, &q->key, d);
            q->is = true;
        }
        if (err)
            return err;
        key = q->key;
        for (uint64_t at = q->at; at < q->n; at++) {
            if (at > q->at)
                err = segment_key(p->s, x->cls, at, &key, d);
            if (!err && seg_key_cmp(key, hi) > 0)
                break;
            if (!err)
                err = take_hit(p, (uint32_t)i, key, at, d);
            if (err)
                return err;
        }
    }
    return p->hits.err;
}

static int
by_indicator(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;

    return (x->indicator > y->indicator) - (x->indicator < y->indicator);
}

static int
by_block(const void *a, const void *b)
{
    const struct want *x = a, *y = b;

    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    if (x->indicator != y->indicator)
        return x->indicator < y->indicator ? -1 : 1;
    return (x->probe > y->probe) - (x->probe < y->probe);
}

static void
add_posting(struct pass *p, const struct hit *h)
{
    struct sum *s = &p->sums[h->indicator];

    s->lines += h->post.lines;
    s->denied += h->post.denied;
    s->sources |= h->post.sources;
    sum_add_time(s, h->post.first_s);
    sum_add_time(s, h->post.last_s);
    for (uint32_t i = 0; i < h->post.n_days; i++) {
        struct day_of day = { h->indicator, h->post.days[i] };

        put(&p->days, &day, sizeof(day));
    }
}

static void
want_all(struct pass *p, const struct hit *h)
{
    p->sums[h->indicator].sources |= h->post.sources;
    for (uint32_t i = 0; i < h->post.n_blocks; i++) {
        struct want w = { h->post.blocks[i], h->probe, h->indicator, h->key,
            true, h->post.in_block && h->post.lines == 1, false };

        put(&p->wants, &w, sizeof(w));
    }
}

/* Which blocks must be opened for the hits: one to exclude an equal
 * fingerprint; all where several entries may share lines, and where the lines
 * themselves are wanted. An address is its own key: nothing to exclude. */
static void
plan(struct pass *p)
{
    struct hit *v = (struct hit *)(void *)p->hits.p;
    size_t n = p->hits.n / sizeof(*v);

    if (n > 1)
        qsort(v, n, sizeof(*v), by_indicator);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && v[end].indicator == v[i].indicator; end++)
            continue;
        if (end - i > 1 || p->lines || v[i].post.in_block ||
            p->probes->v[v[i].probe].origin) {
            for (size_t k = i; k < end; k++)
                want_all(p, &v[k]);
        } else {
            struct want w = { v[i].post.blocks[0], v[i].probe, v[i].indicator,
                v[i].key, false, false, false };

            if (p->probes->v[v[i].probe].cls == SEG_NAME)
                put(&p->wants, &w, sizeof(w));
            else
                add_posting(p, &v[i]);
        }
    }
}

/* Does TEXT, scanned into T, show X? */
static bool
shows(const struct nr_tokens *t, const struct nr_token *k,
    const struct probe *x)
{
    struct nr_bytes key = nr_token_key(t, k);
    enum seg_class c;
    struct seg_key sk;

    do {
        if (seg_key_of(k->kind, key, &c, &sk) &&
            probe_shows(x, k->kind, key, c, sk))
            return true;
    } while (k->kind == NR_KIND_DOMAIN && nr_domain_up(&key));
    return false;
}

/* The usual text of X: names as they are, hashes as hexadecimal. */
static struct nr_bytes
usual_text(const struct probe *x, char *hex)
{
    if (x->kind != NR_KIND_MD5 && x->kind != NR_KIND_SHA1 &&
        x->kind != NR_KIND_SHA256)
        return x->key;
    nr_hex_print(x->key, hex);
    return (struct nr_bytes){ (const uint8_t *)hex, 2 * x->key.n };
}

/* The line of TEXT around AT, and its number: *LINE lines end before *SEEN. */
static struct nr_bytes
line_at(struct nr_bytes text, const uint8_t *at, const uint8_t **seen,
    uint32_t *line)
{
    const uint8_t *end = text.p + text.n, *lf;
    size_t n = (size_t)(at - *seen);

    *line += (uint32_t)nr_count_lines((struct nr_bytes){ *seen, n }, 0);
    lf = n > 0 ? memrchr(*seen, '\n', n) : NULL;
    if (lf)
        *seen = lf + 1;
    lf = memchr(at, '\n', (size_t)(end - at));
    return (struct nr_bytes){ *seen, (size_t)((lf ? lf : end) - *seen) };
}

/* Look for the usual text and scan only the lines that have it; most blocks
 * are done then. *LINE is where it was found; NR_OK with *FOUND false says
 * nothing. */
static enum nr_err
find_fast(struct pass *p, const struct probe *x, bool *found, uint32_t *line)
{
    char hex[2 * 64 + 1];
    struct nr_bytes want = usual_text(x, hex), rest = p->text.text;
    const uint8_t *seen = rest.p;

    *line = 0;
    for (int i = 0; i < TRIES && !*found && want.n > 0; i++) {
        const uint8_t *at = rest.n ? memmem(rest.p, rest.n, want.p, want.n)
                                   : NULL;
        struct nr_bytes one;
        enum nr_err err;

        if (!at)
            break;
        one = line_at(p->text.text, at, &seen, line);
        err = p->scanner.scan(one, &p->one);
        if (err)
            return err;
        for (size_t k = 0; k < p->one.n && !*found; k++)
            *found = shows(&p->one, &p->one.v[k], x);
        rest = nr_bytes_sub(rest, (size_t)(one.p + one.n - rest.p), rest.n);
    }
    return NR_OK;
}

/* Times and refusals of the lines of the open block. */
static enum nr_err
read_meta(struct pass *p, const struct seg_block *b, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(p->text.meta);
    struct seg_line *v;
    int64_t prev = 0;

    nr_buf_reset(&p->meta);
    v = (struct seg_line *)(void *)nr_buf_extend(&p->meta,
        b->lines * sizeof(*v));
    if (p->meta.err)
        return nr_fail(d, p->meta.err, 0, "hunt: no memory for a block");
    for (uint32_t i = 0; i < b->lines && !c.err; i++)
        v[i] = seg_meta_next(&c, &prev);
    if (c.err || nr_cur_left(&c) > 0)
        return nr_fail_name(d, NR_EDAMAGED,
            "segment: the lines of a block are not sound", segment_name(p->s));
    return NR_OK;
}

void
pass_count(struct pass *p, uint32_t indicator, bool source, uint32_t block,
    const struct seg_block *b, uint32_t line)
{
    const struct seg_line *l = (const struct seg_line *)(const void *)
                                   p->meta.p +
        line;
    struct sum *s = &p->sums[indicator];
    uint64_t number = b->first_line + line;
    struct ref r = { l->time_s, p->segment, block, line, indicator };

    if (s->last_file == (uint64_t)b->file + 1 && s->last_line == number)
        return;
    s->last_file = (uint64_t)b->file + 1;
    s->last_line = number;
    if (source)
        s->sources |= 1u << b->source;
    s->lines++;
    s->denied += l->denied;
    sum_add_time(s, l->time_s);
    if (l->time_s != NR_TIME_NONE) {
        struct day_of day = { indicator, (int32_t)nr_day_of(l->time_s) };

        put(&p->days, &day, sizeof(day));
    }
    if (p->lines)
        put(&p->refs, &r, sizeof(r));
}

static void
count_line(struct pass *p, const struct want *w, const struct seg_block *b,
    uint32_t line)
{
    pass_count(p, w->indicator, false, w->block, b, line);
}

static int
by_line(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Lines of the open block that show IPv4 address W->key, which has only one
 * text: it is looked for, and only the lines that have it are scanned. */
static enum nr_err
find_address(struct pass *p, const struct want *w, struct nr_buf *lines)
{
    struct nr_bytes text = p->text.text;
    const uint8_t *at = text.p, *end = text.p + text.n, *seen = text.p;
    uint32_t a = (uint32_t)w->key.lo, line = 0;
    char want[16];
    int n = snprintf(want, sizeof(want), "%u.%u.%u.%u", a >> 24, a >> 16 & 255,
        a >> 8 & 255, a & 255);

    while (n > 0 && at < end &&
        (at = memmem(at, (size_t)(end - at), want, (size_t)n)) != NULL) {
        struct nr_bytes one = line_at(text, at, &seen, &line);
        bool is = false;
        enum nr_err err = p->scanner.scan(one, &p->one);

        if (err)
            return err;
        for (size_t k = 0; k < p->one.n && !is; k++)
            is = shows(&p->one, &p->one.v[k], &p->probes->v[w->probe]);
        if (is)
            put(lines, &line, sizeof(line));
        at = one.p + one.n;
    }
    return NR_OK;
}

/* Are V[0..n), of one indicator, few IPv4 addresses to be counted? */
static bool
is_few(const struct pass *p, const struct want *v, size_t n)
{
    return n <= FEW && v[0].exact && p->probes->v[v[0].probe].cls == SEG_V4;
}

/* Number of wants at V of the same indicator. */
static size_t
group(const struct want *v, size_t n)
{
    size_t k = 1;

    while (k < n && v[k].indicator == v[0].indicator)
        k++;
    return k;
}

/* Count the lines for those of V[0..n) that are few addresses. */
static enum nr_err
count_few(struct pass *p, const struct want *v, size_t n,
    const struct seg_block *b)
{
    struct nr_buf lines;
    enum nr_err err = NR_OK;

    nr_buf_init(&lines, SEG_BLOCK_MAX * sizeof(uint32_t));
    for (size_t i = 0, k; !err && i < n; i += k) {
        const uint32_t *l;
        size_t count;

        k = group(v + i, n - i);
        if (v[i].done || !is_few(p, v + i, k))
            continue;
        if (b->flags & SEG_CUT)
            count_line(p, &v[i], b, 0);
        nr_buf_reset(&lines);
        for (size_t j = i; !err && j < i + k; j++)
            err = find_address(p, &v[j], &lines);
        count = lines.n / sizeof(*l);
        if (k > 1 && count > 1)
            qsort(lines.p, count, sizeof(*l), by_line);
        l = (const uint32_t *)(const void *)lines.p;
        for (size_t j = 0; !err && j < count; j++)
            if (j == 0 || l[j] != l[j - 1])
                count_line(p, &v[i], b, l[j]);
    }
    err = err ? err : lines.err;
    nr_buf_fini(&lines);
    return err;
}

/* Count the lines of the open block that show what V[0..n) want of it. */
static void
count_block(struct pass *p, const struct want *v, size_t n,
    const struct seg_block *b)
{
    for (size_t i = 0, end; i < n; i = end) {
        uint32_t next = 0; /* lines below are decided */

        end = i + group(v + i, n - i);
        if (!v[i].exact || v[i].done || is_few(p, v + i, end - i))
            continue;
        if (b->flags & SEG_CUT)
            count_line(p, &v[i], b, 0);
        for (size_t k = 0; k < p->tokens.n; k++) {
            const struct nr_token *t = &p->tokens.v[k];
            bool is = false;

            if (t->line < next || t->line >= b->lines)
                continue;
            for (size_t j = i; j < end && !is; j++)
                is = shows(&p->tokens, t, &p->probes->v[v[j].probe]);
            if (!is)
                continue;
            count_line(p, &v[i], b, t->line);
            next = t->line + 1;
        }
    }
}

/* The one line that W is about, if its usual text finds it. */
static enum nr_err
count_once(struct pass *p, struct want *w, const struct seg_block *b)
{
    bool found = false;
    uint32_t line;
    enum nr_err err;

    if (p->probes->v[w->probe].cls != SEG_NAME)
        return NR_OK;
    err = find_fast(p, &p->probes->v[w->probe], &found, &line);
    if (!err && found) {
        count_line(p, w, b, line);
        w->done = true;
    }
    return err;
}

enum nr_err
pass_open(struct pass *p, uint32_t i, struct seg_block *b, struct nr_diag *d)
{
    enum nr_err err = segment_block(p->s, i, b, d);

    if (!err)
        err = segment_read(p->s, b, &p->text, d);
    return err ? err : read_meta(p, b, d);
}

/* Open a block and serve V[0..n), which all want it. The postings of what is
 * not confirmed here are looked through whole: NOT_HERE gathers their hits. */
static enum nr_err
open_block(struct pass *p, struct want *v, size_t n, struct nr_buf *not_here,
    struct nr_diag *d)
{
    bool scan = false, scanned = false;
    struct seg_block b;
    uint32_t line;
    enum nr_err err = pass_open(p, v[0].block, &b, d);

    for (size_t i = 0, k; !err && i < n; i += k) {
        k = group(v + i, n - i);
        if (k == 1 && v[i].once && !(b.flags & SEG_CUT))
            err = count_once(p, &v[i], &b);
        scan |= v[i].exact && !v[i].done && !is_few(p, v + i, k);
    }
    for (size_t i = 0; !err && i < n; i++) {
        const struct probe *x = &p->probes->v[v[i].probe];
        bool found = (b.flags & SEG_CUT) != 0;

        if (v[i].exact)
            continue;
        err = find_fast(p, x, &found, &line);
        if (!err && !found && !scanned) {
            err = p->scanner.scan(p->text.text, &p->tokens);
            scanned = true;
        }
        for (size_t k = 0; !err && !found && k < p->tokens.n; k++)
            found = shows(&p->tokens, &p->tokens.v[k], x);
        if (!err && !found)
            put(not_here, &v[i].indicator, sizeof(v[i].indicator));
    }
    if (!err && scan && !scanned)
        err = p->scanner.scan(p->text.text, &p->tokens);
    if (!err && scan)
        count_block(p, v, n, &b);
    if (!err)
        err = count_few(p, v, n, &b);
    return err;
}

static enum nr_err
open_blocks(struct pass *p, struct nr_buf *not_here, struct nr_diag *d)
{
    struct want *v = (struct want *)(void *)p->wants.p;
    size_t n = p->wants.n / sizeof(*v);
    enum nr_err err = p->wants.err;

    if (n > 1)
        qsort(v, n, sizeof(*v), by_block);
    for (size_t i = 0, end; !err && i < n; i = end) {
        for (end = i + 1; end < n && v[end].block == v[i].block; end++)
            continue;
        err = open_block(p, v + i, end - i, not_here, d);
    }
    return err;
}

static bool
is_in(const struct nr_buf *b, uint32_t indicator)
{
    const uint32_t *v = (const uint32_t *)(const void *)b->p;

    for (size_t i = 0; i < b->n / sizeof(*v); i++)
        if (v[i] == indicator)
            return true;
    return false;
}

enum nr_err
pass_run(struct pass *p, struct nr_diag *d)
{
    struct nr_buf not_here;
    const struct hit *v;
    enum nr_err err;
    bool counted;

    nr_arena_reset(&p->mem);
    nr_buf_reset(&p->hits);
    nr_buf_reset(&p->wants);
    nr_buf_reset(&p->origins);
    nr_buf_reset(&p->urls);
    nr_buf_init(&not_here, SIZE_MAX / 2);
    err = look_up(p, d);
    if (!err) {
        plan(p);
        err = open_blocks(p, &not_here, d);
    }
    if (!err)
        err = pass_origins(p, d);
    /* What was confirmed counts as the index says; an entry whose first block
     * does not show it is another value, or two with one fingerprint. */
    nr_buf_reset(&p->wants);
    v = (const struct hit *)(const void *)p->hits.p;
    counted = p->lines;
    for (size_t i = 0; !err && !counted && i < p->hits.n / sizeof(*v); i++) {
        bool alone = (i == 0 || v[i - 1].indicator != v[i].indicator) &&
            ((i + 1) * sizeof(*v) >= p->hits.n ||
                v[i + 1].indicator != v[i].indicator);

        if (!alone || p->probes->v[v[i].probe].cls != SEG_NAME ||
            v[i].post.in_block || p->probes->v[v[i].probe].origin)
            continue;
        if (is_in(&not_here, v[i].indicator))
            want_all(p, &v[i]);
        else
            add_posting(p, &v[i]);
    }
    if (!err && p->wants.n > 0)
        err = open_blocks(p, &not_here, d);
    if (!err)
        err = not_here.err ? not_here.err : p->days.err;
    if (!err && p->refs.err)
        err = nr_fail(d, NR_ELIMIT, 0, HUNT_TOO_MANY);
    nr_buf_fini(&not_here);
    return err;
}

size_t
pass_hits(const struct pass *p)
{
    return p->hits.n / sizeof(struct hit);
}

uint32_t
pass_hit(const struct pass *p, size_t i)
{
    return ((const struct hit *)(const void *)p->hits.p)[i].indicator;
}
