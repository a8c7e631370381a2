#include "campaign/cpm.h"

#define ITERATIONS 12 /* whole descents; the second rarely finds anything */
#define LEVELS     40
#define GAIN_MIN   1e-9

/* A level owns its arrays; the first borrows those of the caller. */
struct level {
    struct cpm_graph g;
    uint32_t *off, *to, *size, *ban_off, *ban;
    float *w;
    uint32_t arcs, bans;
};

/* What local moves need, for N nodes. */
struct work {
    uint32_t n;
    uint64_t *weight; /* cases in each label */
    uint32_t *nodes;  /* nodes in each label */
    double *sum;      /* weight towards a label; 0 between uses */
    uint32_t *touched, *queue, *empty, *banned, *order;
    uint8_t *queued;
    uint32_t n_empty, round;
    uint64_t seed; /* of the order in which nodes are asked; 0: their own */
};

static bool
work_init(struct nr_campaigns *c, struct work *w, uint32_t n)
{
    *w = (struct work){ .n = n };
    w->weight = cg_take(c, n, sizeof(*w->weight));
    w->nodes = cg_take(c, n, sizeof(*w->nodes));
    w->sum = cg_take(c, n, sizeof(*w->sum));
    w->touched = cg_take(c, n, sizeof(*w->touched));
    w->queue = cg_take(c, n, sizeof(*w->queue));
    w->empty = cg_take(c, n, sizeof(*w->empty));
    w->banned = cg_take(c, n, sizeof(*w->banned));
    w->order = cg_take(c, n, sizeof(*w->order));
    w->queued = cg_take(c, n, sizeof(*w->queued));
    return c->err == NR_OK;
}

static void
work_fini(struct nr_campaigns *c, struct work *w)
{
    cg_give(c, w->weight, w->n, sizeof(*w->weight));
    cg_give(c, w->nodes, w->n, sizeof(*w->nodes));
    cg_give(c, w->sum, w->n, sizeof(*w->sum));
    cg_give(c, w->touched, w->n, sizeof(*w->touched));
    cg_give(c, w->queue, w->n, sizeof(*w->queue));
    cg_give(c, w->empty, w->n, sizeof(*w->empty));
    cg_give(c, w->banned, w->n, sizeof(*w->banned));
    cg_give(c, w->order, w->n, sizeof(*w->order));
    cg_give(c, w->queued, w->n, sizeof(*w->queued));
}

static void
work_load(struct work *w, const struct cpm_graph *g, const uint32_t *label)
{
    memset(w->weight, 0, g->n * sizeof(*w->weight));
    memset(w->nodes, 0, g->n * sizeof(*w->nodes));
    for (uint32_t i = 0; i < g->n; i++) {
        w->weight[label[i]] += g->size[i];
        w->nodes[label[i]]++;
    }
    w->n_empty = 0;
    for (uint32_t i = g->n; i > 0; i--)
        if (w->nodes[i - 1] == 0)
            w->empty[w->n_empty++] = i - 1;
}

/* A label that nobody has; there is one while any label has two nodes. */
static uint32_t
fresh_label(struct work *w)
{
    while (w->n_empty > 0 && w->nodes[w->empty[w->n_empty - 1]] > 0)
        w->n_empty--;
    return w->n_empty > 0 ? w->empty[w->n_empty - 1] : NONE;
}

static void
mark_bans(struct work *w, const struct cpm_graph *g, const uint32_t *label,
    uint32_t v)
{
    w->round++;
    for (uint32_t k = g->ban_off[v]; g->ban && k < g->ban_off[v + 1]; k++)
        w->banned[label[g->ban[k]]] = w->round;
}

/* The label that V is best in; NONE: on its own. Leaves w->sum zero. */
static uint32_t
best_label(struct work *w, const struct cpm_graph *g, double gamma,
    const uint32_t *label, uint32_t v)
{
    uint32_t own = label[v], n = 0, best = NONE;
    double most = 0, stay;

    if (g->ban_off)
        mark_bans(w, g, label, v);
    for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++) {
        uint32_t l = label[g->to[k]];

        if (w->sum[l] <= 0)
            w->touched[n++] = l;
        w->sum[l] += (double)g->w[k];
    }
    stay = w->sum[own] -
        gamma * g->size[v] * (double)(w->weight[own] - g->size[v]);
    if (!g->ban_off || w->banned[own] != w->round || w->nodes[own] == 1) {
        best = own;
        most = stay;
        if (stay < -GAIN_MIN) {
            best = NONE;
            most = 0;
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t l = w->touched[k];
        double gain = w->sum[l] - gamma * g->size[v] * (double)w->weight[l];

        w->sum[l] = 0;
        if (l == own || (g->ban_off && w->banned[l] == w->round))
            continue;
        if (gain > most + GAIN_MIN ||
            (best != own && gain > most - GAIN_MIN && l < best)) {
            best = l;
            most = gain;
        }
    }
    return best;
}

