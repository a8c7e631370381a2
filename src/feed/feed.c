#include "feed/take.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTES_MEMORY ((size_t)64 << 20)
#define READ_STEP    ((size_t)1 << 18)
#define JUNK_SAMPLE  ((size_t)1 << 16) /* octets looked at */
#define JUNK_PART    ((size_t)20)      /* binary: more than 1 in 20 is one */

static const char *const format_names[] = {
    [NR_FEED_AUTO] = "auto",
    [NR_FEED_STIX] = "stix",
    [NR_FEED_MISP] = "misp",
    [NR_FEED_CSV] = "csv",
    [NR_FEED_TEXT] = "text",
    [NR_FEED_COMPILED] = "compiled",
};

const char *
nr_feed_format_name(enum nr_feed_format f)
{
    return format_names[f];
}

bool
nr_feed_format_from_name(struct nr_str s, enum nr_feed_format *out)
{
    for (int i = NR_FEED_AUTO; i <= NR_FEED_COMPILED; i++)
        if (nr_str_eq(s, nr_str_of(format_names[i]))) {
            *out = (enum nr_feed_format)i;
            return true;
        }
    return false;
}

struct nr_feed *
nr_feed_create(const struct nr_feed_conf *conf)
{
    struct nr_feed *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->conf = *conf;
    nr_arena_init(&f->a, NOTES_MEMORY);
    nr_buf_init(&f->key, NR_KEY_MAX * 2);
    nr_buf_init(&f->text, NR_KEY_MAX * 2);
    nr_buf_init(&f->quote, NR_WATCHLIST_TEXT_MAX);
    f->builder = nr_watchlist_builder_create(conf->seed);
    if (!f->builder) {
        nr_feed_destroy(f);
        return NULL;
    }
    nr_watchlist_judged_by(f->builder, nr_warn_version(conf->warn));
    if (conf->defaults)
        nr_watchlist_assume(f->builder, conf->defaults);
    f->conf.defaults = NULL;
    return f;
}

void
nr_feed_destroy(struct nr_feed *f)
{
    if (!f)
        return;
    nr_watchlist_builder_destroy(f->builder);
    nr_buf_fini(&f->key);
    nr_buf_fini(&f->text);
    nr_buf_fini(&f->quote);
    free(f->notes);
    nr_arena_fini(&f->a);
    free(f);
}

void
nr_feed_stats(const struct nr_feed *f, struct nr_feed_stats *out)
{
    *out = f->stats;
    out->indicators = nr_watchlist_builder_count(f->builder);
}

const struct nr_feed_note *
nr_feed_notes(const struct nr_feed *f, size_t *n)
{
    *n = f->n_notes;
    return f->notes;
}

/* --- recognising and reading ------------------------------------------ */

static struct nr_bytes
without_bom(struct nr_bytes in)
{
    if (nr_bytes_starts(in, NR_BYTES("\xef\xbb\xbf")))
        return nr_bytes_sub(in, 3, in.n);
    return in;
}

static bool
holds(struct nr_bytes in, const char *word)
{
    return memmem(in.p, in.n, word, strlen(word)) != NULL;
}

/* Which JSON: what MISP calls its parts stands near the head. */
static enum nr_feed_format
which_json(struct nr_bytes in)
{
    struct nr_bytes head = nr_bytes_sub(in, 0, in.n < 4096 ? in.n : 4096);

    if (holds(head, "\"Event\"") || holds(head, "\"Attribute\"") ||
        holds(head, "\"Orgc\"") || holds(head, "\"analysis\""))
        return NR_FEED_MISP;
    return NR_FEED_STIX;
}

/* Do the first lines all begin with the name of a kind and a tab? A table with
 * the head "domain<TAB>date" has other words below it. */
static bool
has_kind_lines(struct nr_bytes in)
{
    struct nr_str rest = { (const char *)in.p, in.n };
    size_t seen = 0;

    while (rest.n > 0 && seen < 8) {
        struct nr_str line = nr_str_cut(rest, '\n', &rest), after;
        struct nr_str name = nr_str_cut(line, '\t', &after);
        enum nr_kind kind;

        if (nr_str_trim(line).n == 0 || line.p[0] == '#')
            continue;
        if (name.n == line.n || !nr_kind_from_name(name, &kind))
            return false;
        seen++;
    }
    return seen > 0;
}

