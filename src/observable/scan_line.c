/*
 * What is read in a line when it is complete: the line with its disarming
 * undone (NR_SCAN_FANGS), and names of files (NR_SCAN_FILES).
 */
#include "observable/scan.h"

#include "observable/rules.h"

#include <string.h>

/* --- disarmed text --- */

/* Offset in the line as it stands of offset AT of the line made plain. */
static size_t
as_it_stands(const struct nr_buf *edits, size_t at)
{
    size_t lo = 0, hi = edits->n / sizeof(struct nr_edit);
    struct nr_edit e = { 0 };

    while (lo < hi) { /* the last edit at or before AT */
        size_t mid = lo + (hi - lo) / 2;
        struct nr_edit m;

        memcpy(&m, edits->p + mid * sizeof(m), sizeof(m));
        if (m.to <= at) {
            e = m;
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return e.from + (at - e.to);
}

/* refrules.py: the line, and the line as refang() gives it. */
static void
plain_line(struct nr_scan *s, size_t at, size_t end)
{
    struct nr_tokens *t = s->out;
    size_t first = t->n;
    struct nr_scan again;

    nr_buf_reset(&t->plain);
    nr_buf_reset(&t->edits);
    if (!nr_refang_line(nr_bytes_sub((struct nr_bytes){ s->p, s->n }, at, end),
            &t->plain, &t->edits))
        return;
    if (t->plain.err != NR_OK || t->edits.err != NR_OK) {
        t->keys.err = NR_ENOMEM;
        return;
    }
    again = (struct nr_scan){
        .p = t->plain.p,
        .n = t->plain.n,
        .out = t,
        .line = s->line,
        .flags = s->flags & ~NR_SCAN_FANGS,
    };
    nr_scan_octets(&again);
    for (size_t i = first; i < t->n; i++) {
        struct nr_token *k = &t->v[i];
        size_t a = as_it_stands(&t->edits, k->at);
        size_t b = as_it_stands(&t->edits, k->at + k->len);

        k->at = (uint32_t)(at + a);
        k->len = (uint32_t)(b - a);
    }
}

/* --- names of files --- */

/* Octets that no word of a path has in it. */
static bool
ends_word(uint8_t c)
{
    return c <= ' ' || c == 0x7f || strchr("\"'<>|*?:/\\,;()[]{}=&`", c);
}

static bool
is_slash(uint8_t c)
{
    return c == '/' || c == '\\';
}

static void
put_file(struct nr_scan *s, size_t at, size_t end)
{
    uint8_t *key;

    while (at < end && s->p[at] == ' ')
        at++;
    while (end > at && (s->p[end - 1] == '.' || s->p[end - 1] == ' '))
        end--;
    if (end == at || end - at > NR_FILENAME_MAX ||
        nr_utf8_valid_len((struct nr_bytes){ s->p + at, end - at }) != end - at)
        return;
    key = nr_tokens_put(s->out, NR_KIND_FILENAME, s->line, at, end - at, NULL,
        end - at);
    for (size_t i = at; key && i < end; i++)
        key[i - at] = nr_lower(s->p[i]);
}

/* Is this slash behind a word the start of an escape in JSON? */
static bool
is_escape(const uint8_t *p, size_t at, size_t end)
{
    return p[at] == '\\' && at + 1 < end && p[at + 1] != '\0' &&
        strchr("nrt\"", p[at + 1]);
}

/* Words with a dot inside, or behind a slash; no folders. What an escape ate
 * of a word is off in a second reading. refrules.py: words(). */
static void
words(struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;

    for (size_t i; at < end; at = i + 1) {
        const uint8_t *dot;
        bool behind;

        for (i = at; i < end && !ends_word(p[i]);)
            i++;
        if (i == at || (i < end && is_slash(p[i]) && !is_escape(p, i, end)))
            continue;
        dot = memchr(p + at, '.', i - at);
        behind = at > 0 && is_slash(p[at - 1]);
        if (!behind && !dot)
            continue;
        put_file(s, at, i);
        if (behind && is_escape(p, at - 1, end))
            put_file(s, at + 1, i);
    }
}

/* What stands between two double quotes, from its last slash on, when it has
 * a space and a dot: names that are several words. refrules.py: quoted(). */
static void
quoted(struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p, *a = memchr(p + at, '"', end - at), *b;

    for (; a; a = b) {
        size_t start = (size_t)(a - p) + 1, i, last;

        b = memchr(p + start, '"', end - start);
        if (!b)
            return;
        last = (size_t)(b - p);
        while (last > start && p[last - 1] == '\\')
            last--;
        for (i = last; i > start && !is_slash(p[i - 1]) && p[i - 1] >= ' ' &&
             p[i - 1] != 0x7f;)
            i--;
        if ((i == start || is_slash(p[i - 1])) &&
            memchr(p + i, ' ', last - i) && memchr(p + i, '.', last - i))
            put_file(s, i, last);
    }
}

void
nr_scan_line(struct nr_scan *s, size_t at, size_t end)
{
    if (s->flags & NR_SCAN_FILES) {
        words(s, at, end);
        quoted(s, at, end);
    }
    if (s->flags & NR_SCAN_FANGS)
        plain_line(s, at, end);
}
