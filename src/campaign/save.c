/* Writing a snapshot. */
#include "campaign/snapshot.h"

#include "base/hash.h"

struct out {
    const struct nr_campaign_sink *sink;
    enum nr_err err;
    uint64_t sum;
    size_t n;
    uint8_t buf[SNAP_CHUNK];
};

static void
flush(struct out *o)
{
    struct nr_bytes b = { o->buf, o->n };

    if (o->err != NR_OK || o->n == 0)
        return;
    o->sum = nr_xxh64(b, o->sum);
    o->err = o->sink->put(o->sink->ctx, b);
    o->n = 0;
}

static void
put(struct out *o, const void *p, size_t n)
{
    const uint8_t *q = p;

    while (n > 0 && o->err == NR_OK) {
        size_t room = SNAP_CHUNK - o->n, part = n < room ? n : room;

        memcpy(o->buf + o->n, q, part);
        o->n += part;
        q += part;
        n -= part;
        if (o->n == SNAP_CHUNK)
            flush(o);
    }
}

static void
put_le(struct out *o, uint64_t v, size_t octets)
{
    uint8_t b[8];

    for (size_t i = 0; i < octets; i++)
        b[i] = (uint8_t)(v >> (8 * i) & 0xff);
    put(o, b, octets);
}

static void
put_u32(struct out *o, uint32_t v)
{
    put_le(o, v, 4);
}

static void
put_f32(struct out *o, float f)
{
    uint32_t v;

    memcpy(&v, &f, sizeof(v));
    put_le(o, v, 4);
}

static void
put_conf(struct out *o, const struct nr_campaign_conf *conf)
{
    struct nr_buf b;

    nr_buf_init(&b, SNAP_CONF_MAX);
    nr_campaign_conf_print(conf, &b);
    if (b.err != NR_OK && o->err == NR_OK)
        o->err = b.err;
    put_u32(o, (uint32_t)b.n);
    put(o, b.p, b.n);
    nr_buf_fini(&b);
}

static void
put_facts(struct out *o, const struct nr_campaigns *c)
{
    for (uint32_t i = 0; i < c->n_sources; i++) {
        const struct cg_source *x = &c->sources[i];

        put_le(o, x->seq, 8);
        put_le(o, x->prov, 8);
        put_u32(o, x->author);
        put_u32(o, (uint32_t)x->day);
        put_u32(o, x->first_edge);
        put_u32(o, x->first_raw);
        put_u32(o, x->target);
    }
    for (uint32_t i = 0; i < c->n_orgs; i++) {
        put(o, c->orgs[i].key, NR_CAMPAIGN_KEY);
        put_u32(o, c->orgs[i].source);
        put_u32(o, (uint32_t)c->orgs[i].joined);
        put_le(o, c->orgs[i].member, 1);
        put_le(o, c->orgs[i].weight, 1);
    }
    for (uint32_t i = 0; i < c->n_cases; i++) {
        put(o, c->cases[i].key, NR_CAMPAIGN_KEY);
        put_u32(o, c->cases[i].source);
        put_u32(o, c->cases[i].org);
        put_u32(o, c->cases[i].camp);
        put_le(o, c->cases[i].last, 2);
        put_le(o, c->cases[i].flags, 1);
    }
}

static void
put_values(struct out *o, const struct nr_campaigns *c)
{
    for (uint32_t i = 0; i < c->n_values; i++) {
        put(o, c->values[i].key, NR_CAMPAIGN_KEY);
        put_u32(o, c->values[i].obs);
        put_u32(o, c->values[i].parent);
        put_le(o, c->values[i].asked_type, 1);
    }
    for (uint32_t i = 0; i < c->n_obs; i++) {
        const struct cg_obs *x = &c->obs[i];

        put_u32(o, x->value);
        put_u32(o, x->next);
        put_u32(o, x->s);
        put_u32(o, x->stale);
        put_f32(o, x->rho);
        put_f32(o, x->bits_told);
        put_f32(o, x->core_told);
        put_le(o, x->from, 2);
        put_le(o, x->flags & (O_DIRTY | O_RELINK), 1);
    }
}

static void
put_sightings(struct out *o, const struct nr_campaigns *c)
{
    for (uint32_t i = 0; i < c->n_edges; i++) {
        const struct cg_edge *x = &c->edges[i];

        put_u32(o, x->cas);
        put_u32(o, x->obs);
        put_le(o, x->first, 2);
        put_le(o, x->last, 2);
        put_le(o, x->conf, 1);
        put_le(o, x->flags, 1);
    }
    for (uint32_t i = 0; i < c->n_raws; i++) {
        const struct cg_raw *x = &c->raws[i];

        put_u32(o, x->edge);
        put_u32(o, x->source);
        put_le(o, x->first, 2);
        put_le(o, x->last, 2);
        put_le(o, x->conf, 1);
        put_le(o, x->flags, 1);
    }
}