static void
move(struct work *w, const struct cpm_graph *g, uint32_t *label, uint32_t v,
    uint32_t to)
{
    uint32_t own = label[v];

    w->weight[own] -= g->size[v];
    if (--w->nodes[own] == 0)
        w->empty[w->n_empty++] = own;
    w->weight[to] += g->size[v];
    w->nodes[to]++;
    label[v] = to;
}

/* The nodes 0 .. N in the order that the seed stands for. */
static void
set_order(struct work *w, uint32_t n)
{
    uint64_t x = w->seed;

    for (uint32_t i = 0; i < n; i++)
        w->order[i] = i;
    for (uint32_t i = n; w->seed && i > 1; i--) {
        uint32_t k, t = w->order[i - 1];

        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        k = (uint32_t)((x >> 33) % i);
        w->order[i - 1] = w->order[k];
        w->order[k] = t;
    }
}

static void
local_moves(struct work *w, const struct cpm_graph *g, double gamma,
    uint32_t *label)
{
    uint32_t head = 0, left = g->n;
    uint64_t steps = (uint64_t)g->n * 100 + 1000; /* gains are > 0: a guard */

    work_load(w, g, label);
    set_order(w, g->n);
    for (uint32_t i = 0; i < g->n; i++) {
        w->queue[i] = w->order[i];
        w->queued[i] = 1;
    }
    while (left > 0 && steps-- > 0) {
        uint32_t v = w->queue[head], to;

        head = head + 1 < g->n ? head + 1 : 0;
        left--;
        w->queued[v] = 0;
        to = best_label(w, g, gamma, label, v);
        if (to == NONE && w->nodes[label[v]] > 1)
            to = fresh_label(w);
        if (to == NONE || to == label[v])
            continue;
        move(w, g, label, v, to);
        for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++) {
            uint32_t u = g->to[k];

            if (label[u] == to || w->queued[u])
                continue;
            w->queue[(uint32_t)(((uint64_t)head + left) % g->n)] = u;
            w->queued[u] = 1;
            left++;
        }
    }
}

/* Sub-clusters: inside each cluster, nodes that still stand alone join the
 * sub-cluster that gains most. SUB: labels below n. */
static void
refine(struct work *w, const struct cpm_graph *g, double gamma,
    const uint32_t *label, uint32_t *sub)
{
    for (uint32_t i = 0; i < g->n; i++)
        sub[i] = i;
    work_load(w, g, sub);
    for (uint32_t i = 0; i < g->n; i++) {
        uint32_t v = w->order[i], n = 0, best = NONE;
        double most = GAIN_MIN;

        if (w->nodes[sub[v]] > 1)
            continue;
        for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++) {
            uint32_t l = sub[g->to[k]];

            if (label[g->to[k]] != label[v])
                continue;
            if (w->sum[l] <= 0)
                w->touched[n++] = l;
            w->sum[l] += (double)g->w[k];
        }
        for (uint32_t k = 0; k < n; k++) {
            uint32_t l = w->touched[k];
            double gain = w->sum[l] - gamma * g->size[v] * (double)w->weight[l];

            w->sum[l] = 0;
            if (l != sub[v] && gain > most) {
                best = l;
                most = gain;
            }
        }
        if (best != NONE)
            move(w, g, sub, v, best);
    }
}

/* Number the labels in use from 0, in their order; returns how many. */
static uint32_t
dense(struct nr_campaigns *c, uint32_t *label, uint32_t n, uint32_t below)
{
    uint32_t *to = cg_take(c, below, sizeof(*to)), k = 0;

    if (!to)
        return n;
    for (uint32_t i = 0; i < n; i++)
        to[label[i]] = 1;
    for (uint32_t l = 0; l < below; l++)
        if (to[l])
            to[l] = k++;
    for (uint32_t i = 0; i < n; i++)
        label[i] = to[label[i]];
    cg_give(c, to, below, sizeof(*to));
    return k;
}

static void
level_fini(struct nr_campaigns *c, struct level *l)
{
    cg_give(c, l->off, (uint64_t)l->g.n + 1, sizeof(*l->off));
    cg_give(c, l->size, l->g.n, sizeof(*l->size));
    cg_give(c, l->to, l->arcs, sizeof(*l->to));
    cg_give(c, l->w, l->arcs, sizeof(*l->w));
    cg_give(c, l->ban_off, l->ban_off ? (uint64_t)l->g.n + 1 : 0,
        sizeof(*l->ban_off));
    cg_give(c, l->ban, l->bans, sizeof(*l->ban));
    *l = (struct level){ 0 };
}

