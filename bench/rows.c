/* What a database is fed: kind, value, file, line and time of every observable.
 * From the prototypes of the project (peers/extract.c), cut into
 * functions: a plain extractor, slower or faster than ours, timed by itself. */
/*
 * extract.c - plain scalar extractor: turns log files into rows for the database peers of job B.
 *   cc -O2 -std=c17 -o extract extract.c
 *   ./extract [-p] [-z +0900] FILE... > rows.tsv
 * One row per (line, observable): kind, value, file number, line, epoch. A name gives a row for itself and for
 * each parent with at least two labels, so that "is it under D?" is an equality. Values are canonical (lower
 * case, no trailing dot). -p: print nothing, only count (to time the extraction alone).
 * Follows the matching rules of shared/corpus/README.md except that names whose last label looks like a file
 * extension are dropped; the rows are for databases, not for judging recall of the rules themselves.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME = 1, HEX = 2, ALNUM = 4, LOCAL = 8, URLEND = 16, DIGIT = 32 };

static uint8_t cls[256];
static bool quiet;
static uint64_t rows;
static unsigned cur_file;
static uint64_t cur_line;
static int64_t cur_time;
static int tz_min = 540;

static void
init_classes(void)
{
    for (int c = 0; c < 256; c++) {
        bool al = (c >= '0' && c <= '9') ||
            ((c | 32) >= 'a' && (c | 32) <= 'z');
        cls[c] = (uint8_t)((al || c == '.' || c == '-' || c == '_' ? NAME : 0) |
            (al ? ALNUM : 0) | (al || (c && strchr("._+-", c)) ? LOCAL : 0) |
            ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f')
                    ? HEX
                    : 0) |
            (c >= '0' && c <= '9' ? DIGIT : 0) |
            (c <= ' ' || c >= 0x7f || strchr("\"'<>`|{}^", c) ? URLEND : 0));
    }
}

static void
row(const char *kind, const char *s, size_t n)
{
    rows++;
    if (quiet || n > 600)
        return;
    char t[700], *o = t;
    o = stpcpy(o, kind), *o++ = '\t';
    for (size_t i = 0; i < n; i++)
        *o++ = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] | 32) : s[i];
    o += sprintf(o, "\t%u\t%llu\t%lld\n", cur_file,
        (unsigned long long)cur_line, (long long)cur_time);
    fwrite_unlocked(t, 1, (size_t)(o - t), stdout);
}

static int64_t
days(int y, int m, int d)
{
    y -= m <= 2;
    int64_t era = y / 400;
    unsigned yoe = (unsigned)(y - era * 400),
             doy = (153 * (unsigned)(m + (m > 2 ? -3 : 9)) + 2) / 5 +
        (unsigned)d - 1;
    return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) -
        719468;
}

static int
num(const char *s, int n)
{
    int v = 0;
    for (; n--; s++)
        v = v * 10 + (*s == ' ' ? 0 : *s - '0');
    return v;
}

static int
month(const char *s)
{
    const char *p = strstr("JanFebMarAprMayJunJulAugSepOctNovDec",
        (char[4]){ s[0], s[1], s[2], 0 });
    return p ? (int)((p - "JanFebMarAprMayJunJulAugSepOctNovDec") / 3) + 1 : 1;
}

static int64_t
hms(const char *s)
{
    return num(s, 2) * 3600 + num(s + 3, 2) * 60 + num(s + 6, 2);
}

static int64_t
line_time(const char *s, const char *e, int year)
{
    if (e - s < 40)
        return 0;
    if (*s == '{') {
        const char *q = (const char *)memchr(s, ':', (size_t)(e - s)) + 2;
        return days(num(q, 4), num(q + 5, 2), num(q + 8, 2)) * 86400 +
            hms(q + 11) - tz_min * 60;
    }
    if (s[2] == '-')
        return days(num(s + 7, 4), month(s + 3), num(s, 2)) * 86400 +
            hms(s + 12) - tz_min * 60;
    int d = 0;
    while (d < 10 && cls[(uint8_t)s[d]] & DIGIT)
        d++;
    if (d == 10 && s[10] == '.')
        return strtoll(s, NULL, 10);
    if (s[3] == ' ' && s[0] >= 'A')
        return days(year, month(s), num(s + 4, 2)) * 86400 + hms(s + 7) -
            tz_min * 60;
    const char *b = memchr(s, '[', (size_t)(e - s));
    if (b && e - b > 28)
        return days(num(b + 8, 4), month(b + 4), num(b + 1, 2)) * 86400 +
            hms(b + 13) - tz_min * 60;
    return 0;
}

static bool
ip4(const char *s, const char *e)
{
    int parts = 0, v = 0, n = 0;
    for (; s <= e; s++) {
        if (s == e || *s == '.') {
            if (!n || v > 255 || (n > 1 && s[-n] == '0'))
                return false;
            parts++, v = n = 0;
        } else if (cls[(uint8_t)*s] & DIGIT && n < 3)
            v = v * 10 + *s - '0', n++;
        else
            return false;
    }
    return parts == 4;
}

static bool
extension(const char *s, size_t n)
{
    static const char list[] =
        " html htm php js css png jpg gif json exe bin dll log txt xml asp "
        "aspx jsp svg ico doc pdf swf ";
    char t[8] = { ' ' };
    if (n > 5)
        return false;
    memcpy(t + 1, s, n), t[n + 1] = ' ';
    return strcasestr(list, t) != NULL;
}

/* one maximal run of name characters */
static void
run(const char *a, const char *z)
{
    const char *dot = NULL;
    bool hex = true, alpha = false;
    for (const char *b = a; b < z; b++) {
        dot = *b == '.' ? b : dot;
        hex &= (cls[(uint8_t)*b] & HEX) != 0;
        alpha |= !(cls[(uint8_t)*b] & DIGIT) && *b != '.';
    }
    if (hex && (z - a == 32 || z - a == 40 || z - a == 64)) {
        row(z - a == 32       ? "md5"
                : z - a == 40 ? "sha1"
                              : "sha256",
            a, (size_t)(z - a));
        return;
    }
    if (!dot || z - a < 4)
        return;
    while (z > a && (z[-1] == '.' || z[-1] == '-'))
        z--;
    while (a < z && (*a == '.' || *a == '-'))
        a++;
    if (!alpha) {
        if (ip4(a, z))
            row("ipv4", a, (size_t)(z - a));
        return;
    }
    const char *last = memrchr(a, '.', (size_t)(z - a));
    if (!last || cls[(uint8_t)last[1]] & DIGIT ||
        extension(last + 1, (size_t)(z - last - 1)))
        return;
    for (const char *q = a; q < last;) {
        row("domain", q, (size_t)(z - q));
        q = (const char *)memchr(q, '.', (size_t)(z - q)) + 1;
    }
}

