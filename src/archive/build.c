#include "archive/build.h"

#include "archive/archive.h"
#include "base/cpu.h"
#include "base/num.h"

#include <assert.h>
#include <stdlib.h>

#define NONE        UINT32_MAX
#define SLOTS_FIRST ((size_t)1 << 15)
#define ENTRY_MAX   ((size_t)1 << 30) /* entries; the memory ends before */
#define META_MAX    SEG_BLOCK_MAX
#define FILES_MAX   ((size_t)1 << 30)

_Static_assert(NR_SOURCES <= 32, "a mask of sources has 32 bits");
_Static_assert(NR_LOG_KINDS <= 32, "a mask of kinds has 32 bits");

enum nr_err
build_open(const char *dir, uint64_t seq, int64_t now_s, struct build **out,
    struct nr_diag *d)
{
    struct build *b = calloc(1, sizeof(*b));
    enum nr_err err;

    if (!b)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory to build one");
    b->info.created_s = now_s;
    b->info.first_s = NR_TIME_NONE;
    b->info.last_s = NR_TIME_NONE;
    b->seen_day = NR_TIME_NONE;
    nr_buf_init(&b->files, FILES_MAX);
    nr_buf_init(&b->meta, META_MAX);
    nr_tokens_init(&b->tokens, 0);
    b->slots = calloc(SLOTS_FIRST, sizeof(*b->slots));
    b->n_slots = SLOTS_FIRST;
    err = b->slots ? seg_writer_open(dir, seq, &b->w, d)
                   : nr_fail(d, NR_ENOMEM, 0, "segment: no memory");
    if (err)
        build_close(b);
    else
        *out = b;
    return err;
}

void
build_close(struct build *b)
{
    if (!b)
        return;
    seg_writer_close(b->w);
    for (size_t s = 0; s < NR_SOURCES; s++)
        for (size_t k = 0; k < NR_LOG_KINDS; k++)
            free(b->days[s][k].bits);
    free(b->entries);
    free(b->slots);
    free(b->posts);
    nr_buf_fini(&b->files);
    nr_buf_fini(&b->meta);
    nr_tokens_fini(&b->tokens);
    free(b);
}

size_t
build_memory(const struct build *b)
{
    /* What publishing needs beside: the order and the encoded index. */
    return b->n_entries * (sizeof(*b->entries) * 2 + 32) +
        b->n_posts * (sizeof(*b->posts) * 2 + 8) +
        b->n_slots * sizeof(*b->slots);
}

int64_t
build_span_days(const struct build *b)
{
    if (b->info.first_s == NR_TIME_NONE)
        return 0;
    return nr_day_of(b->info.last_s) - nr_day_of(b->info.first_s) + 1;
}

/* Presence of lines */

static bool
mark_day(struct build_days *r, int64_t day)
{
    if (!r->bits) {
        r->bits = calloc(SEG_DAYS / 8 + 1, 1);
        r->first = day;
        r->last = day;
    }
    if (!r->bits)
        return false;
    r->bits[day / 8] |= (uint8_t)(1u << (day % 8));
    r->first = day < r->first ? day : r->first;
    r->last = day > r->last ? day : r->last;
    return true;
}

static bool
mark(struct build *b, const struct nr_record *r, int64_t day)
{
    if (day == NR_TIME_NONE || day < 0 || day >= SEG_DAYS)
        return true;
    for (uint32_t k = r->kinds; k != 0; k &= k - 1)
        b->days[r->source][__builtin_ctz(k)].lines++;
    if (b->seen_source == (uint32_t)r->source && b->seen_kinds == r->kinds &&
        b->seen_day == day)
        return true;
    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if ((r->kinds & 1u << k) && !mark_day(&b->days[r->source][k], day))
            return false;
    b->seen_source = (uint32_t)r->source;
    b->seen_kinds = r->kinds;
    b->seen_day = day;
    return true;
}

/* Index */

