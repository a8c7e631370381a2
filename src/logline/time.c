#include "logline/parse.h"

#include "base/num.h"

#define YEAR_MIN    1970u
#define YEAR_MAX    2100u
#define FIND_WITHIN ((size_t)96) /* octets of a line searched for a date */
#define TAI64_BASE  (UINT64_C(1) << 62) /* cr.yp.to/libtai/tai64.html */
#define TAI_UTC     10                  /* seconds TAI was ahead in 1970 */

static bool
two(const uint8_t *p, unsigned *v)
{
    *v = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
    return nr_is_digit(p[0]) && nr_is_digit(p[1]);
}

static bool
four(const uint8_t *p, unsigned *v)
{
    unsigned hi, lo;
    bool ok = two(p, &hi);

    ok = two(p + 2, &lo) && ok;
    *v = hi * 100 + lo;
    return ok;
}

/* 1..12 of "Jan".."Dec" in any case, 0 otherwise. */
static unsigned
month_of(const uint8_t *p)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    const uint8_t low[3] = { nr_lower(p[0]), nr_lower(p[1]), nr_lower(p[2]) };

    for (unsigned i = 0; i < 12; i++)
        if (memcmp(names + (size_t)3 * i, low, 3) == 0)
            return i + 1;
    return 0;
}

/* Seconds of a civil day, remembered: lines of a file share their day. */
static bool
day_s(struct nr_logfile *f, int64_t y, unsigned m, unsigned d, int64_t *s)
{
    int64_t key = (y << 9) + (int64_t)(m << 5) + (int64_t)d;

    if (m < 1 || m > 12 || d < 1 || d > 31)
        return false;
    if (key != f->day_key) {
        f->day_key = key;
        f->day_s = nr_days_from_civil(y, m, d) * NR_S_PER_DAY;
    }
    *s = f->day_s;
    return true;
}

/* "hh:mm:ss[.frac|,frac]" at B; octets taken, 0 if none. */
static size_t
clock_us(struct nr_bytes b, int64_t *us)
{
    unsigned h, m, s;
    int64_t frac = 0, unit = NR_US_PER_S;
    size_t n = 8;

    if (b.n < n || !two(b.p, &h) || b.p[2] != ':' || !two(b.p + 3, &m) ||
        b.p[5] != ':' || !two(b.p + 6, &s) || h > 23 || m > 59 || s > 60)
        return 0;
    if (b.n > n + 1 && (b.p[n] == '.' || b.p[n] == ',') &&
        nr_is_digit(b.p[n + 1]))
        for (n++; n < b.n && nr_is_digit(b.p[n]); n++) {
            unit /= 10;
            frac += (b.p[n] - '0') * unit;
        }
    s = s == 60 ? 59 : s;
    *us = ((int64_t)h * 3600 + (int64_t)m * 60 + s) * NR_US_PER_S + frac;
    return n;
}

/* "Z", "+0900", "+09:00", " +0900", at B: octets taken, seconds east. */
static size_t
zone_s(struct nr_bytes b, int64_t *east)
{
    size_t at = b.n > 0 && b.p[0] == ' ';
    unsigned h, m;
    size_t colon;

    if (b.n > at && (b.p[at] == 'Z' || b.p[at] == 'z') && at == 0) {
        *east = 0;
        return 1;
    }
    if (b.n < at + 5 || (b.p[at] != '+' && b.p[at] != '-'))
        return 0;
    colon = b.p[at + 3] == ':';
    if (b.n < at + 5 + colon || !two(b.p + at + 1, &h) ||
        !two(b.p + at + 3 + colon, &m) || h > 23 || m > 59)
        return 0;
    *east = ((int64_t)h * 60 + m) * 60 * (b.p[at] == '-' ? -1 : 1);
    return at + 5 + colon;
}

size_t
nr_time_iso_zone(struct nr_logfile *f, struct nr_bytes b, int64_t east_s,
    int64_t *us, bool *zoned)
{
    unsigned y, m, d;
    int64_t day, tod;
    size_t n, z;

    *zoned = false;
    if (b.n < 19 || (b.p[4] != '-' && b.p[4] != '/') || b.p[7] != b.p[4] ||
        (b.p[10] != 'T' && b.p[10] != ' ' && b.p[10] != 't') ||
        !four(b.p, &y) || !two(b.p + 5, &m) || !two(b.p + 8, &d) ||
        !day_s(f, y, m, d, &day))
        return 0;
    n = clock_us(nr_skip(b, 11), &tod);
    if (n == 0)
        return 0;
    z = zone_s(nr_skip(b, 11 + n), &east_s);
    *zoned = z > 0;
    *us = (day - east_s) * NR_US_PER_S + tod;
    return 11 + n + z;
}

