/* Clusters: the descent from what is there, and others where that may not be
 * the best. */
#include "campaign/cpm.h"

#define TRIES      6u   /* descents from single nodes, in as many orders */
#define TRY_MARGIN .001 /* of the objective: less is not worth new campaigns */
#define GAIN_MIN   1e-9

/* The components of the graph that might be cut better. One of S cases whose
 * lightest arc weighs at least gamma S^2 / 4 is best left whole: whatever part
 * is cut off loses at least an arc. */
struct hard {
    uint32_t n, n_comps, arcs, bans;
    uint32_t *node;  /* of the graph, of each hard node */
    uint32_t *place; /* the other way; NONE: easy */
    uint32_t *comp;  /* of each hard node, from 0 */
    uint32_t *off, *to, *size, *ban_off, *ban, *best, *label;
    float *w;
    double *q, *q_best; /* objective of each component */
};

/* Walk the component of S; nodes go to STACK. Cases; *LIGHT: lightest arc. */
static uint64_t
walk(const struct cpm_graph *g, uint32_t s, uint8_t *seen, uint32_t *stack,
    uint32_t *n, float *light)
{
    uint64_t cases = 0;
    uint32_t top = 0;

    *n = 0;
    stack[top++] = s;
    seen[s] = 1;
    while (*n < top) {
        uint32_t v = stack[(*n)++];

        cases += g->size[v];
        for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++) {
            if (g->w[k] < *light)
                *light = g->w[k];
            if (seen[g->to[k]])
                continue;
            seen[g->to[k]] = 1;
            stack[top++] = g->to[k];
        }
    }
    return cases;
}

static void
find_hard(struct nr_campaigns *c, const struct cpm_graph *g, double gamma,
    struct hard *h)
{
    uint8_t *seen = cg_take(c, g->n, sizeof(*seen));
    uint32_t *stack = cg_take(c, g->n, sizeof(*stack));

    for (uint32_t s = 0; seen && stack && s < g->n; s++) {
        float light = 1;
        uint64_t count;
        uint32_t n;
        double cases;

        h->place[s] = seen[s] ? h->place[s] : NONE;
        if (seen[s])
            continue;
        count = walk(g, s, seen, stack, &n, &light);
        cases = (double)count;
        for (uint32_t k = 0; k < n; k++)
            h->place[stack[k]] = NONE;
        if (n < 3 || gamma * cases * cases / 4 <= (double)light)
            continue;
        for (uint32_t k = 0; k < n; k++) {
            h->place[stack[k]] = h->n;
            h->comp[h->n] = h->n_comps;
            h->node[h->n++] = stack[k];
        }
        h->n_comps++;
    }
    cg_give(c, seen, g->n, sizeof(*seen));
    cg_give(c, stack, g->n, sizeof(*stack));
}

static void
copy_hard(const struct cpm_graph *g, struct hard *h)
{
    uint32_t at = 0, bans = 0;

    for (uint32_t i = 0; i < h->n; i++) {
        uint32_t v = h->node[i];

        h->off[i] = at;
        h->ban_off[i] = bans;
        h->size[i] = g->size[v];
        for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++) {
            h->to[at] = h->place[g->to[k]];
            h->w[at++] = g->w[k];
        }
        for (uint32_t k = g->ban_off ? g->ban_off[v] : 0;
             g->ban_off && k < g->ban_off[v + 1]; k++)
            if (h->place[g->ban[k]] != NONE)
                h->ban[bans++] = h->place[g->ban[k]];
    }
    h->off[h->n] = at;
    h->ban_off[h->n] = bans;
}

/* The objective, component by component. */
static void
by_component(struct nr_campaigns *c, const struct hard *h,
    const struct cpm_graph *g, double gamma, const uint32_t *label, double *q)
{
    uint64_t *weight = cg_take(c, g->n, sizeof(*weight));

    memset(q, 0, h->n_comps * sizeof(*q));
    for (uint32_t i = 0; weight && i < g->n; i++) {
        /* Pairs with the cases met before, as they come. */
        q[h->comp[i]] -= gamma * g->size[i] * (double)weight[label[i]];
        weight[label[i]] += g->size[i];
        for (uint32_t k = g->off[i]; k < g->off[i + 1]; k++)
            if (label[g->to[k]] == label[i] && g->to[k] > i)
                q[h->comp[i]] += (double)g->w[k];
    }
    cg_give(c, weight, g->n, sizeof(*weight));
}

/* Labels of a component are among its own nodes' numbers, so that two answers
 * can be mixed by component. */
static void
own_labels(struct nr_campaigns *c, const struct hard *h, uint32_t *label,
    uint32_t below)
{
    uint32_t *first = cg_take(c, below, sizeof(*first));

    for (uint32_t i = 0; first && i < h->n; i++)
        if (!first[label[i]])
            first[label[i]] = i + 1;
    for (uint32_t i = 0; first && i < h->n; i++)
        label[i] = first[label[i]] - 1;
    cg_give(c, first, below, sizeof(*first));
}

static void
try_others(struct nr_campaigns *c, const struct cpm_graph *g, double gamma,
    struct hard *h)
{
    struct cpm_graph sub = { h->n, h->off, h->to, h->w, h->size,
        g->ban_off ? h->ban_off : NULL, h->ban };

