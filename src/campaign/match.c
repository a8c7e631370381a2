/*
 * From clusters to campaigns: the cases in scope are clustered again, and each
 * campaign that had some claims the cluster that holds most of them. Of several
 * claims the oldest wins and the others are merged into it; a cluster that
 * nobody claims is a new campaign, split from the one most of its cases had.
 */
#include "campaign/cpm.h"

#define SCOPE_WHOLE 256u /* components up to so many cases: clustered whole */

void
cg_camp_enter(struct nr_campaigns *c, uint32_t i, uint32_t camp)
{
    struct cg_camp *k = &c->camps[camp];

    c->cases[i].camp = camp;
    c->cases[i].camp_prev = NONE;
    c->cases[i].camp_next = k->head;
    if (k->head != NONE)
        c->cases[k->head].camp_prev = i;
    k->head = i;
    k->n++;
}

void
cg_camp_leave(struct nr_campaigns *c, uint32_t i)
{
    struct cg_case *x = &c->cases[i];
    struct cg_camp *k = &c->camps[x->camp];

    if (x->camp_prev != NONE)
        c->cases[x->camp_prev].camp_next = x->camp_next;
    else
        k->head = x->camp_next;
    if (x->camp_next != NONE)
        c->cases[x->camp_next].camp_prev = x->camp_prev;
    x->camp = NONE;
    k->n--;
}

void
cg_scope(struct nr_campaigns *c, uint32_t i)
{
    if (c->cases[i].flags & C_SCOPE)
        return;
    c->cases[i].flags |= C_SCOPE;
    cg_push(c, &c->scope, i);
}

static void
scope_camp(struct nr_campaigns *c, uint32_t camp)
{
    if (camp == NONE)
        return;
    for (uint32_t i = c->camps[camp].head; i != NONE; i = c->cases[i].camp_next)
        cg_scope(c, i);
}

/* Pieces of the link graph up to SCOPE_WHOLE cases come whole; of larger ones
 * what is within SCOPE_WHOLE steps of a walk, which enters large campaigns only
 * right beside the cases that asked. A campaign always comes whole. */
static void
close_scope(struct nr_campaigns *c)
{
    uint32_t asked = c->scope.n;
    uint64_t walk = SCOPE_WHOLE + (uint64_t)asked * 2;

    for (uint32_t k = 0; k < c->scope.n && c->err == NR_OK; k++) {
        uint32_t i = c->scope.v[k];

        scope_camp(c, c->cases[i].camp);
        if (k >= walk)
            continue;
        for (uint32_t j = 0; j < c->cases[i].n_adj; j++) {
            const struct cg_adj *v = cg_adjs(c, i) + j;
            uint32_t camp = c->cases[v->to].camp;

            if ((v->flags & A_TIES) &&
                (k < asked || camp == NONE || c->camps[camp].n <= SCOPE_WHOLE))
                cg_scope(c, v->to);
        }
    }
}

/* The graph of a scope; cases that must be together are one node. */
struct built {
    struct cpm_graph g;
    uint32_t n; /* cases */
    const uint32_t *cases;
    uint32_t *node; /* of each case */
    uint32_t *off, *to, *size, *ban_off, *ban, *label;
    float *w;
    uint32_t arcs, bans;
};

static uint32_t
root(uint32_t *up, uint32_t i)
{
    while (up[i] != i) {
        up[i] = up[up[i]];
        i = up[i];
    }
    return i;
}

/* Position in the scope of case I; NONE: outside. */
static uint32_t
at(const struct nr_campaigns *c, const struct built *b, uint32_t i)
{
    uint32_t k = c->case_node[i];

    return k < b->n && b->cases[k] == i ? k : NONE;
}

static void
contract(struct nr_campaigns *c, struct built *b)
{
    uint32_t *up = cg_take(c, b->n, sizeof(*up)), nodes = 0;

    if (!up)
        return;
    for (uint32_t k = 0; k < b->n; k++)
        up[k] = k;
    for (uint32_t k = 0; k < b->n; k++) {
        uint32_t i = b->cases[k];

        for (uint32_t j = 0; j < c->cases[i].n_adj; j++) {
            const struct cg_adj *v = cg_adjs(c, i) + j;
            uint32_t x, y;

            if (!(v->flags & A_MUST) || at(c, b, v->to) == NONE)
                continue;
            x = root(up, k);
            y = root(up, at(c, b, v->to));
            up[x > y ? x : y] = x > y ? y : x;
        }
    }
    for (uint32_t k = 0; k < b->n; k++) { /* roots come before the others */
        uint32_t r = root(up, k);

        b->node[k] = r == k ? nodes++ : b->node[r];
    }
    b->g.n = nodes;
    cg_give(c, up, b->n, sizeof(*up));
}