enum nr_feed_format
nr_feed_recognise(struct nr_bytes whole)
{
    struct nr_bytes in = without_bom(whole);
    size_t i = 0;
    char delimiter;

    if (nr_watchlist_is_one(in))
        return NR_FEED_COMPILED;
    if (has_kind_lines(in))
        return NR_FEED_TEXT;
    while (i < in.n && nr_is_space(in.p[i]))
        i++;
    if (i < in.n && in.p[i] == '{')
        return which_json(in);
    if (i < in.n && in.p[i] == '[') {
        for (i++; i < in.n && nr_is_space(in.p[i]);)
            i++;
        /* "[.]evil", "[options]" of AsciiDoc are no JSON */
        if (i == in.n || in.p[i] == '{' || in.p[i] == '"' || in.p[i] == ']')
            return which_json(in);
    }
    return nr_csv_recognise(in, &delimiter) ? NR_FEED_CSV : NR_FEED_TEXT;
}

/* UTF-16 with a byte order mark to UTF-8; spreadsheets write it. */
static enum nr_err
from_utf16(struct nr_bytes in, struct nr_buf *out)
{
    bool be = in.p[0] == 0xfe;

    for (size_t i = 2; i + 1 < in.n; i += 2) {
        uint32_t c = be ? (uint32_t)in.p[i] << 8 | in.p[i + 1]
                        : (uint32_t)in.p[i + 1] << 8 | in.p[i];

        if (c >= 0xd800 && c < 0xdc00 && i + 3 < in.n) {
            uint32_t lo = be ? (uint32_t)in.p[i + 2] << 8 | in.p[i + 3]
                             : (uint32_t)in.p[i + 3] << 8 | in.p[i + 2];

            if (lo >= 0xdc00 && lo < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (lo - 0xdc00);
                i += 2;
            }
        }
        if (c >= 0xd800 && c < 0xe000)
            c = 0xfffd;
        if (c < 0x80) {
            nr_buf_put_c(out, (char)c);
        } else if (c < 0x800) {
            nr_buf_put_c(out, (char)(0xc0 | c >> 6));
            nr_buf_put_c(out, (char)(0x80 | (c & 0x3f)));
        } else {
            if (c < 0x10000) {
                nr_buf_put_c(out, (char)(0xe0 | c >> 12));
            } else {
                nr_buf_put_c(out, (char)(0xf0 | c >> 18));
                nr_buf_put_c(out, (char)(0x80 | (c >> 12 & 0x3f)));
            }
            nr_buf_put_c(out, (char)(0x80 | (c >> 6 & 0x3f)));
            nr_buf_put_c(out, (char)(0x80 | (c & 0x3f)));
        }
    }
    return out->err;
}

/* The indicators of W; what other warninglists said of them is judged anew. */
static enum nr_err
take_compiled(struct nr_feed *f, const struct nr_watchlist *w,
    struct nr_diag *d)
{
    uint64_t version = nr_watchlist_warn_version(w);
    bool judge = f->conf.warn && version != nr_warn_version(f->conf.warn);
    enum nr_err err = NR_OK;

    if (!f->conf.warn && f->stats.sources == 1)
        nr_watchlist_judged_by(f->builder, version);
    for (size_t i = 0; !err && i < nr_watchlist_count(w); i++) {
        struct nr_indicator ind = nr_watchlist_read(w, i, &f->text);

        if (judge)
            ind.warn = nr_feed_judge(f, ind.kind, ind.key);
        f->stats.values++;
        f->stats.taken++;
        f->stats.flagged += ind.warn.n > 0;
        for (size_t k = 0; !err && k < ind.n_claims; k++) {
            ind.said = nr_watchlist_claim(w, i, k);
            if (f->conf.source && ind.said.source.n == 0)
                ind.said.source = f->source;
            err = nr_watchlist_add(f->builder, &ind, d);
        }
    }
    return err;
}

static enum nr_err
add_compiled(struct nr_feed *f, struct nr_bytes in, struct nr_diag *d)
{
    struct nr_watchlist *w = NULL;
    enum nr_err err = nr_watchlist_decode(in, &w, d);

    if (!err)
        err = take_compiled(f, w, d);
    nr_watchlist_close(w);
    return err;
}

/* Among enough random octets some look like a name; so what is no text is not
 * searched. Bytes of other encodings (Shift_JIS, Latin-1) are no controls. */
