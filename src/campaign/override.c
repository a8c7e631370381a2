/*
 * What analysts say against the engine: must-link, cannot-link, pins, names.
 * Each is a fact with an author and an end; contradictions are refused with the
 * chain that makes them.
 */
#include "campaign/state.h"

/* Paths of must-links from one case: who led there. */
struct walk {
    uint32_t *seen, *from; /* cases reached, and by which index */
    uint32_t n, cap;
};

static bool
walk_musts(struct nr_campaigns *c, uint32_t start, struct walk *w)
{
    uint32_t epoch = cg_epoch(c);

    *w = (struct walk){ .cap = c->n_cases };
    w->seen = cg_take(c, w->cap, sizeof(*w->seen));
    w->from = cg_take(c, w->cap, sizeof(*w->from));
    if (c->err != NR_OK)
        return false;
    w->seen[w->n] = start;
    w->from[w->n++] = NONE;
    c->case_mark[start] = epoch;
    for (uint32_t k = 0; k < w->n; k++) {
        uint32_t i = w->seen[k];

        for (uint32_t j = 0; j < c->cases[i].n_adj; j++) {
            const struct cg_adj *v = cg_adjs(c, i) + j;

            if (!(v->flags & A_MUST) || c->case_mark[v->to] == epoch)
                continue;
            c->case_mark[v->to] = epoch;
            w->seen[w->n] = v->to;
            w->from[w->n++] = k;
        }
    }
    return true;
}

static void
walk_fini(struct nr_campaigns *c, struct walk *w)
{
    cg_give(c, w->seen, w->cap, sizeof(*w->seen));
    cg_give(c, w->from, w->cap, sizeof(*w->from));
}

static uint32_t
walk_find(const struct walk *w, uint32_t i)
{
    for (uint32_t k = 0; k < w->n; k++)
        if (w->seen[k] == i)
            return k;
    return NONE;
}

/* seq of the override in force between A and B; KIND: MUST (or PIN) or CANNOT */
static uint64_t
said(const struct nr_campaigns *c, uint32_t a, uint32_t b, bool must)
{
    for (uint32_t k = c->n_says; k > 0; k--) {
        const struct cg_says *s = &c->says[k - 1];
        bool is_must = s->kind == NR_CAMPAIGN_MUST ||
            s->kind == NR_CAMPAIGN_PIN;

        if (s->on && s->tie != NONE && is_must == must &&
            ((s->a == a && s->tie == b) || (s->a == b && s->tie == a)))
            return c->sources[s->source].seq;
    }
    return 0;
}

static void
step(const struct nr_campaigns *c, struct nr_campaign_chain *chain, uint32_t a,
    uint32_t b, bool must)
{
    if (chain->n < NR_CAMPAIGN_CHAIN)
        chain->step[chain->n++] = (struct nr_campaign_step){ a, b,
            said(c, a, b, must) };
}

/* The steps from index K back to the start of the walk. */
static void
steps_back(const struct nr_campaigns *c, const struct walk *w, uint32_t k,
    struct nr_campaign_chain *chain)
{
    for (; w->from[k] != NONE; k = w->from[k])
        step(c, chain, w->seen[k], w->seen[w->from[k]], true);
}

/* Would A and B in one campaign contradict a cannot-link? */
static bool
must_contradicts(struct nr_campaigns *c, uint32_t a, uint32_t b,
    struct nr_campaign_chain *chain)
{
    struct walk wa = { 0 }, wb = { 0 };
    bool found = false;

    if (walk_musts(c, a, &wa) && walk_musts(c, b, &wb))
        for (uint32_t k = 0; k < wa.n && !found; k++) {
            uint32_t i = wa.seen[k];

            for (uint32_t j = 0; j < c->cases[i].n_adj && !found; j++) {
                const struct cg_adj *v = cg_adjs(c, i) + j;
                uint32_t at;

                if (!(v->flags & A_CANNOT))
                    continue;
                at = walk_find(&wb, v->to);
                if (at == NONE)
                    continue;
                found = true;
                steps_back(c, &wa, k, chain);
                step(c, chain, i, v->to, false);
                steps_back(c, &wb, at, chain);
            }
        }
    walk_fini(c, &wa);
    walk_fini(c, &wb);
    return found;
}

