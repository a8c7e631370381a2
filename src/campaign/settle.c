/*
 * Settling: links and campaigns follow the facts. Weights that moved send their
 * cases to be re-linked, links change components, components change weights:
 * a few rounds, then the cases in scope are clustered once.
 */
#include "campaign/state.h"

#define N_STEP 1.25 /* N_ref follows N in steps of this factor */

bool
cg_n_moved(const struct nr_campaigns *c)
{
    double n = c->members, ref = c->n_ref;

    return !c->conf.members && (n > ref * N_STEP || n * N_STEP < ref);
}

static void
update_obs(struct nr_campaigns *c)
{
    for (uint32_t k = 0; k < c->dirty_obs.n && c->err == NR_OK; k++)
        cg_obs_update(c, c->dirty_obs.v[k]);
    c->dirty_obs.n = 0;
}

static uint32_t
relink_some(struct nr_campaigns *c, uint32_t budget)
{
    uint32_t n = c->dirty_cases.n;

    if (budget && n > budget)
        n = budget;
    if (n > 1)
        qsort(c->dirty_cases.v, c->dirty_cases.n, sizeof(*c->dirty_cases.v),
            cg_ascending);
    for (uint32_t k = 0; k < n && c->err == NR_OK; k++) {
        uint32_t i = c->dirty_cases.v[k];

        c->cases[i].flags &= (uint8_t)~C_DIRTY;
        cg_relink(c, i);
    }
    /* What was queued meanwhile waits behind. */
    memmove(c->dirty_cases.v, c->dirty_cases.v + n,
        (size_t)(c->dirty_cases.n - n) * sizeof(*c->dirty_cases.v));
    c->dirty_cases.n -= n;
    return n;
}

static void
part_some(struct nr_campaigns *c)
{
    for (uint32_t k = 0; k < c->split.n && c->err == NR_OK; k++)
        cg_comp_split(c, c->split.v[k]);
    c->split.n = 0;
}

enum nr_err
nr_campaign_settle(struct nr_campaigns *c, uint32_t budget, uint32_t *left,
    struct nr_diag *d)
{
    bool worked = c->dirty_cases.n > 0 || c->dirty_obs.n > 0;

    if (c->err == NR_OK && !budget && cg_n_moved(c))
        cg_rebuild(c);
    c->n_moved = cg_n_moved(c);
    for (uint32_t round = 0; round < CG_ROUNDS && c->err == NR_OK; round++) {
        uint32_t done;

        update_obs(c);
        if (c->dirty_cases.n == 0)
            break;
        done = relink_some(c, budget);
        part_some(c);
        if (budget && done == budget)
            break;
        budget -= budget ? done : 0;
    }
    if (c->err == NR_OK)
        update_obs(c);
    if (c->err == NR_OK && c->scope.n > 0) {
        if (cg_local(c))
            c->scope.n = c->lost.n = 0;
        else
            cg_cluster(c);
    }
    if (c->err != NR_OK)
        return nr_fail(d, c->err, 0, "campaigns: settling stopped");
    if (worked && c->dirty_cases.n == 0)
        cg_tell(c,
            (struct nr_campaign_event){ .kind = NR_CAMPAIGN_SETTLED,
                .value = NONE });
    if (left)
        *left = c->dirty_cases.n;
    return c->err;
}