static uint64_t
hash(enum seg_class c, struct seg_key k)
{
    if (c == SEG_NAME)
        return k.lo; /* a fingerprint is one already */
    return ((k.hi ^ (uint64_t)c) * UINT64_C(0x9e3779b97f4a7c15) ^ k.lo) *
        UINT64_C(0xd6e8feb86659fd93);
}

static bool
grow_slots(struct build *b)
{
    size_t n = b->n_slots * 2;
    uint32_t *v = calloc(n, sizeof(*v));

    if (!v)
        return false;
    for (size_t i = 0; i < b->n_entries; i++) {
        const struct build_entry *e = &b->entries[i];
        size_t at = hash(e->cls, e->key) >> 20 & (n - 1);

        while (v[at])
            at = (at + 1) & (n - 1);
        v[at] = (uint32_t)i + 1;
    }
    free(b->slots);
    b->slots = v;
    b->n_slots = n;
    return true;
}

static bool
grow_entries(struct build *b)
{
    size_t cap = b->cap_entries ? b->cap_entries * 2 : SLOTS_FIRST;
    struct build_entry *v;

    if (cap > ENTRY_MAX)
        return false;
    v = realloc(b->entries, cap * sizeof(*v));
    if (!v)
        return false;
    b->entries = v;
    b->cap_entries = cap;
    return true;
}

static struct build_entry *
entry_of(struct build *b, enum seg_class c, struct seg_key k)
{
    size_t mask, at;
    struct build_entry *e;

    if (b->n_entries * 3 >= b->n_slots * 2 && !grow_slots(b))
        return NULL;
    mask = b->n_slots - 1;
    for (at = hash(c, k) >> 20 & mask; b->slots[at]; at = (at + 1) & mask) {
        e = &b->entries[b->slots[at] - 1];
        if (e->key.lo == k.lo && e->key.hi == k.hi && e->cls == (uint32_t)c)
            return e;
    }
    if (b->n_entries == b->cap_entries && !grow_entries(b))
        return NULL;
    e = &b->entries[b->n_entries++];
    *e = (struct build_entry){ .key = k,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE,
        .head = NONE,
        .tail = NONE,
        .cls = (uint32_t)c };
    b->slots[at] = (uint32_t)b->n_entries;
    return e;
}

static bool
post(struct build *b, struct build_entry *e, uint32_t block, int32_t day)
{
    const struct build_post *last = e->tail == NONE ? NULL : &b->posts[e->tail];
    struct build_post *v;

    if (last && last->block == block && last->day == day)
        return true;
    if (b->n_posts == b->cap_posts) {
        size_t cap = b->cap_posts ? b->cap_posts * 2 : SLOTS_FIRST;

        v = cap < NONE ? realloc(b->posts, cap * sizeof(*v)) : NULL;
        if (!v)
            return false;
        b->posts = v;
        b->cap_posts = cap;
    }
    assert(b->posts); /* there is room for one more */
    b->posts[b->n_posts] = (struct build_post){ NONE, block, day };
    if (e->tail == NONE)
        e->head = (uint32_t)b->n_posts;
    else
        b->posts[e->tail].next = (uint32_t)b->n_posts;
    e->tail = (uint32_t)b->n_posts++;
    return true;
}

/* What all observations of one line share. */
struct line {
    uint64_t id;
    int64_t time_s;
    int32_t day;
    uint32_t block;
    uint32_t source;
    bool denied;
};

static bool
observe(struct build *b, unsigned kind, struct nr_bytes key,
    const struct line *l)
{
    enum seg_class c;
    struct seg_key k;
    struct build_entry *e;

    if (!seg_key_of(kind, key, &c, &k))
        return true;
    e = entry_of(b, c, k);
    if (!e)
        return false;
    if (e->line_id == l->id)
        return true;
    e->line_id = l->id;
    e->lines++;
    e->denied += l->denied;
    e->sources |= 1u << l->source;
    if (l->time_s != NR_TIME_NONE) {
        if (e->first_s == NR_TIME_NONE || l->time_s < e->first_s)
            e->first_s = l->time_s;
        if (e->last_s == NR_TIME_NONE || l->time_s > e->last_s)
            e->last_s = l->time_s;
    }
    b->info.observations++;
    return post(b, e, l->block, l->day);
}

