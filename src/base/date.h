/*
 * Time: UTC instants as int64_t microseconds or seconds since 1970, the
 * proleptic Gregorian calendar, and the text forms that the product reads and
 * writes. Nothing here looks at a clock, a zone file or the locale.
 *
 * Thread-safety: pure.
 */
#ifndef NR_DATE_H
#define NR_DATE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define NR_US_PER_S    INT64_C(1000000)
#define NR_S_PER_DAY   INT64_C(86400)
#define NR_TIME_NONE   INT64_MIN /* "no time known" wherever a time may lack */
#define NR_RFC3339_MAX ((size_t)104) /* octets with NUL that printing needs */

/* Days since 1970-01-01 of a civil date; M 1..12, D 1..31 (not checked). */
int64_t nr_days_from_civil(int64_t y, unsigned m, unsigned d);

struct nr_civil {
    int64_t year;
    unsigned month, day;           /* from 1 */
    unsigned hour, minute, second; /* 0..23, 0..59, 0..59 */
};

struct nr_civil nr_civil_from_s(int64_t s);

/* Seconds of a civil date and time. False when a field is out of range (a
 * second of 60 is taken as 59: leap seconds have no place in POSIX time). */
bool nr_civil_to_s(const struct nr_civil *c, int64_t *s) NR_MUST_USE;

/* RFC 3339 section 5.6 with 0..9 digits of fraction (cut to microseconds), 'T',
 * 't' or space between, "Z" or an offset; the whole of IN. NR_EFORMAT. */
enum nr_err nr_rfc3339_parse(struct nr_bytes in, int64_t *us,
    struct nr_diag *d) NR_MUST_USE;

/* "YYYY-MM-DD", "YYYY-MM-DDTHH:MM[:SS]Z" as above, or epoch seconds: the forms
 * that command lines and list files take. Seconds. NR_EFORMAT. */
enum nr_err nr_time_parse(struct nr_str in, int64_t *s,
    struct nr_diag *d) NR_MUST_USE;

/* "2017-08-21T00:00:00Z". BUF holds NR_RFC3339_MAX. Returns BUF. */
const char *nr_time_print(int64_t s, char *buf);

/* "2017-08-21T00:00:00.000000Z": microseconds, always six digits. */
const char *nr_time_print_us(int64_t us, char *buf);

/* "2017-08-21" */
const char *nr_day_print(int64_t day, char *buf);

/* "+0900", "+09:00", "-0330", "Z": seconds east of UTC. False otherwise. */
bool nr_zone_parse(struct nr_str in, int64_t *east_s) NR_MUST_USE;

/* Floor division of seconds into days: -1 s is in day -1. */
static inline int64_t
nr_day_of(int64_t s)
{
    return s >= 0 ? s / NR_S_PER_DAY
                  : -((-s + NR_S_PER_DAY - 1) / NR_S_PER_DAY);
}

#endif
