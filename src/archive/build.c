#include "archive/build.h"

#include "archive/archive.h"
#include "archive/order.h"
#include "base/cpu.h"
#include "base/num.h"

#include <assert.h>
#include <stdlib.h>

#define NONE        UINT32_MAX
#define SLOTS_FIRST ((size_t)1 << 15)
#define ENTRY_MAX   ((size_t)1 << 30) /* entries; the memory ends before */
#define META_MAX    SEG_BLOCK_MAX
#define FILES_MAX   ((size_t)1 << 30)
#define ROWS_MAX    ((size_t)1 << 32)
#define AHEAD       ((size_t)12) /* observations fetched before their turn */

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
    nr_buf_init(&b->rows, ROWS_MAX);
    nr_buf_init(&b->seen, SIZE_MAX / 2);
    nr_buf_init(&b->lines, SIZE_MAX / 2);
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
    nr_buf_fini(&b->rows);
    nr_buf_fini(&b->seen);
    nr_buf_fini(&b->lines);
    nr_tokens_fini(&b->tokens);
    free(b);
}

size_t
build_memory(const struct build *b)
{
    /* What publishing needs beside: the order and the encoded index. */
    return b->n_entries *
        (sizeof(*b->entries) * 2 + 2 * sizeof(struct order) + 32) +
        b->n_posts * (sizeof(*b->posts) * 2 + sizeof(struct seg_place) + 8) +
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

/* A slot holds an entry + 1 and, above it, upper bits of its hash: a slot of
 * another key is passed without a look at its entry. 0: empty. */
static uint64_t
slot_of(uint64_t h, size_t entry)
{
    return (h & ~(uint64_t)UINT32_MAX) | ((uint64_t)entry + 1);
}

static bool
is_maybe(uint64_t slot, uint64_t h)
{
    return slot >> 32 == h >> 32;
}

static uint32_t
entry_in(uint64_t slot)
{
    return (uint32_t)(slot & UINT32_MAX) - 1;
}

static size_t
first_slot(const struct build *b, uint64_t h)
{
    return (size_t)(h >> 12) & (b->n_slots - 1);
}

static bool
grow_slots(struct build *b)
{
    size_t n = b->n_slots * 2;
    uint64_t *v = calloc(n, sizeof(*v));

    if (!v)
        return false;
    free(b->slots);
    b->slots = v;
    b->n_slots = n;
    for (size_t i = 0; i < b->n_entries; i++) {
        uint64_t h = hash(b->entries[i].cls, b->entries[i].key);
        size_t at = first_slot(b, h);

        while (v[at])
            at = (at + 1) & (n - 1);
        v[at] = slot_of(h, i);
    }
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
    uint64_t h = hash(c, k);
    size_t mask, at;
    struct build_entry *e;

    if (b->n_entries * 3 >= b->n_slots * 2 && !grow_slots(b))
        return NULL;
    mask = b->n_slots - 1;
    for (at = first_slot(b, h); b->slots[at]; at = (at + 1) & mask) {
        if (!is_maybe(b->slots[at], h))
            continue;
        e = &b->entries[entry_in(b->slots[at])];
        if (e->key.lo == k.lo && e->key.hi == k.hi && e->cls == (uint16_t)c)
            return e;
    }
    if (b->n_entries == b->cap_entries && !grow_entries(b))
        return NULL;
    e = &b->entries[b->n_entries++];
    *e = (struct build_entry){ .key = k,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE,
        .cls = (uint16_t)c };
    b->slots[at] = slot_of(h, b->n_entries - 1);
    return e;
}

static bool
post(struct build *b, struct build_entry *e, uint32_t block, int32_t day)
{
    if (e->places > 0 && e->last.block == block && e->last.day == day)
        return true;
    if (b->n_posts == b->cap_posts) {
        size_t cap = b->cap_posts ? b->cap_posts * 2 : SLOTS_FIRST;
        struct build_post *v = cap < NONE ? realloc(b->posts, cap * sizeof(*v))
                                          : NULL;

        if (!v)
            return false;
        b->posts = v;
        b->cap_posts = cap;
    }
    assert(b->posts); /* there is room for one more */
    e->last = (struct seg_place){ block, day };
    e->places++;
    b->posts[b->n_posts++] = (struct build_post){ (uint32_t)(e - b->entries),
        e->last };
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

/* An observation of the block that waits for its turn. */
struct seen {
    struct seg_key key;
    uint32_t cls, line; /* line: index in the block */
};

static bool
count(struct build *b, const struct seen *o, const struct line *l)
{
    struct build_entry *e = entry_of(b, o->cls, o->key);

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

/* Slots and entries lie all over the memory: those of the next observations
 * are fetched while this one is counted. */
static bool
count_all(struct build *b)
{
    const struct seen *v = (const struct seen *)(const void *)b->seen.p;
    const struct line *l = (const struct line *)(const void *)b->lines.p;
    size_t n = b->seen.n / sizeof(*v);

    for (size_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n) {
            const struct seen *far = &v[i + 2 * AHEAD];

            __builtin_prefetch(
                &b->slots[first_slot(b, hash(far->cls, far->key))]);
        }
        if (i + AHEAD < n) {
            uint64_t h = hash(v[i + AHEAD].cls, v[i + AHEAD].key);
            uint64_t slot = b->slots[first_slot(b, h)];

            if (slot && is_maybe(slot, h)) {
                const struct build_entry *e = &b->entries[entry_in(slot)];

                __builtin_prefetch(e);
                __builtin_prefetch(&e->places);
            }
        }
        if (!count(b, &v[i], &l[v[i].line]))
            return false;
    }
    return true;
}

static void
observe(struct build *b, unsigned kind, struct nr_bytes key, uint32_t line)
{
    struct seen o = { .line = line };
    enum seg_class c;

    if (!seg_key_of(kind, key, &c, &o.key))
        return;
    o.cls = c;
    nr_buf_put(&b->seen, (struct nr_bytes){ (const uint8_t *)&o, sizeof(o) });
}

static void
observe_token(struct build *b, const struct nr_token *t)
{
    struct nr_bytes key = nr_token_key(&b->tokens, t);

    observe(b, t->kind, key, t->line);
    if (t->kind == NR_KIND_DOMAIN)
        while (nr_domain_up(&key))
            observe(b, t->kind, key, t->line);
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

    if (err)
        return nr_fail(d, err, 0, "archive: no memory to scan a block");
    nr_buf_reset(&b->meta);
    nr_buf_reset(&b->seen);
    nr_buf_reset(&b->lines);
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
        nr_buf_put(&b->lines,
            (struct nr_bytes){ (const uint8_t *)&l, sizeof(l) });
    }
    for (size_t t = 0; t < b->tokens.n; t++)
        observe_token(b, &b->tokens.v[t]);
    if (!ok || b->meta.err || b->seen.err || b->lines.err || !count_all(b))
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
    nr_buf_put(&b->rows,
        (struct nr_bytes){ (const uint8_t *)&row, sizeof(row) });
    if (b->rows.err)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for a block");
    return seg_writer_block(b->w, rest, nr_buf_bytes(&b->meta), &row, d);
}

void
build_file(struct build *b, const struct seg_file *f)
{
    seg_put_file(&b->files, f);
    b->n_files++;
}

/* Publishing */

/* V: room for all entries twice. Returns how many are of class C. */
static size_t
sorted(const struct build *b, enum seg_class c, struct order *v)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_entries; i++)
        if (b->entries[i].cls == (uint16_t)c)
            v[n++] = (struct order){ b->entries[i].key, (uint32_t)i };
    order_sort(c, v, v + b->n_entries, n);
    return n;
}

