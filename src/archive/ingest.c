#include "archive/ingest.h"

#include "archive/build.h"
#include "base/hash.h"
#include "base/num.h"
#include "input/input.h"
#include "logline/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define PROGRESS ((uint64_t)1 << 20) /* octets of text between calls */

/* One file of the order to add. */
struct item {
    const char *path;
    int64_t first_s; /* of its first line, for the order */
    bool failed;     /* said already */
};

struct ingest {
    struct nr_archive *a;
    const struct nr_archive_add_options *o;
    struct nr_archive_added *added;
    struct catalogue known;
    struct build *b; /* NULL: no segment begun */
    size_t memory;
    uint64_t said; /* octets at the last progress */
    uint64_t gone; /* octets of the files that are done, as they lie there */
    int fd;        /* of the file that is being read */
    /* since the last publication, taken back if the next one fails */
    struct nr_archive_added pending;
};

/* The file that is being read. */
struct reading {
    const char *path;
    int fd;
    struct identity who;
    struct seg_file part; /* being gathered */
    XXH3_state_t *hash;   /* of its text */
    struct nr_logfile *log;
    uint64_t line_octets; /* of a line that goes on, so far */
    bool took;            /* anything */
    bool member;          /* of a pack: its fd stands for nothing lasting */
    int64_t mtime_s;      /* of a member */
};

static void
say(struct ingest *g, const struct nr_diag *d)
{
    if (g->o->problem && g->o->problem->say)
        g->o->problem->say(g->o->problem->ctx, d);
}

/* Publish what is begun. */
static enum nr_err
publish(struct ingest *g, struct nr_diag *d)
{
    char name[32];
    uint64_t size = 0;
    enum nr_err err;

    if (!g->b) {
        g->added->files += g->pending.files;
        g->pending.files = 0;
        return NR_OK;
    }
    err = build_publish(g->b, &size, d);
    g->pending.observations = g->b->info.observations;
    build_close(g->b);
    g->b = NULL;
    if (err)
        return err;
    g->added->files += g->pending.files;
    g->added->lines += g->pending.lines;
    g->added->octets += g->pending.octets;
    g->added->observations += g->pending.observations;
    g->added->segments++;
    g->added->stored += size;
    g->pending = (struct nr_archive_added){ 0 };
    (void)snprintf(name, sizeof(name), "%016llx.seg",
        (unsigned long long)g->a->next_seq);
    g->a->next_seq++;
    return store_take(g->a, name, d);
}

/* End the part of the file in the segment under construction. */
static enum nr_err
end_part(struct ingest *g, struct reading *r, struct nr_diag *d)
{
    XXH128_canonical_t h;

    if (!g->b || r->part.to == r->part.from)
        return NR_OK;
    XXH128_canonicalFromHash(&h, XXH3_128bits_digest(r->hash));
    memcpy(r->part.hash, h.digest, 16);
    (void)XXH3_128bits_reset(r->hash);
    build_file(g->b, &r->part);
    if (catalogue_put(&g->known, &r->part, d) != NR_OK)
        return NR_ENOMEM;
    r->part.from = r->part.to;
    return NR_OK;
}

static bool
is_full(const struct ingest *g)
{
    const struct build *b = g->b;

    return build_memory(b) >= g->memory ||
        b->info.text >= NR_SEGMENT_TEXT_MAX ||
        (b->info.text >= NR_SEGMENT_TEXT_MIN &&
            build_span_days(b) >= NR_SEGMENT_SPAN_DAYS);
}

static void
progress(struct ingest *g)
{
    uint64_t all = g->added->octets + g->pending.octets;

    if (g->o->progress && all - g->said >= PROGRESS) {
        off_t at = lseek(g->fd, 0, SEEK_CUR);

        g->o->progress(g->o->progress_ctx, all,
            g->gone + (at > 0 ? (uint64_t)at : 0));
        g->said = all;
    }
}

/* Index and store BLOCK; its octets before part.to were hashed before. */
static enum nr_err
take_block(struct ingest *g, struct reading *r, const struct nr_block *block,
    struct nr_diag *d)
{
    uint64_t end = block->at + block->text.n;
    uint64_t skip = r->part.to > block->at ? r->part.to - block->at : 0;
    struct build_lines in = { .text = block->text,
        .at = block->at,
        .first_line = block->first_line,
        .lines = block->lines,
        .continues = block->continues };
    enum nr_err err = NR_OK;

