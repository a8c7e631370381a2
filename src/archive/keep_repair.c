/* Building a damaged segment anew from the blocks that are sound. */
#include "archive/build.h"
#include "archive/keep_map.h"
#include "archive/runs.h"
#include "archive/store.h"
#include "base/hash.h"
#include "base/num.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <zstd.h>

#define REPAIR_MEMORY ((size_t)1 << 30)
#define ZONE_MAX      (INT64_C(14) * 3600)
#define ZONE_STEP     (INT64_C(15) * 60)
#define INFO_KEYS     ((size_t)56) /* where the counts of keys stand in it */
#define FRAME_MAGIC   "\x28\xb5\x2f\xfd" /* RFC 8878 section 3.1.1 */

struct repair {
    struct nr_archive *a;
    struct keep_map m;
    struct segment *s; /* over the mended copy; NULL: walk */
    struct build *b;
    struct seg_text t;
    struct nr_arena arena;
    struct seg_file *files;
    size_t n_files;
    struct nr_buf times; /* first_s, last_s of the blocks taken, as before */
    struct nr_repaired *got;
    int64_t now_s;
};

/* NUL-terminated in the arena; NULL: no memory. */
static char *
text_of(struct repair *r, struct nr_str s)
{
    char *p = nr_new(&r->arena, char, s.n + 1);

    if (p && s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

static uint32_t
count_lines(struct nr_bytes text)
{
    uint32_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n + (text.n > 0 && text.p[text.n - 1] != '\n');
}

/* Where the text of a walked block ends: after the line feed behind which one
 * row for each line follows, and nothing more. */
static bool
split(struct nr_bytes all, struct nr_bytes *text, struct nr_bytes *meta)
{
    for (size_t at = all.n; at > 0; at--) {
        struct nr_cur c;
        uint32_t lines, rows = 0;

        if (all.p[at - 1] != '\n')
            continue;
        *text = nr_bytes_sub(all, 0, at);
        *meta = nr_bytes_sub(all, at, all.n);
        lines = count_lines(*text);
        if (meta->n > (size_t)lines * 10)
            break;
        for (c = nr_cur(*meta); nr_cur_left(&c) > 0 && !c.err; rows++)
            (void)seg_get_varint(&c);
        if (!c.err && rows == lines)
            return true;
    }
    return false;
}

/* The packed block at AT of the file; its stored octets, 0: there is none. */
static size_t
unpack(struct repair *r, size_t at, struct nr_bytes *all)
{
    size_t left = r->m.n - at, n, size;
    uint8_t *to;

    if (left < 4 || memcmp(r->m.p + at, FRAME_MAGIC, 4) != 0)
        return 0;
    n = ZSTD_findFrameCompressedSize(r->m.p + at, left);
    if (ZSTD_isError(n) || n > left)
        return 0;
    nr_buf_reset(&r->t.buf);
    to = nr_buf_extend(&r->t.buf, SEG_BLOCK_MAX);
    if (!to)
        return 0;
    size = ZSTD_decompress(to, SEG_BLOCK_MAX, r->m.p + at, n);
    if (ZSTD_isError(size))
        return 0;
    *all = (struct nr_bytes){ to, size };
    return n;
}

/* Block I, opened and proven by its own checksum. Its row may be damaged in
 * what the checksum does not cover. */
static bool
take(struct repair *r, uint32_t i, struct seg_block *b)
{
    struct nr_bytes all;

    if (!keep_map_block(&r->m, i, b) || !keep_map_sound(&r->m, b))
        return false;
    if (unpack(r, b->at, &all) != b->stored)
        all = (struct nr_bytes){ r->m.p + b->at, b->stored };
    if ((uint64_t)b->text + b->meta != all.n)
        return split(all, &r->t.text, &r->t.meta);
    r->t.text = nr_bytes_sub(all, 0, b->text);
    r->t.meta = nr_bytes_sub(all, b->text, all.n);
    return true;
}

static void
lose(struct repair *r, uint32_t i)
{
    struct seg_block b = { 0 };

    r->got->blocks_lost++;
    if (keep_map_block(&r->m, i, &b) && !r->m.blocks_bad)
        r->got->lines_lost += b.lines;
}

/* The form of the log as its first sound block shows it. */
static enum nr_err
learn(const struct seg_file *f, int64_t east_s, int64_t now_s, const char *name,
    struct nr_bytes head, struct nr_logfile **out, struct nr_diag *d)
{
    struct nr_logfile_options lo = { .name = name,
        .zone_east_s = east_s,
        .last_s = f->mtime_s };
    enum nr_err err;

    if (lo.last_s == NR_TIME_NONE || lo.last_s > now_s || lo.last_s <= 0)
        lo.last_s = now_s;
    err = nr_logfile_new(&lo, out, d);
    if (!err)
        nr_logfile_learn(*out, head);
    return err;
}

/* Times that name no zone were read in one that is told nowhere: the first
 * line's time, read as UTC, less the time that was kept of it. */
static int64_t
zone_of(struct nr_logfile *log, struct nr_bytes text, struct nr_bytes meta)
{
    struct nr_cur c = nr_cur(meta);
    int64_t prev = 0;

    while (text.n > 0 && nr_cur_left(&c) > 0) {
        const uint8_t *lf = memchr(text.p, '\n', text.n);
        size_t n = lf ? (size_t)(lf - text.p) : text.n;
        struct seg_line l = seg_meta_next(&c, &prev);
        struct nr_record rec;
        int64_t off;

        nr_logline_parse(log, nr_bytes_sub(text, 0, n), &rec);
        text = nr_bytes_sub(text, nr_min(n + 1, text.n), text.n);
        if (l.time_s == NR_TIME_NONE || rec.time_us == NR_TIME_NONE)
            continue;
        off = rec.time_us / NR_US_PER_S - l.time_s;
        return off % ZONE_STEP == 0 && off <= ZONE_MAX && off >= -ZONE_MAX ? off
                                                                           : 0;
    }
    return 0;
}

static enum nr_err
open_log(struct repair *r, const struct seg_file *f, uint32_t from, uint32_t to,
    struct nr_logfile **out, struct nr_diag *d)
{
    struct nr_logfile *log = NULL;
    struct seg_block b;
    const char *name = text_of(r, f->name);
    int64_t east = 0;
    enum nr_err err = NR_OK;

    if (!name)
        return nr_fail(d, NR_ENOMEM, 0, "repair: no memory");
    while (from < to && !take(r, from, &b))
        from++;
    if (from < to) {
        err = learn(f, 0, r->now_s, name, r->t.text, &log, d);
        if (!err)
            east = zone_of(log, r->t.text, r->t.meta);
        nr_logfile_free(log);
        log = NULL;
    }
    if (!err)
        err = learn(f, east, r->now_s, name,
            from < to ? r->t.text : (struct nr_bytes){ 0 }, &log, d);
    for (; !err && from < to && nr_logfile_wants_prescan(log); from++)
        if (take(r, from, &b))
            nr_logfile_prescan(log, r->t.text);
    if (!err)
        *out = log;
    return err;
}

static enum nr_err
feed(struct repair *r, struct nr_logfile *log, struct nr_bytes text,
    const struct seg_block *b, bool continues, struct nr_diag *d)
{
    struct build_lines in = { .text = text,
        .at = b->text_at,
        .first_line = b->first_line,
        .lines = count_lines(text),
        .continues = continues,
        .keep = true };
    enum nr_err err = build_block(r->b, log, &in, d);

    r->got->blocks += err == NR_OK;
    return err;
}

/* The blocks [FROM, TO) of file F. */
static enum nr_err
file_again(struct repair *r, const struct seg_file *f, uint32_t from,
    uint32_t to, struct nr_diag *d)
{
    struct nr_logfile *log = NULL;
    bool goes_on = false; /* the block before was taken */
    enum nr_err err = open_log(r, f, from, to, &log, d);

    for (uint32_t i = from; !err && i < to; i++) {
        struct seg_block b;
        bool ok = take(r, i, &b);

        if (!ok || (r->t.text.n == 0 && (b.flags & SEG_CUT))) {
            lose(r, i);
            goes_on = false;
            continue;
        }
        nr_buf_put_le(&r->times, (uint64_t)b.first_s, 8);
        nr_buf_put_le(&r->times, (uint64_t)b.last_s, 8);
        err = feed(r, log, r->t.text, &b,
            goes_on && (b.flags & SEG_CONTINUES) != 0, d);
        goes_on = true;
    }
    nr_logfile_free(log);
    if (!err)
        build_file(r->b, f);
    return err;
}

/* A list of files in place of one that is lost: one for each number that the
 * blocks name. */
static enum nr_err
invent_files(struct repair *r, struct nr_diag *d)
{
    uint64_t id[2] = { r->m.seq, r->m.sums_at };
    char name[64];

    r->got->names_lost = true;
    r->files = nr_new(&r->arena, struct seg_file, 1);
    if (!r->files)
        return nr_fail(d, NR_ENOMEM, 0, "repair: no memory");
    (void)snprintf(name, sizeof(name), "recovered/%s", r->m.name);
    r->files[0] = (struct seg_file){
        .id = nr_xxh64((struct nr_bytes){ (const uint8_t *)id, sizeof(id) }, 1),
        .mtime_s = r->now_s,
        .name = nr_str_of(text_of(r, nr_str_of(name))),
    };
    r->n_files = 1;
    return NR_OK;
}

static enum nr_err
by_table(struct repair *r, struct nr_diag *d)
{
    uint32_t n = segment_blocks(r->s), from = 0;
    enum nr_err err = NR_OK;

    r->got->names_lost = r->m.files_bad || r->m.blocks_bad;
    if (segment_files(r->s, &r->arena, &r->files, &r->n_files, NULL) != NR_OK)
        return invent_files(r, d);
    for (uint32_t f = 0; !err && f < r->n_files; f++) {
        uint32_t to = from, last = from;

        /* Rows that cannot be read go with the file around them. */
        for (; to < n; to++) {
            struct seg_block b;

            if (!take(r, to, &b))
                continue;
            if (b.file > f)
                break;
            last = to + 1;
        }
        last = f + 1 == r->n_files ? n : to == n ? last : to;
        err = file_again(r, &r->files[f], from, last, d);
        from = last;
    }
    return err;
}

/* Without a table: packed blocks show themselves; they carry no checksum of
 * their own, but what is damaged does not unpack into lines and their rows. */
static enum nr_err
by_walk(struct repair *r, struct nr_diag *d)
{
    struct nr_logfile *log = NULL;
    struct nr_bytes all, text, meta;
    struct seg_block b = { .first_line = 1 };
    size_t end = r->m.mapped ? (size_t)r->m.index_at : r->m.n;
    enum nr_err err = invent_files(r, d);

    r->got->walked = true;
    for (size_t at = SEG_HEADER; !err && at < end;) {
        size_t n = unpack(r, at, &all);

        if (n == 0 || !split(all, &text, &meta)) {
            r->got->octets_lost++;
            at++;
            continue;
        }
        if (!log) {
            struct nr_logfile *probe = NULL;
            int64_t east = 0;

            err = learn(r->files, 0, r->now_s, NULL, text, &probe, d);
            if (!err)
                east = zone_of(probe, text, meta);
            nr_logfile_free(probe);
            if (!err)
                err = learn(r->files, east, r->now_s, NULL, text, &log, d);
        }
        if (!err)
            err = feed(r, log, text, &b, false, d);
        b.first_line += count_lines(text);
        b.text_at += text.n;
        at += n;
    }
    nr_logfile_free(log);
    if (err || r->got->blocks == 0)
        return err;
    r->files->to = b.text_at;
    r->files->open_at = b.text_at;
    r->files->lines = b.first_line - 1;
    build_file(r->b, r->files);
    return NR_OK;
}

/* Times come from reading the lines again; say where that differs. */
static enum nr_err
compare(struct repair *r, struct nr_diag *d)
{
    struct segment *s = NULL;
    struct nr_cur c = nr_cur(nr_buf_bytes(&r->times));
    enum nr_err err = segment_open(r->a->dir, r->m.name, r->a->key, &s, d);

    if (!err)
        r->got->lines = segment_info(s)->lines;
    for (uint32_t i = 0; !err && nr_cur_left(&c) > 0; i++) {
        struct seg_block b;

        err = segment_block(s, i, &b, d);
        if (!err)
            r->got->blocks_redated += (uint64_t)b.first_s != nr_cur_le64(&c);
        if (!err)
            r->got->blocks_redated += (uint64_t)b.last_s != nr_cur_le64(&c);
    }
    segment_close(s);
    return err;
}

/* What the segment stands in for it stands in for when it is mended. A row that
 * is damaged names nothing: the checksum in it is another's. */
static void
keep_replaced(struct repair *r)
{
    uint64_t n = r->s ? segment_replaced_count(r->s) : 0;
    struct seg_replaced x;

    for (uint64_t i = 0; i < n; i++)
        if (segment_replaced(r->s, i, &x, NULL) == NR_OK) {
            seg_put_replaced(&r->b->replaced, &x);
            r->b->n_replaced++;
        }
}

/* The old file gets a second name; publishing then takes its first one. */
static enum nr_err
publish(struct repair *r, bool discard, struct nr_diag *d)
{
    char path[NR_PATH_MAX], old[NR_PATH_MAX], name[64];
    uint64_t size;
    enum nr_err err = nr_path_join(path, r->a->dir, r->m.name, d);

    (void)snprintf(name, sizeof(name), "%s" NR_DAMAGED_SUFFIX, r->m.name);
    if (!err)
        err = nr_path_join(old, r->a->dir, name, d);
    if (!err && link(path, old) != 0)
        err = errno == EEXIST
            ? nr_fail_name(d, NR_EEXIST,
                  "repair: an earlier damaged copy is there; remove it first",
                  old)
            : nr_fail_file(d, "repair: keep the damaged segment", old);
    if (err)
        return err;
    keep_replaced(r);
    err = build_publish(r->b, &size, d);
    if (err || discard)
        (void)unlink(old);
    return err;
}

/* Counts of keys that the directories agree with: the index itself is built
 * anew, it only must not keep the rest from being read. */
static void
mend_info(struct keep_map *m)
{
    if (m->sec[SEG_SEC_INFO].octets != SEG_INFO)
        return;
    for (unsigned c = 0; c < SEG_CLASSES; c++) {
        uint64_t rows = m->sec[SEG_SEC_DIR4 + c].count;
        uint64_t keys = rows > 1 ? (rows - 2) * SEG_GROUP + 1 : 0;
        uint8_t *p = m->p + m->sec[SEG_SEC_INFO].at + INFO_KEYS + (size_t)8 * c;

        for (size_t i = 0; i < 8; i++, keys >>= 8)
            p[i] = (uint8_t)(keys & 0xff);
    }
}

static enum nr_err
rebuild(struct repair *r, struct nr_diag *d)
{
    enum nr_err err = build_open(r->a->dir, r->m.seq, r->a->key, r->now_s,
        &r->b, d);

    if (err)
        return err;
    for (size_t i = 0; i < r->a->n; i++) /* where it cannot say itself */
        r->b->info.flags |= segment_info(r->a->v[i])->flags;
    /* What does not open even so is walked. */
    if (r->m.mapped)
        mend_info(&r->m);
    if (r->m.mapped &&
        segment_open_mem((struct nr_bytes){ r->m.p, r->m.n }, SEG_UNCHECKED,
            &r->s, NULL) != NR_OK)
        r->s = NULL;
    if (r->s) {
        int64_t created = segment_info(r->s)->created_s;

        if (created > 0 && created < r->now_s)
            r->b->info.created_s = created;
        r->b->info.flags = segment_info(r->s)->flags;
        err = by_table(r, d);
    }
    if (!err && r->got->blocks == 0) {
        *r->got = (struct nr_repaired){ 0 };
        nr_buf_reset(&r->times);
        build_close(r->b);
        r->b = NULL;
        err = build_open(r->a->dir, r->m.seq, r->a->key, r->now_s, &r->b, d);
        if (!err)
            err = by_walk(r, d);
    }
    if (!err && r->got->blocks == 0)
        err = nr_fail_name(d, NR_EDAMAGED,
            "repair: no block is left; restore it, or remove it and add the "
            "logs again",
            r->m.name);
    return err;
}

enum nr_err
nr_keep_repair(struct nr_archive *a, const char *name, bool discard,
    int64_t now_s, const struct nr_keep_say *say, struct nr_repaired *out,
    struct nr_diag *d)
{
    struct nr_repaired got = { 0 };
    uint64_t number;
    struct repair r = { .a = a, .got = &got, .now_s = now_s };
    enum nr_err err;

    if (a->mode != NR_ARCHIVE_WRITE)
        return nr_fail(d, NR_EDENIED, 0, "archive: open for reading only");
    if (runs_is_name(name, &number)) {
        *out = (struct nr_repaired){ .run = true };
        return runs_remove(a, name, d);
    }
    err = keep_map_open(a->dir, name, a->key, say, &r.m, d);
    if (err)
        return err;
    nr_arena_init(&r.arena, REPAIR_MEMORY);
    nr_buf_init(&r.times, REPAIR_MEMORY);
    seg_text_init(&r.t);
    got.whole = r.m.damages == 0 || store_is_hidden(a, r.m.seq);
    if (r.m.other_version)
        err = nr_fail_name(d, NR_EFORMAT,
            "segment: of another version of noroshi", name);
    else if (!got.whole)
        err = rebuild(&r, d);
    if (!err && !got.whole)
        err = publish(&r, discard, d);
    if (!err && !got.whole)
        err = compare(&r, d);
    build_close(r.b);
    segment_close(r.s);
    seg_text_fini(&r.t);
    nr_buf_fini(&r.times);
    nr_arena_fini(&r.arena);
    keep_map_close(&r.m);
    *out = got;
    return err;
}
