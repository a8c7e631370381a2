/*
 * Weights. What one shared value says about two cases, in bits, and what a
 * pair's values say together.
 */
#include "campaign/state.h"

#include <math.h>

double
cg_p(const struct nr_campaigns *c, double bits)
{
    double x = exp2(fmin(bits, CG_BITS_MAX));

    return x / (x + c->k_ref);
}

void
cg_thetas(struct nr_campaigns *c)
{
    const struct nr_campaign_conf *f = &c->conf;
    double k = c->k_ref;

    /* P(W) = p  <=>  W = log2(K p / (1 - p)) */
    c->theta = log2(k * f->link_p / (1 - f->link_p));
    c->theta_break = log2(k * f->break_p / (1 - f->break_p));
    c->theta_suggest = log2(k * f->suggest_p / (1 - f->suggest_p));
}

#define SEEN_BAD   0x40u /* org_vote: some sighting calls it malicious */
#define SEEN_FULL  0x20u /* ... and one that counts in full */
#define SEEN_OTHER 0x10u /* a vote without the role that counts in full */
#define VOTE       32.0  /* a whole vote: 16ths of a member, halved or not */

struct votes {
    uint32_t yes, no; /* in 32nds */
    uint32_t voters;  /* organisations that call it malicious */
};

#define AHEAD 8u /* edges fetched before they are read: they lie anywhere */

/* One vote an organisation: malicious if any of its sightings says so, in full
 * if any of these does. */
static struct votes
count_votes(struct nr_campaigns *c, const struct cg_obs *o)
{
    const uint32_t *v = cg_list(c, o);
    uint32_t epoch = cg_epoch(c), n = 0;
    struct votes sum = { 0 };

    for (uint32_t i = 0; i < o->n; i++) {
        const struct cg_edge *e = &c->edges[v[i]];
        uint32_t org = c->cases[e->cas].org;
        bool full = !(e->flags & E_YOUNG);

        if (i + 2 * AHEAD < o->n) {
            __builtin_prefetch(&c->edges[v[i + 2 * AHEAD]]);
            __builtin_prefetch(&c->cases[c->edges[v[i + AHEAD]].cas].org);
        }
        if (c->org_mark[org] != epoch) {
            c->org_mark[org] = epoch;
            c->org_vote[org] = 0;
            c->org_list[n++] = org;
        }
        if (e->flags & E_BAD)
            c->org_vote[org] |= (uint8_t)(SEEN_BAD | (full ? SEEN_FULL : 0));
        else if (full)
            c->org_vote[org] |= SEEN_OTHER;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t org = c->org_list[i];
        bool bad = c->org_vote[org] & SEEN_BAD;
        bool full = c->org_vote[org] & (bad ? SEEN_FULL : SEEN_OTHER);
        uint32_t vote = c->orgs[org].weight * (full ? 2u : 1u);

        sum.yes += bad ? vote : 0;
        sum.no += bad ? 0 : vote;
        sum.voters += bad;
    }
    return sum;
}

/* Infrastructure has one master as a rule: cases that nothing else ties to any
 * other count as one component together, so that a campaign of 200 with one
 * command server looks like one. Files, sites, paths and parent domains pass
 * through many hands: there every case counts until others tie it. Measured on
 * ten made-up circles: recall .59 -> .64 at equal precision; with files too,
 * precision .98 -> .91. */
static bool
one_master(const struct cg_value *v)
{
    return v->type == NR_CAMPAIGN_DOMAIN || v->type == NR_CAMPAIGN_CERT ||
        v->type == NR_CAMPAIGN_ACCOUNT ||
        (v->type == NR_CAMPAIGN_IP && v->tenants <= CG_IP_TENANTS);
}

static uint32_t
count_components(struct nr_campaigns *c, const struct cg_obs *o)
{
    const uint32_t *v = cg_list(c, o);
    uint32_t epoch = cg_epoch(c), s = 0, alone = 0;

    for (uint32_t i = 0; i < o->n; i++) {
        uint32_t comp = c->cases[c->edges[v[i]].cas].comp;

        if (c->cases[comp].comp_n == 1)
            alone++;
        else
            s += c->case_mark[comp] != epoch;
        c->case_mark[comp] = epoch;
    }
    if (alone > 1 && one_master(&c->values[o->value]))
        alone = 1;
    return s + alone;
}

