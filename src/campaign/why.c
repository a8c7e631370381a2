/* Why two cases belong together, or why not: the evidence of one pair. */
#include "campaign/state.h"

#include <math.h>

static int32_t
gap_of(const struct cg_edge *a, const struct cg_edge *b)
{
    int32_t start = a->first > b->first ? a->first : b->first;
    int32_t end = a->last < b->last ? a->last : b->last;

    return start > end ? start - end : 0;
}

static bool
within_fan(const struct nr_campaigns *c, uint32_t e, uint32_t f)
{
    uint32_t p, q;

    if (c->obs[c->edges[e].obs].flags & O_LOOSE)
        return true; /* it weighs nothing, whatever its order */
    p = cg_list_place(c, e);
    q = cg_list_place(c, f);
    return (p > q ? p - q : q - p) <= FAN;
}

static enum nr_campaign_reason
reason_of(const struct nr_campaigns *c, uint32_t e, uint32_t f,
    const struct cg_row *r)
{
    const struct cg_obs *o = &c->obs[c->edges[e].obs];
    const struct cg_value *v = &c->values[o->value];

    if (c->edges[f].obs != c->edges[e].obs)
        return NR_CAMPAIGN_OTHER_TENURE;
    if (v->flags & V_LISTED)
        return NR_CAMPAIGN_IS_LISTED;
    if (v->verdict == NR_CAMPAIGN_BENIGN ||
        v->verdict == NR_CAMPAIGN_CONTEXTUAL)
        return NR_CAMPAIGN_IS_BENIGN;
    if (!(c->conf.row[v->type].kappa > 0))
        return NR_CAMPAIGN_NO_WEIGHT;
    if (o->flags & O_DROP)
        return NR_CAMPAIGN_IS_PROVIDER;
    if (o->bits < 0.5F)
        return NR_CAMPAIGN_TOO_COMMON;
    if (!within_fan(c, e, f))
        return NR_CAMPAIGN_TOO_FAR;
    if (r->w >= 0.5F)
        return NR_CAMPAIGN_COUNTED;
    return gap_of(&c->edges[e], &c->edges[f]) > 0 ? NR_CAMPAIGN_TOO_LONG_AGO
                                                  : NR_CAMPAIGN_TOO_COMMON;
}

static uint32_t
organisations(struct nr_campaigns *c, const struct cg_obs *o)
{
    uint32_t epoch = cg_epoch(c), n = 0;

    for (uint32_t i = 0; i < o->n; i++) {
        uint32_t org = c->cases[c->edges[cg_list(c, o)[i]].cas].org;

        n += c->org_mark[org] != epoch;
        c->org_mark[org] = epoch;
    }
    return n;
}

static void
describe(struct nr_campaigns *c, uint32_t e, uint32_t f,
    struct nr_campaign_item *out, struct cg_row *row)
{
    const struct cg_edge *x = &c->edges[e], *y = &c->edges[f];
    const struct cg_obs *o = &c->obs[x->obs];
    double tau, q = cg_weigh(o, x, y, &tau);

    *row = cg_row_of(c, x->obs, x, y);
    *out = (struct nr_campaign_item){ .value = o->value,
        .reason = reason_of(c, e, f, row),
        .rho = (double)o->rho,
        .tau = tau,
        .q = q,
        .rarity = (double)o->l0,
        .gap = gap_of(x, y),
        .organisations = organisations(c, o),
        .components = o->s,
        .harmless = c->values[o->value].harmless,
        .verdict = c->values[o->value].verdict };
    if (out->reason == NR_CAMPAIGN_OTHER_TENURE)
        out->tau = out->q = 0;
    if (out->reason == NR_CAMPAIGN_COUNTED)
        out->bits = log2(1 + q * ((double)o->l0 - 1));
    out->anchor = out->reason == NR_CAMPAIGN_COUNTED &&
        row->w >= (float)c->conf.anchor_bits &&
        row->rt >= (float)c->conf.anchor_rho;
}

/* The edge of case B with the value of edge E: of the same tenure if it has
 * one. */