    r->line_octets = block->continues ? r->line_octets : 0;
    in.keep = r->line_octets < NR_ARCHIVE_LINE_KEEP;
    r->line_octets += block->text.n;
    if (!g->b)
        err = build_open(g->a->dir, g->a->next_seq, g->a->key, g->o->now_s,
            &g->b, d);
    if (err)
        return err;
    if (g->o->no_urls)
        g->b->info.flags |= SEG_I_NO_URLS;
    err = build_block(g->b, r->log, &in, d);
    if (err)
        return err;
    if (skip < block->text.n)
        (void)XXH3_128bits_update(r->hash, block->text.p + skip,
            block->text.n - skip);
    r->part.to = end;
    r->part.lines = block->first_line + block->lines - 1;
    r->part.open_at = end;
    if (block->open_end && !block->goes_on) {
        const uint8_t *lf = memrchr(block->text.p, '\n', block->text.n);

        r->part.open_at = lf ? block->at + (size_t)(lf - block->text.p) + 1
                             : block->at;
    }
    r->took = true;
    g->pending.lines += block->lines - block->continues;
    g->pending.octets += block->text.n;
    progress(g);
    if (block->goes_on || !is_full(g))
        return NR_OK;
    err = end_part(g, r, d);
    return err ? err : publish(g, d);
}

/* Where reading begins, given what is known: behind it, or with its last line
 * again if that lacked its LF and the file went on in the line. */
static enum nr_err
seek_known(struct reading *r, const struct known *k, struct nr_input_options *o,
    struct nr_diag *d)
{
    struct nr_input *in = NULL;
    struct nr_block b;
    enum nr_err err;

    o->start = k->to;
    o->line = k->lines + 1;
    if (k->open_at == k->to)
        return NR_OK;
    err = nr_input_from_fd(r->fd, r->path, o, &in, d);
    if (!err)
        err = nr_input_next(in, &b, d);
    if (!err && b.text.n > 0) {
        o->line = k->lines;
        if (b.text.p[0] != '\n' && b.text.p[0] != '\r')
            o->start = k->open_at;
    }
    nr_input_free(in);
    (void)lseek(r->fd, 0, SEEK_SET);
    return err;
}

/* Learn the form of the log, from its beginning wherever reading begins. */
static enum nr_err
learn(struct ingest *g, struct reading *r, struct nr_diag *d)
{
    struct nr_logfile_options lo = { .name = r->path,
        .zone_east_s = g->o->zone_east_s,
        .last_s = r->who.mtime_s };
    struct nr_input *in = NULL;
    struct nr_block b = { 0 };
    enum nr_err err;

    if (lo.last_s == NR_TIME_NONE || lo.last_s > g->o->now_s)
        lo.last_s = g->o->now_s;
    err = nr_logfile_new(&lo, &r->log, d);
    if (err)
        return err;
    err = nr_input_from_fd(r->fd, r->path, NULL, &in, d);
    if (!err)
        err = nr_input_next(in, &b, d);
    if (!err)
        nr_logfile_learn(r->log, b.text);
    while (!err && b.text.n > 0 && nr_logfile_wants_prescan(r->log)) {
        nr_logfile_prescan(r->log, b.text);
        if (nr_input_next(in, &b, NULL) != NR_OK)
            break; /* said when it is read in earnest */
    }
    nr_input_free(in);
    (void)lseek(r->fd, 0, SEEK_SET);
    return err;
}

static uint64_t
new_id(struct ingest *g, const struct reading *r)
{
    uint64_t mix[5] = { g->a->next_seq, g->known.n, r->who.dev, r->who.ino,
        r->part.from };

    return nr_xxh64((struct nr_bytes){ (const uint8_t *)mix, sizeof(mix) },
               nr_xxh64((struct nr_bytes){ r->who.head, r->who.head_n }, 0)) |
        1;
}

static void
begin_part(struct ingest *g, struct reading *r, const struct known *k)
{
    struct seg_file *p = &r->part;

    p->id = k->id;
    p->dev = r->who.dev;
    p->ino = r->who.ino;
    p->from = k->to;
    p->to = k->to;
    p->lines = k->lines;
    p->open_at = k->to;
    p->mtime_s = r->who.mtime_s;
    p->name = nr_str_of(r->path);
    p->head_n = r->who.head_n;
    hash128((struct nr_bytes){ r->who.head, r->who.head_n }, p->head);
    if (p->id == 0)
        p->id = new_id(g, r);
}

/* Read all that is new in R. What the file's own state refuses (damage, early
 * end) is in WHY and does not stop the others; the result does. */
static enum nr_err
read_new(struct ingest *g, struct reading *r, struct nr_input *in,
    struct nr_diag *why, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    struct nr_block b;

    for (;;) {
        if (nr_input_next(in, &b, why) != NR_OK || b.text.n == 0)
            break;
        err = take_block(g, r, &b, d);
        if (err)
            return err;
    }
    return end_part(g, r, d);
}