static double
rho_of(const struct nr_campaigns *c, const struct votes *n, uint32_t harmless)
{
    const struct nr_campaign_conf *f = &c->conf;
    double x = log2(f->prior / (1 - f->prior)) + f->vote_yes * n->yes / VOTE -
        f->vote_no * n->no / VOTE -
        fmin(f->benign_max, f->benign_bits * harmless);

    if (n->voters <= 1)
        x = fmin(x, log2(f->lone_max / (1 - f->lone_max)));
    return 1 / (1 + exp2(-x));
}

static bool
dropped(const struct nr_campaigns *c, const struct cg_obs *o,
    const struct cg_value *v)
{
    return v->verdict == NR_CAMPAIGN_BENIGN ||
        v->verdict == NR_CAMPAIGN_CONTEXTUAL || (v->flags & V_LISTED) ||
        !(c->conf.row[v->type].kappa > 0) ||
        (v->type == NR_CAMPAIGN_PARENT && o->s >= CG_PROVIDER);
}

static bool
anchors(const struct nr_campaigns *c, const struct cg_obs *o,
    const struct cg_value *v)
{
    if (!c->conf.row[v->type].anchor || v->verdict == NR_CAMPAIGN_SHARED)
        return false;
    if (v->type == NR_CAMPAIGN_IP)
        return v->tenants <= CG_IP_TENANTS;
    return v->type != NR_CAMPAIGN_PATH || o->s <= CG_PATH_S;
}

/* L0: how much rarer than chance, if S components have it. */
static float
rarity(const struct nr_campaigns *c, const struct cg_value *v, uint32_t s)
{
    double e = fmax(v->harmless, s > 2 ? s - 2 : 0);

    if (v->verdict == NR_CAMPAIGN_EXCLUSIVE)
        return (float)exp2(CG_EXCLUSIVE);
    if (v->verdict == NR_CAMPAIGN_SHARED)
        e = fmax(e, c->conf.shared_part * c->n_ref);
    return (
        float)fmin((c->n_ref + 1.0) / (e + 1), exp2(c->conf.row[v->type].cap));
}

static float
bits_at(float q, float l0)
{
    return (float)log2(fmax(1 + (double)q * ((double)l0 - 1), 1));
}

static void
set_weight(struct nr_campaigns *c, struct cg_obs *o, double rho)
{
    const struct cg_value *v = &c->values[o->value];
    const struct nr_campaign_row *row = &c->conf.row[v->type];
    bool shared = v->verdict == NR_CAMPAIGN_SHARED;
    bool exclusive = v->verdict == NR_CAMPAIGN_EXCLUSIVE;

    if (exclusive)
        rho = CG_EXCL_RHO;
    o->l0 = rarity(c, v, o->s);
    o->core_l0 = rarity(c, v, o->n);
    o->rho = (float)rho;
    /* From what is kept, so that a snapshot gives the same to the last bit. */
    o->q0 = (float)(row->kappa * (shared ? 1 : (double)o->rho) / v->tenants);
    o->inv_h = row->half_life > 0 ? (float)(1 / row->half_life) : 0;
    o->bits = bits_at(o->q0, o->l0);
    o->core = bits_at(o->q0, o->core_l0);
    o->flags &= (uint8_t) ~(O_USED | O_ANCHOR | O_DROP | O_SHARED | O_EXCL);
    if (dropped(c, o, v))
        o->flags |= O_DROP;
    else if (o->n >= 2 && o->bits >= 0.5F)
        o->flags |= O_USED;
    if (o->flags & O_DROP)
        o->bits = 0;
    if ((o->flags & O_DROP) ||
        (v->type == NR_CAMPAIGN_PARENT && o->n >= CG_PROVIDER))
        o->core = o->core_l0 = 0;
    if (anchors(c, o, v))
        o->flags |= O_ANCHOR;
    if (shared)
        o->flags |= O_SHARED;
    if (exclusive)
        o->flags |= O_EXCL;
}

/* Edges by time then case, for qsort over a list: the engine is found through
 * a copy of the keys. */
