/* Log files into the tables. */
#include "clickhouse/client.h"

#include "archive/coverage.h"
#include "base/cur.h"
#include "base/hash.h"
#include "input/input.h"
#include "logline/logline.h"
#include "observable/observable.h"

#include <stdlib.h>
#include <xxhash.h>

#define BLOCK    ((size_t)1 << 16) /* as the embedded archive reads */
#define LINE_FEW 64u               /* observables of a line compared */
#define DATE_MAX 47481             /* a Date ends with 2099 everywhere */

struct mark { /* how far a file was read */
    uint64_t file, upto, lines, hash;
};

struct adding {
    struct nr_clickhouse *c;
    const struct nr_archive_add_options *o;
    struct nr_archive_added *added;
    struct mark *marks; /* owned; ascending by upto */
    size_t n_marks;
    struct nr_buf lines, seen, files;
    struct nr_gather *gather;
    struct nr_buf streams; /* rows of the file at hand */
    struct nr_tokens tokens;
    size_t of_line[LINE_FEW]; /* rows in seen of the line at hand */
    size_t n_of_line;
    uint64_t new_lines, octets, observations, gone;
};

struct file {
    const char *path;
    struct nr_logfile *log;
    uint64_t id, from, to, hash, lines;
    XXH3_state_t *state;
};

static int64_t
seconds(int64_t us)
{
    int64_t s = us / NR_US_PER_S;

    return us == NR_TIME_NONE ? us : s - (us % NR_US_PER_S < 0);
}

static int
by_end(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;

    return (x->upto > y->upto) - (x->upto < y->upto);
}

static enum nr_err
load_marks(struct adding *g, struct nr_diag *d)
{
    enum nr_err err = client_query(g->c,
        "SELECT DISTINCT file, upto, lines, hash FROM noroshi_files "
        "FORMAT RowBinary",
        NULL, 0, d);
    struct nr_cur cur = nr_cur(nr_buf_bytes(&g->c->reply));

    if (err)
        return err;
    free(g->marks);
    g->n_marks = g->c->reply.n / 32;
    g->marks = calloc(g->n_marks + 1, sizeof(*g->marks));
    if (!g->marks)
        return nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory");
    for (size_t i = 0; i < g->n_marks; i++) {
        struct mark *m = &g->marks[i];

        m->file = nr_cur_le64(&cur);
        m->upto = nr_cur_le64(&cur);
        m->lines = nr_cur_le64(&cur);
        m->hash = nr_cur_le64(&cur);
    }
    qsort(g->marks, g->n_marks, sizeof(*g->marks), by_end);
    return NR_OK;
}

static enum nr_err
flush(struct adding *g, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (g->lines.err || g->seen.err || g->files.err)
        return nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory for a batch");
    if (g->seen.n > 0)
        err = client_insert(g->c,
            "INSERT INTO noroshi_seen (kind, fp, key, file, line, time, d, "
            "day, source, denied) FORMAT RowBinary",
            nr_buf_bytes(&g->seen), d);
    if (!err && g->lines.n > 0)
        err = client_insert(g->c,
            "INSERT INTO noroshi_lines (file, line, name, at, time, d, day, "
            "source, kinds, denied, block, text) FORMAT RowBinary",
            nr_buf_bytes(&g->lines), d);
    if (!err && g->files.n > 0)
        err = client_insert(g->c,
            "INSERT INTO noroshi_files (file, name, upto, lines, hash, "
            "streams, day) FORMAT RowBinary",
            nr_buf_bytes(&g->files), d);
    nr_buf_reset(&g->seen);
    nr_buf_reset(&g->lines);
    nr_buf_reset(&g->files);
    return err;
}

static void
put_when(struct nr_buf *b, int64_t time_s)
{
    int64_t day = time_s == NR_TIME_NONE ? 0 : nr_day_of(time_s);
    int64_t date = day < 0 ? 0 : day > DATE_MAX ? DATE_MAX : day;

    nr_buf_put_le(b, (uint64_t)time_s, 8);
    nr_buf_put_le(b, (uint64_t)day, 4);
    nr_buf_put_le(b, (uint64_t)date, 2);
}

/* The row that is begun at FROM says again what the line said already. Equal
 * rows would do no harm; they are only not worth their place. */
static bool
is_again(struct adding *g, size_t from)
{
    struct nr_bytes all = nr_buf_bytes(&g->seen), row;

    row = nr_bytes_sub(all, from, all.n);
    for (size_t i = 0; i < g->n_of_line; i++)
        if (nr_bytes_eq(row,
                nr_bytes_sub(all, g->of_line[i], g->of_line[i] + row.n)))
            return true;
    if (g->n_of_line < LINE_FEW)
        g->of_line[g->n_of_line++] = from;
    return false;
}

static void
put_seen(struct adding *g, const struct file *f, unsigned kind,
    struct nr_bytes key, const struct nr_record *r)
{
    size_t from = g->seen.n;
    uint64_t fp;