size_t
nr_time_iso(struct nr_logfile *f, struct nr_bytes b, int64_t *us)
{
    bool zoned;

    return nr_time_iso_zone(f, b, f->zone_s, us, &zoned);
}

size_t
nr_time_epoch(struct nr_bytes b, int64_t *us)
{
    uint64_t v = 0;
    size_t n = 0;
    int64_t unit = NR_US_PER_S;

    for (; n < b.n && n < 20 && nr_is_digit(b.p[n]); n++)
        v = v * 10 + (uint64_t)(b.p[n] - '0');
    if (n == 0 || n == 20)
        return 0;
    if (n == 13 || n == 16 || n == 19) {
        *us = (int64_t)(n == 13 ? v * 1000 : n == 16 ? v : v / 1000);
        return n;
    }
    if (n > 10)
        return 0;
    *us = (int64_t)v * NR_US_PER_S;
    if (n + 1 < b.n && b.p[n] == '.' && nr_is_digit(b.p[n + 1]))
        for (n++; n < b.n && nr_is_digit(b.p[n]); n++) {
            unit /= 10;
            *us += (b.p[n] - '0') * unit;
        }
    return n;
}

/* "Jan  2 ", "Jan 2 ", "Jan 02 ": octets taken. */
static size_t
bsd_day(struct nr_bytes b, unsigned *m, unsigned *d)
{
    size_t n = 4;

    if (b.n < 8 || b.p[3] != ' ')
        return 0;
    *m = month_of(b.p);
    if (*m == 0)
        return 0;
    n += b.p[n] == ' ';
    if (!nr_is_digit(b.p[n]))
        return 0;
    *d = (unsigned)(b.p[n++] - '0');
    if (nr_is_digit(b.p[n]))
        *d = *d * 10 + (unsigned)(b.p[n++] - '0');
    if (n >= b.n || b.p[n] != ' ' || *d < 1 || *d > 31)
        return 0;
    return n + 1;
}

bool
nr_time_bsd_day(struct nr_bytes line, unsigned *mon, unsigned *day)
{
    if (line.n && line.p[0] == '<')
        (void)nr_until(&line, '>');
    return bsd_day(line, mon, day) != 0;
}

bool
nr_time_head_day(struct nr_bytes line, unsigned *mon, unsigned *day)
{
    struct nr_bytes b = nr_skip(line, nr_pri_length(line));
    unsigned year;
    int64_t tod;
    size_t n = bsd_day(b, mon, day);

    if (n == 0 || (b.n >= n + 5 && b.p[n + 4] == ' ' && four(b.p + n, &year)))
        return false;
    return clock_us(nr_skip(b, n), &tod) > 0;
}

size_t
nr_time_bsd(struct nr_logfile *f, struct nr_bytes b, int64_t *us)
{
    unsigned m = 0, d = 0, y4 = 0;
    size_t n = bsd_day(b, &m, &d), k;
    int64_t y, day, tod;
    bool year = false;

    if (n == 0)
        return 0;
    if (b.n >= n + 5 && b.p[n + 4] == ' ' && four(b.p + n, &y4)) {
        year = true;
        n += 5;
    }
    k = clock_us(nr_skip(b, n), &tod);
    if (k == 0)
        return 0;
    *us = NR_TIME_NONE;
    if (year)
        y = y4;
    else if (!nr_year_of(f, m, d, &y))
        return n + k; /* a date, but of no known year */
    if (!day_s(f, y, m, d, &day))
        return 0;
    *us = (day - f->zone_s) * NR_US_PER_S + tod;
    return n + k;
}

/* "02/Jan/2016" or "02-Jan-2016", SEP between. */
static bool
named_day(struct nr_logfile *f, struct nr_bytes b, char sep, int64_t *day)
{
    unsigned d, y;

    return b.n >= 20 && b.p[2] == (uint8_t)sep && b.p[6] == (uint8_t)sep &&
        two(b.p, &d) && four(b.p + 7, &y) &&
        day_s(f, y, month_of(b.p + 3), d, day);
}