struct timed {
    uint16_t first;
    uint32_t cas, edge;
};

static int
by_time(const void *a, const void *b)
{
    const struct timed *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->cas > y->cas) - (x->cas < y->cas);
}

static void
tidy(struct nr_campaigns *c, struct cg_obs *o)
{
    uint32_t *v = cg_list(c, o);
    struct timed *t = cg_take(c, o->n, sizeof(*t));

    if (!t)
        return;
    for (uint32_t i = 0; i < o->n; i++)
        t[i] = (struct timed){ c->edges[v[i]].first, c->edges[v[i]].cas, v[i] };
    qsort(t, o->n, sizeof(*t), by_time);
    for (uint32_t i = 0; i < o->n; i++)
        v[i] = t[i].edge;
    cg_give(c, t, o->n, sizeof(*t));
    o->flags &= (uint8_t)~O_LOOSE;
}

/* Bits of O if it belonged to one component alone. */
static float
most_bits(const struct nr_campaigns *c, const struct cg_obs *o)
{
    return bits_at(o->q0, rarity(c, &c->values[o->value], 1));
}

static void
finish(struct nr_campaigns *c, struct cg_obs *o, double rho)
{
    o->stale = 0;
    set_weight(c, o, rho);
    if ((o->flags & (O_USED | O_LOOSE)) == (O_USED | O_LOOSE))
        tidy(c, o);
}

void
cg_obs_votes(struct nr_campaigns *c, uint32_t i)
{
    struct cg_obs *o = &c->obs[i];
    struct votes votes = { 0 };

    if (o->n > 0 && cg_marks(c))
        votes = count_votes(c, o);
    o->s = o->n;
    finish(c, o, rho_of(c, &votes, c->values[o->value].harmless));
}

void
cg_obs_components(struct nr_campaigns *c, uint32_t i)
{
    struct cg_obs *o = &c->obs[i];

    /* What cannot weigh anything is not looked through. */
    if (o->n < 2 || most_bits(c, o) < 0.5F)
        return;
    o->s = count_components(c, o);
    finish(c, o, (double)o->rho);
}

void
cg_obs_count(struct nr_campaigns *c, uint32_t i)
{
    cg_obs_votes(c, i);
    cg_obs_components(c, i);
}

void
cg_obs_restore(struct nr_campaigns *c, uint32_t i, float rho)
{
    struct cg_obs *o = &c->obs[i];

    set_weight(c, o, (double)rho);
    if ((o->flags & (O_USED | O_LOOSE)) == (O_USED | O_LOOSE))
        tidy(c, o);
}

void
cg_obs_dirty(struct nr_campaigns *c, uint32_t o, bool relink)
{
    struct cg_obs *x = &c->obs[o];

    if (relink)
        x->flags |= O_RELINK;
    if (x->flags & O_DIRTY)
        return;
    x->flags |= O_DIRTY;
    cg_push(c, &c->dirty_obs, o);
}

#define KIND (O_USED | O_ANCHOR | O_DROP | O_SHARED | O_EXCL)

/* Weak values move no link by a fraction of a bit; strong ones may. */
static bool
moved(const struct cg_obs *o)
{
    float d = fmaxf(fabsf(o->bits - o->bits_told),
        fabsf(o->core - o->core_told));

    if (d >= 0.5F)
        return true;
    return o->n <= FAN * 2 && d >= 0.1F && fmaxf(o->bits, o->bits_told) >= 4;
}

void
cg_obs_update(struct nr_campaigns *c, uint32_t i)
{
    struct cg_obs *o = &c->obs[i];
    uint8_t was = o->flags & KIND;
    bool all = o->flags & O_RELINK;

    o->flags &= (uint8_t) ~(O_DIRTY | O_RELINK);
    if (o->n > CG_EXACT && (uint64_t)o->stale * 8 < o->n && o->s > 0)
        set_weight(c, o, (double)o->rho);
    else
        cg_obs_count(c, i);
    if (!all && !moved(o) && was == (o->flags & KIND))
        return;
    o->bits_told = o->bits;
    o->core_told = o->core;
    /* A value that weighed nothing and weighs nothing now moves nobody. */
    if (!all && !((was | o->flags) & O_USED))
        return;
    for (uint32_t k = 0; k < o->n; k++)
        cg_case_dirty(c, c->edges[cg_list(c, o)[k]].cas);
}