/* The head of the text and what the system knows of the file. */
static enum nr_err
identify(int fd, const char *path, struct identity *who, struct nr_diag *d)
{
    struct nr_input_options o = { .block = NR_INPUT_BLOCK_MIN };
    struct nr_input *in = NULL;
    struct nr_block b;
    struct stat st;
    enum nr_err err = nr_input_from_fd(fd, path, &o, &in, d);

    *who = (struct identity){ .mtime_s = NR_TIME_NONE };
    if (!err)
        who->mtime_s = nr_input_mtime(in);
    if (!err && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        who->dev = (uint64_t)st.st_dev;
        who->ino = (uint64_t)st.st_ino;
        if (strcmp(nr_input_form(in), "plain") == 0)
            who->size = (uint64_t)st.st_size;
    }
    while (!err && who->head_n < SEG_HEAD) {
        size_t n;

        err = nr_input_next(in, &b, d);
        if (err || b.text.n == 0)
            break;
        n = nr_min(b.text.n, SEG_HEAD - who->head_n);
        memcpy(who->head + who->head_n, b.text.p, n);
        who->head_n += (uint32_t)n;
    }
    if (who->head_n > 0)
        err = NR_OK; /* a later failure is met again when it is read */
    nr_input_free(in);
    (void)lseek(fd, 0, SEEK_SET);
    return err;
}

static enum nr_err
open_file(const char *path, int *fd, struct nr_diag *d)
{
    struct stat st;

    *fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0 && errno == ENOENT)
        return nr_fail_name(d, NR_ENOTFOUND, "file: does not exist", path);
    if (*fd < 0)
        return nr_fail_file(d, "file: open", path);
    if (fstat(*fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(*fd);
        *fd = -1;
        return nr_fail_name(d, NR_EFORMAT,
            "archive: is a directory; -r adds the files in it", path);
    }
    return NR_OK;
}

/* Add what is new in a file whose fd can be read more than once. */
static enum nr_err
add_file(struct ingest *g, struct reading *r, struct nr_diag *why,
    struct nr_diag *d)
{
    struct nr_input_options o = { .block = SEG_TEXT_BLOCK,
        .follow = g->o->growing };
    struct nr_input *in = NULL;
    struct known k = { 0 };
    enum nr_err err = identify(r->fd, r->path, &r->who, why);

    if (err || r->who.head_n == 0)
        return NR_OK; /* unreadable (in WHY), or empty */
    if (r->member) {  /* known again by its content alone */
        r->who.dev = r->who.ino = r->who.size = 0;
        r->who.mtime_s = r->mtime_s;
    }
    err = catalogue_find(&g->known, r->fd, r->path, &r->who, &k, d);
    if (err)
        return err;
    begin_part(g, r, &k);
    if (learn(g, r, why) || (k.to > 0 && seek_known(r, &k, &o, why)) ||
        nr_input_from_fd(r->fd, r->path, &o, &in, why))
        return NR_OK;
    err = read_new(g, r, in, why, d);
    nr_input_free(in);
    return err;
}

/* A pipe: read once, so nothing is recognised, neither here nor later. */
static enum nr_err
add_stream(struct ingest *g, struct reading *r, struct nr_diag *why,
    struct nr_diag *d)
{
    struct nr_input_options o = { .block = SEG_TEXT_BLOCK };
    struct nr_logfile_options lo = { .name = r->path,
        .zone_east_s = g->o->zone_east_s,
        .last_s = g->o->now_s };
    struct nr_input *in = NULL;
    struct known k = { 0 };
    struct nr_block b;
    enum nr_err err = NR_OK;

    r->who = (struct identity){ .mtime_s = NR_TIME_NONE };
    if (nr_logfile_new(&lo, &r->log, why) ||
        nr_input_from_fd(r->fd, r->path, &o, &in, why))
        return NR_OK;
    begin_part(g, r, &k);
    if (nr_input_next(in, &b, why) == NR_OK && b.text.n > 0) {
        nr_logfile_learn(r->log, b.text);
        err = take_block(g, r, &b, d);
        if (!err)
            err = read_new(g, r, in, why, d);
    }
    nr_input_free(in);
    return err;
}

/* Add what can be read through R->fd and say what could not. */
static enum nr_err
add_open(struct ingest *g, struct reading *r, struct nr_diag *why,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    r->hash = XXH3_createState();
    if (!r->hash)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    (void)XXH3_128bits_reset(r->hash);
    if (r->fd >= 0)
        err = lseek(r->fd, 0, SEEK_CUR) >= 0 ? add_file(g, r, why, d)
                                             : add_stream(g, r, why, d);
    if (why->err) {
        nr_diag_add_name(why, r->path);
        g->added->failed++;
        say(g, why);
    }
    g->pending.files += r->took;
    g->added->known += !r->took && !why->err;
    nr_logfile_free(r->log);
    XXH3_freeState(r->hash);
    nr_diag_add_name(d, err ? r->path : NULL);
    return err;
}