static bool
is_binary(struct nr_bytes in)
{
    size_t n = in.n < JUNK_SAMPLE ? in.n : JUNK_SAMPLE, junk = 0;

    for (size_t i = 0; i < n; i++)
        junk += (in.p[i] < 0x20 && !nr_is_space(in.p[i])) || in.p[i] == 0x7f;
    return junk * JUNK_PART > n;
}

static enum nr_err
add_utf8(struct nr_feed *f, struct nr_bytes whole, enum nr_feed_format format,
    struct nr_diag *d)
{
    struct nr_bytes in = without_bom(whole);

    if (format == NR_FEED_AUTO)
        format = nr_feed_recognise(in);
    if (format != NR_FEED_COMPILED && is_binary(in))
        return nr_fail(d, NR_EFORMAT, 0,
            "feed: binary data, not text: no list is read from it");
    switch (format) {
    case NR_FEED_COMPILED:
        return add_compiled(f, in, d);
    case NR_FEED_CSV:
        return nr_feed_csv(f, in, d);
    case NR_FEED_STIX:
    case NR_FEED_MISP:
        return nr_feed_json(f, in, format, d);
    case NR_FEED_TEXT:
    case NR_FEED_AUTO:
        break;
    }
    return nr_feed_text(f, in, d);
}

/* The next source of F is called NAME. */
static enum nr_err
begin_source(struct nr_feed *f, const char *name, struct nr_diag *d)
{
    struct nr_str file = nr_str_of(name);
    char *copy = nr_new(&f->a, char, file.n + 1);

    if (!copy)
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    memcpy(copy, file.p, file.n);
    f->file = (struct nr_str){ copy, file.n };
    f->source = f->conf.source ? nr_str_of(f->conf.source) : f->file;
    /* A compiled list that is the only source keeps its judges. */
    if (!f->conf.warn && f->stats.sources > 0)
        nr_watchlist_judged_by(f->builder, 0);
    f->stats.sources++;
    return NR_OK;
}

enum nr_err
nr_feed_add_bytes(struct nr_feed *f, const char *name, struct nr_bytes in,
    enum nr_feed_format format, struct nr_diag *d)
{
    struct nr_buf text;
    enum nr_err err;

    if (in.n > NR_FEED_FILE_MAX)
        return nr_fail_name(d, NR_ELIMIT, "feed: source is longer than 4 GiB",
            name);
    err = begin_source(f, name, d);
    if (err)
        return err;
    nr_buf_init(&text, NR_FEED_FILE_MAX * 2);
    if (nr_bytes_starts(in, NR_BYTES("\xff\xfe")) ||
        nr_bytes_starts(in, NR_BYTES("\xfe\xff"))) {
        err = from_utf16(in, &text);
        in = nr_buf_bytes(&text);
    }
    if (err)
        (void)nr_fail(d, err, 0, "feed: out of memory");
    else
        err = add_utf8(f, in, format, d);
    if (err)
        nr_diag_add_name(d, name);
    nr_buf_fini(&text);
    return err;
}

/* Room for all of a file at once, where its size is known. */
static void
make_room(int fd, struct nr_buf *out)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        (uint64_t)st.st_size > NR_FEED_FILE_MAX)
        return;
    if (nr_buf_extend(out, (size_t)st.st_size + READ_STEP))
        nr_mem_large(out->p, out->cap);
    nr_buf_reset(out);
}

static enum nr_err
read_stream(int fd, struct nr_buf *out, const char *path, struct nr_diag *d)
{
    make_room(fd, out);
    for (;;) {
        size_t before = out->n;
        uint8_t *to = nr_buf_extend(out, READ_STEP);
        ssize_t n;

        if (!to)
            return nr_fail_name(d, out->err,
                "feed: source is longer than 4 GiB, or out of memory", path);
        do
            n = read(fd, to, READ_STEP);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return nr_fail_file(d, "feed: cannot read", path);
        out->n = before + (size_t)n;
        if (n == 0)
            return NR_OK;
    }
}

/* A compiled list is opened where it lies: it is mapped, not read, and its
 * deltas lie beside it. */