static bool
arc(const struct nr_campaigns *c, const struct built *b, uint32_t k,
    const struct cg_adj *v, uint32_t want, uint32_t *to)
{
    uint32_t y;

    if (!(v->flags & want) || (want == A_LINK && (v->flags & A_CANNOT)))
        return false;
    y = at(c, b, v->to);
    if (y == NONE || b->node[y] == b->node[k])
        return false;
    *to = b->node[y];
    return true;
}

/* Compressed rows of the arcs of one sort; a must-link counts as P = 1 inside a
 * node and needs no arc. */
static uint32_t
rows(struct nr_campaigns *c, struct built *b, uint32_t want, uint32_t *off,
    uint32_t **to_out, float **w_out)
{
    uint32_t n = 0, to = 0;

    for (uint32_t k = 0; k < b->n; k++)
        for (uint32_t j = 0; j < c->cases[b->cases[k]].n_adj; j++)
            if (arc(c, b, k, cg_adjs(c, b->cases[k]) + j, want, &to)) {
                off[b->node[k] + 1]++;
                n++;
            }
    *to_out = cg_take(c, n, sizeof(**to_out));
    if (w_out)
        *w_out = cg_take(c, n, sizeof(**w_out));
    if (c->err != NR_OK)
        return n;
    for (uint32_t v = 0; v < b->g.n; v++)
        off[v + 1] += off[v];
    for (uint32_t k = 0; k < b->n; k++)
        for (uint32_t j = 0; j < c->cases[b->cases[k]].n_adj; j++) {
            const struct cg_adj *v = cg_adjs(c, b->cases[k]) + j;

            if (!arc(c, b, k, v, want, &to))
                continue;
            if (w_out)
                (*w_out)[off[b->node[k]]] = (float)cg_p(c, (double)v->bits);
            (*to_out)[off[b->node[k]]++] = to;
        }
    for (uint32_t v = b->g.n; v > 0; v--)
        off[v] = off[v - 1];
    off[0] = 0;
    return n;
}

