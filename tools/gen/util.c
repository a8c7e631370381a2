#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
gen_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("gen: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

void *
gen_realloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (!p)
        gen_die("out of memory");
    return p;
}

char *
gen_strndup(const char *s, size_t n)
{
    char *p = gen_realloc(NULL, n + 1);
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *
gen_put_rndhex(char *o, struct rng *r, int digits, const char *tab)
{
    for (; digits > 16; digits -= 16)
        o = put_hex(o, rnd(r), 16, tab);
    return put_hex(o, rnd(r), digits, tab);
}

char *
gen_put_ip6(char *o, const unsigned char a[16], bool expanded)
{
    if (expanded) { /* the way netfilter and Suricata print it */
        for (int i = 0; i < 16; i += 2) {
            o = put_hex(o, (uint64_t)(a[i] << 8 | a[i + 1]), 4, HEX_LO);
            *o++ = ':';
        }
        return o - 1;
    }
    if (!inet_ntop(AF_INET6, a, o, 48))
        gen_die("inet_ntop");
    return o + strlen(o);
}

/* Escape '/' the way EVE writers of the time did. */
char *
gen_put_json_slash(char *o, const char *s)
{
    for (; *s; s++) {
        if (*s == '/')
            *o++ = '\\';
        *o++ = *s;
    }
    return o;
}

/* Calendar (proleptic Gregorian), no libc time zone involved. */
int64_t
gen_days_from_civil(int y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (unsigned)(m + (m > 2 ? -3 : 9)) + 2) / 5 +
        (unsigned)d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

void
gen_civil_from_days(int64_t z, int *y, int *m, int *d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y = (int)((int64_t)yoe + era * 400 + (*m <= 2));
}

/*
 * "2016-01-02", "2016-01-02T03:04:05", "2016-01-02 03:04:05Z" or epoch
 * seconds; UTC.
 */
int64_t
gen_parse_time(const char *s)
{
    int y, mo, d, h = 0, mi = 0, se = 0;
    int n = sscanf(s, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d", &y, &mo, &d, &h, &mi,
        &se);
    if (n >= 3 && strchr(s, '-'))
        return (gen_days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 +
                   se) *
            USEC;
    char *e;
    long long v = strtoll(s, &e, 10);
    if (e == s)
        gen_die("not a time: %s", s);
    return (int64_t)v * USEC;
}

char *
gen_put_iso_utc(char *o, int64_t t_us)
{
    int64_t s = t_us / USEC;
    int y, m, d, tod = (int)(s % 86400);
    gen_civil_from_days(s / 86400, &y, &m, &d);
    o = put_0n(o, (uint32_t)y, 4);
    *o++ = '-';
    o = put_0n(o, (uint32_t)m, 2);
    *o++ = '-';
    o = put_0n(o, (uint32_t)d, 2);
    *o++ = 'T';
    o = put_0n(o, (uint32_t)tod / 3600, 2);
    *o++ = ':';
    o = put_0n(o, (uint32_t)tod / 60 % 60, 2);
    *o++ = ':';
    o = put_0n(o, (uint32_t)tod % 60, 2);
    *o++ = 'Z';
    return o;
}

uint64_t
gen_parse_bytes(const char *s)
{
    char *e;
    double v = strtod(s, &e);
    switch (*e | 32) {
    case 'k':
        return (uint64_t)(v * 1e3);
    case 'm':
        return (uint64_t)(v * 1e6);
    case 'g':
        return (uint64_t)(v * 1e9);
    case 't':
        return (uint64_t)(v * 1e12);
    default:
        return (uint64_t)v;
    }
}

void
gen_parse_span(const char *s, int64_t *day0, int64_t *day1)
{
    const char *dots = strstr(s, "..");
    if (!dots)
        gen_die("--span FROM..TO (days, both included)");
    *day0 = gen_parse_time(s) / DAY_US;
    *day1 = gen_parse_time(dots + 2) / DAY_US + 1;
    if (*day1 <= *day0)
        gen_die("--span: empty");
}

const char *
gen_opt(int argc, char **argv, const char *name, const char *dflt)
{
    for (int i = 2; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], name))
            return argv[i + 1];
    return dflt;
}

void
gen_check_opts(int argc, char **argv, const char *const *known)
{
    for (int i = 2; i < argc; i += 2) {
        int k = 0;
        while (known[k] && strcmp(known[k], argv[i]))
            k++;
        if (!known[k])
            gen_die("unknown option %s", argv[i]);
        if (i + 1 >= argc)
            gen_die("%s needs a value", argv[i]);
    }
}

/* Calls fn for each line of a TSV file, its fields split in place. */
void
gen_each_tsv(const char *path, void (*fn)(char **f, int n, void *arg),
    void *arg)
{
    FILE *fp = fopen(path, "r");
    if (!fp)
        gen_die("%s: %s", path, strerror(errno));
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, fp)) > 0) {
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            line[--n] = 0;
        if (!n || line[0] == '#')
            continue;
        char *f[8];
        int k = 0;
        for (char *p = line; k < 8; k++) {
            f[k] = p;
            p = strchr(p, '\t');
            if (!p) {
                k++;
                break;
            }
            *p++ = 0;
        }
        fn(f, k, arg);
    }
    free(line);
    fclose(fp);
}
