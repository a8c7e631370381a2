/* Reading the state. */
#include "campaign/state.h"

#include "base/hash.h"

static void
days_of(const struct nr_campaigns *c, uint32_t cas, int32_t *first,
    int32_t *last)
{
    for (uint32_t e = c->cases[cas].edges; e != NONE; e = c->edges[e].next) {
        const struct cg_edge *x = &c->edges[e];

        if (!(x->flags & E_OPEN))
            continue;
        if (*first < 0 || x->first < *first)
            *first = x->first;
        if (x->last > *last)
            *last = x->last;
    }
}

enum nr_err
nr_campaign_view(const struct nr_campaigns *c, uint32_t campaign,
    struct nr_campaign_view *out)
{
    const struct cg_camp *k;
    int32_t first = -1, last = 0;

    if (campaign >= c->n_camps)
        return NR_ENOTFOUND;
    k = &c->camps[campaign];
    *out = (struct nr_campaign_view){ .cases = k->n,
        .into = k->into,
        .from = k->from };
    nr_uuid4(k->id, out->id);
    out->state = k->close != NONE ? NR_CAMPAIGN_CLOSED : NR_CAMPAIGN_OPEN;
    if (k->n == 0)
        out->state = NR_CAMPAIGN_EMPTY;
    if (k->into != NONE)
        out->state = NR_CAMPAIGN_MERGED;
    if (k->rename != NONE)
        out->named = c->sources[c->says[k->rename].source].seq;
    for (uint32_t i = k->head; i != NONE; i = c->cases[i].camp_next) {
        days_of(c, i, &first, &last);
        out->settling = out->settling || (c->cases[i].flags & C_DIRTY);
    }
    out->first = first < 0 ? 0 : first;
    out->last = last;
    return NR_OK;
}

uint32_t
nr_campaign_members(const struct nr_campaigns *c, uint32_t campaign,
    uint32_t *out, uint32_t max)
{
    uint32_t n = 0;

    if (campaign >= c->n_camps)
        return 0;
    for (uint32_t i = c->camps[campaign].head; i != NONE;
         i = c->cases[i].camp_next)
        if (n < max)
            out[n++] = i;
    if (n > 0)
        qsort(out, n, sizeof(*out), cg_ascending);
    return c->camps[campaign].n;
}

uint32_t
nr_campaign_of(const struct nr_campaigns *c, uint32_t cas)
{
    return cas < c->n_cases ? c->cases[cas].camp : NONE;
}