void
cg_orgs_weigh(struct nr_campaigns *c)
{
    uint32_t *good = cg_take(c, c->n_orgs, sizeof(*good));
    uint32_t *bad = cg_take(c, c->n_orgs, sizeof(*bad));

    for (uint32_t e = 0; good && bad && e < c->n_edges; e++) {
        const struct cg_edge *x = &c->edges[e];
        uint8_t verdict = c->values[c->obs[x->obs].value].verdict;
        uint32_t org = c->cases[x->cas].org;

        if ((x->flags & (E_OPEN | E_BAD)) != (E_OPEN | E_BAD))
            continue;
        if (verdict == NR_CAMPAIGN_BENIGN || verdict == NR_CAMPAIGN_CONTEXTUAL)
            bad[org]++;
        else
            good[org]++;
    }
    for (uint32_t i = 0; good && bad && i < c->n_orgs; i++) {
        double g = good[i] + 2.0, r = floor(16 * g / (g + bad[i]) + .5);

        c->orgs[i].weight = r > 1 ? (uint8_t)r : 1;
    }
    cg_give(c, good, c->n_orgs, sizeof(*good));
    cg_give(c, bad, c->n_orgs, sizeof(*bad));
}

double
cg_weigh(const struct cg_obs *o, const struct cg_edge *a,
    const struct cg_edge *b, double *tau)
{
    int start = a->first > b->first ? a->first : b->first;
    int end = a->last < b->last ? a->last : b->last;
    double q = (double)o->q0 * ((double)a->conf * b->conf * 1e-4);

    *tau = start > end && o->inv_h > 0 ? exp2((end - start) * (double)o->inv_h)
                                       : 1;
    return q * *tau;
}

struct cg_row
cg_row_of(const struct nr_campaigns *c, uint32_t obs, const struct cg_edge *me,
    const struct cg_edge *you)
{
    const struct cg_obs *o = &c->obs[obs];
    double tau, q = cg_weigh(o, me, you, &tau);
    struct cg_row r = { you->cas, obs, 0, 0, 0 };

    r.w = bits_at((float)q, o->l0);
    if (o->core_l0 > 0)
        r.core = o->core_l0 < o->l0 ? bits_at((float)q, o->core_l0) : r.w;
    if (o->flags & O_ANCHOR)
        r.rt = (float)((double)o->rho * tau);
    return r;
}

/* --- asset groups ---------------------------------------------------- */

/* Slot of the pair of values, or the empty one where it would stand. */
static uint32_t
rel_slot(const struct nr_campaigns *c, const uint32_t *slot, uint32_t cap,
    uint32_t lo, uint32_t hi)
{
    uint64_t h = ((uint64_t)lo << 32 | hi) * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t i = (uint32_t)(h >> 32) & (cap - 1);

    while (slot[i] &&
        (c->related[slot[i] - 1].a != lo || c->related[slot[i] - 1].b != hi))
        i = (i + 1) & (cap - 1);
    return i;
}

void
cg_related_put(struct nr_campaigns *c, uint32_t r)
{
    struct cg_related *x = &c->related[r];
    uint32_t i;

    if ((uint64_t)c->n_related * 2 > c->rel_cap) {
        uint32_t cap = c->rel_cap ? c->rel_cap * 2 : 64;
        uint32_t *slot = cap ? cg_take(c, cap, sizeof(*slot)) : NULL;

        if (!slot)
            return;
        for (i = 0; i < c->rel_cap; i++)
            if (c->rel_slot[i]) {
                const struct cg_related *y = &c->related[c->rel_slot[i] - 1];

                slot[rel_slot(c, slot, cap, y->a, y->b)] = c->rel_slot[i];
            }
        cg_give(c, c->rel_slot, c->rel_cap, sizeof(*slot));
        c->rel_slot = slot;
        c->rel_cap = cap;
    }
    i = rel_slot(c, c->rel_slot, c->rel_cap, x->a, x->b);
    x->next = c->rel_slot[i] - 1; /* an empty slot gives NONE */
    c->rel_slot[i] = r + 1;
    c->values[x->a].flags |= V_RELATED;
    c->values[x->b].flags |= V_RELATED;
}