/* P: the ':' of "://", or of ":\\/\\/" as some JSON writers put it. */
static void
url(const char *s, const char *p, const char *e, bool esc)
{
    const char *a = p, *b = p + (esc ? 5 : 3), *first = b;
    char t[600];
    size_t n = 0;
    while (a > s && cls[(uint8_t)a[-1]] & ALNUM)
        a--;
    while (
        b < e && (!(cls[(uint8_t)*b] & URLEND) && (*b != '\\' || b[1] == '/')))
        b++;
    while (b > first && strchr(".,;:!?)]", b[-1]))
        b--;
    for (const char *q = a; q < b && n < sizeof t; q++)
        if (*q != '\\')
            t[n++] = *q;
    if (b > first && p - a >= 3)
        row("url", t, n);
}

static void
mail(const char *s, const char *p, const char *e)
{
    const char *a = p, *b = p + 1;
    while (a > s && cls[(uint8_t)a[-1]] & LOCAL)
        a--;
    while (b < e && cls[(uint8_t)*b] & NAME)
        b++;
    while (b > p && (b[-1] == '.' || b[-1] == '-'))
        b--;
    if (a < p && b > p + 1)
        row("email", a, (size_t)(b - a));
}

static void
ip6(const char *s, const char *p, const char *e)
{
    const char *a = p, *b = p;
    unsigned char v[16];
    char t[64];
    int colons = 0;
    while (a > s && (cls[(uint8_t)a[-1]] & HEX || a[-1] == ':'))
        a--;
    while (b < e && (cls[(uint8_t)*b] & HEX || *b == ':'))
        colons += *b++ == ':';
    if (a != p && memchr(a, ':', (size_t)(p - a)))
        return; /* not the first colon of its run */
    if (colons < 2 || b - a >= 48)
        return;
    if (b[-1] == ':' && b[-2] != ':')
        b--;
    if (*a == ':' && a[1] != ':')
        a++;
    memcpy(t, a, (size_t)(b - a));
    t[b - a] = 0;
    if (inet_pton(AF_INET6, t, v) == 1) {
        inet_ntop(AF_INET6, v, t, sizeof t);
        row("ipv6", t, strlen(t));
    }
}

