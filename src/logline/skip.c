/* Going on elsewhere: passing over lines, and what is to be kept of a file. */
#include "logline/parse.h"

#include "base/cur.h"

#define NO_FORMAT 0xffu

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
    f->format = format == NO_FORMAT ? NULL : nr_format_at(format);
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

void
nr_logfile_skip(struct nr_logfile *f, struct nr_bytes text)
{
    while (text.n > 0) {
        struct nr_bytes line = nr_until(&text, '\n');
        struct nr_record r;

        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        nr_logline_parse(f, line, &r);
    }
}