/* Warm start: older campaigns have lower labels, then the cases alone. */
static void
warm(struct nr_campaigns *c, struct built *b)
{
    uint32_t *camps = cg_take(c, b->n, sizeof(*camps)), n = 0, m = 0, next;

    if (!camps)
        return;
    for (uint32_t k = 0; k < b->n; k++)
        if (c->cases[b->cases[k]].camp != NONE)
            camps[n++] = c->cases[b->cases[k]].camp;
    qsort(camps, n, sizeof(*camps), cg_ascending);
    for (uint32_t k = 0; k < n; k++)
        if (m == 0 || camps[m - 1] != camps[k])
            camps[m++] = camps[k];
    for (uint32_t v = 0; v < b->g.n; v++)
        b->label[v] = NONE;
    /* A node may hold cases of several campaigns: the oldest counts. There may
     * then be more campaigns than nodes: numbers are dense below. */
    for (uint32_t k = 0; k < b->n; k++) {
        uint32_t camp = c->cases[b->cases[k]].camp, lo = 0, hi = m;

        while (camp != NONE && lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;

            if (camps[mid] < camp)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (camp != NONE && lo < b->label[b->node[k]])
            b->label[b->node[k]] = lo;
    }
    memset(camps, 0xff, (size_t)b->n * sizeof(*camps));
    next = 0;
    for (uint32_t v = 0; v < b->g.n; v++)
        if (b->label[v] != NONE)
            camps[b->label[v]] = 0;
    for (uint32_t k = 0; k < m; k++)
        if (camps[k] == 0)
            camps[k] = next++;
    for (uint32_t v = 0; v < b->g.n; v++)
        b->label[v] = b->label[v] != NONE ? camps[b->label[v]] : next++;
    cg_give(c, camps, b->n, sizeof(*camps));
}

static void
build(struct nr_campaigns *c, struct built *b)
{
    b->node = cg_take(c, b->n, sizeof(*b->node));
    if (!b->node)
        return;
    for (uint32_t k = 0; k < b->n; k++)
        c->case_node[b->cases[k]] = k;
    contract(c, b);
    b->off = cg_take(c, (uint64_t)b->n + 1, sizeof(*b->off));
    b->ban_off = cg_take(c, (uint64_t)b->n + 1, sizeof(*b->ban_off));
    b->size = cg_take(c, b->n, sizeof(*b->size));
    b->label = cg_take(c, b->n, sizeof(*b->label));
    if (c->err != NR_OK)
        return;
    for (uint32_t k = 0; k < b->n; k++)
        b->size[b->node[k]]++;
    b->arcs = rows(c, b, A_LINK, b->off, &b->to, &b->w);
    b->bans = rows(c, b, A_CANNOT, b->ban_off, &b->ban, NULL);
    if (c->err != NR_OK)
        return;
    b->g = (struct cpm_graph){ b->g.n, b->off, b->to, b->w, b->size,
        b->bans ? b->ban_off : NULL, b->ban };
    warm(c, b);
}

static void
built_fini(struct nr_campaigns *c, struct built *b)
{
    cg_give(c, b->node, b->n, sizeof(*b->node));
    cg_give(c, b->off, (uint64_t)b->n + 1, sizeof(*b->off));
    cg_give(c, b->ban_off, (uint64_t)b->n + 1, sizeof(*b->ban_off));
    cg_give(c, b->size, b->n, sizeof(*b->size));
    cg_give(c, b->label, b->n, sizeof(*b->label));
    cg_give(c, b->to, b->arcs, sizeof(*b->to));
    cg_give(c, b->w, b->arcs, sizeof(*b->w));
    cg_give(c, b->ban, b->bans, sizeof(*b->ban));
}

/* --- identifiers ------------------------------------------------------ */

/* A case with what it had and what it gets. */
struct had {
    uint32_t camp, label, cas;
};

static int
by_camp(const void *a, const void *b)
{
    const struct had *x = a, *y = b;

    if (x->camp != y->camp)
        return x->camp < y->camp ? -1 : 1;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return (x->cas > y->cas) - (x->cas < y->cas);
}

struct cluster {
    uint32_t n;
    uint32_t owner;            /* the campaign that it is */
    uint32_t origin, origin_n; /* where most of its cases were */
};

/* The label that holds most of V[0..N), of one campaign; among equals the one
 * with its oldest case (lowest number). Tells each label of its share. */
static uint32_t
plurality(const struct had *v, uint32_t n, struct cluster *cl)
{
    uint32_t best = v[0].label, most = 0, oldest = NONE;

    for (uint32_t i = 0, end; i < n; i = end) {
        struct cluster *k = &cl[v[i].label];

        for (end = i; end < n && v[end].label == v[i].label; end++)
            ;
        if (end - i > k->origin_n) {
            k->origin = v[i].camp;
            k->origin_n = end - i;
        }
        if (end - i > most || (end - i == most && v[i].cas < oldest)) {
            most = end - i;
            best = v[i].label;
            oldest = v[i].cas;
        }
    }
    return best;
}

static uint32_t
mint(struct nr_campaigns *c, uint32_t from)
{
    struct cg_camp *p = cg_grow(c, c->camps, &c->cap_camps,
        (uint64_t)c->n_camps + 1, sizeof(*p));
    struct cg_camp *k;

    if (!p)
        return NONE;
    c->camps = p;
    k = &c->camps[c->n_camps];
    *k = (struct cg_camp){ .head = NONE,
        .into = NONE,
        .from = from,
        .rename = NONE,
        .close = NONE };
    if (c->mint.mint(c->mint.ctx, c->seq, c->minted++, k->id) != NR_OK) {
        (void)cg_fail(c, NR_ESYS);
        return NONE;
    }
    return c->n_camps++;
}

void
cg_merged(struct nr_campaigns *c, uint32_t camp, uint32_t into)
{
    c->camps[camp].into = into;
    cg_tell(c,
        (struct nr_campaign_event){ .kind = NR_CAMPAIGN_MERGED_INTO,
            .a = camp,
            .b = into,
            .value = NONE });
}

/* Claims, oldest campaign first. */
static void
claim(struct nr_campaigns *c, struct had *v, uint32_t n, struct cluster *cl)
{
    for (uint32_t i = 0, end; i < n && v[i].camp != NONE; i = end) {
        uint32_t camp = v[i].camp, label;

        for (end = i; end < n && v[end].camp == camp; end++)
            ;
        label = plurality(v + i, end - i, cl);
        if (c->camps[camp].into != NONE)
            continue;
        if (cl[label].owner == NONE)
            cl[label].owner = camp;
        else if (cl[label].owner != camp)
            cg_merged(c, camp, cl[label].owner);
    }
}

void
cg_tell_move(struct nr_campaigns *c, uint32_t i, uint32_t was, uint32_t now)
{
    struct nr_campaign_event e = { .a = i,
        .b = now == NONE ? was : now,
        .value = NONE };

    e.kind = now == NONE ? NR_CAMPAIGN_PARTED : NR_CAMPAIGN_JOINED;
    cg_tell(c, e);
}

static uint32_t
form(struct nr_campaigns *c, uint32_t origin)
{
    struct nr_campaign_event e = { .a = mint(c, origin),
        .b = origin,
        .value = NONE };

    e.kind = origin == NONE ? NR_CAMPAIGN_FORMED : NR_CAMPAIGN_SPLIT_FROM;
    if (e.a != NONE)
        cg_tell(c, e);
    return e.a;
}

uint32_t
cg_camp_form(struct nr_campaigns *c)
{
    return form(c, NONE);
}

static void
hand_out(struct nr_campaigns *c, const struct built *b, struct cluster *cl)
{
    for (uint32_t k = 0; k < b->n && c->err == NR_OK; k++) {
        uint32_t i = b->cases[k], was = c->cases[i].camp;
        struct cluster *l = &cl[b->label[b->node[k]]];
        bool fresh = l->owner == NONE && l->n > 1;

        if (fresh) {
            l->owner = form(c, l->origin);
            if (l->owner == NONE)
                return;
        }
        if (was == l->owner)
            continue;
        if (was != NONE)
            cg_camp_leave(c, i);
        if (l->owner != NONE)
            cg_camp_enter(c, i, l->owner);
        cg_tell_move(c, i, was, l->owner);
    }
}

static void
match(struct nr_campaigns *c, struct built *b)
{
    struct had *v = cg_take(c, b->n, sizeof(*v));
    struct cluster *cl = cg_take(c, b->n, sizeof(*cl));

    for (uint32_t k = 0; v && cl && k < b->n; k++) {
        uint32_t l = b->label[b->node[k]];

        v[k] = (struct had){ c->cases[b->cases[k]].camp, l, b->cases[k] };
        cl[k].owner = cl[k].origin = NONE;
        cl[l].n++;
    }
    if (v && cl) {
        qsort(v, b->n, sizeof(*v), by_camp);
        claim(c, v, b->n, cl);
        hand_out(c, b, cl);
    }
    cg_give(c, v, b->n, sizeof(*v));
    cg_give(c, cl, b->n, sizeof(*cl));
}

/* The scope, sorted, as a graph; the flags of its cases are cleared. */
static void
take_scope(struct nr_campaigns *c, struct built *b)
{
    close_scope(c);
    for (uint32_t k = 0; k < c->scope.n; k++)
        c->cases[c->scope.v[k]].flags &= (uint8_t)~C_SCOPE;
    if (c->err != NR_OK || c->scope.n == 0 || !cg_marks(c))
        return;
    qsort(c->scope.v, c->scope.n, sizeof(*c->scope.v), cg_ascending);
    b->n = c->scope.n;
    b->cases = c->scope.v;
    build(c, b);
    if (c->err == NR_OK)
        cpm_cluster(c, &b->g, c->conf.gamma, b->label);
}

void
cg_cluster(struct nr_campaigns *c)
{
    struct built b = { 0 };

    c->lost.n = 0;
    take_scope(c, &b);
    if (c->err == NR_OK && b.n > 0)
        match(c, &b);
    built_fini(c, &b);
    c->scope.n = 0;
}

/* Cases that leave the campaign that most of their cluster has. */
static uint32_t
count_moves(struct nr_campaigns *c, const struct built *b)
{
    struct had *v = cg_take(c, b->n, sizeof(*v));
    struct cluster *cl = cg_take(c, b->n, sizeof(*cl));
    uint32_t moves = 0;

    for (uint32_t k = 0; v && cl && k < b->n; k++) {
        uint32_t l = b->label[b->node[k]];

        v[k] = (struct had){ c->cases[b->cases[k]].camp, l, b->cases[k] };
        cl[l].n++;
    }
    if (v && cl)
        qsort(v, b->n, sizeof(*v), by_camp);
    for (uint32_t i = 0, end; v && cl && i < b->n; i = end) {
        struct cluster *k = &cl[v[i].label];

        for (end = i; end < b->n && v[end].camp == v[i].camp &&
             v[end].label == v[i].label;
             end++)
            ;
        if (v[i].camp != NONE && end - i > k->origin_n)
            k->origin_n = end - i;
    }
    for (uint32_t l = 0; cl && l < b->n; l++)
        if (cl[l].n > 1)
            moves += cl[l].n - cl[l].origin_n;
    cg_give(c, v, b->n, sizeof(*v));
    cg_give(c, cl, b->n, sizeof(*cl));
    return moves;
}

uint32_t
cg_moves(struct nr_campaigns *c)
{
    struct built b = { 0 };
    uint32_t moves = 0;

    take_scope(c, &b);
    if (c->err == NR_OK && b.n > 0)
        moves = count_moves(c, &b);
    built_fini(c, &b);
    c->scope.n = 0;
    return moves;
}