/* What stands around a mark that no name holds. */
static void
mark(const char *s, const char *p, const char *e)
{
    bool esc = e - p > 5 && !memcmp(p, ":\\/\\/", 5);
    if (esc || (*p == ':' && e - p > 3 && p[1] == '/' && p[2] == '/'))
        url(s, p, e, esc);
    else if (*p == '@')
        mail(s, p, e);
    else if (*p == ':' && e - p > 2 &&
        (p[1] == ':' || cls[(uint8_t)p[1]] & HEX))
        ip6(s, p, e);
}

static void
scan_line(const char *s, const char *e)
{
    for (const char *p = s; p < e;) {
        if (!(cls[(uint8_t)*p] & NAME)) {
            mark(s, p, e);
            p++;
            continue;
        }
        const char *b = p;
        while (b < e && cls[(uint8_t)*b] & NAME)
            b++;
        run(p, b);
        /* the tail of an escape right before the run: both readings count */
        if (p > s && p[-1] == '%' && b - p > 2 &&
            cls[(uint8_t)p[0]] & cls[(uint8_t)p[1]] & HEX)
            run(p + 2, b);
        else if (p > s && p[-1] == '\\' && strchr("nrt", *p))
            run(p + 1, b);
        p = b;
    }
}

int
main(int argc, char **argv)
{
    init_classes();
    char *line = NULL;
    size_t cap = 0;
    uint64_t bytes = 0;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (argv[i][1] == 'p')
            quiet = true;
        else if (argv[i][1] == 'z' && i + 1 < argc) {
            int z = atoi(argv[++i] + 1);
            tz_min = (z / 100 * 60 + z % 100) * (argv[i][0] == '-' ? -1 : 1);
        }
    }
    clock_t t0 = clock();
    for (; i < argc; i++, cur_file++) {
        FILE *f = fopen(argv[i], "r");
        if (!f)
            return perror(argv[i]), 1;
        const char *y = strrchr(argv[i], '/');
        y = strchr(y ? y : argv[i], '-');
        int year = y ? atoi(y + 1) : 1970;
        ssize_t n;
        for (cur_line = 1; (n = getline(&line, &cap, f)) > 0; cur_line++) {
            bytes += (uint64_t)n;
            cur_time = line_time(line, line + n, year);
            scan_line(line, line + n - 1);
        }
        fclose(f);
    }
    fflush(stdout);
    double s = (double)(clock() - t0) / CLOCKS_PER_SEC;
    fprintf(stderr, "bytes=%llu rows=%llu cpu_s=%.2f MB_per_s=%.0f\n",
        (unsigned long long)bytes, (unsigned long long)rows, s,
        (double)bytes / s / 1e6);
    return 0;
}
