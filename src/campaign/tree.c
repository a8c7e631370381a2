/* The maximum spanning tree of a campaign: paths and bridges. */
#include "campaign/state.h"

#include <math.h>

struct link {
    float bits;    /* CG_BITS_MAX: an analyst's must-link */
    uint32_t a, b; /* places in the campaign's list of cases */
};

struct tree {
    uint32_t n, links, n_links;
    uint32_t *cases;       /* ascending */
    struct link *link;     /* all of the campaign, strongest first */
    uint32_t *up;          /* parent in the tree, or NONE; root: first case */
    float *bits;           /* of the link to it */
    uint32_t *head, *next; /* adjacency of tree links, two entries each */
    uint32_t *order;       /* breadth first from the root */
    uint32_t *pick;        /* links of the tree */
    uint32_t picks;
};

static int
strongest(const void *x, const void *y)
{
    const struct link *p = x, *q = y;

    if (p->bits > q->bits || p->bits < q->bits)
        return p->bits > q->bits ? -1 : 1;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return (p->b > q->b) - (p->b < q->b);
}

static void
collect(struct nr_campaigns *c, uint32_t camp, struct tree *t)
{
    uint32_t k = 0;

    for (uint32_t i = c->camps[camp].head; i != NONE;
         i = c->cases[i].camp_next) {
        t->cases[k++] = i;
        for (uint32_t j = 0; j < c->cases[i].n_adj; j++) {
            const struct cg_adj *v = cg_adjs(c, i) + j;

            t->links += (v->flags & A_TIES) && v->to > i &&
                c->cases[v->to].camp == camp;
        }
    }
    qsort(t->cases, t->n, sizeof(*t->cases), cg_ascending);
    for (k = 0; k < t->n; k++)
        c->case_node[t->cases[k]] = k;
}

static void
gather_links(struct nr_campaigns *c, uint32_t camp, struct tree *t)
{
    for (uint32_t k = 0; k < t->n; k++) {
        uint32_t i = t->cases[k];

        for (uint32_t j = 0; j < c->cases[i].n_adj; j++) {
            const struct cg_adj *v = cg_adjs(c, i) + j;

            if (!(v->flags & A_TIES) || v->to < i ||
                c->cases[v->to].camp != camp)
                continue;
            t->link[t->n_links++] = (struct link){ (v->flags & A_MUST)
                    ? (float)CG_BITS_MAX
                    : v->bits,
                k, c->case_node[v->to] };
        }
    }
    qsort(t->link, t->n_links, sizeof(*t->link), strongest);
}

static uint32_t
root(uint32_t *up, uint32_t i)
{
    while (up[i] != i) {
        up[i] = up[up[i]];
        i = up[i];
    }
    return i;
}

/* Kruskal, then parents breadth first from the first case. */
static void
span(struct tree *t)
{
    uint32_t done = 0, n = 0;

    for (uint32_t k = 0; k < t->n; k++) {
        t->up[k] = k;
        t->head[k] = NONE;
    }
    for (uint32_t l = 0; l < t->n_links; l++) {
        uint32_t x = root(t->up, t->link[l].a), y = root(t->up, t->link[l].b);

        if (x == y)
            continue;
        t->up[x > y ? x : y] = x > y ? y : x;
        t->next[2 * t->picks] = t->head[t->link[l].a];
        t->head[t->link[l].a] = 2 * t->picks;
        t->next[2 * t->picks + 1] = t->head[t->link[l].b];
        t->head[t->link[l].b] = 2 * t->picks + 1;
        t->pick[t->picks++] = l;
    }
    for (uint32_t k = 0; k < t->n; k++)
        t->up[k] = NONE;
    for (uint32_t k = 0; k < t->n; k++) {
        if (t->up[k] != NONE)
            continue; /* reached already */
        t->up[k] = k;
        t->order[n++] = k;
        while (done < n) {
            uint32_t i = t->order[done++];

            for (uint32_t x = t->head[i]; x != NONE; x = t->next[x]) {
                const struct link *l = &t->link[t->pick[x / 2]];
                uint32_t to = x % 2 ? l->a : l->b;

                if (t->up[to] != NONE)
                    continue;
                t->up[to] = i;
                t->bits[to] = l->bits;
                t->order[n++] = to;
            }
        }
    }
}