/* Nodes ordered by label, and where each label's begin. */
static void
by_label(const uint32_t *label, uint32_t n, uint32_t k, uint32_t *start,
    uint32_t *order)
{
    memset(start, 0, ((size_t)k + 1) * sizeof(*start));
    for (uint32_t i = 0; i < n; i++)
        start[label[i] + 1]++;
    for (uint32_t l = 0; l < k; l++)
        start[l + 1] += start[l];
    for (uint32_t i = 0; i < n; i++)
        order[start[label[i]]++] = i;
    for (uint32_t l = k; l > 0; l--)
        start[l] = start[l - 1];
    start[0] = 0;
}

static void
merge_arcs(struct level *out, struct work *w, const struct cpm_graph *g,
    const uint32_t *sub, const uint32_t *start, const uint32_t *order)
{
    uint32_t at = 0;

    for (uint32_t l = 0; l < out->g.n; l++) {
        uint32_t n = 0;

        out->off[l] = at;
        for (uint32_t i = start[l]; i < start[l + 1]; i++) {
            uint32_t v = order[i];

            out->size[l] += g->size[v];
            for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++) {
                uint32_t to = sub[g->to[k]];

                if (to == l)
                    continue;
                if (w->sum[to] <= 0)
                    w->touched[n++] = to;
                w->sum[to] += (double)g->w[k];
            }
        }
        for (uint32_t k = 0; k < n; k++) {
            out->to[at] = w->touched[k];
            out->w[at++] = (float)w->sum[w->touched[k]];
            w->sum[w->touched[k]] = 0;
        }
    }
    out->off[out->g.n] = at;
}

static void
merge_bans(struct level *out, const struct cpm_graph *g, const uint32_t *sub,
    const uint32_t *start, const uint32_t *order)
{
    uint32_t at = 0;

    for (uint32_t l = 0; l < out->g.n; l++) {
        out->ban_off[l] = at;
        for (uint32_t i = start[l]; i < start[l + 1]; i++)
            for (uint32_t k = g->ban_off[order[i]];
                 k < g->ban_off[order[i] + 1]; k++)
                out->ban[at++] = sub[g->ban[k]];
    }
    out->ban_off[out->g.n] = at;
}

static bool
aggregate(struct nr_campaigns *c, const struct cpm_graph *g, struct work *w,
    const uint32_t *sub, uint32_t n_sub, struct level *out)
{
    uint32_t *start = cg_take(c, (uint64_t)n_sub + 1, sizeof(*start));
    uint32_t *order = cg_take(c, g->n, sizeof(*order));

    *out = (struct level){ .arcs = g->off[g->n] };
    out->g.n = n_sub;
    out->off = cg_take(c, (uint64_t)n_sub + 1, sizeof(*out->off));
    out->size = cg_take(c, n_sub, sizeof(*out->size));
    out->to = cg_take(c, out->arcs, sizeof(*out->to));
    out->w = cg_take(c, out->arcs, sizeof(*out->w));
    if (g->ban_off) {
        out->bans = g->ban_off[g->n];
        out->ban_off = cg_take(c, (uint64_t)n_sub + 1, sizeof(*out->ban_off));
        out->ban = cg_take(c, out->bans, sizeof(*out->ban));
    }
    if (c->err == NR_OK) {
        by_label(sub, g->n, n_sub, start, order);
        merge_arcs(out, w, g, sub, start, order);
        if (g->ban_off)
            merge_bans(out, g, sub, start, order);
        out->g = (struct cpm_graph){ n_sub, out->off, out->to, out->w,
            out->size, out->ban_off, out->ban };
    }
    cg_give(c, start, (uint64_t)n_sub + 1, sizeof(*start));
    cg_give(c, order, g->n, sizeof(*order));
    return c->err == NR_OK;
}

/* One level down: move, refine, merge. LABEL holds the level's labels, and
 * afterwards those of the next; MAP leads from first nodes to the level's. */
static bool
descend(struct nr_campaigns *c, struct work *w, struct level *l, double gamma,
    uint32_t *label, uint32_t *map, uint32_t n)
{
    const struct cpm_graph *g = &l->g;
    uint32_t *sub = cg_take(c, g->n, sizeof(*sub)), n_sub, size = g->n;
    struct level next = { 0 };
    bool deeper = false;

    if (!sub)
        return false;
    local_moves(w, g, gamma, label);
    refine(w, g, gamma, label, sub);
    n_sub = dense(c, sub, g->n, g->n);
    if (n_sub < g->n && aggregate(c, g, w, sub, n_sub, &next)) {
        for (uint32_t i = 0; i < g->n; i++)
            w->touched[sub[i]] = label[i];
        memcpy(label, w->touched, n_sub * sizeof(*label));
        (void)dense(c, label, n_sub, g->n);
        for (uint32_t i = 0; i < n; i++)
            map[i] = sub[map[i]];
        level_fini(c, l);
        *l = next;
        deeper = c->err == NR_OK;
    } else {
        level_fini(c, &next);
    }
    cg_give(c, sub, size, sizeof(*sub));
    return deeper;
}

