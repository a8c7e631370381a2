/*
 * Local moves: the everyday case. A report adds one case to what stands; only
 * it and its neighbours ask which campaign they are best in, and two campaigns
 * that it ties ask whether they are one. The cost is that of their links, not
 * of their campaigns. Whatever is more than that - overrides, a campaign that
 * falls apart - is left to cg_cluster(), and small surroundings always are.
 */
#include "campaign/state.h"

#define SMALL     256u  /* cases around: clustered properly */
#define STEPS_MAX 4096u /* cases that are asked in one go */
#define PAIRS_MAX 16u   /* pairs of campaigns whose union is weighed */
#define WALK_MAX  1024u /* cases of a walk that looks for a way round */
#define NEAR_MAX  256u  /* neighbours that a case may leave behind */
#define GAIN_MIN  1e-9

#define ALONE ((uint64_t)1 << 32) /* or'd to a case that has no campaign */

struct pull {
    uint64_t to; /* campaign, or ALONE | case: older ones are smaller */
    double p;
};

struct pulls {
    struct pull *v;
    uint32_t n, cap;
};

static uint64_t
place(const struct nr_campaigns *c, uint32_t i)
{
    uint32_t camp = c->cases[i].camp;

    return camp == NONE ? ALONE | i : camp;
}

static int
by_place(const void *a, const void *b)
{
    const struct pull *x = a, *y = b;

    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return (x->p > y->p) - (x->p < y->p);
}

/* Cases in the campaigns of I and its neighbours. */
static uint64_t
surroundings(const struct nr_campaigns *c, uint32_t i)
{
    uint64_t n = 0;

    if (c->cases[i].camp != NONE)
        n = c->camps[c->cases[i].camp].n;
    for (uint32_t k = 0; k < c->cases[i].n_adj; k++) {
        const struct cg_adj *v = cg_adjs(c, i) + k;
        uint32_t camp = c->cases[v->to].camp;

        if ((v->flags & A_TIES) && camp != NONE && c->camps[camp].n > n)
            n = c->camps[camp].n;
    }
    return n;
}

static bool
overridden(const struct nr_campaigns *c, uint32_t i)
{
    for (uint32_t k = 0; k < c->cases[i].n_adj; k++)
        if (cg_adjs(c, i)[k].flags & (A_MUST | A_CANNOT))
            return true;
    return false;
}

/* What draws I where: one entry a place, summed in order. */
static bool
collect(struct nr_campaigns *c, uint32_t i, struct pulls *out)
{
    struct pull *p = cg_grow(c, out->v, &out->cap,
        (uint64_t)c->cases[i].n_adj + 1, sizeof(*p));
    uint32_t n = 0;

    if (!p)
        return false;
    out->v = p;
    for (uint32_t k = 0; k < c->cases[i].n_adj; k++) {
        const struct cg_adj *v = cg_adjs(c, i) + k;

        if (v->flags & A_LINK)
            p[n++] = (struct pull){ place(c, v->to), cg_p(c, (double)v->bits) };
    }
    qsort(p, n, sizeof(*p), by_place);
    out->n = 0;
    for (uint32_t k = 0; k < n; k++)
        if (out->n > 0 && p[out->n - 1].to == p[k].to)
            p[out->n - 1].p += p[k].p;
        else
            p[out->n++] = p[k];
    return true;
}

static uint64_t
best_place(const struct nr_campaigns *c, uint32_t i, const struct pulls *pulls)
{
    uint64_t own = place(c, i), best = own;
    double most = 0;

    if (c->cases[i].camp != NONE)
        most = -c->conf.gamma * (c->camps[c->cases[i].camp].n - 1.0);
    for (uint32_t k = 0; k < pulls->n; k++)
        if (pulls->v[k].to == own)
            most += pulls->v[k].p;
    if (most < -GAIN_MIN) {
        best = ALONE | i;
        most = 0;
    }
    for (uint32_t k = 0; k < pulls->n; k++) {
        const struct pull *p = &pulls->v[k];
        double size = p->to < ALONE ? c->camps[p->to].n : 1;

        if (p->to != own && p->p - c->conf.gamma * size > most + GAIN_MIN) {
            best = p->to;
            most = p->p - c->conf.gamma * size;
        }
    }
    return best;
}

static void
push_neighbours(struct nr_campaigns *c, uint32_t i)
{
    for (uint32_t k = 0; k < c->cases[i].n_adj; k++) {
        const struct cg_adj *v = cg_adjs(c, i) + k;

        if ((v->flags & A_LINK) && c->cases[v->to].camp != c->cases[i].camp)
            cg_scope(c, v->to);
    }
}

static void
go(struct nr_campaigns *c, uint32_t i, uint32_t camp)
{
    uint32_t was = c->cases[i].camp;

    if (was != NONE)
        cg_camp_leave(c, i);
    if (camp != NONE)
        cg_camp_enter(c, i, camp);
    cg_tell_move(c, i, was, camp);
}

/* The younger of two campaigns goes into the older. */
static void
unite(struct nr_campaigns *c, uint32_t a, uint32_t b)
{
    uint32_t old = a < b ? a : b, young = a < b ? b : a;

    cg_merged(c, young, old);
    while (c->camps[young].head != NONE && c->err == NR_OK)
        go(c, c->camps[young].head, old);
}

/* Do the N cases of WANT, all of one campaign, hang together without NOT? A
 * walk from the first of them finds the others close by or gives up. */