static void
put_judgements(struct out *o, const struct nr_campaigns *c)
{
    for (uint32_t i = 0; i < c->n_notes; i++) {
        put_u32(o, c->notes[i].source);
        put_u32(o, c->notes[i].value);
        put_u32(o, c->notes[i].arg);
        put_u32(o, (uint32_t)c->notes[i].day);
        put_le(o, c->notes[i].kind, 1);
    }
    for (uint32_t i = 0; i < c->n_related; i++) {
        put_u32(o, c->related[i].source);
        put_u32(o, c->related[i].a);
        put_u32(o, c->related[i].b);
        put_le(o, c->related[i].first, 2);
        put_le(o, c->related[i].last, 2);
    }
    for (uint32_t i = 0; i < c->n_says; i++) {
        const struct cg_says *x = &c->says[i];

        put_u32(o, x->source);
        put_u32(o, x->a);
        put_u32(o, x->b);
        put_u32(o, x->reviewer);
        put_u32(o, x->tie);
        put_u32(o, (uint32_t)x->expires);
        put_le(o, x->kind, 1);
        put_le(o, x->on, 1);
    }
    for (uint32_t i = 0; i < c->n_camps; i++) {
        put(o, c->camps[i].id, sizeof(c->camps[i].id));
        put_u32(o, c->camps[i].into);
        put_u32(o, c->camps[i].from);
    }
}

/* Each pair once, at its lower case. */
static void
put_links(struct out *o, const struct nr_campaigns *c)
{
    for (uint32_t i = 0; i < c->n_cases; i++) {
        uint32_t n = 0;

        for (uint32_t k = 0; k < c->cases[i].n_adj; k++)
            n += cg_adjs(c, i)[k].to > i;
        put_u32(o, n);
        for (uint32_t k = 0; k < c->cases[i].n_adj; k++) {
            const struct cg_adj *v = cg_adjs(c, i) + k;

            if (v->to < i)
                continue;
            put_u32(o, v->to);
            put_f32(o, v->bits);
            put_f32(o, v->rt);
            put_le(o, v->flags, 1);
        }
    }
}

static void
put_head(struct out *o, const struct nr_campaigns *c)
{
    const uint32_t n[] = { c->n_sources, c->n_orgs, c->n_cases, c->n_values,
        c->n_obs, c->n_edges, c->n_raws, c->n_notes, c->n_related, c->n_says,
        c->n_camps };

    put(o, SNAP_MAGIC, SNAP_MAGIC_LEN);
    put_u32(o, NR_CAMPAIGN_SNAPSHOT);
    for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++)
        put_u32(o, n[i]);
    put_u32(o, c->n_ref);
    put_u32(o, c->k_ref);
    put_u32(o, (uint32_t)c->day);
    put_u32(o, c->minted);
    put_le(o, c->conf_waits, 1);
    put_le(o, c->n_moved, 1);
    put_conf(o, &c->conf);
    put_conf(o, c->conf_waits ? &c->next_conf : &c->conf);
}

enum nr_err
nr_campaign_save(const struct nr_campaigns *c,
    const struct nr_campaign_sink *sink, struct nr_diag *d)
{
    struct out *o;
    enum nr_err err;
    uint8_t sum[8];

    if (c->err != NR_OK)
        return nr_fail(d, c->err, 0, "campaigns: failed before");
    if (c->scope.n > 0 || c->split.n > 0 || c->lost.n > 0)
        return nr_fail(d, NR_EBUSY, 0, "campaigns: settle before saving");
    o = calloc(1, sizeof(*o));
    if (!o)
        return nr_fail(d, NR_ENOMEM, 0, "campaigns: out of memory");
    o->sink = sink;
    put_head(o, c);
    put_facts(o, c);
    put_values(o, c);
    put_sightings(o, c);
    put_judgements(o, c);
    put_links(o, c);
    flush(o);
    for (size_t i = 0; i < sizeof(sum); i++)
        sum[i] = (uint8_t)(o->sum >> (8 * i) & 0xff);
    if (o->err == NR_OK)
        o->err = sink->put(sink->ctx, (struct nr_bytes){ sum, sizeof(sum) });
    err = o->err;
    free(o);
    return err ? nr_fail(d, err, 0, "campaigns: snapshot not written") : NR_OK;
}