/* Give each connected piece of a label a label of its own; the piece with the
 * first node keeps it. */
static void
split(struct nr_campaigns *c, struct work *w, const struct cpm_graph *g,
    uint32_t *label)
{
    uint32_t *piece = cg_take(c, g->n, sizeof(*piece));

    if (!piece)
        return;
    work_load(w, g, label);
    memset(w->touched, 0, g->n * sizeof(*w->touched)); /* label has its piece */
    for (uint32_t s = 0; s < g->n; s++) {
        uint32_t top = 0, to = label[s];

        if (piece[s])
            continue;
        if (w->touched[label[s]]) {
            to = fresh_label(w);
            if (to == NONE)
                break;        /* cannot be: as many labels as nodes */
            w->nodes[to] = 1; /* taken */
        }
        w->touched[label[s]] = 1;
        w->queue[top++] = s;
        piece[s] = to + 1;
        while (top > 0) {
            uint32_t v = w->queue[--top];

            for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++) {
                uint32_t u = g->to[k];

                if (piece[u] || label[u] != label[s])
                    continue;
                piece[u] = to + 1;
                w->queue[top++] = u;
            }
        }
    }
    for (uint32_t i = 0; i < g->n; i++)
        label[i] = piece[i] ? piece[i] - 1 : label[i];
    cg_give(c, piece, g->n, sizeof(*piece));
}

double
cpm_objective(struct nr_campaigns *c, const struct cpm_graph *g, double gamma,
    const uint32_t *label)
{
    uint64_t *weight = cg_take(c, g->n, sizeof(*weight));
    double q = 0;

    if (!weight)
        return 0;
    for (uint32_t i = 0; i < g->n; i++) {
        weight[label[i]] += g->size[i];
        for (uint32_t k = g->off[i]; k < g->off[i + 1]; k++)
            if (label[g->to[k]] == label[i] && g->to[k] > i)
                q += (double)g->w[k];
    }
    for (uint32_t i = 0; i < g->n; i++)
        q -= gamma * (double)weight[i] * ((double)weight[i] - 1) / 2;
    cg_give(c, weight, g->n, sizeof(*weight));
    return q;
}

/* A label with two nodes that may not meet: the later one leaves. */
static void
part_banned(struct work *w, const struct cpm_graph *g, uint32_t *label)
{
    work_load(w, g, label);
    for (uint32_t v = 0; v < g->n; v++)
        for (uint32_t k = g->ban_off[v]; k < g->ban_off[v + 1]; k++)
            if (g->ban[k] < v && label[g->ban[k]] == label[v]) {
                uint32_t to = fresh_label(w);

                if (to != NONE)
                    move(w, g, label, v, to);
            }
}

static bool
once(struct nr_campaigns *c, struct work *w, const struct cpm_graph *g,
    double gamma, uint32_t *label)
{
    uint32_t *now = cg_take(c, g->n, sizeof(*now));
    uint32_t *map = cg_take(c, g->n, sizeof(*map));
    double before = cpm_objective(c, g, gamma, label);
    struct level l = { .g = *g };
    bool better = false;

    if (now && map) {
        memcpy(now, label, g->n * sizeof(*now));
        for (uint32_t i = 0; i < g->n; i++)
            map[i] = i;
        for (int k = 0; k < LEVELS; k++)
            if (!descend(c, w, &l, gamma, now, map, g->n))
                break;
        for (uint32_t i = 0; i < g->n; i++)
            map[i] = now[map[i]];
        split(c, w, g, map);
        better = c->err == NR_OK &&
            cpm_objective(c, g, gamma, map) > before + GAIN_MIN;
        if (better)
            memcpy(label, map, g->n * sizeof(*label));
    }
    level_fini(c, &l);
    cg_give(c, now, g->n, sizeof(*now));
    cg_give(c, map, g->n, sizeof(*map));
    return better;
}

void
cpm_descend(struct nr_campaigns *c, const struct cpm_graph *g, double gamma,
    uint64_t seed, uint32_t *label)
{
    struct work w;

    if (work_init(c, &w, g->n)) {
        w.seed = seed;
        if (g->ban_off)
            part_banned(&w, g, label);
        split(c, &w, g, label);
        for (int i = 0; i < ITERATIONS; i++)
            if (!once(c, &w, g, gamma, label))
                break;
    }
    work_fini(c, &w);
}