static bool
cannot_contradicts(struct nr_campaigns *c, uint32_t a, uint32_t b,
    struct nr_campaign_chain *chain)
{
    struct walk w = { 0 };
    uint32_t at = walk_musts(c, a, &w) ? walk_find(&w, b) : NONE;

    if (at != NONE)
        steps_back(c, &w, at, chain);
    walk_fini(c, &w);
    return at != NONE;
}

/* The campaign that X has become. */
static uint32_t
now_called(const struct nr_campaigns *c, uint32_t x)
{
    while (c->camps[x].into != NONE)
        x = c->camps[x].into;
    return x;
}

/* A pinned case hangs on the oldest other case of its campaign. */
static uint32_t
holder(const struct nr_campaigns *c, uint32_t camp, uint32_t not )
{
    uint32_t best = NONE;

    for (uint32_t i = c->camps[now_called(c, camp)].head; i != NONE;
         i = c->cases[i].camp_next)
        if (i != not &&i < best)
            best = i;
    return best;
}

enum nr_err
cg_says_check(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_campaign_chain *chain, struct nr_diag *d)
{
    enum nr_campaign_says_kind kind = f->u.says.kind;
    uint32_t a = f->u.says.a, b = f->u.says.b, camp = NONE;
    struct nr_campaign_chain own, *out = chain ? chain : &own;
    bool bad = false;

    out->n = 0;
    if (kind >= NR_CAMPAIGN_SAYINGS)
        return nr_fail(d, NR_EFORMAT, 0, "fact: no such override");
    if (kind == NR_CAMPAIGN_RENAME || kind == NR_CAMPAIGN_CLOSE)
        camp = a;
    else if (a >= c->n_cases)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such case");
    if (kind == NR_CAMPAIGN_PIN)
        camp = b;
    if ((kind == NR_CAMPAIGN_MUST || kind == NR_CAMPAIGN_CANNOT) &&
        b >= c->n_cases)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such case");
    if ((kind == NR_CAMPAIGN_MUST || kind == NR_CAMPAIGN_CANNOT) && a == b)
        return nr_fail(d, NR_EFORMAT, 0, "fact: a case against itself");
    if (kind != NR_CAMPAIGN_MUST && kind != NR_CAMPAIGN_CANNOT &&
        camp >= c->n_camps)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such campaign");
    if (!cg_marks(c))
        return c->err;
    if (kind == NR_CAMPAIGN_PIN)
        b = holder(c, b, a);
    if (kind == NR_CAMPAIGN_CANNOT)
        bad = cannot_contradicts(c, a, b, out);
    if ((kind == NR_CAMPAIGN_MUST || kind == NR_CAMPAIGN_PIN) && b != NONE)
        bad = must_contradicts(c, a, b, out);
    if (bad)
        return nr_fail(d, NR_EDENIED, 0,
            "override: contradicts others that are in force");
    return c->err;
}

static void
untie(struct nr_campaigns *c, struct cg_says *s)
{
    const struct cg_adj *old = cg_adj_find(c, s->a, s->tie);
    uint32_t flag = s->kind == NR_CAMPAIGN_CANNOT ? A_CANNOT : A_MUST;
    struct cg_adj v;

    if (old) {
        v = *old;
        v.flags &= ~flag;
        cg_adj_set(c, s->a, s->tie, v);
        if (flag == A_MUST && !(v.flags & A_BONDS))
            cg_push(c, &c->split, s->a);
        if (flag == A_MUST && !(v.flags & A_TIES)) {
            cg_push(c, &c->lost, s->a);
            cg_push(c, &c->lost, s->tie);
        }
    }
    cg_scope(c, s->a);
    cg_scope(c, s->tie);
    s->tie = NONE;
}