    if (!row_of(kind, key, &fp))
        return;
    nr_buf_put_le(&g->seen, kind, 1);
    nr_buf_put_le(&g->seen, fp, 8);
    put_string(&g->seen, key);
    if (is_again(g, from)) {
        g->seen.n = from;
        return;
    }
    g->observations++;
    nr_buf_put_le(&g->seen, f->id, 8);
    nr_buf_put_le(&g->seen, f->lines, 8);
    put_when(&g->seen, seconds(r->time_us));
    nr_buf_put_le(&g->seen, (uint64_t)r->source, 1);
    nr_buf_put_le(&g->seen, r->action == NR_ACTION_DENIED, 1);
}

/* Block B of F from octet SKIP on is new: its lines. */
static enum nr_err
put_block(struct adding *g, struct file *f, const struct nr_block *b,
    struct nr_diag *d)
{
    struct nr_bytes rest = b->text, line;
    uint64_t sum = nr_xxh64(b->text, 0);
    size_t t = 0;
    enum nr_err err = nr_scan(b->text, &g->tokens);

    if (err)
        return nr_fail(d, err, 0, "clickhouse: no memory to scan a block");
    for (uint32_t i = 0; rest.n > 0; i++) {
        struct nr_bytes whole = rest;
        uint64_t at = b->at + (uint64_t)(rest.p - b->text.p);
        struct nr_record r;
        bool is_new;

        (void)nr_line_next(&rest, &line);
        nr_logline_parse(f->log, line, &r);
        f->lines = b->first_line + i;
        g->n_of_line = 0;
        is_new = at >= f->from;
        whole.n -= rest.n;
        whole.n -= whole.n > 0 && whole.p[whole.n - 1] == '\n';
        for (; t < g->tokens.n && g->tokens.v[t].line == i; t++) {
            struct nr_bytes key = nr_token_key(&g->tokens, &g->tokens.v[t]);
            unsigned kind = g->tokens.v[t].kind;

            if (is_new)
                put_seen(g, f, kind, key, &r);
            while (is_new && kind == NR_KIND_DOMAIN && nr_domain_up(&key))
                put_seen(g, f, kind, key, &r);
        }
        if (!is_new)
            continue;
        g->new_lines += !(i == 0 && b->continues);
        err = nr_gather_line(g->gather, &r, seconds(r.time_us));
        if (err)
            return nr_fail(d, err, 0, "clickhouse: no memory for streams");
        nr_buf_put_le(&g->lines, f->id, 8);
        nr_buf_put_le(&g->lines, f->lines, 8);
        put_string(&g->lines, nr_bytes_of(nr_str_of(f->path)));
        nr_buf_put_le(&g->lines, at, 8);
        put_when(&g->lines, seconds(r.time_us));
        nr_buf_put_le(&g->lines, (uint64_t)r.source, 1);
        nr_buf_put_le(&g->lines, r.kinds, 2);
        nr_buf_put_le(&g->lines, r.action == NR_ACTION_DENIED, 1);
        nr_buf_put_le(&g->lines, sum, 8);
        put_string(&g->lines, whole);
    }
    return g->lines.n + g->seen.n > 2 * NR_CLICKHOUSE_BATCH ? flush(g, d)
                                                            : NR_OK;
}

/* The longest beginning of the file that is known. */
static enum nr_err
find_known(struct adding *g, struct file *f, struct nr_diag *why)
{
    struct nr_input_options o = { .block = BLOCK, .follow = g->o->growing };
    struct nr_input *in = NULL;
    struct nr_block b = { 0 };
    struct nr_logfile_options lo = { .name = f->path,
        .zone_east_s = g->o->zone_east_s };
    size_t m = 0;
    enum nr_err err = nr_input_open(f->path, &o, &in, why);
    bool first = true, scan = true;

    if (err)
        return err;
    (void)XXH3_64bits_reset(f->state);
    while (scan && !(err = nr_input_next(in, &b, why)) && b.text.n > 0) {
        size_t done = 0;

        if (first) {
            lo.last_s = nr_input_mtime(in);
            if (lo.last_s == NR_TIME_NONE || lo.last_s > g->o->now_s)
                lo.last_s = g->o->now_s;
            err = nr_logfile_new(&lo, &f->log, why);
            if (err)
                break;
            nr_logfile_learn(f->log, b.text);
            f->id = nr_xxh64(b.text,
                nr_xxh64(nr_bytes_of(nr_str_of(f->path)), 0));
            first = false;
        }
        if (nr_logfile_wants_prescan(f->log))
            nr_logfile_prescan(f->log, b.text);
        else
            scan = m < g->n_marks;
        for (; m < g->n_marks && g->marks[m].upto <= b.at + b.text.n; m++) {
            size_t n = (size_t)(g->marks[m].upto - b.at);

            (void)XXH3_64bits_update(f->state, b.text.p + done, n - done);
            done = n;
            if (XXH3_64bits_digest(f->state) != g->marks[m].hash)
                continue;
            f->id = g->marks[m].file;
            f->from = g->marks[m].upto;
        }
        (void)XXH3_64bits_update(f->state, b.text.p + done, b.text.n - done);
    }
    nr_input_free(in);
    return first ? err : NR_OK; /* met again where it is read in earnest */
}

