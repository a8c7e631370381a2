/* "Judge this value": what a verdict would move, found by trying it out. */
#include "campaign/state.h"

#include <math.h>

#define CASES_TRIED 256u /* of a value; more say the same */

struct candidate {
    uint32_t obs, bound;
};

static int
most_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->bound != y->bound)
        return x->bound > y->bound ? -1 : 1;
    return (x->obs > y->obs) - (x->obs < y->obs);
}

/* No more cases than these can move: all that the value could join, but the
 * largest part. */
static uint32_t
bound(struct nr_campaigns *c, const struct cg_obs *o)
{
    uint32_t epoch = cg_epoch(c), sum = 0, most = 0;

    for (uint32_t i = 0; i < o->n && i < CASES_TRIED; i++) {
        uint32_t cas = c->edges[cg_list(c, o)[i]].cas, n = 1, mark = cas;

        if (c->cases[cas].camp != NONE) {
            n = c->camps[c->cases[cas].camp].n;
            mark = c->camps[c->cases[cas].camp].head;
        }
        if (c->case_mark[mark] == epoch)
            continue;
        c->case_mark[mark] = epoch;
        sum += n;
        most = n > most ? n : most;
    }
    /* Cases alone that come together all move. */
    return most == 1 ? sum : sum - most;
}

static bool
may_be_asked(const struct nr_campaigns *c, const struct cg_obs *o)
{
    const struct cg_value *v = &c->values[o->value];

    return v->verdict == NR_CAMPAIGN_UNJUDGED && !(o->flags & O_DROP) &&
        o->n >= 2 && c->conf.row[v->type].anchor;
}

struct undo {
    uint32_t a, b;
    struct cg_adj was;
};

struct trial {
    struct undo *undo;
    uint32_t n, cap;
};

/* Make the link of A and B for the length of a trial. */
static void
pretend(struct nr_campaigns *c, struct trial *t, uint32_t a, uint32_t b,
    const struct cg_pair *p)
{
    const struct cg_adj *old = cg_adj_find(c, a, b);
    struct cg_adj v = old ? *old : (struct cg_adj){ 0 };
    struct undo *u;

    if ((v.flags & A_LINK) || cg_decide(c, p, 0) != A_LINK)
        return;
    u = cg_grow(c, t->undo, &t->cap, (uint64_t)t->n + 1, sizeof(*u));
    if (!u)
        return;
    t->undo = u;
    t->undo[t->n++] = (struct undo){ a, b, v };
    v.flags |= A_LINK;
    v.bits = (float)p->bits;
    cg_adj_set(c, a, b, v);
    cg_scope(c, a);
    cg_scope(c, b);
}

/* Pairs of case I as they would be with value OBS exclusive. */
static void
pretend_case(struct nr_campaigns *c, struct trial *t, uint32_t i, uint32_t obs)
{
    cg_gather(c, i);
    for (uint32_t k = 0, end; k < c->n_rows && c->err == NR_OK; k = end) {
        bool touched = false;
        struct cg_pair p;

        for (end = k; end < c->n_rows && c->rows[end].to == c->rows[k].to;
             end++)
            touched = touched || c->rows[end].obs == obs;
        if (!touched)
            continue;
        p = cg_judge(c, c->rows + k, end - k, NULL);
        pretend(c, t, i, c->rows[k].to, &p);
    }
}

static uint32_t
try_out(struct nr_campaigns *c, uint32_t obs)
{
    struct cg_obs *o = &c->obs[obs], was = *o;
    const struct nr_campaign_row *row = &c->conf.row[c->values[o->value].type];
    struct trial t = { 0 };
    uint32_t moves;

    o->rho = (float)CG_EXCL_RHO;
    o->q0 = (float)(row->kappa * CG_EXCL_RHO / c->values[o->value].tenants);
    o->l0 = (float)exp2(CG_EXCLUSIVE);
    o->flags |= O_USED | O_EXCL;
    for (uint32_t i = 0; i < o->n && i < CASES_TRIED && c->err == NR_OK; i++)
        pretend_case(c, &t, c->edges[cg_list(c, o)[i]].cas, obs);
    *o = was;
    moves = t.n ? cg_moves(c) : 0;
    for (uint32_t k = t.n; k > 0; k--)
        cg_adj_set(c, t.undo[k - 1].a, t.undo[k - 1].b, t.undo[k - 1].was);
    c->octets -= (size_t)t.cap * sizeof(*t.undo);
    free(t.undo);
    return moves;
}

static int
most_moves(const void *a, const void *b)
{
    const struct nr_campaign_question *x = a, *y = b;

    if (x->moves != y->moves)
        return x->moves > y->moves ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

enum nr_err
nr_campaign_questions(struct nr_campaigns *c, struct nr_campaign_question *out,
    uint32_t max, uint32_t *n)
{
    struct candidate *v;
    struct nr_campaign_question *q;
    uint32_t found = 0, asked = 0;

    *n = 0;
    if (c->scope.n > 0 || c->dirty_cases.n > 0)
        return NR_EBUSY;
    if (!cg_marks(c))
        return c->err;
    v = cg_take(c, c->n_obs, sizeof(*v));
    q = cg_take(c, NR_CAMPAIGN_TRIALS, sizeof(*q));
    for (uint32_t o = 0; v && q && o < c->n_obs; o++) {
        if (!may_be_asked(c, &c->obs[o]) || (c->obs[o].flags & O_LOOSE))
            continue;
        v[found].bound = bound(c, &c->obs[o]);
        v[found].obs = o;
        found += v[found].bound > 0;
    }
    if (v && q)
        qsort(v, found, sizeof(*v), most_first);
    for (uint32_t k = 0; v && q && k < found && k < NR_CAMPAIGN_TRIALS; k++) {
        const struct cg_obs *o = &c->obs[v[k].obs];

        q[asked] = (struct nr_campaign_question){ o->value,
            try_out(c, v[k].obs), o->n, (double)o->bits };
        asked += q[asked].moves > 0;
    }
    if (v && q && c->err == NR_OK) {
        qsort(q, asked, sizeof(*q), most_moves);
        *n = asked < max ? asked : max;
        if (*n > 0)
            memcpy(out, q, *n * sizeof(*q));
    }
    cg_give(c, q, NR_CAMPAIGN_TRIALS, sizeof(*q));
    cg_give(c, v, c->n_obs, sizeof(*v));
    return c->err;
}