size_t
nr_time_clf(struct nr_logfile *f, struct nr_bytes b, int64_t *us)
{
    int64_t day, tod, east = f->zone_s;
    size_t n;

    if (b.n < 20 || b.p[11] != ':' || !named_day(f, b, '/', &day))
        return 0;
    n = clock_us(nr_skip(b, 12), &tod);
    if (n == 0)
        return 0;
    n += 12;
    n += zone_s(nr_skip(b, n), &east);
    *us = (day - east) * NR_US_PER_S + tod;
    return n;
}

size_t
nr_time_bind(struct nr_logfile *f, struct nr_bytes b, int64_t *us)
{
    int64_t day, tod;
    size_t n;

    if (b.n < 20 || b.p[11] != ' ' || !named_day(f, b, '-', &day))
        return 0;
    n = clock_us(nr_skip(b, 12), &tod);
    if (n == 0)
        return 0;
    *us = (day - f->zone_s) * NR_US_PER_S + tod;
    return 12 + n;
}

size_t
nr_time_ctime(struct nr_logfile *f, struct nr_bytes b, int64_t *us)
{
    unsigned m, d, y;
    int64_t day, tod;
    size_t n, k;

    if (b.n < 24 || b.p[3] != ' ')
        return 0;
    n = bsd_day(nr_skip(b, 4), &m, &d);
    if (n == 0)
        return 0;
    n += 4;
    k = clock_us(nr_skip(b, n), &tod);
    n += k + 1;
    if (k == 0 || n + 4 > b.n || !four(b.p + n, &y) || !day_s(f, y, m, d, &day))
        return 0;
    *us = (day - f->zone_s) * NR_US_PER_S + tod;
    return n + 4;
}

size_t
nr_time_fast(struct nr_logfile *f, struct nr_bytes b, int64_t *us)
{
    unsigned m, d, y;
    int64_t day, tod;
    size_t n;

    if (b.n < 19 || b.p[2] != '/' || b.p[5] != '/' || b.p[10] != '-' ||
        !two(b.p, &m) || !two(b.p + 3, &d) || !four(b.p + 6, &y) ||
        !day_s(f, y, m, d, &day))
        return 0;
    n = clock_us(nr_skip(b, 11), &tod);
    if (n == 0)
        return 0;
    *us = (day - f->zone_s) * NR_US_PER_S + tod;
    return 11 + n;
}

/* "@400000004c91b044077a9e94": TAI64N as multilog writes it. */
static size_t
tai64n(struct nr_bytes b, int64_t *us)
{
    uint64_t s = 0, ns = 0;

    if (b.n < 25 || b.p[0] != '@')
        return 0;
    for (size_t i = 1; i < 25; i++) {
        uint64_t *v = i < 17 ? &s : &ns;

        if (!nr_is_hex(b.p[i]))
            return 0;
        *v = *v << 4 | nr_hex_value(b.p[i]);
    }
    if (s < TAI64_BASE + TAI_UTC || s - TAI64_BASE > UINT32_MAX)
        return 0;
    *us = (int64_t)(s - TAI64_BASE - TAI_UTC) * NR_US_PER_S +
        (int64_t)(ns / 1000 % (uint64_t)NR_US_PER_S);
    return 25;
}

/* "10.30 16:49:06": month and day without year. */
static size_t
dotted(struct nr_logfile *f, struct nr_bytes b, int64_t *us)
{
    unsigned m, d;
    int64_t y, day, tod;
    size_t n;

    if (b.n < 14 || b.p[2] != '.' || b.p[5] != ' ' || !two(b.p, &m) ||
        !two(b.p + 3, &d) || m < 1 || m > 12 || d < 1 || d > 31)
        return 0;
    n = clock_us(nr_skip(b, 6), &tod);
    if (n == 0 || !nr_year_of(f, m, d, &y) || !day_s(f, y, m, d, &day))
        return 0;
    *us = (day - f->zone_s) * NR_US_PER_S + tod;
    return 6 + n;
}

/* A plain number counts as a time only where a line begins with one. */
static size_t
head_epoch(struct nr_bytes b, int64_t *us)
{
    size_t digits = 0;
    size_t n;

    while (digits < b.n && nr_is_digit(b.p[digits]))
        digits++;
    if (digits != 10 && digits != 13 && digits != 16)
        return 0;
    n = nr_time_epoch(b, us);
    return n && (n == b.n || nr_is_space(b.p[n]) || b.p[n] == ',') ? n : 0;
}

