/*
 * Components: which cases hang together by core links. Every case knows a case that
 * names its component; the members form a ring. Joining relabels the smaller
 * side (log n relabellings a case at most), parting walks the one component.
 */
#include "campaign/state.h"

void
cg_comp_alone(struct nr_campaigns *c, uint32_t i)
{
    c->cases[i].comp = i;
    c->cases[i].comp_next = i;
    c->cases[i].comp_n = 1;
}

/* What a case saw is now seen by other components: s may change. */
static void
recount(struct nr_campaigns *c, uint32_t i)
{
    for (uint32_t e = c->cases[i].edges; e != NONE; e = c->edges[e].next) {
        struct cg_obs *o = &c->obs[c->edges[e].obs];

        if (!(c->edges[e].flags & E_OPEN) || o->n < 3)
            continue; /* s of two cases moves no weight */
        o->stale++;
        if (o->n <= CG_EXACT || (uint64_t)o->stale * 8 >= o->n)
            cg_obs_dirty(c, c->edges[e].obs, false);
    }
}

void
cg_comp_join(struct nr_campaigns *c, uint32_t a, uint32_t b)
{
    uint32_t x = c->cases[a].comp, y = c->cases[b].comp, i, t;

    if (x == y)
        return;
    if (c->cases[x].comp_n < c->cases[y].comp_n ||
        (c->cases[x].comp_n == c->cases[y].comp_n && x > y)) {
        t = x;
        x = y;
        y = t;
    }
    if (c->cases[x].comp_n == 1)
        recount(c, x); /* no longer alone */
    i = y;
    do {
        c->cases[i].comp = x;
        recount(c, i);
        i = c->cases[i].comp_next;
    } while (i != y);
    c->cases[x].comp_n += c->cases[y].comp_n;
    t = c->cases[x].comp_next;
    c->cases[x].comp_next = c->cases[y].comp_next;
    c->cases[y].comp_next = t;
}

/* Name the part of the cases reached from SEED, whose case_node says TODO. */
static uint32_t
part(struct nr_campaigns *c, uint32_t seed, uint32_t *stack, uint32_t todo)
{
    uint32_t n = 0, done = 0;

    stack[n++] = seed;
    c->case_mark[seed] = todo + 1;
    while (done < n) {
        uint32_t i = stack[done++];
        const struct cg_adj *v = cg_adjs(c, i);

        for (uint32_t k = 0; k < c->cases[i].n_adj; k++)
            if ((v[k].flags & A_BONDS) && c->case_mark[v[k].to] == todo) {
                c->case_mark[v[k].to] = todo + 1;
                stack[n++] = v[k].to;
            }
    }
    return n;
}

static void
name_part(struct nr_campaigns *c, const uint32_t *v, uint32_t n, uint32_t old)
{
    uint32_t name = v[0];

    for (uint32_t i = 0; i < n; i++)
        if (v[i] == old)
            name = old;
    for (uint32_t i = 0; i < n; i++) {
        if (c->cases[v[i]].comp != name || n == 1) {
            c->cases[v[i]].comp = name;
            recount(c, v[i]);
        }
        c->cases[v[i]].comp_next = v[i + 1 < n ? i + 1 : 0];
    }
    c->cases[name].comp_n = n;
}

void
cg_comp_split(struct nr_campaigns *c, uint32_t i)
{
    uint32_t old = c->cases[i].comp, n = c->cases[old].comp_n, epoch, k;
    uint32_t *all, *stack;

    if (n < 2 || !cg_marks(c))
        return;
    all = cg_take(c, n, sizeof(*all));
    stack = cg_take(c, n, sizeof(*stack));
    if (all && stack) {
        epoch = cg_epoch(c);
        k = i;
        for (uint32_t j = 0; j < n; j++, k = c->cases[k].comp_next) {
            all[j] = k;
            c->case_mark[k] = epoch;
        }
        for (uint32_t j = 0; j < n; j++)
            if (c->case_mark[all[j]] == epoch) {
                uint32_t m = part(c, all[j], stack, epoch);

                if (m == n)
                    break; /* still in one piece */
                name_part(c, stack, m, old);
            }
    }
    cg_give(c, all, n, sizeof(*all));
    cg_give(c, stack, n, sizeof(*stack));
}

void
cg_comps_all(struct nr_campaigns *c)
{
    uint32_t *stack = cg_take(c, c->n_cases, sizeof(*stack));
    uint32_t epoch = cg_epoch(c);

    for (uint32_t i = 0; stack && i < c->n_cases; i++)
        c->case_mark[i] = epoch;
    for (uint32_t i = 0; stack && i < c->n_cases; i++) {
        uint32_t n;

        if (c->case_mark[i] != epoch)
            continue;
        n = part(c, i, stack, epoch);
        for (uint32_t k = 0; k < n; k++) {
            c->cases[stack[k]].comp = i;
            c->cases[stack[k]].comp_next = stack[k + 1 < n ? k + 1 : 0];
        }
        c->cases[i].comp_n = n;
    }
    cg_give(c, stack, c->n_cases, sizeof(*stack));
}
