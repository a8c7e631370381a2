/* Names that rotation gives: log.1, log.2.gz, log-20260131, log.old, and with
 * the extension kept app-20260131.log, app.1.log. */
#include "watch/engine.h"

#include <stdlib.h>

#define NUMBER_DIGITS ((size_t)5) /* more are a date */
#define DATE_DIGITS   ((size_t)6) /* least inside a name */

static const char *const packings[] = { ".gz", ".xz", ".zst" };
static const char *const olds[] = { ".old", ".bak", ".prev" };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool
ends_with(const char *s, size_t n, const char *end)
{
    size_t k = strlen(end);

    return n > k && memcmp(s + n - k, end, k) == 0;
}

size_t
nr_name_unpacked(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < COUNT(packings); i++)
        if (ends_with(name, n, packings[i]))
            return n - strlen(packings[i]);
    return n;
}

/* "1", "20260131", "2026-01-31T03:04", N octets: digits with marks between. */
static bool
is_turn(const char *s, size_t n, size_t *digits)
{
    *digits = 0;
    if (n == 0 || !nr_is_digit((uint8_t)s[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (nr_is_digit((uint8_t)s[i]))
            ++*digits;
        else if (!strchr("-._T:", s[i]))
            return false;
    return true;
}

static bool
is_mark(char c)
{
    return c == '.' || c == '-' || c == '_';
}

static void
rank_turn(struct rank *r, const char *s, size_t n)
{
    r->text = s;
    r->kind = RANK_NUMBER;
    for (size_t i = 0; i < n && r->kind == RANK_NUMBER; i++)
        if (i == NUMBER_DIGITS || !nr_is_digit((uint8_t)s[i]))
            r->kind = RANK_DATE;
        else
            r->number = r->number * 10 + (uint64_t)(s[i] - '0');
}

bool
nr_name_is_rotated(const char *name, const char *base, struct rank *rank)
{
    size_t n = nr_name_unpacked(name), b = strlen(base), digits;
    const char *dot = strrchr(base, '.');
    size_t ext = dot && dot > base ? b - (size_t)(dot - base) : 0;

    *rank = (struct rank){ .kind = RANK_OTHER, .text = name };
    if (n == b && memcmp(name, base, b) == 0) {
        rank->kind = name[n] == '\0' ? RANK_CURRENT : RANK_OTHER;
        return true;
    }
    if (n > b + 1 && memcmp(name, base, b) == 0 && is_mark(name[b])) {
        for (size_t i = 0; i < COUNT(olds); i++)
            if (n == b + strlen(olds[i]) && ends_with(name, n, olds[i]))
                return true;
        if (is_turn(name + b + 1, n - b - 1, &digits)) {
            rank_turn(rank, name + b + 1, n - b - 1);
            return true;
        }
    }
    if (ext > 0 && n > b + 1 && memcmp(name, base, b - ext) == 0 &&
        is_mark(name[b - ext]) && ends_with(name, n, dot) &&
        is_turn(name + b - ext + 1, n - b - 1, &digits) &&
        (digits >= DATE_DIGITS || name[b - ext] == '.')) {
        rank_turn(rank, name + b - ext + 1, n - b - 1);
        return true;
    }
    return false;
}

/* Candidates, numbered: the name unpacked; before each mark that is followed
 * by digits only; the same before the extension; without ".old". */
bool
nr_name_base(const char *name, unsigned i, char *out)
{
    size_t n = nr_name_unpacked(name), digits;
    const char *dot = memrchr(name, '.', n);
    size_t ext = dot && dot > name ? n - (size_t)(dot - name) : 0;
    unsigned k = 0;

    memcpy(out, name, n);
    out[n] = '\0';
    if (name[n] != '\0' && k++ == i)
        return true;
    for (size_t j = 0; j < COUNT(olds); j++)
        if (ends_with(name, n, olds[j]) && k++ == i) {
            out[n - strlen(olds[j])] = '\0';
            return true;
        }
    for (size_t at = 1; at + 1 < n; at++) {
        if (!is_mark(name[at]))
            continue;
        if (is_turn(name + at + 1, n - at - 1, &digits) && k++ == i) {
            out[at] = '\0';
            return true;
        }
        if (ext > 0 && at + 1 < n - ext &&
            is_turn(name + at + 1, n - ext - at - 1, &digits) && k++ == i) {
            memcpy(out + at, name + n - ext, ext);
            out[at + ext] = '\0';
            return true;
        }
    }
    return false;
}

int
nr_rank_cmp(const struct rank *a, const struct rank *b)
{
    bool last = b->kind == RANK_CURRENT;

    if (a->kind == RANK_CURRENT || last)
        return (a->kind == RANK_CURRENT) - last;
    if (a->kind == b->kind && a->kind == RANK_NUMBER && a->number != b->number)
        return a->number > b->number ? -1 : 1;
    if (a->kind == b->kind && a->kind == RANK_DATE &&
        strcmp(a->text, b->text) != 0)
        return strcmp(a->text, b->text);
    if (a->mtime_ns != b->mtime_ns)
        return a->mtime_ns < b->mtime_ns ? -1 : 1;
    return strcmp(a->text, b->text);
}
