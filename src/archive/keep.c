/* Holds: days of an archive that retention leaves alone. */
#include "archive/keep.h"

#include "archive/store.h"
#include "base/buf.h"
#include "base/hash.h"

#include <stdio.h>

#define HOLDS_FILE  "holds"
#define HOLDS_HEAD  "noroshi-holds 1\n"
#define HOLDS_TEXT  ((size_t)1 << 20) /* octets of the file */
#define HOLD_FIELDS 5
#define SUM_LINE    ((size_t)21) /* "sum ", 16 digits, LF */
#define ARENA_MAX   ((size_t)4 << 20)

static enum nr_err
damaged(const char *path, size_t at, struct nr_diag *d)
{
    enum nr_err err = nr_fail(d, NR_EDAMAGED, at,
        "holds: damaged, nothing is dropped; restore the file, or remove it "
        "and set the holds again");

    nr_diag_add_name(d, path);
    return err;
}

static bool
is_name(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0 && s.n <= NR_HOLD_NAME_MAX;
}

static bool
is_reason(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return s.n <= NR_HOLD_REASON_MAX;
}

static bool
day_of(struct nr_str s, int64_t *day)
{
    int64_t t;

    if (nr_time_parse(s, &t, NULL))
        return false;
    *day = nr_day_of(t);
    return true;
}

static bool
parse_hold(struct nr_str line, struct nr_hold *out)
{
    struct nr_str f[HOLD_FIELDS];
    uint64_t set;

    for (size_t i = 0; i < HOLD_FIELDS; i++)
        f[i] = nr_str_cut(line, '\t', &line);
    if (!is_name(f[0]) || !is_reason(f[4]) || line.n > 0 ||
        !day_of(f[1], &out->days.from) || !day_of(f[2], &out->days.to) ||
        out->days.from > out->days.to || !nr_str_to_u64(f[3], &set) ||
        set > (uint64_t)INT64_MAX)
        return false;
    out->name = f[0];
    out->reason = f[4];
    out->set_s = (int64_t)set;
    return true;
}

static enum nr_err
parse(struct nr_bytes in, const char *path, struct nr_arena *a,
    struct nr_holds *out, struct nr_diag *d)
{
    struct nr_str head = NR_STR(HOLDS_HEAD), text, rest;
    size_t n = 0;
    char sum[32];

    if (!nr_str_from_utf8(in, &text) || in.n < head.n + SUM_LINE ||
        !nr_bytes_starts(in, nr_bytes_of(head)))
        return damaged(path, 0, d);
    text.n -= SUM_LINE;
    (void)snprintf(sum, sizeof(sum), "sum %016llx\n",
        (unsigned long long)nr_xxh64(nr_bytes_of(text), 0));
    if (memcmp(in.p + text.n, sum, SUM_LINE) != 0)
        return damaged(path, text.n, d);
    for (size_t i = head.n; i < text.n; i++)
        n += text.p[i] == '\n';
    out->v = nr_new(a, struct nr_hold, n + 1);
    if (!out->v)
        return nr_fail(d, NR_ENOMEM, 0, "holds: no memory");
    rest = (struct nr_str){ text.p + head.n, text.n - head.n };
    for (out->n = 0; rest.n > 0; out->n++) {
        size_t at = (size_t)(rest.p - text.p);

        if (!parse_hold(nr_str_cut(rest, '\n', &rest), &out->v[out->n]))
            return damaged(path, at, d);
    }
    return NR_OK;
}

enum nr_err
nr_holds_read(const char *dir, struct nr_arena *arena, struct nr_holds *out,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_bytes in = { 0 };
    struct nr_holds h = { 0 };
    enum nr_err err = nr_path_join(path, dir, HOLDS_FILE, d);

    if (!err) {
        struct nr_diag why = { 0 };

        err = nr_file_read(arena, path, HOLDS_TEXT, &in, &why);
        if (err == NR_ENOTFOUND) {
            *out = h;
            return NR_OK;
        }
        if (err && d)
            *d = why;
    }
    if (!err)
        err = parse(in, path, arena, &h, d);
    if (!err)
        *out = h;
    return err;
}