static bool
observe_token(struct build *b, const struct nr_token *t, const struct line *l)
{
    struct nr_bytes key = nr_token_key(&b->tokens, t);
    bool ok = observe(b, t->kind, key, l);

    if (t->kind == NR_KIND_DOMAIN)
        while (ok && nr_domain_up(&key))
            ok = observe(b, t->kind, key, l);
    return ok;
}

/* Blocks */

static int64_t
seconds(int64_t us)
{
    int64_t s = us / NR_US_PER_S;

    if (us == NR_TIME_NONE)
        return us;
    s -= us % NR_US_PER_S < 0;
    return s > SEG_TIME_MAX || s < -SEG_TIME_MAX ? NR_TIME_NONE : s;
}

static void
widen(int64_t *first, int64_t *last, int64_t s)
{
    if (s == NR_TIME_NONE)
        return;
    if (*first == NR_TIME_NONE || s < *first)
        *first = s;
    if (*last == NR_TIME_NONE || s > *last)
        *last = s;
}

static void
put_meta(struct build *b, int64_t *prev, int64_t s, bool denied)
{
    uint64_t v = denied;

    if (s == NR_TIME_NONE) {
        v |= 4;
    } else {
        v |= seg_zigzag(s - *prev) << 3;
        *prev = s;
    }
    seg_put_varint(&b->meta, v);
}

static bool
take_line(struct build *b, const struct nr_record *r, struct line *l,
    struct seg_block *row, int64_t *prev)
{
    l->time_s = seconds(r->time_us);
    l->day = l->time_s == NR_TIME_NONE ? INT32_MIN
                                       : (int32_t)nr_day_of(l->time_s);
    l->denied = r->action == NR_ACTION_DENIED;
    l->source = (uint32_t)r->source;
    put_meta(b, prev, l->time_s, l->denied);
    widen(&row->first_s, &row->last_s, l->time_s);
    widen(&b->info.first_s, &b->info.last_s, l->time_s);
    b->info.sources |= 1u << l->source;
    b->info.kinds |= r->kinds;
    return mark(b, r, l->time_s == NR_TIME_NONE ? NR_TIME_NONE : l->day);
}

enum nr_err
build_block(struct build *b, struct nr_logfile *log,
    const struct build_lines *in, struct nr_diag *d)
{
    struct nr_bytes rest = in->text, text;
    struct seg_block row = { .file = b->n_files,
        .lines = in->lines,
        .first_line = in->first_line,
        .text_at = in->at,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE };
    struct line l = { .block = seg_writer_blocks(b->w) };
    enum nr_err err = nr_scanner_choose(NR_CPU_ALL).scan(in->text, &b->tokens);
    enum nr_source source;
    int64_t prev = 0;
    bool ok = true;
    size_t t = 0;

    if (err)
        return nr_fail(d, err, 0, "archive: no memory to scan a block");
    nr_buf_reset(&b->meta);
    for (uint32_t i = 0; ok; i++) {
        const uint8_t *lf = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
        size_t n = lf ? (size_t)(lf - rest.p) + 1 : rest.n;
        struct nr_record r;

        if (n == 0)
            break;
        text = nr_bytes_sub(rest, 0, n - (lf != NULL));
        if (text.n > 0 && text.p[text.n - 1] == '\r')
            text.n--;
        rest = nr_bytes_sub(rest, n, rest.n);
        nr_logline_parse(log, text, &r);
        l.id = i == 0 && in->continues ? b->line_id : ++b->line_id;
        ok = take_line(b, &r, &l, &row, &prev);
        for (; ok && t < b->tokens.n && b->tokens.v[t].line == i; t++)
            ok = observe_token(b, &b->tokens.v[t], &l);
    }
    if (!ok || b->meta.err)
        return nr_fail(d, NR_ENOMEM, 0,
            "archive: no memory for the index; give --memory less");
    source = nr_logfile_source(log);
    row.source = (uint8_t)source;
    row.flags = (uint8_t)((in->continues ? SEG_CONTINUES : 0) |
        (in->keep ? 0 : SEG_CUT));
    b->info.lines += in->lines - in->continues;
    b->info.text += in->text.n;
    if (!in->keep)
        rest = (struct nr_bytes){ in->text.p, 0 };
    else
        rest = in->text;
    return seg_writer_block(b->w, rest, nr_buf_bytes(&b->meta), &row, d);
}

