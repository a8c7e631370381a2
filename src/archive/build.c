#include "archive/build.h"

#include "archive/archive.h"
#include "base/cpu.h"
#include "base/num.h"

#include <stdlib.h>

#define META_MAX  SEG_BLOCK_MAX
#define FILES_MAX ((size_t)1 << 30)
#define ROWS_MAX  ((size_t)1 << 32)

_Static_assert(NR_SOURCES <= 32, "a mask of sources has 32 bits");
_Static_assert(NR_LOG_KINDS <= 32, "a mask of kinds has 32 bits");

enum nr_err
build_open(const char *dir, uint64_t seq, const struct nr_archive_key *key,
    int64_t now_s, struct build **out, struct nr_diag *d)
{
    struct build *b = calloc(1, sizeof(*b));
    enum nr_err err;

    if (!b)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory to build one");
    b->info.created_s = now_s;
    b->info.first_s = NR_TIME_NONE;
    b->info.last_s = NR_TIME_NONE;
    b->seen_day = NR_TIME_NONE;
    build_rhythm_file(&b->rhythm, NR_STR(""));
    nr_buf_init(&b->files, FILES_MAX);
    nr_buf_init(&b->rows, ROWS_MAX);
    nr_buf_init(&b->replaced, SEG_REPLACED_MAX * SEG_REPLACED);
    for (size_t i = 0; i < 2; i++) {
        nr_buf_init(&b->jobs[i].text, SEG_BLOCK_MAX);
        nr_buf_init(&b->jobs[i].meta, META_MAX);
        nr_buf_init(&b->jobs[i].seen, SIZE_MAX / 2);
        nr_buf_init(&b->jobs[i].lines, SIZE_MAX / 2);
    }
    nr_tokens_init(&b->tokens, 0);
    err = build_index_init(b) ? seg_writer_open(dir, seq, key, &b->w, d)
                              : nr_fail(d, NR_ENOMEM, 0, "segment: no memory");
    if (err) {
        build_close(b);
        return err;
    }
    build_turn_begin(b);
    *out = b;
    return NR_OK;
}

void
build_close(struct build *b)
{
    if (!b)
        return;
    build_turn_end(b);
    seg_writer_close(b->w);
    for (size_t s = 0; s < NR_SOURCES; s++)
        for (size_t k = 0; k < NR_LOG_KINDS; k++)
            free(b->days[s][k].bits);
    build_index_fini(b);
    nr_buf_fini(&b->files);
    nr_buf_fini(&b->rows);
    nr_buf_fini(&b->replaced);
    for (size_t i = 0; i < 2; i++) {
        nr_buf_fini(&b->jobs[i].text);
        nr_buf_fini(&b->jobs[i].meta);
        nr_buf_fini(&b->jobs[i].seen);
        nr_buf_fini(&b->jobs[i].lines);
    }
    nr_tokens_fini(&b->tokens);
    build_rhythm_fini(&b->rhythm);
    free(b);
}