static void
tie(struct nr_campaigns *c, struct cg_says *s)
{
    const struct cg_adj *old = cg_adj_find(c, s->a, s->tie);
    uint32_t flag = s->kind == NR_CAMPAIGN_CANNOT ? A_CANNOT : A_MUST;
    struct cg_adj v = old ? *old : (struct cg_adj){ 0 };

    if (v.flags & flag)
        return;
    v.flags |= flag;
    cg_adj_set(c, s->a, s->tie, v);
    if (flag == A_MUST)
        cg_comp_join(c, s->a, s->tie);
    cg_scope(c, s->a);
    cg_scope(c, s->tie);
}

/* An empty campaign comes back with the case that is pinned to it. */
static void
pin(struct nr_campaigns *c, struct cg_says *s)
{
    uint32_t camp = now_called(c, s->b);

    s->tie = holder(c, s->b, s->a);
    if (s->tie != NONE || c->cases[s->a].camp == camp)
        return;
    if (c->cases[s->a].camp != NONE)
        cg_camp_leave(c, s->a);
    cg_camp_enter(c, s->a, camp);
    cg_scope(c, s->a);
}

void
cg_names(struct nr_campaigns *c)
{
    for (uint32_t k = 0; k < c->n_camps; k++)
        c->camps[k].rename = c->camps[k].close = NONE;
    for (uint32_t k = 0; k < c->n_says; k++) {
        const struct cg_says *s = &c->says[k];

        if (s->on && s->kind == NR_CAMPAIGN_RENAME)
            c->camps[s->a].rename = k;
        if (s->on && s->kind == NR_CAMPAIGN_CLOSE)
            c->camps[s->a].close = k;
    }
}

static void
tell_name(struct nr_campaigns *c, const struct cg_says *s)
{
    struct nr_campaign_event e = { .a = s->a, .b = NONE, .value = NONE };

    if (s->kind != NR_CAMPAIGN_RENAME && s->kind != NR_CAMPAIGN_CLOSE)
        return;
    e.kind = s->kind == NR_CAMPAIGN_RENAME ? NR_CAMPAIGN_RENAMED
                                           : NR_CAMPAIGN_CLOSED_BY;
    cg_tell(c, e);
}

void
cg_member_renew(struct nr_campaigns *c, uint32_t org)
{
    uint32_t left = 0;

    for (uint32_t k = 0; k < c->n_says; k++)
        left += c->says[k].on && c->says[k].kind == CG_LEFT &&
            c->says[k].a == org;
    c->members -= c->orgs[org].member;
    c->orgs[org].member = left == 0 && cg_open(c, c->orgs[org].source);
    c->members += c->orgs[org].member;
}

void
cg_says_renew(struct nr_campaigns *c)
{
    for (uint32_t k = 0; k < c->n_says && c->err == NR_OK; k++) {
        struct cg_says *s = &c->says[k];
        bool on = cg_open(c, s->source) && s->expires >= c->day;

        if (s->tie != NONE)
            untie(c, s);
        if (s->on == on)
            continue;
        s->on = on;
        if (s->kind == CG_LEFT)
            cg_member_renew(c, s->a);
        else if (on)
            tell_name(c, s);
    }
    for (uint32_t k = 0; k < c->n_says && c->err == NR_OK; k++) {
        struct cg_says *s = &c->says[k];

        if (!s->on)
            continue;
        if (s->kind == NR_CAMPAIGN_MUST || s->kind == NR_CAMPAIGN_CANNOT)
            s->tie = s->b;
        else if (s->kind == NR_CAMPAIGN_PIN)
            pin(c, s);
        if (s->tie != NONE)
            tie(c, s);
    }
    cg_names(c);
}
