/*
 * Links: what stands between two cases, and bringing one case's up to date.
 *
 * A pair's evidence is the sum over the values for which the two are within
 * NR_CAMPAIGN_FAN places in the list of the value. That depends on the facts
 * alone, so re-linking the cases that a fact touches gives what a rebuild would
 * give, and costs the fans of one case's values.
 *
 * How common a value is depends on components, and these on links. To keep the
 * answer a function of the facts, there are two layers: core links count every
 * case that saw a value as a component (nothing but the value's own list is
 * asked), their components give s, and s gives the links. Core links are links:
 * fewer components than cases can only add bits.
 */
#include "campaign/state.h"

#include <math.h>

static uint32_t
adj_place(const struct nr_campaigns *c, uint32_t a, uint32_t b)
{
    const struct cg_adj *v = cg_adjs(c, a);
    uint32_t lo = 0, hi = c->cases[a].n_adj;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (v[mid].to < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct cg_adj *
cg_adj_find(const struct nr_campaigns *c, uint32_t a, uint32_t b)
{
    uint32_t p;

    if (c->cases[a].n_adj == 0)
        return NULL;
    p = adj_place(c, a, b);
    return p < c->cases[a].n_adj && cg_adjs(c, a)[p].to == b ? cg_adjs(c, a) + p
                                                             : NULL;
}

static bool
adj_room(struct nr_campaigns *c, struct cg_case *x)
{
    uint32_t at = 0;
    unsigned class = x->n_adj ? x->adj_class + 1u : 0;

    if (x->n_adj && x->n_adj < (uint64_t)1 << x->adj_class)
        return true;
    if (!cg_pool_take(c, &c->adjs, class, &at))
        return false;
    if (x->n_adj) {
        struct cg_adj *p = c->adjs.p;

        memcpy(p + at, p + x->adj, x->n_adj * sizeof(*p));
        cg_pool_give(&c->adjs, x->adj_class, x->adj);
    }
    x->adj = at;
    x->adj_class = (uint8_t) class;
    return true;
}

static void
adj_put(struct nr_campaigns *c, uint32_t a, struct cg_adj v)
{
    struct cg_adj *old = cg_adj_find(c, a, v.to);
    struct cg_case *x = &c->cases[a];
    uint32_t p;

    if (old && v.flags) {
        *old = v;
    } else if (old) {
        p = (uint32_t)(old - cg_adjs(c, a));
        x->n_adj--;
        memmove(old, old + 1, (x->n_adj - p) * sizeof(*old));
        if (x->n_adj == 0)
            cg_pool_give(&c->adjs, x->adj_class, x->adj);
    } else if (v.flags && adj_room(c, x)) {
        p = x->n_adj ? adj_place(c, a, v.to) : 0;
        old = cg_adjs(c, a) + p;
        memmove(old + 1, old, (x->n_adj - p) * sizeof(*old));
        *old = v;
        x->n_adj++;
    }
}

void
cg_adj_set(struct nr_campaigns *c, uint32_t a, uint32_t b, struct cg_adj v)
{
    v.to = b;
    adj_put(c, a, v);
    v.to = a;
    adj_put(c, b, v);
}

void
cg_case_dirty(struct nr_campaigns *c, uint32_t i)
{
    if (c->cases[i].flags & C_DIRTY)
        return;
    c->cases[i].flags |= C_DIRTY;
    cg_push(c, &c->dirty_cases, i);
}

static void
add_row(struct nr_campaigns *c, struct cg_row row)
{
    struct cg_row *p = cg_grow(c, c->rows, &c->cap_rows,
        (uint64_t)c->n_rows + 1, sizeof(*p));

    if (!p)
        return;
    c->rows = p;
    c->rows[c->n_rows++] = row;
}

/* A pair through one value, if it says anything. */
static void
weigh_row(struct nr_campaigns *c, uint32_t obs, const struct cg_edge *me,
    const struct cg_edge *you)
{
    struct cg_row r = cg_row_of(c, obs, me, you);

    if (r.w >= 0.5F)
        add_row(c, r);
}

static int
by_pair(const void *a, const void *b)
{
    const struct cg_row *x = a, *y = b;

    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return (x->obs > y->obs) - (x->obs < y->obs);
}

void
cg_gather(struct nr_campaigns *c, uint32_t i)
{
    c->n_rows = 0;
    for (uint32_t e = c->cases[i].edges; e != NONE; e = c->edges[e].next) {
        const struct cg_edge *me = &c->edges[e];
        const struct cg_obs *o = &c->obs[me->obs];
        uint32_t p, lo, hi;

        if (!(me->flags & E_OPEN) || !(o->flags & O_USED))
            continue;
        p = cg_list_place(c, e);
        lo = p > FAN ? p - FAN : 0;
        hi = o->n - p > FAN ? p + FAN : o->n - 1;
        for (uint32_t k = lo; k <= hi; k++)
            if (k != p)
                weigh_row(c, me->obs, me, &c->edges[cg_list(c, o)[k]]);
    }
    if (c->n_rows > 1)
        qsort(c->rows, c->n_rows, sizeof(*c->rows), by_pair);
}

uint32_t
cg_decide(const struct nr_campaigns *c, const struct cg_pair *p, uint32_t was)
{
    const struct nr_campaign_conf *f = &c->conf;
    float slack = (float)(f->break_p / f->link_p);

    if (p->bits >= c->theta && p->rt >= (float)f->anchor_rho)
        return A_LINK;
    if ((was & A_LINK) && p->bits >= c->theta_break &&
        p->weak >= (float)f->anchor_rho * slack)
        return A_LINK;
    return p->bits >= c->theta_suggest ? A_SUGGEST : 0;
}

static void
tell_change(struct nr_campaigns *c, uint32_t a, uint32_t b,
    const struct cg_pair *p, uint32_t was, uint32_t now)
{
    struct nr_campaign_event e = { .a = a < b ? a : b,
        .b = a < b ? b : a,
        .value = p->best == NONE ? NONE : c->obs[p->best].value,
        .bits = (float)p->bits,
        .p = (float)cg_p(c, p->bits) };

    if ((was ^ now) & A_LINK) {
        e.kind = (now & A_LINK) ? NR_CAMPAIGN_LINK_MADE
                                : NR_CAMPAIGN_LINK_BROKEN;
        cg_tell(c, e);
    }
    if ((now & A_SUGGEST) && !(was & A_SUGGEST)) {
        e.kind = NR_CAMPAIGN_SUGGESTED;
        cg_tell(c, e);
    }
}

static uint64_t
count_flag(uint64_t n, uint32_t was, uint32_t now, uint32_t flag)
{
    return n + ((now & flag) != 0) - ((was & flag) != 0);
}

static void
bond(struct nr_campaigns *c, uint32_t a, uint32_t b, uint32_t was, uint32_t now)
{
    if ((now & A_BONDS) && !(was & A_BONDS))
        cg_comp_join(c, a, b);
    if (!(now & A_BONDS) && (was & A_BONDS))
        cg_push(c, &c->split, a);
}

void
cg_link_set(struct nr_campaigns *c, uint32_t a, uint32_t b,
    const struct cg_pair *p, enum cg_part part)
{
    const struct cg_adj *old = cg_adj_find(c, a, b);
    struct cg_adj v = old ? *old : (struct cg_adj){ 0 };
    uint32_t was = v.flags, now = was;
    double p_was = cg_p(c, (double)v.bits);

    if (part != CG_FINAL)
        now = (now & ~A_CORE) | (p->core ? A_CORE : 0);
    if (part != CG_CORE) {
        now = (now & ~(A_LINK | A_SUGGEST)) | cg_decide(c, p, was);
        v.bits = (float)p->bits;
        v.rt = p->rt;
    }
    if (!old && !now)
        return;
    v.flags = now;
    c->n_links = count_flag(c->n_links, was, now, A_LINK);
    c->n_suggestions = count_flag(c->n_suggestions, was, now, A_SUGGEST);
    if (part != CG_CORE)
        tell_change(c, a, b, p, was, now);
    cg_adj_set(c, a, b, v);
    if (part == CG_BOTH)
        bond(c, a, b, was, now);
    if ((was & A_TIES) && !(now & A_TIES) && part == CG_BOTH) {
        cg_push(c, &c->lost, a);
        cg_push(c, &c->lost, b);
    }
    if (((was ^ now) & A_TIES) ||
        ((now & A_LINK) && fabs(p_was - cg_p(c, p->bits)) > 0.001)) {
        cg_scope(c, a);
        cg_scope(c, b);
    }
}

/* Pairs of I that nothing in c->rows speaks of any more. */
static void
drop_unheard(struct nr_campaigns *c, uint32_t i, uint32_t epoch)
{
    const struct cg_pair nothing = { .best = NONE };

    for (uint32_t k = c->cases[i].n_adj; k > 0; k--) {
        const struct cg_adj *v = cg_adjs(c, i) + k - 1;

        if ((v->flags & (A_LINK | A_SUGGEST | A_CORE)) &&
            c->case_mark[v->to] != epoch)
            cg_link_set(c, i, v->to, &nothing, CG_BOTH);
    }
}

void
cg_relink(struct nr_campaigns *c, uint32_t i)
{
    uint32_t epoch;

    if (!cg_marks(c))
        return;
    cg_gather(c, i);
    epoch = cg_epoch(c);
    for (uint32_t k = 0, end; k < c->n_rows; k = end)
        for (end = k; end < c->n_rows && c->rows[end].to == c->rows[k].to;
             end++)
            c->case_mark[c->rows[k].to] = epoch;
    drop_unheard(c, i, epoch);
    for (uint32_t k = 0, end = 0; k < c->n_rows && c->err == NR_OK; k = end) {
        struct cg_pair p;

        while (end < c->n_rows && c->rows[end].to == c->rows[k].to)
            end++;
        p = cg_judge(c, c->rows + k, end - k, NULL);
        cg_link_set(c, i, c->rows[k].to, &p, CG_BOTH);
    }
}