static void
put_mark(struct adding *g, const struct file *f)
{
    nr_buf_put_le(&g->files, f->id, 8);
    put_string(&g->files, nr_bytes_of(nr_str_of(f->path)));
    nr_buf_put_le(&g->files, f->to, 8);
    nr_buf_put_le(&g->files, f->lines, 8);
    nr_buf_put_le(&g->files, f->hash, 8);
    put_string(&g->files, nr_buf_bytes(&g->streams));
    nr_buf_put_le(&g->files, 0, 2);
}

/* What is hashed and marked ends behind the last LF: an unfinished last line
 * is read again, as the same line. */
static enum nr_err
read_file(struct adding *g, struct file *f, struct nr_diag *why,
    struct nr_diag *d)
{
    struct nr_input_options o = { .block = BLOCK, .follow = g->o->growing };
    struct nr_input *in = NULL;
    struct nr_block b;
    enum nr_err err = NR_OK;

    if (nr_input_open(f->path, &o, &in, why))
        return NR_OK;
    (void)XXH3_64bits_reset(f->state);
    while (!err && !nr_input_next(in, &b, why) && b.text.n > 0) {
        size_t n = b.text.n;

        if (b.at + n > f->from)
            err = put_block(g, f, &b, d);
        else
            for (struct nr_bytes rest = b.text, line;
                 nr_line_next(&rest, &line);) {
                struct nr_record r;

                nr_logline_parse(f->log, line, &r);
            }
        if (b.open_end && !b.goes_on) {
            const uint8_t *lf = memrchr(b.text.p, '\n', n);

            n = lf ? (size_t)(lf - b.text.p) + 1 : 0;
        }
        g->octets += b.at + b.text.n > f->from
            ? b.at + b.text.n - (b.at > f->from ? b.at : f->from)
            : 0;
        (void)XXH3_64bits_update(f->state, b.text.p, n);
        f->to = b.at + n;
        if (g->o->progress)
            g->o->progress(g->o->progress_ctx, g->octets,
                g->gone + nr_input_offset(in));
    }
    f->hash = XXH3_64bits_digest(f->state);
    g->gone += nr_input_offset(in);
    nr_input_free(in);
    return err;
}

static enum nr_err
add_one(struct adding *g, const char *path, struct nr_diag *d)
{
    struct file f = { .path = path, .state = XXH3_createState() };
    struct nr_diag why = { 0 };
    uint64_t lines = g->new_lines, octets = g->octets;
    enum nr_err err = NR_OK;

    if (!f.state)
        return nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory");
    if (!find_known(g, &f, &why) && f.log)
        err = read_file(g, &f, &why, d);
    nr_buf_reset(&g->streams);
    if (nr_gather_end(g->gather, nr_str_of(path), &g->streams) && !err)
        err = nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory for streams");
    if (!err && f.to > f.from)
        put_mark(g, &f);
    if (!err)
        err = flush(g, d);
    if (why.err) {
        nr_diag_add_name(&why, path);
        g->added->failed++;
        if (g->o->problem)
            g->o->problem->say(g->o->problem->ctx, &why);
    }
    g->added->files += g->new_lines > lines;
    g->added->known += g->new_lines == lines && !why.err;
    if (!err) {
        g->added->lines += g->new_lines - lines;
        g->added->octets += g->octets - octets;
        g->added->observations = g->observations;
    }
    nr_logfile_free(f.log);
    XXH3_freeState(f.state);
    if (!err && f.to > f.from)
        err = load_marks(g, d);
    return err;
}

enum nr_err
nr_clickhouse_add(struct nr_clickhouse *c, const char *const *paths, size_t n,
    const struct nr_archive_add_options *o, struct nr_archive_added *out,
    struct nr_diag *d)
{
    struct adding g = { .c = c, .o = o, .added = out };
    enum nr_err err;

    *out = (struct nr_archive_added){ 0 };
    nr_buf_init(&g.lines, SIZE_MAX / 2);
    nr_buf_init(&g.seen, SIZE_MAX / 2);
    nr_buf_init(&g.files, SIZE_MAX / 2);
    nr_tokens_init(&g.tokens, 0);
    nr_buf_init(&g.streams, (size_t)1 << 30);
    err = nr_gather_new(&g.gather);
    err = err ? nr_fail(d, err, 0, "clickhouse: no memory") : load_marks(&g, d);
    for (size_t i = 0; !err && i < n; i++)
        err = add_one(&g, paths[i], d);
    nr_tokens_fini(&g.tokens);
    nr_buf_fini(&g.lines);
    nr_buf_fini(&g.seen);
    nr_buf_fini(&g.files);
    nr_buf_fini(&g.streams);
    nr_gather_free(g.gather);
    free(g.marks);
    return err;
}