bool
nr_feed_is_compiled(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint8_t head[64] = { 0 };
    struct stat st;
    ssize_t n = -1;

    if (fd < 0)
        return false;
    /* Out of a pipe these octets would be gone for who reads it next. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = read(fd, head, sizeof(head));
    (void)close(fd);
    return n > 0 && nr_watchlist_is_one((struct nr_bytes){ head, (size_t)n });
}

/* Its deltas belong to a compiled list: octets alone would be half of it. */
static enum nr_err
add_list(struct nr_feed *f, const char *path, const char *name,
    struct nr_diag *d)
{
    struct nr_watchlist *w = NULL;
    enum nr_err err = nr_watchlist_open(path, &w, d);

    if (!err)
        err = begin_source(f, name, d);
    if (!err)
        err = take_compiled(f, w, d);
    nr_watchlist_close(w);
    return err;
}

static enum nr_err
add_stream(struct nr_feed *f, const char *path, const char *name,
    enum nr_feed_format format, struct nr_diag *d)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct nr_buf text;
    enum nr_err err;

    if (fd < 0) {
        err = errno == ENOENT ? NR_ENOTFOUND : NR_ESYS;
        (void)nr_fail_file(d, "feed: cannot open", path);
        return err;
    }
    nr_buf_init(&text, NR_FEED_FILE_MAX + READ_STEP);
    err = read_stream(fd, &text, path, d);
    if (!err)
        err = nr_feed_add_bytes(f, name, nr_buf_bytes(&text), format, d);
    nr_buf_fini(&text);
    if (!is_stdin)
        (void)close(fd);
    return err;
}

enum nr_err
nr_feed_add_path(struct nr_feed *f, const char *path,
    enum nr_feed_format format, struct nr_diag *d)
{
    const char *base = strrchr(path, '/');
    const char *name = base && base[1] ? base + 1 : path;

    if (strcmp(path, "-") == 0)
        return add_stream(f, path, "standard input", format, d);
    if ((format == NR_FEED_AUTO || format == NR_FEED_COMPILED) &&
        nr_feed_is_compiled(path))
        return add_list(f, path, name, d);
    return add_stream(f, path, name, format, d);
}

enum nr_err
nr_feed_build(struct nr_feed *f, int64_t now_s, struct nr_watchlist **out,
    struct nr_diag *d)
{
    return nr_watchlist_build(f->builder, now_s, out, d);
}

enum nr_err
nr_feed_write(struct nr_feed *f, const char *path, int64_t now_s,
    struct nr_diag *d)
{
    return nr_watchlist_write(f->builder, path, now_s, d);
}

enum nr_err
nr_feed_update(struct nr_feed *f, const char *path, bool remove, int64_t now_s,
    struct nr_watchlist_change *out, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (remove)
        err = nr_watchlist_remove_all(f->builder, d);
    if (!err)
        err = nr_watchlist_update(path, f->builder, now_s, out, d);
    return err;
}

static enum nr_err
open_compiled(const char *path, struct nr_watchlist **out,
    struct nr_feed_stats *stats, struct nr_diag *d)
{
    struct nr_watchlist *w = NULL;
    enum nr_err err = nr_watchlist_open(path, &w, d);

    if (err)
        return err;
    if (stats)
        *stats = (struct nr_feed_stats){ .sources = 1,
            .values = nr_watchlist_count(w),
            .taken = nr_watchlist_count(w),
            .indicators = nr_watchlist_count(w) };
    *out = w;
    return NR_OK;
}

enum nr_err
nr_feed_load_list(const char *const *paths, size_t n,
    const struct nr_feed_conf *conf, int64_t now_s, struct nr_watchlist **out,
    struct nr_feed_stats *stats, struct nr_diag *d)
{
    struct nr_feed *f;
    enum nr_err err = NR_OK;

    if (n == 1 && strcmp(paths[0], "-") != 0 && nr_feed_is_compiled(paths[0]))
        return open_compiled(paths[0], out, stats, d);
    f = nr_feed_create(conf);
    if (!f)
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    for (size_t i = 0; i < n && !err; i++)
        err = nr_feed_add_path(f, paths[i], NR_FEED_AUTO, d);
    if (!err && stats)
        nr_feed_stats(f, stats);
    if (!err && !nr_watchlist_builder_count(f->builder))
        err = nr_fail_name(d, NR_EFORMAT,
            "feed: no indicator found (STIX, MISP, CSV, text, kind<TAB>value "
            "and compiled lists are read)",
            n ? paths[0] : "");
    if (!err)
        err = nr_feed_build(f, now_s, out, d);
    nr_feed_destroy(f);
    return err;
}
