/* Section REPLACES: what a segment stands in for. */
#include "archive/segment_in.h"

uint64_t
segment_sum(const struct segment *s)
{
    return le(s->map.p + s->map.n - 8, 8);
}

uint64_t
segment_replaced_count(const struct segment *s)
{
    return s->sec[SEG_SEC_REPLACES].count;
}

enum nr_err
segment_replaced(struct segment *s, uint64_t i, struct seg_replaced *out,
    struct nr_diag *d)
{
    const struct section *x = &s->sec[SEG_SEC_REPLACES];
    uint64_t at = x->at + i * SEG_REPLACED;
    const uint8_t *p = s->map.p + at;
    enum nr_err err;

    if (i >= x->count)
        return segment_damaged(s, d, x->at, "segment: replaces no more");
    err = segment_need(s, at, SEG_REPLACED, d);
    if (err)
        return err;
    *out = (struct seg_replaced){ le(p, 8), le(p + 8, 8),
        (int64_t)le(p + 16, 8) };
    /* What is replaced was there before: no circle can come about. */
    if (out->seq >= s->info.seq)
        return segment_damaged(s, d, at,
            "segment: replaces what is younger than it");
    return NR_OK;
}

enum nr_err
segment_verify_replaced(struct segment *s, struct nr_diag *d)
{
    struct seg_replaced r, last = { 0 };
    enum nr_err err = NR_OK;

    for (uint64_t i = 0; !err && i < segment_replaced_count(s); i++) {
        err = segment_replaced(s, i, &r, d);
        if (!err && i > 0 && r.seq <= last.seq)
            err = segment_damaged(s, d, s->sec[SEG_SEC_REPLACES].at,
                "segment: what it replaces is not in order");
        last = r;
    }
    return err;
}

void
seg_put_replaced(struct nr_buf *b, const struct seg_replaced *r)
{
    nr_buf_put_le(b, r->seq, 8);
    nr_buf_put_le(b, r->sum, 8);
    nr_buf_put_le(b, (uint64_t)r->since_s, 8);
}