bool
nr_time_find(struct nr_logfile *f, struct nr_bytes line, int64_t *us)
{
    typedef size_t form(struct nr_logfile *, struct nr_bytes, int64_t *);
    static form *const forms[] = { nr_time_iso, nr_time_clf, nr_time_bind,
        nr_time_ctime, nr_time_bsd, nr_time_fast, dotted };
    bool edge = true;

    if (head_epoch(line, us) || tai64n(line, us))
        return true;
    for (size_t i = 0; i < line.n && i < FIND_WITHIN; i++) {
        uint8_t c = line.p[i];
        bool digit = nr_is_digit(c);

        /* every form starts with a digit or a capital, at an edge */
        if (edge && (digit || (c >= 'A' && c <= 'Z')))
            for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++)
                if (forms[k](f, nr_skip(line, i), us) && *us != NR_TIME_NONE)
                    return true;
        edge = !digit && !nr_is_alpha(c);
    }
    return false;
}

/* ---- names of files ---- */

/* "-05" or "-05-31" at AT, behind a year; 0 where there is none. */
static void
name_rest(struct nr_bytes b, size_t at, unsigned *m, unsigned *d)
{
    if (b.n < at + 3 || nr_is_alpha(b.p[at]) || !two(b.p + at + 1, m) ||
        (b.n > at + 3 && nr_is_digit(b.p[at + 3]))) {
        *m = 0;
        return;
    }
    if (b.n < at + 6 || b.p[at + 3] != b.p[at] || !two(b.p + at + 4, d) ||
        (b.n > at + 6 && nr_is_digit(b.p[at + 6])))
        *d = 0;
}

/* "2016", "2016-05", "2016-05-31", "201605", "20160531[hhmm[ss]]", with '-',
 * '_' or '.' between; the run of digits at AT has N of them. */
static bool
name_date(struct nr_years *y, struct nr_bytes b, size_t at, size_t n)
{
    unsigned year, m = 0, d = 0;

    if ((n != 4 && n != 6 && n != 8 && n != 12 && n != 14) ||
        !four(b.p + at, &year) || year < YEAR_MIN || year > YEAR_MAX)
        return false;
    if (n == 4)
        name_rest(b, at + 4, &m, &d);
    else if (!two(b.p + at + 4, &m) || m < 1 || m > 12 ||
        (n > 6 && (!two(b.p + at + 6, &d) || d < 1 || d > 31)))
        return false; /* digits, but no date */
    y->given = true;
    y->month = m >= 1 && m <= 12;
    y->name_year = year;
    y->name_days = nr_days_from_civil(year, y->month ? m : 1,
        d >= 1 && d <= 31 ? d : 15);
    return true;
}

static void
name_source(struct nr_logfile *f, struct nr_bytes base)
{
    static const struct {
        const char *part;
        enum nr_source source;
    } hints[] = {
        { "squid", NR_SOURCE_SQUID },
        { "access", NR_SOURCE_ACCESS },
        { "error", NR_SOURCE_WEB_ERROR },
        { "named", NR_SOURCE_NAMED },
        { "dnsmasq", NR_SOURCE_DNSMASQ },
        { "firewall", NR_SOURCE_FIREWALL },
        { "iptables", NR_SOURCE_FIREWALL },
        { "sshd", NR_SOURCE_SSHD },
        { "mail", NR_SOURCE_MAIL },
        { "conn", NR_SOURCE_CONN },
        { "eve", NR_SOURCE_EVE },
        { "fast", NR_SOURCE_FAST },
        { "winevt", NR_SOURCE_WINEVT },
        { "syslog", NR_SOURCE_SYSLOG },
        { "messages", NR_SOURCE_SYSLOG },
    };

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (nr_has(base,
                (struct nr_bytes){ (const uint8_t *)hints[i].part,
                    strlen(hints[i].part) })) {
            f->hint = hints[i].source;
            return;
        }
}

void
nr_name_read(struct nr_logfile *f, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    struct nr_bytes b = { (const uint8_t *)base, strlen(base) };
    struct nr_bytes rest = b;
    struct nr_bytes stem = nr_until(&rest, '.');
    size_t n = nr_min(stem.n, NR_STREAM_MAX - 1);

    memcpy(f->stream, stem.p, n);
    f->stream[n] = '\0';
    name_source(f, b);
    for (size_t i = 0; i < b.n; i += n) {
        n = 0;
        while (i + n < b.n && nr_is_digit(b.p[i + n]))
            n++;
        if (n && name_date(&f->years, b, i, n))
            return;
        n += n == 0;
    }
}