static void
tree_fini(struct nr_campaigns *c, struct tree *t)
{
    cg_give(c, t->cases, t->n, sizeof(*t->cases));
    cg_give(c, t->link, t->links, sizeof(*t->link));
    cg_give(c, t->up, t->n, sizeof(*t->up));
    cg_give(c, t->bits, t->n, sizeof(*t->bits));
    cg_give(c, t->head, t->n, sizeof(*t->head));
    cg_give(c, t->next, (uint64_t)t->n * 2, sizeof(*t->next));
    cg_give(c, t->order, t->n, sizeof(*t->order));
    cg_give(c, t->pick, t->n, sizeof(*t->pick));
}

static bool
tree_init(struct nr_campaigns *c, uint32_t camp, struct tree *t)
{
    *t = (struct tree){ .n = c->camps[camp].n };
    t->cases = cg_take(c, t->n, sizeof(*t->cases));
    t->up = cg_take(c, t->n, sizeof(*t->up));
    t->bits = cg_take(c, t->n, sizeof(*t->bits));
    t->head = cg_take(c, t->n, sizeof(*t->head));
    t->next = cg_take(c, (uint64_t)t->n * 2, sizeof(*t->next));
    t->order = cg_take(c, t->n, sizeof(*t->order));
    t->pick = cg_take(c, t->n, sizeof(*t->pick));
    if (!cg_marks(c))
        return false;
    collect(c, camp, t);
    t->link = cg_take(c, t->links, sizeof(*t->link));
    if (!t->link)
        return false;
    gather_links(c, camp, t);
    span(t);
    return true;
}

static uint32_t
depth(const struct tree *t, uint32_t k)
{
    uint32_t n = 0;

    for (; t->up[k] != k; k = t->up[k])
        n++;
    return n;
}

/* The places from A to B through the tree; V holds N of them. */
static uint32_t
walk(const struct tree *t, uint32_t a, uint32_t b, uint32_t *v)
{
    uint32_t da = depth(t, a), db = depth(t, b), n = 0, end = t->n;

    while (a != b) {
        if (da >= db) {
            if (t->up[a] == a)
                return 0; /* two trees: an empty campaign was pinned */
            v[n++] = a;
            a = t->up[a];
            da--;
        } else {
            v[--end] = b;
            b = t->up[b];
            db--;
        }
    }
    v[n++] = a;
    while (end < t->n)
        v[n++] = v[end++];
    return n;
}

enum nr_err
nr_campaign_path(struct nr_campaigns *c, uint32_t a, uint32_t b,
    uint32_t *cases, uint32_t max, struct nr_campaign_path *out)
{
    struct tree t;
    uint32_t camp, *v;

    *out = (struct nr_campaign_path){ .product = 1, .weakest_p = 1 };
    if (a >= c->n_cases || b >= c->n_cases)
        return NR_ENOTFOUND;
    camp = c->cases[a].camp;
    if (camp == NONE || camp != c->cases[b].camp)
        return NR_OK;
    v = cg_take(c, c->camps[camp].n, sizeof(*v));
    if (v && tree_init(c, camp, &t)) {
        out->n = walk(&t, c->case_node[a], c->case_node[b], v);
        for (uint32_t i = 0; i < out->n; i++) {
            uint32_t next = i + 1 < out->n ? v[i + 1] : v[i];
            uint32_t child = t.up[v[i]] == next ? v[i] : next;
            double p = i + 1 < out->n ? cg_p(c, (double)t.bits[child]) : 1;

            if (i < max)
                cases[i] = t.cases[v[i]];
            out->product *= p;
            if (p < out->weakest_p) {
                out->weakest_p = p;
                out->weakest = i;
            }
        }
    }
    if (v)
        tree_fini(c, &t);
    cg_give(c, v, c->camps[camp].n, sizeof(*v));
    return c->err;
}

/* --- bridges ---------------------------------------------------------- */

/* Mark the side of place FROM when tree link PICK is cut; its size. */
static uint32_t
side(const struct tree *t, uint32_t pick, uint32_t from, uint8_t *in,
    uint32_t *stack)
{
    uint32_t n = 0, done = 0;

    memset(in, 0, t->n);
    stack[n++] = from;
    in[from] = 1;
    while (done < n) {
        uint32_t i = stack[done++];

        for (uint32_t x = t->head[i]; x != NONE; x = t->next[x]) {
            const struct link *l = &t->link[t->pick[x / 2]];
            uint32_t to = x % 2 ? l->a : l->b;

            if (x / 2 == pick || in[to])
                continue;
            in[to] = 1;
            stack[n++] = to;
        }
    }
    return n;
}

