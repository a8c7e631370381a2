/*
 * Rebuilding: everything anew from the facts, warm from the campaigns at hand.
 * Two passes over all pairs: core links with every case as a component, then,
 * with their components, the links.
 */
#include "campaign/state.h"

/* --- rebuild ---------------------------------------------------------- */

struct pile {
    uint64_t key; /* lower case << 32 | higher case */
    uint32_t obs;
    float w, rt;
};

static uint32_t
active_campaigns(struct nr_campaigns *c)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < c->n_camps; k++) {
        const struct cg_camp *x = &c->camps[k];
        bool active = false;

        if (x->n < 2 || x->close != NONE)
            continue;
        for (uint32_t i = x->head; i != NONE && !active;
             i = c->cases[i].camp_next)
            active = (int64_t)c->cases[i].last + c->conf.active_days >= c->day;
        n += active;
    }
    return n;
}

static void
references(struct nr_campaigns *c)
{
    const struct nr_campaign_conf *f = &c->conf;
    uint32_t k = active_campaigns(c);

    if (f->members)
        c->n_ref = f->members;
    else if (cg_n_moved(c))
        c->n_ref = c->members ? c->members : 1;
    k = k > f->campaigns_min ? k : f->campaigns_min;
    c->k_ref = f->campaigns ? f->campaigns : k;
    c->n_moved = false;
    cg_thetas(c);
}

struct heap {
    struct pile *v;
    uint32_t n, cap;
};

#define DIGIT 11u /* bits sorted by in one pass */

/* By key; equal keys keep their order, which is that of their values. The low
 * BITS of either half of the keys are in use: an even number of passes, so
 * that all ends where it began. */
static void
sort_pile(struct nr_campaigns *c, struct heap *h, unsigned bits)
{
    struct pile *spare = cg_take(c, h->n, sizeof(*spare)), *swap;
    uint32_t *at = cg_take(c, 1u << DIGIT, sizeof(*at));

    for (unsigned half = 0; spare && at && half < 2; half++)
        for (unsigned low = 0; low < bits; low += DIGIT) {
            unsigned shift = half * 32 + low;
            uint32_t sum = 0;

            memset(at, 0, sizeof(*at) << DIGIT);
            for (uint32_t i = 0; i < h->n; i++)
                at[h->v[i].key >> shift & ((1u << DIGIT) - 1)]++;
            for (uint32_t i = 0; i < 1u << DIGIT; i++) {
                uint32_t n = at[i];

                at[i] = sum;
                sum += n;
            }
            for (uint32_t i = 0; i < h->n; i++)
                spare[at[h->v[i].key >> shift & ((1u << DIGIT) - 1)]++] =
                    h->v[i];
            swap = h->v;
            h->v = spare;
            spare = swap;
        }
    c->octets -= ((size_t)h->n + 1) * sizeof(*spare);
    free(spare);
    cg_give(c, at, 1u << DIGIT, sizeof(*at));
}

/* Every pair of value O whose lower case is in [LO, HI). */
static void
pile_up(struct nr_campaigns *c, struct heap *h, uint32_t obs, uint32_t lo,
    uint32_t hi, enum cg_part part)
{
    const struct cg_obs *o = &c->obs[obs];
    const uint32_t *v = cg_list(c, o);

    for (uint32_t i = 0; i + 1 < o->n; i++) {
        const struct cg_edge *a = &c->edges[v[i]];
        uint32_t end = o->n - i > FAN ? i + FAN : o->n - 1;
        struct pile *p = cg_grow(c, h->v, &h->cap, (uint64_t)h->n + FAN,
            sizeof(*p));

        if (!p)
            return;
        h->v = p;
        for (uint32_t k = i + 1; k <= end; k++) {
            const struct cg_edge *b = &c->edges[v[k]];
            uint32_t x = a->cas < b->cas ? a->cas : b->cas;
            struct cg_row r;

            if (x < lo || x >= hi)
                continue;
            r = cg_row_of(c, obs, a, b);
            if (part == CG_CORE)
                r.w = r.core;
            if (r.w >= 0.5F)
                h->v[h->n++] = (struct pile){
                    (uint64_t)x << 32 | (a->cas ^ b->cas ^ x), obs, r.w, r.rt
                };
        }
    }
}

static void
judge_pile(struct nr_campaigns *c, const struct heap *h, enum cg_part part)
{
    struct cg_row rows[CG_ITEMS];

    for (uint32_t i = 0, end; i < h->n && c->err == NR_OK; i = end) {
        uint32_t a = (uint32_t)(h->v[i].key >> 32), n = 0;
        uint32_t b = (uint32_t)h->v[i].key;
        struct cg_pair p;
        struct cg_adj *v;

        for (end = i; end < h->n && h->v[end].key == h->v[i].key; end++)
            if (n < CG_ITEMS)
                rows[n++] = (struct cg_row){ b, h->v[end].obs, h->v[end].w,
                    h->v[end].w, h->v[end].rt };
        p = cg_judge(c, rows, n, NULL);
        cg_link_set(c, a, b, &p, part);
        v = cg_adj_find(c, a, b);
        if (v)
            v->flags |= A_HEARD;
    }
}