static bool
together(struct nr_campaigns *c, const uint32_t *want, uint32_t n,
    uint32_t not )
{
    uint32_t queue[WALK_MAX], top = 0, found = 1;
    uint32_t epoch = cg_epoch(c), camp = c->cases[want[0]].camp;

    for (uint32_t k = 0; k < n; k++)
        c->case_mark[want[k]] = epoch; /* wanted; + 1: seen */
    if (not != NONE)
        c->case_mark[not ] = epoch + 1;
    queue[top++] = want[0];
    c->case_mark[want[0]] = epoch + 1;
    for (uint32_t k = 0; k < top && found < n; k++) {
        uint32_t at = queue[k];

        for (uint32_t j = 0; j < c->cases[at].n_adj; j++) {
            const struct cg_adj *v = cg_adjs(c, at) + j;

            if (!(v->flags & A_TIES) || c->case_mark[v->to] == epoch + 1 ||
                c->cases[v->to].camp != camp)
                continue;
            found += c->case_mark[v->to] == epoch;
            c->case_mark[v->to] = epoch + 1;
            if (top < WALK_MAX)
                queue[top++] = v->to;
        }
    }
    return found == n;
}

/* What case I would leave behind stays in one piece. */
static bool
may_leave(struct nr_campaigns *c, uint32_t i)
{
    uint32_t want[NEAR_MAX], n = 0;

    for (uint32_t k = 0; k < c->cases[i].n_adj; k++) {
        const struct cg_adj *v = cg_adjs(c, i) + k;

        if (!(v->flags & A_TIES) || c->cases[v->to].camp != c->cases[i].camp)
            continue;
        if (n == NEAR_MAX)
            return false;
        want[n++] = v->to;
    }
    /* Without any neighbour there it stood apart already. */
    return n == 0 || together(c, want, n, i);
}

/* The ends of the links that were lost still hang together. */
static bool
whole(struct nr_campaigns *c)
{
    for (uint32_t k = 0; k + 1 < c->lost.n; k += 2) {
        const uint32_t *pair = c->lost.v + k;
        uint32_t camp = c->cases[pair[0]].camp;

        if (camp != NONE && camp == c->cases[pair[1]].camp &&
            !together(c, pair, 2, NONE))
            return false;
    }
    return true;
}

/* Put I where it is best. False: more than a local move is needed. */
static bool
ask(struct nr_campaigns *c, uint32_t i, struct pulls *pulls)
{
    uint32_t own = c->cases[i].camp, to;
    uint64_t best;

    if (overridden(c, i) || !collect(c, i, pulls))
        return false;
    best = best_place(c, i, pulls);
    if (best == place(c, i))
        return true;
    if (own != NONE && c->camps[own].n > 1 && !may_leave(c, i))
        return false;
    to = best < ALONE ? (uint32_t)best : NONE;
    if (to == NONE && best != (ALONE | i)) {
        to = own == NONE || c->camps[own].n > 1 ? cg_camp_form(c) : own;
        if (to == NONE)
            return false;
        go(c, (uint32_t)best, to);
    }
    if (own != NONE && c->camps[own].n == 1 && to != NONE && to != own)
        unite(c, own, to); /* its last case */
    else if (to != own)
        go(c, i, to);
    push_neighbours(c, i);
    return true;
}

/* Links between two campaigns, counted from the smaller. */
static double
between(const struct nr_campaigns *c, uint32_t a, uint32_t b)
{
    uint32_t from = c->camps[a].n < c->camps[b].n ? a : b;
    uint32_t to = from == a ? b : a;
    double sum = 0;

    for (uint32_t i = c->camps[from].head; i != NONE; i = c->cases[i].camp_next)
        for (uint32_t k = 0; k < c->cases[i].n_adj; k++) {
            const struct cg_adj *v = cg_adjs(c, i) + k;

            if ((v->flags & A_LINK) && c->cases[v->to].camp == to)
                sum += cg_p(c, (double)v->bits);
        }
    return sum;
}

static void
try_unions(struct nr_campaigns *c, uint32_t i, uint32_t *left,
    struct pulls *pulls)
{
    if (!collect(c, i, pulls))
        return;
    for (uint32_t k = 0; k<pulls->n && * left> 0; k++) {
        uint64_t to = pulls->v[k].to;
        uint32_t own = c->cases[i].camp;

        if (own == NONE || to >= ALONE || to == own ||
            c->camps[to].into != NONE)
            continue;
        (*left)--;
        if (between(c, own, (uint32_t)to) >
            c->conf.gamma * c->camps[own].n * c->camps[to].n + GAIN_MIN)
            unite(c, own, (uint32_t)to);
    }
}

bool
cg_local(struct nr_campaigns *c)
{
    uint32_t asked = c->scope.n, left = PAIRS_MAX;
    struct pulls pulls = { 0 };
    uint64_t most = 0;
    bool done = cg_marks(c);

    for (uint32_t k = 0; k < asked; k++) {
        uint64_t n = surroundings(c, c->scope.v[k]);

        most = n > most ? n : most;
    }
    if (most <= SMALL)
        return false;
    done = done && whole(c);
    for (uint32_t k = 0; done && k < c->scope.n && k < STEPS_MAX; k++) {
        c->cases[c->scope.v[k]].flags &= (uint8_t)~C_SCOPE;
        done = ask(c, c->scope.v[k], &pulls);
    }
    done = done && c->scope.n < STEPS_MAX;
    for (uint32_t k = 0; done && k < asked; k++)
        try_unions(c, c->scope.v[k], &left, &pulls);
    for (uint32_t k = 0; k < c->scope.n; k++)
        if (done)
            c->cases[c->scope.v[k]].flags &= (uint8_t)~C_SCOPE;
        else
            c->cases[c->scope.v[k]].flags |= C_SCOPE;
    c->octets -= (size_t)pulls.cap * sizeof(*pulls.v);
    free(pulls.v);
    return done && c->err == NR_OK;
}
