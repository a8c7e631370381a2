/* Going on elsewhere: passing over lines, and what is to be kept of a file. */
#include "logline/parse.h"

#include "base/cur.h"
#include "base/num.h"
#include "observable/observable.h"

#include <stdlib.h>

#define NO_FORMAT   0xffu
#define LINES_FIRST ((size_t)4096) /* lines that there is room for at first */
#define LIST_STEP   ((size_t)4096) /* octets whose lines are listed at once */
#define HEAD_MAX    ((size_t)64)   /* octets of a line that tell its day */

static void
put(uint8_t **p, uint64_t v, size_t octets)
{
    for (size_t i = 0; i < octets; i++, v >>= 8)
        *(*p)++ = (uint8_t)v;
}

void
nr_logfile_save(const struct nr_logfile *f, uint8_t out[NR_LOGFILE_STATE])
{
    const struct nr_years *y = &f->years;
    uint8_t *p = out;

    memset(out, 0, NR_LOGFILE_STATE);
    put(&p, f->format ? nr_format_index(f->format) : NO_FORMAT, 1);
    put(&p, f->carry_source, 1);
    put(&p, f->carry_kinds, 4);
    put(&p, (uint64_t)f->carry_us, 8);
    put(&p, (unsigned)y->used | (unsigned)y->known << 1, 1);
    put(&p, (uint64_t)y->year, 8);
    put(&p, y->mon, 1);
    put(&p, y->day, 1);
    put(&p, (uint64_t)y->wraps, 8);
    put(&p, y->pre_mon, 1);
    put(&p, y->pre_day, 1);
    put(&p, f->zeek.sep, 1);
    put(&p, f->zeek.n, 1);
    memcpy(p, f->zeek.row, sizeof(f->zeek.row));
    p += sizeof(f->zeek.row);
    memcpy(p, f->zeek.path, sizeof(f->zeek.path));
}

bool
nr_logfile_restore(struct nr_logfile *f, const uint8_t in[NR_LOGFILE_STATE])
{
    struct nr_cur c = nr_cur((struct nr_bytes){ in, NR_LOGFILE_STATE });
    unsigned format = nr_cur_u8(&c), source = nr_cur_u8(&c), flags;
    uint32_t kinds = nr_cur_le32(&c);
    int64_t us = (int64_t)nr_cur_le64(&c);
    struct nr_years y = f->years;
    uint8_t sep, n;
    struct nr_bytes row, path;

    flags = nr_cur_u8(&c);
    y.used = flags & 1;
    y.known = flags & 2;
    y.year = (int64_t)nr_cur_le64(&c);
    y.mon = nr_cur_u8(&c);
    y.day = nr_cur_u8(&c);
    y.wraps = (int64_t)nr_cur_le64(&c);
    y.pre_mon = nr_cur_u8(&c);
    y.pre_day = nr_cur_u8(&c);
    sep = nr_cur_u8(&c);
    n = nr_cur_u8(&c);
    row = nr_cur_take(&c, sizeof(f->zeek.row));
    path = nr_cur_take(&c, sizeof(f->zeek.path));
    if (c.err || source >= NR_SOURCES || n > NR_ZEEK_FIELDS || y.mon > 12 ||
        y.day > 31 || y.year < -9999 || y.year > 9999 || y.wraps < -9999 ||
        y.wraps > 9999 || path.p[path.n - 1] != 0 ||
        (format != NO_FORMAT && !nr_format_at(format)))
        return false;
    for (size_t i = 0; i < row.n; i++)
        if (row.p[i] > NR_ROLE_ROWS_MAX)
            return false;
    f->carry_source = (enum nr_source)source;
    f->carry_kinds = kinds;
    f->carry_us = us;
    f->years = y;
    f->zeek.sep = sep;
    f->zeek.n = n;
    memcpy(f->zeek.row, row.p, row.n);
    memcpy(f->zeek.path, path.p, path.n);
    return true;
}

/* ---- passing over ---- */

#define DAY_N ((size_t)7) /* "Jan  2 ", "Jan 12 ", "Jan 2 0": tell the day */

void
nr_logtext_init(struct nr_logtext *t)
{
    *t = (struct nr_logtext){ 0 };
}

void
nr_logtext_fini(struct nr_logtext *t)
{
    free(t->line);
    free(t->turn);
    nr_logtext_init(t);
}

