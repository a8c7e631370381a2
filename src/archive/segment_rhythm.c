/* Section RHYTHM: rows of streams, written and read. */
#include "archive/segment_in.h"

#include "base/num.h"
#include "logline/logline.h"

void
seg_put_stream(struct nr_buf *b, const struct seg_stream *x,
    const uint8_t *bits, int64_t base, size_t from, size_t to)
{
    size_t runs = 0, begin = from;

    nr_buf_put_le(b, x->source, 1);
    seg_put_varint(b, x->kinds);
    nr_buf_put_le(b, nr_min(x->name.n, SEG_NAME_MAX), 1);
    nr_buf_put(b,
        (struct nr_bytes){ (const uint8_t *)x->name.p,
            nr_min(x->name.n, SEG_NAME_MAX) });
    seg_put_varint(b, x->urls);
    seg_put_varint(b, x->queries);
    seg_put_varint(b, x->paths);
    seg_put_varint(b, x->tunnels);
    seg_put_varint(b, x->secure);
    seg_put_varint(b, x->clients);
    for (uint32_t i = 0; i < x->clients && x->clients <= SEG_CLIENTS; i++)
        nr_buf_put_le(b, x->client[i], 4);
    seg_put_varint(b, x->lines);
    seg_put_varint(b, x->n_jumps);
    nr_buf_put(b, x->jumps);
    for (size_t i = from; i < to; i++)
        runs += seg_bit(bits, i) && (i == from || !seg_bit(bits, i - 1));
    seg_put_varint(b, runs);
    if (from < to)
        seg_put_varint(b, (uint64_t)base + from);
    for (size_t i = from + 1; i <= to; i++)
        if (i == to || seg_bit(bits, i) != seg_bit(bits, i - 1)) {
            seg_put_varint(b, i - begin - 1);
            begin = i;
        }
}

bool
seg_jump_next(struct nr_cur *c, struct seg_jump *out)
{
    uint64_t from;

    if (c->err || nr_cur_left(c) == 0)
        return false;
    from = seg_get_varint(c);
    out->from_s = seg_unzigzag(from);
    out->to_s = (int64_t)((uint64_t)out->from_s +
        (uint64_t)seg_unzigzag(seg_get_varint(c)));
    return c->err == NR_OK;
}

bool
seg_run_next(struct nr_cur *c, int64_t *at, struct seg_run *out)
{
    uint64_t skip, n;

    if (c->err || nr_cur_left(c) == 0)
        return false;
    skip = seg_get_varint(c);
    n = seg_get_varint(c);
    /* behind the first run, distances are less one */
    skip += *at > 0;
    if (c->err || skip >= (uint64_t)SEG_HOURS - (uint64_t)*at ||
        n >= (uint64_t)SEG_HOURS - (uint64_t)*at - skip) {
        c->err = c->err ? c->err : NR_EFORMAT;
        return false;
    }
    out->from = *at + (int64_t)skip;
    out->to = out->from + (int64_t)n;
    *at = out->to + 1;
    return true;
}

enum nr_err
segment_rhythm_begin(struct segment *s, struct nr_cur *c, struct nr_diag *d)
{
    const struct section *x = &s->sec[SEG_SEC_RHYTHM];
    enum nr_err err = segment_need(s, x->at, x->octets, d);

    if (!err)
        *c = nr_cur(nr_bytes_sub(s->map, x->at, x->at + x->octets));
    return err;
}

/* What C passes over from P on. */
static struct nr_bytes
since(const struct nr_cur *c, const uint8_t *p)
{
    return (struct nr_bytes){ p, (size_t)(c->p - p) };
}

static void
refuse(struct nr_cur *c)
{
    if (c->err == NR_OK)
        c->err = NR_EFORMAT;
}

static void
get_lists(struct nr_cur *c, struct seg_stream *x)
{
    uint64_t jumps = seg_get_varint(c), runs;
    const uint8_t *p = c->p;
    struct seg_jump jump;
    struct seg_run run;
    int64_t at = 0;

    if (jumps > SEG_JUMPS_MAX)
        refuse(c);
    for (uint64_t i = 0; i < jumps && !c->err; i++)
        if (!seg_jump_next(c, &jump) || jump.to_s >= jump.from_s ||
            jump.from_s > SEG_TIME_MAX || jump.to_s < -SEG_TIME_MAX)
            refuse(c);
    x->n_jumps = (size_t)jumps;
    x->jumps = since(c, p);
    runs = seg_get_varint(c);
    p = c->p;
    if (runs > (uint64_t)SEG_HOURS)
        refuse(c);
    for (uint64_t i = 0; i < runs && !c->err; i++)
        if (!seg_run_next(c, &at, &run))
            refuse(c);
    x->n_runs = (size_t)runs;
    x->runs = since(c, p);
}

bool
segment_rhythm_next(struct nr_cur *c, struct seg_stream *out)
{
    struct nr_bytes name;
    uint64_t kinds, clients;

    if (c->err || nr_cur_left(c) == 0)
        return false;
    *out = (struct seg_stream){ .source = nr_cur_u8(c) };
    kinds = seg_get_varint(c);
    name = nr_cur_take(c, nr_cur_u8(c));
    out->kinds = (uint32_t)kinds;
    out->name = (struct nr_str){ (const char *)name.p,
        nr_utf8_valid_len(name) };
    out->urls = seg_get_varint(c);
    out->queries = seg_get_varint(c);
    out->paths = seg_get_varint(c);
    out->tunnels = seg_get_varint(c);
    out->secure = seg_get_varint(c);
    clients = seg_get_varint(c);
    out->clients = clients > SEG_CLIENTS ? SEG_CLIENTS + 1 : (uint32_t)clients;
    for (uint32_t i = 0; i < out->clients && out->clients <= SEG_CLIENTS; i++)
        out->client[i] = nr_cur_le32(c);
    out->lines = seg_get_varint(c);
    if (kinds >> NR_LOG_KINDS != 0 || out->name.n != name.n ||
        out->source >= NR_SOURCES || out->queries > out->urls ||
        out->paths > out->urls || out->tunnels > out->urls ||
        out->secure > out->urls || clients > SEG_CLIENTS + 1)
        refuse(c);
    get_lists(c, out);
    return c->err == NR_OK;
}