static uint32_t
partner(const struct nr_campaigns *c, uint32_t e, uint32_t b)
{
    uint32_t value = c->obs[c->edges[e].obs].value, other = NONE;

    for (uint32_t f = c->cases[b].edges; f != NONE; f = c->edges[f].next) {
        if (!(c->edges[f].flags & E_OPEN) ||
            c->obs[c->edges[f].obs].value != value)
            continue;
        if (c->edges[f].obs == c->edges[e].obs)
            return f;
        other = f;
    }
    return other;
}

static int
strongest(const void *a, const void *b)
{
    const struct nr_campaign_item *x = a, *y = b;

    if (x->reason != y->reason)
        return x->reason < y->reason ? -1 : 1;
    if (x->bits > y->bits || x->bits < y->bits)
        return x->bits > y->bits ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

struct found {
    struct nr_campaign_item item;
    struct cg_row row;
};

static int
counted_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    bool p = x->item.reason == NR_CAMPAIGN_COUNTED;
    bool q = y->item.reason == NR_CAMPAIGN_COUNTED;

    if (p != q)
        return p ? -1 : 1;
    return (x->row.obs > y->row.obs) - (x->row.obs < y->row.obs);
}

static void
sum_up(const struct nr_campaigns *c, uint32_t a, uint32_t b, struct found *v,
    uint32_t n, struct nr_campaign_pair *out)
{
    const struct cg_adj *adj = cg_adj_find(c, a, b);
    struct cg_row rows[CG_ITEMS];
    uint8_t group[CG_ITEMS];
    struct cg_pair p;
    uint32_t k = 0;

    while (k < n && k < CG_ITEMS && v[k].item.reason == NR_CAMPAIGN_COUNTED) {
        rows[k] = v[k].row;
        k++;
    }
    p = cg_judge(c, rows, k, group);
    for (uint32_t i = 0; i < n; i++)
        v[i].item.group = i < k ? group[i] : UINT8_MAX;
    out->bits = p.bits;
    out->p = cg_p(c, p.bits);
    out->missing = c->theta - p.bits;
    out->anchor = (double)p.rt;
    out->linked = adj && (adj->flags & A_LINK);
    out->suggested = adj && (adj->flags & A_SUGGEST);
    out->must = adj && (adj->flags & A_MUST);
    out->cannot = adj && (adj->flags & A_CANNOT);
    for (uint32_t i = 0; i < k; i++)
        for (uint32_t j = 0; j < k; j++)
            if (i != j && group[i] == group[j] &&
                (v[j].item.bits > v[i].item.bits ||
                    (v[j].item.bits >= v[i].item.bits && j < i)))
                v[i].item.reason = NR_CAMPAIGN_SAME_ASSET;
}

enum nr_err
nr_campaign_why(struct nr_campaigns *c, uint32_t a, uint32_t b,
    struct nr_campaign_item *items, uint32_t max, struct nr_campaign_pair *out)
{
    uint32_t cap, n = 0;
    struct found *v;

    *out = (struct nr_campaign_pair){ 0 };
    if (a >= c->n_cases || b >= c->n_cases)
        return NR_ENOTFOUND;
    if (!cg_marks(c))
        return c->err;
    cap = c->cases[a].n_edges;
    v = cg_take(c, cap, sizeof(*v));
    if (!v)
        return c->err;
    for (uint32_t e = c->cases[a].edges; e != NONE; e = c->edges[e].next) {
        uint32_t f;

        if (!(c->edges[e].flags & E_OPEN))
            continue;
        f = partner(c, e, b);
        if (f != NONE) {
            describe(c, e, f, &v[n].item, &v[n].row);
            n++;
        }
    }
    qsort(v, n, sizeof(*v), counted_first);
    sum_up(c, a, b, v, n, out);
    out->n = n;
    for (uint32_t i = 0; i < n && i < max; i++)
        items[i] = v[i].item;
    if (n > 1 && max > 1)
        qsort(items, n < max ? n : max, sizeof(*items), strongest);
    cg_give(c, v, cap, sizeof(*v));
    return c->err;
}
