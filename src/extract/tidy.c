#include "extract/tidy.h"

#include <stdlib.h>
#include <string.h>

static int
by_place(const void *a, const void *b, void *ctx)
{
    const struct nr_token *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (x->len != y->len)
        return x->len > y->len ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return nr_bytes_cmp(nr_token_key(ctx, x), nr_token_key(ctx, y));
}

/* Is a mark of disarming in its text? */
static bool
was_disarmed(const struct nr_token *k, struct nr_bytes text)
{
    for (size_t i = k->at; i < k->at + k->len; i++)
        if (memchr("[]({\\", text.p[i], 5))
            return true;
    return false;
}

static size_t
line(struct nr_bytes text, struct nr_tokens *t, size_t i, size_t end, size_t to)
{
    size_t covered[NR_KINDS] = { 0 }; /* up to where, by kind */
    const struct nr_token *last = NULL;

    qsort_r(t->v + i, end - i, sizeof(*t->v), by_place, t);
    for (; i < end; i++) {
        struct nr_token k = t->v[i];
        bool disarmed = was_disarmed(&k, text);

        if ((last && by_place(last, &k, t) == 0) ||
            (!disarmed && k.at + k.len <= covered[k.kind]))
            continue;
        if (disarmed && k.at + k.len > covered[k.kind])
            covered[k.kind] = k.at + k.len;
        t->v[to] = k;
        last = &t->v[to++];
    }
    return to;
}

void
nr_tidy(struct nr_bytes text, struct nr_tokens *t)
{
    size_t n = t->n, to = 0, end;

    for (size_t i = 0; i < n; i = end) {
        for (end = i + 1; end < n && t->v[end].line == t->v[i].line;)
            end++;
        to = line(text, t, i, end, to);
    }
    t->n = to;
}
