#include "base/date.h"

#include <inttypes.h>
#include <stdio.h>

/* Days are counted in years that begin on 1 March, so that the leap day is
 * the last of its year and months have a linear start. */
int64_t
nr_days_from_civil(int64_t y, unsigned m, unsigned d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * ((int64_t)m + (m > 2 ? -3 : 9)) + 2) / 5 + (int64_t)d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct nr_civil
nr_civil_from_s(int64_t s)
{
    int64_t day = nr_day_of(s), sod = s - day * NR_S_PER_DAY;
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;

    return (struct nr_civil){
        .year = yoe + era * 400 + (month <= 2),
        .month = (unsigned)month,
        .day = (unsigned)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (unsigned)(sod / 3600),
        .minute = (unsigned)(sod / 60 % 60),
        .second = (unsigned)(sod % 60),
    };
}

static unsigned
month_days(int64_t y, unsigned m)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
        31 };
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return days[m - 1] + (m == 2 && leap ? 1U : 0U);
}

bool
nr_civil_to_s(const struct nr_civil *c, int64_t *s)
{
    unsigned second = c->second == 60 ? 59 : c->second;

    if (c->month < 1 || c->month > 12 || c->day < 1 || c->year < -9999 ||
        c->year > 9999 || c->day > month_days(c->year, c->month) ||
        c->hour > 23 || c->minute > 59 || second > 59)
        return false;
    *s = nr_days_from_civil(c->year, c->month, c->day) * NR_S_PER_DAY +
        c->hour * 3600 + c->minute * 60 + second;
    return true;
}

/* A fixed number of digits at *AT; false when there are fewer. */
static bool
digits(struct nr_bytes in, size_t *at, size_t n, unsigned *out)
{
    unsigned v = 0;

    if (n > in.n - *at)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = in.p[*at + i];

        if (!nr_is_digit(c))
            return false;
        v = v * 10 + (unsigned)(c - '0');
    }
    *at += n;
    *out = v;
    return true;
}

static bool
octet(struct nr_bytes in, size_t *at, char want)
{
    if (*at >= in.n || in.p[*at] != (uint8_t)want)
        return false;
    ++*at;
    return true;
}

static bool
date_at(struct nr_bytes in, size_t *at, struct nr_civil *c)
{
    unsigned year;

    if (!digits(in, at, 4, &year))
        return false;
    c->year = year;
    return octet(in, at, '-') && digits(in, at, 2, &c->month) &&
        octet(in, at, '-') && digits(in, at, 2, &c->day);
}

static bool
fraction_at(struct nr_bytes in, size_t *at, int64_t *us)
{
    int64_t unit = NR_US_PER_S / 10;
    size_t from;

    *us = 0;
    if (!octet(in, at, '.'))
        return true;
    from = *at;
    while (*at < in.n && nr_is_digit(in.p[*at]) && *at - from < 9) {
        *us += unit * (in.p[*at] - '0');
        unit /= 10;
        ++*at;
    }
    return *at > from;
}

static bool
zone_at(struct nr_bytes in, size_t *at, int64_t *east_s)
{
    unsigned h, m;
    bool west;

    *east_s = 0;
    if (octet(in, at, 'Z') || octet(in, at, 'z'))
        return true;
    west = octet(in, at, '-');
    if (!west && !octet(in, at, '+'))
        return false;
    if (!digits(in, at, 2, &h))
        return false;
    (void)octet(in, at, ':');
    if (!digits(in, at, 2, &m) || h > 23 || m > 59)
        return false;
    *east_s = (int64_t)(h * 3600 + m * 60) * (west ? -1 : 1);
    return true;
}

bool
nr_zone_parse(struct nr_str in, int64_t *east_s)
{
    size_t at = 0;

    return zone_at(nr_bytes_of(in), &at, east_s) && at == in.n;
}

enum nr_err
nr_rfc3339_parse(struct nr_bytes in, int64_t *us, struct nr_diag *d)
{
    struct nr_civil c = { 0 };
    int64_t s, frac, east;
    size_t at = 0;

    if (!date_at(in, &at, &c))
        return nr_fail(d, NR_EFORMAT, at, "time: no date [RFC 3339 5.6]");
    if (!octet(in, &at, 'T') && !octet(in, &at, 't') && !octet(in, &at, ' '))
        return nr_fail(d, NR_EFORMAT, at, "time: no 'T' [RFC 3339 5.6]");
    if (!digits(in, &at, 2, &c.hour) || !octet(in, &at, ':') ||
        !digits(in, &at, 2, &c.minute) || !octet(in, &at, ':') ||
        !digits(in, &at, 2, &c.second) || !fraction_at(in, &at, &frac))
        return nr_fail(d, NR_EFORMAT, at, "time: no time [RFC 3339 5.6]");
    if (!zone_at(in, &at, &east))
        return nr_fail(d, NR_EFORMAT, at, "time: no zone [RFC 3339 5.6]");
    if (at != in.n)
        return nr_fail(d, NR_EFORMAT, at, "time: octets after the zone");
    if (!nr_civil_to_s(&c, &s))
        return nr_fail(d, NR_EFORMAT, 0, "time: no such date or time");
    *us = (s - east) * NR_US_PER_S + frac;
    return NR_OK;
}

enum nr_err
nr_time_parse(struct nr_str in, int64_t *s, struct nr_diag *d)
{
    struct nr_bytes b = nr_bytes_of(in);
    struct nr_civil c = { 0 };
    enum nr_err err;
    uint64_t epoch;
    size_t at = 0;
    int64_t us;

    if (nr_str_to_u64(in, &epoch) && epoch <= INT64_MAX / NR_US_PER_S) {
        *s = (int64_t)epoch;
        return NR_OK;
    }
    if (date_at(b, &at, &c) && at == b.n) {
        if (!nr_civil_to_s(&c, s))
            return nr_fail(d, NR_EFORMAT, 0, "time: no such date");
        return NR_OK;
    }
    err = nr_rfc3339_parse(b, &us, d);
    if (!err)
        *s = us >= 0 ? us / NR_US_PER_S
                     : -((-us + NR_US_PER_S - 1) / NR_US_PER_S);
    return err;
}

const char *
nr_time_print(int64_t s, char *buf)
{
    struct nr_civil c = nr_civil_from_s(s);

    (void)snprintf(buf, NR_RFC3339_MAX,
        "%04" PRId64 "-%02u-%02uT%02u:%02u:%02uZ", c.year, c.month, c.day,
        c.hour, c.minute, c.second);
    return buf;
}

const char *
nr_time_print_us(int64_t us, char *buf)
{
    int64_t frac = us % NR_US_PER_S;
    int64_t s = us / NR_US_PER_S;
    struct nr_civil c;

    if (frac < 0) {
        frac += NR_US_PER_S;
        s--;
    }
    c = nr_civil_from_s(s);
    (void)snprintf(buf, NR_RFC3339_MAX,
        "%04" PRId64 "-%02u-%02uT%02u:%02u:%02u.%06" PRId64 "Z", c.year,
        c.month, c.day, c.hour, c.minute, c.second, frac);
    return buf;
}

const char *
nr_day_print(int64_t day, char *buf)
{
    struct nr_civil c = nr_civil_from_s(day * NR_S_PER_DAY);

    (void)snprintf(buf, NR_RFC3339_MAX, "%04" PRId64 "-%02u-%02u", c.year,
        c.month, c.day);
    return buf;
}