void
build_file(struct build *b, const struct seg_file *f)
{
    seg_put_file(&b->files, f);
    b->n_files++;
}

/* Publishing */

struct order {
    struct seg_key key;
    uint32_t cls, entry;
};

static int
by_key(const void *a, const void *b)
{
    const struct order *x = a, *y = b;

    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    return seg_key_cmp(x->key, y->key);
}

static struct order *
sorted(const struct build *b)
{
    struct order *v = calloc(b->n_entries + 1, sizeof(*v));

    if (!v)
        return NULL;
    for (size_t i = 0; i < b->n_entries; i++)
        v[i] = (struct order){ b->entries[i].key, b->entries[i].cls,
            (uint32_t)i };
    qsort(v, b->n_entries, sizeof(*v), by_key);
    return v;
}

static int
by_day(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* Blocks come in ascending order; days need not. SCRATCH: days. */
static void
put_lists(const struct build *b, const struct build_entry *e,
    struct nr_buf *scratch, struct nr_buf *out)
{
    uint64_t blocks = 0, days = 0, last = 0;
    int32_t *day;
    size_t n;

    nr_buf_reset(scratch);
    for (uint32_t i = e->head; i != NONE; i = b->posts[i].next) {
        const struct build_post *p = &b->posts[i];

        blocks += blocks == 0 || p->block != last;
        last = p->block;
        if (p->day != INT32_MIN)
            nr_buf_put(scratch,
                (struct nr_bytes){ (const uint8_t *)&p->day, 4 });
    }
    seg_put_varint(out, blocks);
    blocks = 0;
    for (uint32_t i = e->head; i != NONE; i = b->posts[i].next) {
        uint64_t at = b->posts[i].block;

        if (blocks == 0)
            seg_put_varint(out, at);
        else if (at != last)
            seg_put_varint(out, at - last - 1);
        blocks++;
        last = at;
    }
    n = scratch->n / 4;
    day = (int32_t *)(void *)scratch->p;
    if (n > 1)
        qsort(day, n, sizeof(*day), by_day);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || day[i] != day[i - 1])
            day[days++] = day[i];
    seg_put_varint(out, days);
    for (size_t i = 0; i < days; i++)
        seg_put_varint(out,
            i ? (uint64_t)((int64_t)day[i] - day[i - 1] - 1)
              : seg_zigzag(day[i]));
}

static void
put_postings(const struct build *b, const struct order *v, struct nr_buf *ptr,
    struct nr_buf *out)
{
    struct nr_buf scratch;

    nr_buf_init(&scratch, SIZE_MAX / 2);
    for (size_t i = 0; i < b->n_entries; i++) {
        const struct build_entry *e = &b->entries[v[i].entry];

        nr_buf_put_le(ptr, out->n, 4);
        seg_put_varint(out, e->lines);
        seg_put_varint(out, e->denied);
        if (e->first_s == NR_TIME_NONE) {
            seg_put_varint(out, 0);
            seg_put_varint(out, 0);
        } else {
            seg_put_varint(out, seg_zigzag(e->first_s - b->info.first_s) + 1);
            seg_put_varint(out, (uint64_t)(e->last_s - e->first_s));
        }
        seg_put_varint(out, e->sources);
        put_lists(b, e, &scratch, out);
    }
    if (scratch.err)
        out->err = scratch.err;
    nr_buf_fini(&scratch);
}