static enum nr_err
write_holds(const struct nr_archive *a, const struct nr_holds *h,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX], from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];
    enum nr_err err = nr_path_join(path, a->dir, HOLDS_FILE, d);
    struct nr_buf b;

    if (err)
        return err;
    nr_buf_init(&b, HOLDS_TEXT);
    nr_buf_put_str(&b, NR_STR(HOLDS_HEAD));
    for (size_t i = 0; i < h->n; i++) {
        nr_buf_put_str(&b, h->v[i].name);
        nr_buf_printf(&b, "\t%s\t%s\t%lld\t",
            nr_day_print(h->v[i].days.from, from),
            nr_day_print(h->v[i].days.to, to), (long long)h->v[i].set_s);
        nr_buf_put_str(&b, h->v[i].reason);
        nr_buf_put_c(&b, '\n');
    }
    nr_buf_printf(&b, "sum %016llx\n",
        (unsigned long long)nr_xxh64(nr_buf_bytes(&b), 0));
    err = b.err ? nr_fail(d, b.err, 0, "holds: too many, or no memory")
                : nr_file_replace(path, nr_buf_bytes(&b), 0600, d);
    nr_buf_fini(&b);
    return err;
}

static enum nr_err
check_hold(const struct nr_archive *a, const struct nr_hold *h,
    struct nr_diag *d)
{
    if (a->mode != NR_ARCHIVE_WRITE)
        return nr_fail(d, NR_EDENIED, 0, "archive: open for reading only");
    if (!is_name(h->name))
        return nr_fail(d, NR_EFORMAT, 0,
            "hold: a name has 1 to 64 printable ASCII characters, no space");
    if (!is_reason(h->reason))
        return nr_fail(d, NR_EFORMAT, 0,
            "hold: a reason has at most 400 octets on one line, no tab");
    if (h->days.from > h->days.to || h->days.from < 0 ||
        h->days.to >= SEG_DAYS || h->set_s < 0)
        return nr_fail(d, NR_EFORMAT, 0,
            "hold: the first day is after the last one, or not of 1970-2199");
    return NR_OK;
}

enum nr_err
nr_hold_add(struct nr_archive *a, const struct nr_hold *h, struct nr_diag *d)
{
    struct nr_holds old = { 0 }, all;
    struct nr_arena arena;
    size_t at = 0;
    enum nr_err err = check_hold(a, h, d);

    nr_arena_init(&arena, ARENA_MAX);
    if (!err)
        err = nr_holds_read(a->dir, &arena, &old, d);
    if (!err && old.n >= NR_HOLDS_MAX)
        err = nr_fail(d, NR_ELIMIT, 0, "hold: more than 1000");
    all.v = err ? NULL : nr_new(&arena, struct nr_hold, old.n + 1);
    all.n = old.n + 1;
    if (!err && !all.v)
        err = nr_fail(d, NR_ENOMEM, 0, "holds: no memory");
    for (size_t i = 0; !err && i < old.n; i++) {
        int c = nr_bytes_cmp(nr_bytes_of(old.v[i].name), nr_bytes_of(h->name));

        if (c == 0)
            err = nr_fail(d, NR_EEXIST, 0, "hold: the name is taken");
        at += c < 0;
        all.v[i + (c > 0)] = old.v[i];
    }
    if (!err) {
        all.v[at] = *h;
        err = write_holds(a, &all, d);
    }
    nr_arena_fini(&arena);
    return err;
}

enum nr_err
nr_hold_remove(struct nr_archive *a, struct nr_str name, struct nr_diag *d)
{
    struct nr_holds all = { 0 };
    struct nr_arena arena;
    size_t kept = 0;
    enum nr_err err = NR_OK;

    if (a->mode != NR_ARCHIVE_WRITE)
        return nr_fail(d, NR_EDENIED, 0, "archive: open for reading only");
    nr_arena_init(&arena, ARENA_MAX);
    err = nr_holds_read(a->dir, &arena, &all, d);
    for (size_t i = 0; !err && i < all.n; i++)
        if (!nr_str_eq(all.v[i].name, name))
            all.v[kept++] = all.v[i];
    if (!err && kept == all.n)
        err = nr_fail(d, NR_ENOTFOUND, 0, "hold: no such hold");
    all.n = kept;
    if (!err)
        err = write_holds(a, &all, d);
    nr_arena_fini(&arena);
    return err;
}