    copy_hard(g, h);
    by_component(c, h, &sub, gamma, h->best, h->q_best);
    for (uint64_t t = 0; t < TRIES && c->err == NR_OK; t++) {
        for (uint32_t i = 0; i < h->n; i++)
            h->label[i] = i;
        cpm_descend(c, &sub, gamma, t, h->label);
        own_labels(c, h, h->label, h->n);
        by_component(c, h, &sub, gamma, h->label, h->q);
        for (uint32_t i = 0; i < h->n; i++)
            if (h->q[h->comp[i]] >
                h->q_best[h->comp[i]] * (1 + TRY_MARGIN) + GAIN_MIN)
                h->best[i] = h->label[i];
        for (uint32_t k = 0; k < h->n_comps; k++)
            if (h->q[k] > h->q_best[k] * (1 + TRY_MARGIN) + GAIN_MIN)
                h->q_best[k] = h->q[k];
    }
}

/* LABEL with what was found for the hard components: each cluster is called by
 * its first node, so that old and new numbers cannot meet. */
static void
put_back(struct nr_campaigns *c, const struct cpm_graph *g,
    const struct hard *h, uint32_t *label)
{
    uint32_t *easy = cg_take(c, g->n, sizeof(*easy));
    uint32_t *tough = cg_take(c, h->n, sizeof(*tough));

    for (uint32_t v = 0; easy && tough && v < g->n; v++) {
        uint32_t *first = h->place[v] == NONE ? &easy[label[v]]
                                              : &tough[h->best[h->place[v]]];

        if (*first == 0)
            *first = v + 1;
        label[v] = *first - 1;
    }
    cg_give(c, easy, g->n, sizeof(*easy));
    cg_give(c, tough, h->n, sizeof(*tough));
}

static void
hard_fini(struct nr_campaigns *c, const struct cpm_graph *g, struct hard *h)
{
    cg_give(c, h->node, g->n, sizeof(*h->node));
    cg_give(c, h->place, g->n, sizeof(*h->place));
    cg_give(c, h->comp, g->n, sizeof(*h->comp));
    cg_give(c, h->off, (uint64_t)h->n + 1, sizeof(*h->off));
    cg_give(c, h->ban_off, (uint64_t)h->n + 1, sizeof(*h->ban_off));
    cg_give(c, h->size, h->n, sizeof(*h->size));
    cg_give(c, h->to, h->arcs, sizeof(*h->to));
    cg_give(c, h->w, h->arcs, sizeof(*h->w));
    cg_give(c, h->ban, h->bans, sizeof(*h->ban));
    cg_give(c, h->best, h->n, sizeof(*h->best));
    cg_give(c, h->label, h->n, sizeof(*h->label));
    cg_give(c, h->q, h->n_comps, sizeof(*h->q));
    cg_give(c, h->q_best, h->n_comps, sizeof(*h->q_best));
}

/* Where the answer may not be the best, descend from single nodes too, in
 * several orders, and take what is clearly better. These do not know the
 * present campaigns, so they lead a log in any order to the same end. */
static void
other_tries(struct nr_campaigns *c, const struct cpm_graph *g, double gamma,
    uint32_t *label)
{
    struct hard h = { 0 };

    h.node = cg_take(c, g->n, sizeof(*h.node));
    h.place = cg_take(c, g->n, sizeof(*h.place));
    h.comp = cg_take(c, g->n, sizeof(*h.comp));
    if (c->err == NR_OK)
        find_hard(c, g, gamma, &h);
    if (c->err == NR_OK && h.n > 0) {
        h.arcs = g->off[g->n];
        h.bans = g->ban_off ? g->ban_off[g->n] : 0;
        h.off = cg_take(c, (uint64_t)h.n + 1, sizeof(*h.off));
        h.ban_off = cg_take(c, (uint64_t)h.n + 1, sizeof(*h.ban_off));
        h.size = cg_take(c, h.n, sizeof(*h.size));
        h.to = cg_take(c, h.arcs, sizeof(*h.to));
        h.w = cg_take(c, h.arcs, sizeof(*h.w));
        h.ban = cg_take(c, h.bans, sizeof(*h.ban));
        h.best = cg_take(c, h.n, sizeof(*h.best));
        h.label = cg_take(c, h.n, sizeof(*h.label));
        h.q = cg_take(c, h.n_comps, sizeof(*h.q));
        h.q_best = cg_take(c, h.n_comps, sizeof(*h.q_best));
        for (uint32_t v = 0; c->err == NR_OK && v < g->n; v++)
            if (h.place[v] != NONE)
                h.best[h.place[v]] = label[v];
        if (c->err == NR_OK)
            own_labels(c, &h, h.best, g->n);
        if (c->err == NR_OK) {
            try_others(c, g, gamma, &h);
            put_back(c, g, &h, label);
        }
    }
    hard_fini(c, g, &h);
}

void
cpm_cluster(struct nr_campaigns *c, const struct cpm_graph *g, double gamma,
    uint32_t *label)
{
    if (g->n == 0)
        return;
    cpm_descend(c, g, gamma, 0, label);
    if (c->err == NR_OK)
        other_tries(c, g, gamma, label);
}
