/* Building a segment from what other segments hold. */
#include "archive/build.h"

#include <stdlib.h>

enum nr_err
build_stored(struct build *b, const struct build_lines *in,
    const struct seg_line *rows, unsigned source, struct nr_diag *d)
{
    struct build_line l = { .block = b->n_blocks, .source = source };
    struct build_job *j = NULL;
    int64_t prev = 0;
    enum nr_err err = build_begin(b, in, &j, d);

    if (err)
        return err;
    j->row.source = (uint8_t)source;
    for (uint32_t i = 0; i < in->lines; i++) {
        l.id = i == 0 && in->continues ? b->line_id : ++b->line_id;
        l.time_s = rows[i].time_s;
        l.day = l.time_s == NR_TIME_NONE ? INT32_MIN
                                         : (int32_t)nr_day_of(l.time_s);
        l.denied = rows[i].denied;
        build_put_row(j, &prev, l.time_s, l.denied);
        nr_buf_put(&j->lines,
            (struct nr_bytes){ (const uint8_t *)&l, sizeof(l) });
    }
    if (j->meta.err || j->seen.err || j->lines.err)
        return nr_fail(d, NR_ENOMEM, 0,
            "archive: no memory for the index; give --memory less");
    b->info.lines += in->lines - in->continues;
    b->info.text += in->text.n;
    b->n_blocks++;
    return build_turn_give(b, j, d);
}

enum nr_err
build_take_days(struct build *b, const struct seg_presence *p)
{
    struct build_days *r;

    if (p->source >= NR_SOURCES || p->kind >= NR_LOG_KINDS)
        return NR_OK; /* of a later noroshi; coverage does not ask for it */
    r = &b->days[p->source][p->kind];
    r->lines += p->lines;
    for (size_t i = 0; i < p->days.n * 8; i++) {
        int64_t day = p->first_day + (int64_t)i;

        if (!seg_bit(p->days.p, i) || day >= SEG_DAYS)
            continue;
        if (!r->bits) {
            r->bits = calloc(SEG_DAYS / 8 + 1, 1);
            r->first = r->last = day;
        }
        if (!r->bits)
            return NR_ENOMEM;
        r->bits[day / 8] |= (uint8_t)(1u << (day % 8));
        r->first = day < r->first ? day : r->first;
        r->last = day > r->last ? day : r->last;
    }
    return NR_OK;
}

void
build_take_info(struct build *b, const struct seg_info *i)
{
    struct seg_info *x = &b->info;

    x->sources |= i->sources;
    x->kinds |= i->kinds;
    x->flags |= i->flags;
    x->created_s = i->created_s > x->created_s ? i->created_s : x->created_s;
    if (i->first_s == NR_TIME_NONE)
        return;
    if (x->first_s == NR_TIME_NONE || i->first_s < x->first_s)
        x->first_s = i->first_s;
    if (x->last_s == NR_TIME_NONE || i->last_s > x->last_s)
        x->last_s = i->last_s;
}

static int
by_key(const void *a, const void *b)
{
    const struct build_sources *x = a, *y = b;

    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    return seg_key_cmp(x->key, y->key);
}

void
build_set_sources(struct build *b, const struct build_sources *v, size_t n)
{
    for (size_t i = 0; n > 0 && i < b->n_entries; i++) {
        struct build_entry *e = &b->entries[i];
        struct build_sources key = { seg_stored_key(e->cls, e->key), e->cls,
            0 };
        const struct build_sources *x = bsearch(&key, v, n, sizeof(*v), by_key);

        if (x)
            e->sources = x->sources;
    }
}