size_t
build_memory(const struct build *b)
{
    return b->memory + b->rhythm.memory;
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

static void
observe(struct build_job *j, unsigned kind, struct nr_bytes key, uint32_t line)
{
    struct build_seen o = { .line = line };
    enum seg_class c;

    if (!seg_key_of(kind, key, &c, &o.key))
        return;
    o.cls = c;
    nr_buf_put(&j->seen, (struct nr_bytes){ (const uint8_t *)&o, sizeof(o) });
}

static void
observe_token(const struct build *b, struct build_job *j,
    const struct nr_token *t)
{
    struct nr_bytes key = nr_token_key(&b->tokens, t);
    uint8_t origin[SEG_ORIGIN_MAX];

    if (t->kind == NR_KIND_URL && (b->info.flags & SEG_I_NO_URLS))
        key = seg_url_origin(key, origin);
    observe(j, t->kind, key, t->line);
    if (t->kind == NR_KIND_DOMAIN)
        while (nr_domain_up(&key))
            observe(j, t->kind, key, t->line);
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

void
build_put_row(struct build_job *j, int64_t *prev, int64_t s, bool denied)
{
    uint64_t v = denied;

    if (s == NR_TIME_NONE) {
        v |= 4;
    } else {
        v |= seg_zigzag(s - *prev) << 3;
        *prev = s;
    }
    seg_put_varint(&j->meta, v);
    widen(&j->row.first_s, &j->row.last_s, s);
}

static bool
take_line(struct build *b, const struct nr_record *r, struct build_line *l,
    struct build_job *j, int64_t *prev)
{
    l->time_s = seconds(r->time_us);
    l->day = l->time_s == NR_TIME_NONE ? INT32_MIN
                                       : (int32_t)nr_day_of(l->time_s);
    l->denied = r->action == NR_ACTION_DENIED;
    l->source = (uint32_t)r->source;
    build_put_row(j, prev, l->time_s, l->denied);
    widen(&b->info.first_s, &b->info.last_s, l->time_s);
    b->info.sources |= 1u << l->source;
    b->info.kinds |= r->kinds;
    return mark(b, r, l->time_s == NR_TIME_NONE ? NR_TIME_NONE : l->day);
}

/* Read the lines of TEXT, whose tokens are found, into J. */
static bool
read_lines(struct build *b, struct nr_logfile *log, struct nr_bytes text,
    bool continues, struct build_job *j)
{
    struct build_line l = { .block = b->n_blocks };
    int64_t prev = 0;

    for (uint32_t i = 0; text.n > 0; i++) {
        const uint8_t *lf = memchr(text.p, '\n', text.n);
        size_t n = lf ? (size_t)(lf - text.p) + 1 : text.n;
        struct nr_bytes line = nr_bytes_sub(text, 0, n - (lf != NULL));
        struct nr_record r;

        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        text = nr_bytes_sub(text, n, text.n);
        nr_logline_parse(log, line, &r);
        l.id = i == 0 && continues ? b->line_id : ++b->line_id;
        if (!take_line(b, &r, &l, j, &prev) ||
            !build_rhythm_line(&b->rhythm, &r, l.time_s))
            return false;
        nr_buf_put(&j->lines,
            (struct nr_bytes){ (const uint8_t *)&l, sizeof(l) });
    }
    return true;
}

enum nr_err
build_begin(struct build *b, const struct build_lines *in,
    struct build_job **out, struct nr_diag *d)
{
    struct build_job *j = build_turn_job(b);
    struct nr_bytes text;
    enum nr_err err;

    nr_buf_reset(&j->text);
    nr_buf_reset(&j->meta);
    nr_buf_reset(&j->seen);
    nr_buf_reset(&j->lines);
    nr_buf_put(&j->text, in->text);
    text = nr_buf_bytes(&j->text);
    err = j->text.err ? j->text.err
                      : nr_scanner_choose(NR_CPU_ALL).scan(text, &b->tokens);
    if (err)
        return nr_fail(d, err, 0, "archive: no memory to scan a block");
    j->keep = in->keep;
    j->row = (struct seg_block){ .file = b->n_files,
        .lines = in->lines,
        .first_line = in->first_line,
        .text_at = in->at,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE,
        .flags = (uint8_t)((in->continues ? SEG_CONTINUES : 0) |
            (in->keep ? 0 : SEG_CUT)) };
    for (size_t t = 0; t < b->tokens.n; t++)
        observe_token(b, j, &b->tokens.v[t]);
    *out = j;
    return NR_OK;
}

enum nr_err
build_block(struct build *b, struct nr_logfile *log,
    const struct build_lines *in, struct nr_diag *d)
{
    struct build_job *j = NULL;
    enum nr_source source;
    enum nr_err err = build_begin(b, in, &j, d);
    bool ok;

    if (err)
        return err;
    ok = read_lines(b, log, nr_buf_bytes(&j->text), in->continues, j);
    if (!ok || j->meta.err || j->seen.err || j->lines.err)
        return nr_fail(d, NR_ENOMEM, 0,
            "archive: no memory for the index; give --memory less");
    source = nr_logfile_source(log);
    j->row.source = (uint8_t)source;
    b->info.lines += in->lines - in->continues;
    b->info.text += in->text.n;
    b->n_blocks++;
    return build_turn_give(b, j, d);
}

void
build_file(struct build *b, const struct seg_file *f)
{
    seg_put_file(&b->files, f);
    build_rhythm_file(&b->rhythm, f->name);
    b->n_files++;
}

/* Publishing */

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
    enum nr_err err = build_turn_wait(b, d);

    if (err)
        return err;
    b->info.observations = b->observations;
    seg_index_init(&x, (const struct seg_block *)(const void *)b->rows.p,
        seg_writer_blocks(b->w));
    err = build_put_index(b, &x);
    seg_put_info(seg_writer_section(b->w, SEG_SEC_INFO, 1), &b->info, x.keys);
    out = seg_writer_section(b->w, SEG_SEC_FILES, b->n_files);
    nr_buf_put(out, nr_buf_bytes(&b->files));
    (void)seg_writer_section(b->w, SEG_SEC_BLOCKS, 0);
    put_presence(b);
    if (!err)
        err = seg_index_end(&x, b->w);
    if (!err)
        err = build_rhythm_rows(&b->rhythm,
            seg_writer_section(b->w, SEG_SEC_RHYTHM, b->rhythm.n));
    nr_buf_put(seg_writer_section(b->w, SEG_SEC_REPLACES, b->n_replaced),
        nr_buf_bytes(&b->replaced));
    seg_index_fini(&x);
    if (err || b->files.err || b->replaced.err)
        return nr_fail(d, NR_ENOMEM, 0,
            "segment: no memory for its index; give --memory less");
    return seg_writer_publish(b->w, size, d);
}