/* What no value of the range speaks of any more. */
static void
drop_unheard(struct nr_campaigns *c, uint32_t lo, uint32_t hi,
    enum cg_part part)
{
    const struct cg_pair nothing = { .best = NONE };
    uint32_t mine = part == CG_CORE ? A_CORE : A_LINK | A_SUGGEST;

    for (uint32_t i = lo; i < hi; i++)
        for (uint32_t k = c->cases[i].n_adj; k > 0; k--) {
            struct cg_adj *v = cg_adjs(c, i) + k - 1;
            bool heard = v->flags & A_HEARD;

            v->flags &= ~A_HEARD;
            if (v->to > i && !heard && (v->flags & mine))
                cg_link_set(c, i, v->to, &nothing, part);
        }
}

/* Pairs held at a time: two piles of 24 octets each. */
#define ROWS_MAX ((uint64_t)8 << 20)

/* In how many ranges of cases all pairs are to be taken. */
static uint32_t
ranges(const struct nr_campaigns *c)
{
    uint64_t most = 0;

    for (uint32_t o = 0; o < c->n_obs; o++)
        if (c->obs[o].flags & O_USED)
            most += (uint64_t)c->obs[o].n *
                (c->obs[o].n > FAN ? FAN : c->obs[o].n / 2);
    return (uint32_t)(most / ROWS_MAX) + 1;
}

static unsigned
bits_of(uint32_t n)
{
    unsigned bits = 1;

    while (bits < 32 && n >> bits)
        bits++;
    return bits;
}

/* All pairs of the values in use, judged in the order of their cases. */
static void
all_pairs(struct nr_campaigns *c, enum cg_part part)
{
    uint32_t parts = ranges(c);
    struct heap h = { 0 };

    for (uint32_t k = 0; k < parts && c->err == NR_OK; k++) {
        uint32_t lo = (uint32_t)((uint64_t)c->n_cases * k / parts);
        uint32_t hi = (uint32_t)((uint64_t)c->n_cases * (k + 1) / parts);

        h.n = 0;
        for (uint32_t o = 0; o < c->n_obs && c->err == NR_OK; o++)
            if (c->obs[o].flags & O_USED)
                pile_up(c, &h, o, lo, hi, part);
        if (h.n > 1)
            sort_pile(c, &h, bits_of(c->n_cases));
        judge_pile(c, &h, part);
        drop_unheard(c, lo, hi, part);
    }
    c->octets -= (size_t)h.cap * sizeof(*h.v);
    free(h.v);
}

static void
count_all(struct nr_campaigns *c, bool components)
{
    for (uint32_t o = 0; o < c->n_obs && c->err == NR_OK; o++) {
        if (components)
            cg_obs_components(c, o);
        else
            cg_obs_votes(c, o);
        c->obs[o].flags &= (uint8_t) ~(O_DIRTY | O_RELINK);
        c->obs[o].bits_told = c->obs[o].bits;
        c->obs[o].core_told = c->obs[o].core;
    }
    c->dirty_obs.n = 0;
}

void
cg_rebuild(struct nr_campaigns *c)
{
    if (c->conf_waits)
        c->conf = c->next_conf;
    c->conf_waits = false;
    if (!cg_marks(c))
        return;
    references(c);
    cg_orgs_weigh(c);
    cg_says_renew(c);
    for (uint32_t i = 0; i < c->n_cases; i++)
        c->cases[i].flags &= (uint8_t)~C_DIRTY;
    c->dirty_cases.n = c->dirty_obs.n = 0;
    count_all(c, false);
    all_pairs(c, CG_CORE);
    c->split.n = 0;
    if (c->err == NR_OK)
        cg_comps_all(c);
    count_all(c, true);
    all_pairs(c, CG_FINAL);
    for (uint32_t i = 0; i < c->n_cases && c->err == NR_OK; i++)
        if (c->cases[i].n_adj > 0 || c->cases[i].camp != NONE)
            cg_scope(c, i);
    if (c->err == NR_OK)
        cg_cluster(c);
    cg_tell(c,
        (struct nr_campaign_event){ .kind = NR_CAMPAIGN_REBUILT,
            .a = c->n_ref,
            .b = c->k_ref,
            .value = NONE });
}

enum nr_err
nr_campaign_rebuild(struct nr_campaigns *c, int32_t day, struct nr_diag *d)
{
    if (day < 0 || day > NR_CAMPAIGN_DAY_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "campaigns: day out of range");
    if (c->err == NR_OK) {
        c->day = day;
        cg_rebuild(c);
    }
    if (c->err != NR_OK)
        return nr_fail(d, c->err, 0, "campaigns: rebuilding stopped");
    return NR_OK;
}