/* Every member of the pack FD, as a file by itself. */
static enum nr_err
add_pack(struct ingest *g, const char *path, int fd, struct nr_diag *d)
{
    struct nr_pack *pack = NULL;
    struct nr_diag why = { 0 };
    enum nr_err err = NR_OK;

    if (nr_pack_open(fd, path, g->a->dir, NULL, &pack, &why) == NR_OK)
        while (!err) {
            struct nr_member m;

            if (nr_pack_next(pack, &m, &why) != NR_OK || !m.name)
                break;
            err = add_open(g,
                &(struct reading){ .path = m.name,
                    .fd = m.fd,
                    .member = true,
                    .mtime_s = m.mtime_s },
                &m.fault, d);
        }
    nr_pack_free(pack);
    if (why.err) {
        nr_diag_add_name(&why, path);
        g->added->failed++;
        say(g, &why);
    }
    return err;
}

static enum nr_err
add_one(struct ingest *g, struct item *it, struct nr_diag *d)
{
    struct reading r = { .path = it->path, .fd = -1 };
    struct nr_diag why = { 0 };
    enum nr_err err = open_file(it->path, &r.fd, &why);
    bool again = !err && lseek(r.fd, 0, SEEK_CUR) >= 0;
    struct stat st;

    g->fd = r.fd;

    if (again && nr_pack_is(r.fd))
        err = add_pack(g, it->path, r.fd, d);
    else
        err = add_open(g, &r, &why, d);
    if (again && fstat(r.fd, &st) == 0 && st.st_size > 0)
        g->gone += (uint64_t)st.st_size;
    if (r.fd >= 0)
        close(r.fd);
    return err;
}

/* The time of a file's first line that has one: segments that hold a stretch
 * of time, not of the alphabet, can be dropped when they are old. */
static int64_t
first_time(const char *path, const struct nr_archive_add_options *o)
{
    struct nr_input_options io = { .block = NR_INPUT_BLOCK_MIN };
    struct nr_logfile_options lo = { .name = path,
        .zone_east_s = o->zone_east_s };
    struct nr_logfile *log = NULL;
    struct nr_input *in = NULL;
    struct nr_bytes line, rest;
    struct nr_block b = { 0 };
    struct nr_record rec;
    int64_t first = NR_TIME_NONE;

    if (strcmp(path, "-") == 0 || nr_input_open(path, &io, &in, NULL))
        return first;
    lo.last_s = nr_input_mtime(in);
    if (lo.last_s == NR_TIME_NONE || lo.last_s > o->now_s)
        lo.last_s = o->now_s;
    if (nr_logfile_new(&lo, &log, NULL) == NR_OK &&
        nr_input_next(in, &b, NULL) == NR_OK) {
        nr_logfile_learn(log, b.text);
        rest = b.text;
        while (first == NR_TIME_NONE && nr_line_next(&rest, &line)) {
            nr_logline_parse(log, line, &rec);
            first = rec.time_us;
        }
    }
    nr_logfile_free(log);
    nr_input_free(in);
    return first;
}

static int
by_time(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->first_s != y->first_s)
        return x->first_s < y->first_s ? -1 : 1;
    return strcmp(x->path, y->path);
}

static struct item *
in_order(const char *const *paths, size_t n,
    const struct nr_archive_add_options *o)
{
    struct item *v = calloc(n + 1, sizeof(*v));

    for (size_t i = 0; v && i < n; i++) {
        v[i].path = paths[i];
        v[i].first_s = n > 1 ? first_time(paths[i], o) : 0;
    }
    if (v)
        qsort(v, n, sizeof(*v), by_time);
    return v;
}

enum nr_err
nr_archive_add(struct nr_archive *a, const char *const *paths, size_t n,
    const struct nr_archive_add_options *o, struct nr_archive_added *out,
    struct nr_diag *d)
{
    struct ingest g = { .a = a,
        .o = o,
        .added = out,
        .memory = o->memory ? o->memory : NR_ARCHIVE_MEMORY };
    struct item *v;
    enum nr_err err;

    *out = (struct nr_archive_added){ 0 };
    if (a->mode != NR_ARCHIVE_WRITE)
        return nr_fail(d, NR_EDENIED, 0, "archive: open for reading only");
    if (g.memory < NR_ARCHIVE_MEMORY_MIN)
        return nr_fail(d, NR_ELIMIT, 0,
            "archive: less memory than an index needs (8M)");
    v = in_order(paths, n, o);
    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    err = catalogue_load(&g.known, a, d);
    for (size_t i = 0; !err && i < n; i++)
        err = add_one(&g, &v[i], d);
    if (!err)
        err = publish(&g, d);
    build_close(g.b);
    catalogue_fini(&g.known);
    free(v);
    return err;
}
