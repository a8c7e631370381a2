#include "archive/stream.h"

#include "archive/segment.h"
#include "base/num.h"

#define DATE_DIGITS ((size_t)6) /* 160501, 201605, 20160501 */

static bool
is_sep(char c)
{
    return c == '-' || c == '.' || c == '_';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Without SUFFIX, if something is left. */
static struct nr_str
without(struct nr_str s, const char *suffix)
{
    size_t n = strlen(suffix);

    if (s.n > n && memcmp(s.p + s.n - n, suffix, n) == 0)
        s.n -= n;
    return s;
}

static bool
has_letter(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_sep(s.p[i]) && !is_digit(s.p[i]))
            return true;
    return false;
}

/* Where a date begins that reaches to the end: behind a separator or at the
 * start, a year 19xx or 20xx and then only digits, separators, T and Z. */
static struct nr_str
without_date(struct nr_str s)
{
    for (size_t i = 0; i + 4 <= s.n; i++) {
        const char *p = s.p + i;
        size_t j = i + 4;

        if (i > 0 && !is_sep(s.p[i - 1]))
            continue;
        if (!(p[0] == '1' && p[1] == '9') && !(p[0] == '2' && p[1] == '0'))
            continue;
        if (!is_digit(p[2]) || !is_digit(p[3]))
            continue;
        while (j < s.n &&
            (is_digit(s.p[j]) || is_sep(s.p[j]) || s.p[j] == 'T' ||
                s.p[j] == 'Z'))
            j++;
        if (j < s.n)
            continue;
        s.n = i > 0 ? i - 1 : 0;
        break;
    }
    return s;
}

/* Without a number behind a dot, or one that is long enough for a date. */
static struct nr_str
without_number(struct nr_str s)
{
    size_t n = s.n;

    while (n > 0 && is_digit(s.p[n - 1]))
        n--;
    if (n == s.n || !has_letter((struct nr_str){ s.p, n }) ||
        (s.p[n - 1] != '.' && s.n - n < DATE_DIGITS))
        return s;
    s.n = n - is_sep(s.p[n - 1]);
    return s;
}

/* A file's or a directory's own name. */
static struct nr_str
stem(struct nr_str s)
{
    static const char *const packed[] = { ".gz", ".xz", ".zst", ".bz2" };
    static const char *const forms[] = { ".log", ".json", ".txt", ".csv",
        ".tsv" };

    for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++)
        s = without(s, packed[i]);
    s = without_number(without_date(s));
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        s = without(s, forms[i]);
    return without_number(without_date(s));
}

/* The part of PATH behind the last slash, which is taken off it. */
static struct nr_str
last_part(struct nr_str *path)
{
    size_t n = path->n;
    struct nr_str part;

    while (n > 0 && path->p[n - 1] != '/')
        n--;
    part = (struct nr_str){ path->p + n, path->n - n };
    path->n = n > 0 ? n - 1 : 0;
    return part;
}

size_t
stream_name(struct nr_str path, char *out)
{
    struct nr_str file = last_part(&path), dir = stem(last_part(&path));
    struct nr_str s = stem(file);
    size_t n = 0, room = SEG_NAME_MAX;

    if (s.n == 0)
        s = file;
    if (has_letter(dir) && dir.n < room) {
        memcpy(out, dir.p, dir.n);
        n = dir.n;
        out[n++] = '/';
    }
    s.n = nr_min(s.n, room - n);
    if (s.n > 0)
        memcpy(out + n, s.p, s.n);
    n += s.n;
    n = nr_utf8_valid_len((struct nr_bytes){ (const uint8_t *)out, n });
    out[n] = '\0';
    return n;
}