/* The places of all entries, those of one behind each other, ascending as they
 * came. AT: room for one more than there are entries; where each begins. */
static struct seg_place *
gather(const struct build *b, uint32_t *at)
{
    struct seg_place *v = calloc(b->n_posts + 1, sizeof(*v));
    uint32_t n = 0;

    for (size_t i = 0; i < b->n_entries; i++) {
        at[i] = n;
        n += b->entries[i].places;
    }
    for (size_t i = 0; v && i < b->n_posts; i++)
        v[at[b->posts[i].entry]++] = b->posts[i].at;
    for (size_t i = b->n_entries; i > 0; i--)
        at[i] = at[i - 1];
    at[0] = 0;
    return v;
}

static void
put_entry(const struct build_entry *e, enum seg_class c,
    const struct seg_place *places, struct seg_index *x)
{
    struct seg_entry out = { .key = e->key,
        .lines = e->lines,
        .denied = e->denied,
        .first_s = e->first_s,
        .last_s = e->last_s,
        .sources = e->sources,
        .places = places,
        .n_places = e->places };

    if (e->places > 0)
        seg_index_put(x, c, &out);
}

/* The whole index, gathered in X. */
static enum nr_err
put_index(const struct build *b, struct seg_index *x)
{
    struct order *v = calloc(2 * b->n_entries + 1, sizeof(*v));
    uint32_t *at = calloc(b->n_entries + 1, sizeof(*at));
    struct seg_place *places = at ? gather(b, at) : NULL;
    enum nr_err err = v && places ? NR_OK : NR_ENOMEM;

    for (unsigned c = 0; !err && c < SEG_CLASSES; c++) {
        size_t n = sorted(b, c, v);

        for (size_t i = 0; i < n; i++) {
            if (i + AHEAD < n) {
                __builtin_prefetch(&b->entries[v[i + AHEAD].of]);
                __builtin_prefetch(&b->entries[v[i + AHEAD].of].places);
                __builtin_prefetch(&places[at[v[i + AHEAD].of]]);
            }
            put_entry(&b->entries[v[i].of], c, places + at[v[i].of], x);
        }
    }
    free(places);
    free(at);
    free(v);
    return err;
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

enum nr_err
build_publish(struct build *b, uint64_t *size, struct nr_diag *d)
{
    struct seg_index x;
    struct nr_buf *out;
    enum nr_err err;

    seg_index_init(&x, (const struct seg_block *)(const void *)b->rows.p,
        seg_writer_blocks(b->w));
    err = put_index(b, &x);
    seg_put_info(seg_writer_section(b->w, SEG_SEC_INFO, 1), &b->info, x.keys);
    out = seg_writer_section(b->w, SEG_SEC_FILES, b->n_files);
    nr_buf_put(out, nr_buf_bytes(&b->files));
    (void)seg_writer_section(b->w, SEG_SEC_BLOCKS, 0);
    put_presence(b);
    if (!err)
        err = seg_index_end(&x, b->w);
    seg_index_fini(&x);
    if (err || b->files.err)
        return nr_fail(d, NR_ENOMEM, 0,
            "segment: no memory for its index; give --memory less");
    return seg_writer_publish(b->w, size, d);
}