struct cross {
    uint32_t obs;
    float rt;
};

static int
by_obs(const void *a, const void *b)
{
    const struct cross *x = a, *y = b;

    if (x->obs != y->obs)
        return x->obs < y->obs ? -1 : 1;
    return x->rt > y->rt ? -1 : x->rt < y->rt;
}

/* Product of (1 - rho tau) over the anchors of links across: each value once,
 * at its best. *VALUE: the surest of them. */
static double
doubt_across(struct nr_campaigns *c, const struct tree *t, const uint8_t *in,
    uint32_t *value)
{
    struct cross *v = NULL;
    uint32_t n = 0, cap = 0;
    double doubt = 1;
    float most = 0;

    for (uint32_t l = 0; l < t->n_links && c->err == NR_OK; l++) {
        uint32_t other = t->cases[t->link[l].b];

        if (in[t->link[l].a] == in[t->link[l].b])
            continue;
        cg_gather(c, t->cases[t->link[l].a]);
        for (uint32_t k = 0; k < c->n_rows; k++) {
            struct cross *p;

            if (c->rows[k].to != other || !(c->rows[k].rt > 0) ||
                c->rows[k].w < (float)c->conf.anchor_bits)
                continue;
            p = cg_grow(c, v, &cap, (uint64_t)n + 1, sizeof(*v));
            if (!p)
                break;
            v = p;
            v[n++] = (struct cross){ c->rows[k].obs, c->rows[k].rt };
        }
    }
    if (n > 1)
        qsort(v, n, sizeof(*v), by_obs);
    for (uint32_t k = 0; k < n; k++) {
        if (k > 0 && v[k - 1].obs == v[k].obs)
            continue;
        doubt *= 1 - fmin((double)v[k].rt, CG_EXCL_RHO);
        if (v[k].rt > most) {
            most = v[k].rt;
            *value = c->obs[v[k].obs].value;
        }
    }
    c->octets -= (size_t)cap * sizeof(*v);
    free(v);
    return doubt;
}

#define BRIDGE_WORK ((uint64_t)1 << 22) /* links looked at before giving up */

static void
find_bridge(struct nr_campaigns *c, const struct tree *t, uint8_t *in,
    uint32_t *stack, struct nr_campaign_bridge *out)
{
    uint64_t work = 0;

    /* The weakest links first: there the doubt is largest. */
    for (uint32_t p = t->picks; p > 0 && c->err == NR_OK; p--) {
        const struct link *l = &t->link[t->pick[p - 1]];
        uint32_t n = side(t, p - 1, l->a, in, stack), value = NONE;
        uint32_t small = n < t->n - n ? n : t->n - n;
        double doubt;

        work += (uint64_t)t->n + t->n_links;
        if (work > BRIDGE_WORK)
            return;
        if (small < 2 || l->bits >= (float)CG_BITS_MAX)
            continue;
        doubt = doubt_across(c, t, in, &value);
        if (doubt <= NR_CAMPAIGN_DOUBT || doubt <= out->doubt)
            continue;
        *out = (struct nr_campaign_bridge){ true,
            t->cases[small == n ? l->a : l->b],
            t->cases[small == n ? l->b : l->a], value, small, doubt };
    }
}

enum nr_err
nr_campaign_bridge(struct nr_campaigns *c, uint32_t campaign,
    struct nr_campaign_bridge *out)
{
    struct tree t;
    uint32_t n, *stack;
    uint8_t *in;

    *out = (struct nr_campaign_bridge){ .a = NONE, .b = NONE, .value = NONE };
    if (campaign >= c->n_camps)
        return NR_ENOTFOUND;
    n = c->camps[campaign].n;
    stack = cg_take(c, n, sizeof(*stack));
    in = cg_take(c, n, sizeof(*in));
    if (c->err == NR_OK) {
        if (tree_init(c, campaign, &t))
            find_bridge(c, &t, in, stack, out);
        tree_fini(c, &t);
    }
    cg_give(c, in, n, sizeof(*in));
    cg_give(c, stack, n, sizeof(*stack));
    return c->err;
}