static bool
related(const struct nr_campaigns *c, uint32_t a, uint32_t b,
    const struct cg_obs *x, const struct cg_obs *y)
{
    uint32_t lo = a < b ? a : b, hi = a < b ? b : a, r;

    if (c->rel_cap == 0)
        return false;
    r = c->rel_slot[rel_slot(c, c->rel_slot, c->rel_cap, lo, hi)] - 1;
    for (; r != NONE; r = c->related[r].next)
        if (cg_open(c, c->related[r].source) && c->related[r].last >= x->from &&
            c->related[r].last >= y->from)
            return true;
    return false;
}

bool
cg_same_asset(const struct nr_campaigns *c, uint32_t o1, uint32_t o2)
{
    const struct cg_obs *x = &c->obs[o1], *y = &c->obs[o2];
    const struct cg_value *v = &c->values[x->value], *w = &c->values[y->value];

    if (x->value == y->value || v->parent == y->value || w->parent == x->value)
        return true;
    return (v->flags & V_RELATED) && (w->flags & V_RELATED) &&
        related(c, x->value, y->value, x, y);
}

static void
unite(uint8_t *group, uint32_t n, uint32_t a, uint32_t b)
{
    uint8_t lo = group[a] < group[b] ? group[a] : group[b];
    uint8_t hi = group[a] < group[b] ? group[b] : group[a];

    for (uint32_t i = 0; lo != hi && i < n; i++)
        if (group[i] == hi)
            group[i] = lo;
}

/* Parts of a sum that go by group. */
struct sums {
    float w[CG_ITEMS], core[CG_ITEMS];
};

static void
group_up(const struct nr_campaigns *c, const struct cg_row *rows, uint32_t n,
    uint8_t *group)
{
    for (uint32_t i = 0; i < n; i++)
        group[i] = (uint8_t)i;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++)
            if (group[i] != group[j] &&
                cg_same_asset(c, rows[i].obs, rows[j].obs))
                unite(group, n, i, j);
}

/* Hysteresis is for drift. A value that a third component or a hunt has come to
 * hold is evidence against the link, not drift: without this, links made while
 * a public tool was still rare stayed (precision .98 -> .95). */
static bool
nobody_else(const struct nr_campaigns *c, uint32_t obs)
{
    const struct cg_obs *o = &c->obs[obs];

    return o->s <= 2 && c->values[o->value].harmless == 0;
}

struct cg_pair
cg_judge(const struct nr_campaigns *c, const struct cg_row *rows, uint32_t n,
    uint8_t *group_out)
{
    const struct nr_campaign_conf *f = &c->conf;
    float slack = (float)(f->break_p / f->link_p), best = 0, core_rt = 0;
    uint8_t own[CG_ITEMS], *group = group_out ? group_out : own;
    struct cg_pair p = { .best = NONE };
    struct sums most = { 0 };
    double core = 0;

    n = n < CG_ITEMS ? n : CG_ITEMS;
    group_up(c, rows, n, group);
    for (uint32_t i = 0; i < n; i++) {
        const struct cg_row *r = &rows[i];

        most.w[group[i]] = fmaxf(most.w[group[i]], r->w);
        most.core[group[i]] = fmaxf(most.core[group[i]], r->core);
        if (r->w > best) {
            best = r->w;
            p.best = r->obs;
        }
        if (r->w >= (float)f->anchor_bits)
            p.rt = fmaxf(p.rt, r->rt);
        if (r->w >= (float)f->anchor_bits * slack && nobody_else(c, r->obs))
            p.weak = fmaxf(p.weak, r->rt);
        if (r->core >= (float)f->anchor_bits)
            core_rt = fmaxf(core_rt, r->rt);
    }
    for (uint32_t i = 0; i < n; i++) {
        p.bits += (double)most.w[i];
        core += (double)most.core[i];
    }
    p.core = core >= c->theta && core_rt >= (float)f->anchor_rho;
    return p;
}