static void
put_presence(struct build *b)
{
    struct nr_buf *out;
    uint64_t rows = 0;

    for (size_t s = 0; s < NR_SOURCES; s++)
        for (size_t k = 0; k < NR_LOG_KINDS; k++)
            rows += b->days[s][k].bits != NULL;
    out = seg_writer_section(b->w, SEG_SEC_PRESENCE, rows);
    for (size_t s = 0; s < NR_SOURCES; s++)
        for (size_t k = 0; k < NR_LOG_KINDS; k++) {
            const struct build_days *r = &b->days[s][k];
            size_t from, to;

            if (!r->bits)
                continue;
            from = (size_t)r->first / 8;
            to = (size_t)r->last / 8 + 1;
            nr_buf_put_le(out, s, 1);
            nr_buf_put_le(out, k, 1);
            nr_buf_put_le(out, r->lines, 8);
            nr_buf_put_le(out, from * 8, 4);
            nr_buf_put_le(out, to - from, 4);
            nr_buf_put(out, (struct nr_bytes){ r->bits + from, to - from });
        }
}

static void
put_keys(struct build *b, const struct order *v, const size_t *from)
{
    for (unsigned c = 0; c < SEG_CLASSES; c++) {
        struct nr_buf *out = seg_writer_section(b->w, SEG_SEC_KEYS4 + c,
            from[c + 1] - from[c]);

        for (size_t i = from[c]; i < from[c + 1]; i++) {
            struct seg_key k = v[i].key;

            if (c == SEG_V6) {
                nr_buf_put_le(out, __builtin_bswap64(k.hi), 8);
                nr_buf_put_le(out, __builtin_bswap64(k.lo), 8);
            } else {
                nr_buf_put_le(out, k.lo, c == SEG_V4 ? 4 : 8);
            }
        }
    }
}

enum nr_err
build_publish(struct build *b, uint64_t *size, struct nr_diag *d)
{
    struct order *v = sorted(b);
    size_t from[SEG_CLASSES + 1] = { 0 };
    struct nr_buf ptr, posts, *out;
    enum nr_err err = NR_OK;

    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory to sort its index");
    nr_buf_init(&ptr, UINT32_MAX);
    nr_buf_init(&posts, UINT32_MAX);
    for (size_t i = 0; i < b->n_entries; i++)
        from[v[i].cls + 1]++;
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        from[c + 1] += from[c];
    put_postings(b, v, &ptr, &posts);
    seg_put_info(seg_writer_section(b->w, SEG_SEC_INFO, 1), &b->info);
    out = seg_writer_section(b->w, SEG_SEC_FILES, b->n_files);
    nr_buf_put(out, nr_buf_bytes(&b->files));
    (void)seg_writer_section(b->w, SEG_SEC_BLOCKS, 0);
    put_presence(b);
    put_keys(b, v, from);
    for (unsigned c = 0; c < SEG_CLASSES; c++) {
        size_t n = from[c + 1] - from[c];

        out = seg_writer_section(b->w, SEG_SEC_PTR4 + c, n);
        if (n > 0 && !ptr.err)
            nr_buf_put(out,
                nr_bytes_sub(nr_buf_bytes(&ptr), from[c] * 4, from[c + 1] * 4));
    }
    nr_buf_put(seg_writer_section(b->w, SEG_SEC_POSTINGS, b->n_entries),
        nr_buf_bytes(&posts));
    if (ptr.err || posts.err || b->files.err)
        err = nr_fail(d, NR_ENOMEM, 0,
            "segment: no memory for its index; give --memory less");
    if (!err)
        err = seg_writer_publish(b->w, size, d);
    nr_buf_fini(&ptr);
    nr_buf_fini(&posts);
    free(v);
    return err;
}