/* Room for N more than there are in *V. */
static bool
more_room(uint32_t **v, size_t have, size_t n, size_t *cap)
{
    size_t want = *cap ? *cap : LINES_FIRST;
    uint32_t *grown;

    if (have + n <= *cap)
        return true;
    while (want < have + n)
        want *= 2;
    grown = realloc(*v, want * sizeof(**v));
    if (!grown)
        return false;
    *v = grown;
    *cap = want;
    return true;
}

static bool
list_lines(struct nr_logtext *t, struct nr_bytes text, unsigned cpu)
{
    t->n = 0;
    if (!more_room(&t->line, 0, 1, &t->cap))
        return false;
    t->line[t->n++] = 0;
    for (size_t at = 0; at < text.n; at += LIST_STEP) {
        struct nr_bytes in = nr_bytes_sub(text, at,
            nr_min(text.n, at + LIST_STEP));

        if (!more_room(&t->line, t->n, in.n + 2, &t->cap))
            return false;
        t->n += nr_list_lines(in, cpu, (uint32_t)at, t->line + t->n);
    }
    t->n -= t->line[t->n - 1] == text.n; /* nothing stands behind the last LF */
    return true;
}

/* Could the line at the head of REST say of which day, or how, others are?
 * LAST: where the day of the last such line stands. */
static bool
is_turn(struct nr_bytes rest, const uint8_t **last)
{
    unsigned m, d;
    size_t pri;

    if (rest.p[0] == '#')
        return rest.n > 1 &&
            (rest.p[1] == 's' || rest.p[1] == 'p' || rest.p[1] == 'f');
    if (rest.p[0] != '<' && !nr_is_alpha(rest.p[0]))
        return false;
    pri = nr_pri_length(rest);
    if (rest.n - pri < DAY_N || rest.p[pri + 3] != ' ' ||
        (*last && memcmp(*last, rest.p + pri, DAY_N) == 0) ||
        !nr_time_head_day(nr_bytes_sub(rest, 0, nr_min(rest.n, HEAD_MAX)), &m,
            &d))
        return false;
    *last = rest.p + pri;
    return true;
}

enum nr_err
nr_logtext_survey(struct nr_logtext *t, struct nr_bytes text, unsigned cpu)
{
    const uint8_t *last = NULL;

    t->n_turns = 0;
    if (!list_lines(t, text, cpu))
        return NR_ENOMEM;
    for (size_t i = 0; i < t->n; i++) {
        if (!is_turn(nr_bytes_sub(text, t->line[i], text.n), &last))
            continue;
        if (!more_room(&t->turn, t->n_turns, 1, &t->cap_turns))
            return NR_ENOMEM;
        t->turn[t->n_turns++] = (uint32_t)i;
    }
    return NR_OK;
}

size_t
nr_logtext_find(const struct nr_logtext *t, uint32_t at)
{
    size_t lo = 0, hi = t->n;

    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;

        if (t->line[mid] <= at)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

struct nr_bytes
nr_logtext_line(const struct nr_logtext *t, struct nr_bytes text, size_t i)
{
    struct nr_bytes line = nr_bytes_sub(text, t->line[i],
        i + 1 < t->n ? t->line[i + 1] : text.n);

    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* What the lines of [A, B), none of which is a turn, leave to those without
 * source or time of their own: found from behind, mostly at once. */
static void
settle(struct nr_logfile *f, const struct nr_logtext *t, struct nr_bytes text,
    size_t a, size_t b)
{
    bool own = false, dated = false;

    while (b > a && !dated) {
        struct nr_record r;

        if (!nr_logline_read(f, nr_logtext_line(t, text, --b), &r))
            continue;
        dated = r.time_us != NR_TIME_NONE;
        if (dated)
            f->carry_us = r.time_us;
        if (!own) {
            f->carry_source = r.source;
            f->carry_kinds = r.kinds;
        }
        own = true;
    }
}

/* The first turn that is not before line I. */
static size_t
turn_from(const struct nr_logtext *t, size_t i)
{
    size_t lo = 0, hi = t->n_turns;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (t->turn[mid] < i)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void
nr_logfile_skip(struct nr_logfile *f, const struct nr_logtext *t,
    struct nr_bytes text, size_t from, size_t to)
{
    struct nr_record r;

    if (f->years.deep)
        for (; from < to; from++)
            nr_logline_parse(f, nr_logtext_line(t, text, from), &r);
    for (size_t k = turn_from(t, from); from < to; k++) {
        size_t turn = k < t->n_turns && t->turn[k] < to ? t->turn[k] : to;

        settle(f, t, text, from, turn);
        if (turn < to)
            nr_logline_parse(f, nr_logtext_line(t, text, turn), &r);
        from = turn + 1;
    }
}
