/* Memory, keys, the scratch marks and the small views of the state. */
#include "campaign/state.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/num.h"

enum nr_err
cg_fail(struct nr_campaigns *c, enum nr_err err)
{
    if (c->err == NR_OK)
        c->err = err;
    return c->err;
}

int
cg_ascending(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static bool
count_octets(struct nr_campaigns *c, size_t more)
{
    if (more > c->max - c->octets) {
        (void)cg_fail(c, NR_ELIMIT);
        return false;
    }
    c->octets += more;
    c->peak = nr_max(c->peak, c->octets);
    return true;
}

void *
cg_grow(struct nr_campaigns *c, void *p, uint32_t *cap, uint64_t need,
    size_t size)
{
    uint64_t want = *cap;
    size_t more;
    void *q;

    if (need <= *cap)
        return p;
    if (c->err != NR_OK)
        return NULL;
    /* Half as much again: linear copying, and never twice what is needed. */
    want = nr_max(want + want / 2, 64);
    want = nr_max(want, need);
    if (need > NR_CAMPAIGN_COUNT) {
        (void)cg_fail(c, NR_ELIMIT);
        return NULL;
    }
    want = nr_min(want, NR_CAMPAIGN_COUNT);
    more = (size_t)(want - *cap) * size;
    if (!count_octets(c, more))
        return NULL;
    q = nr_fault() ? NULL : realloc(p, (size_t)want * size);
    if (!q) {
        c->octets -= more;
        (void)cg_fail(c, NR_ENOMEM);
        return NULL;
    }
    memset((uint8_t *)q + (size_t)*cap * size, 0, more);
    *cap = (uint32_t)want;
    return q;
}

void *
cg_take(struct nr_campaigns *c, uint64_t n, size_t size)
{
    size_t octets = (size_t)(n + 1) * size;
    void *p;

    if (c->err != NR_OK || !count_octets(c, octets))
        return NULL;
    p = nr_fault() ? NULL : calloc(1, octets);
    if (!p) {
        c->octets -= octets;
        (void)cg_fail(c, NR_ENOMEM);
    }
    return p;
}

void
cg_give(struct nr_campaigns *c, void *p, uint64_t n, size_t size)
{
    if (p)
        c->octets -= (size_t)(n + 1) * size;
    free(p);
}

bool
cg_pool_take(struct nr_campaigns *c, struct cg_pool *p, unsigned class,
    uint32_t *at)
{
    void *q;

    if (class >= CG_CLASSES) {
        (void)cg_fail(c, NR_ELIMIT);
        return false;
    }
    if (p->free[class] != NONE) {
        *at = p->free[class];
        memcpy(&p->free[class], (uint8_t *)p->p + (size_t)*at * p->size, 4);
        return true;
    }
    q = cg_grow(c, p->p, &p->cap, (uint64_t)p->n + (1u << class), p->size);
    if (!q)
        return false;
    p->p = q;
    *at = p->n;
    p->n += 1u << class;
    return true;
}

void
cg_pool_give(struct cg_pool *p, unsigned class, uint32_t at)
{
    memcpy((uint8_t *)p->p + (size_t)at * p->size, &p->free[class], 4);
    p->free[class] = at;
}

void
cg_push(struct nr_campaigns *c, struct cg_queue *q, uint32_t v)
{
    uint32_t *p = cg_grow(c, q->v, &q->cap, (uint64_t)q->n + 1, sizeof(*p));

    if (!p)
        return;
    q->v = p;
    q->v[q->n++] = v;
}

/* Two values a call, so that a count can mark "seen" and "summed". */
uint32_t
cg_epoch(struct nr_campaigns *c)
{
    if (c->epoch >= UINT32_MAX - 4) {
        memset(c->org_mark, 0, (size_t)c->cap_org_mark * 4);
        memset(c->case_mark, 0, (size_t)c->cap_case_mark * 4);
        memset(c->obs_mark, 0, (size_t)c->cap_obs_mark * 4);
        c->epoch = 0;
        c->marked_case = NONE;
    }
    c->epoch += 2;
    return c->epoch;
}

static bool
mark(struct nr_campaigns *c, uint32_t **p, uint32_t *cap, uint64_t need)
{
    uint32_t *q = cg_grow(c, *p, cap, need, sizeof(*q));

    if (!q)
        return false;
    *p = q;
    return true;
}

bool
cg_marks(struct nr_campaigns *c)
{
    uint8_t *vote = cg_grow(c, c->org_vote, &c->cap_org_vote,
        (uint64_t)c->n_orgs + 1, 1);

    if (!vote)
        return false;
    c->org_vote = vote;
    if (!mark(c, &c->org_list, &c->cap_org_list, (uint64_t)c->n_orgs + 1))
        return false;
    return mark(c, &c->org_mark, &c->cap_org_mark, (uint64_t)c->n_orgs + 1) &&
        mark(c, &c->case_mark, &c->cap_case_mark, (uint64_t)c->n_cases + 1) &&
        mark(c, &c->case_node, &c->cap_case_node, (uint64_t)c->n_cases + 1) &&
        mark(c, &c->obs_mark, &c->cap_obs_mark, (uint64_t)c->n_obs + 1) &&
        mark(c, &c->obs_edge, &c->cap_obs_edge, (uint64_t)c->n_obs + 1);
}

static uint32_t
key_slot(const struct cg_keys *k, const void *things, size_t size,
    const uint8_t *key)
{
    uint64_t h = nr_xxh64((struct nr_bytes){ key, NR_CAMPAIGN_KEY }, 0);
    uint32_t i = (uint32_t)h & (k->cap - 1);

    /* Every record begins with its key. */
    while (k->slot[i] &&
        memcmp((const uint8_t *)things + (size_t)(k->slot[i] - 1) * size, key,
            NR_CAMPAIGN_KEY) != 0)
        i = (i + 1) & (k->cap - 1);
    return i;
}

uint32_t
cg_key_find(const struct cg_keys *k, const void *things, size_t size,
    const uint8_t *key)
{
    if (k->cap == 0)
        return NONE;
    return k->slot[key_slot(k, things, size, key)] - 1;
}

void
cg_key_put(struct nr_campaigns *c, struct cg_keys *k, const void *things,
    size_t size, uint32_t n)
{
    const uint8_t *base = things;

    if ((uint64_t)(k->n + 1) * 2 > k->cap) {
        struct cg_keys bigger = { .n = k->n };

        bigger.cap = k->cap ? k->cap * 2 : 64;
        bigger.slot = bigger.cap ? cg_take(c, bigger.cap, 4) : NULL;
        if (!bigger.slot)
            return;
        for (uint32_t i = 0; i < k->cap; i++)
            if (k->slot[i])
                bigger.slot[key_slot(&bigger, things, size,
                    base + (size_t)(k->slot[i] - 1) * size)] = k->slot[i];
        cg_give(c, k->slot, k->cap, 4);
        *k = bigger;
    }
    k->slot[key_slot(k, things, size, base + (size_t)n * size)] = n + 1;
    k->n++;
}

void
cg_tell(struct nr_campaigns *c, struct nr_campaign_event e)
{
    struct nr_campaign_event *p = cg_grow(c, c->events, &c->cap_events,
        (uint64_t)c->n_events + 1, sizeof(*p));

    if (!p)
        return;
    e.seq = c->seq;
    c->events = p;
    c->events[c->n_events++] = e;
}

struct nr_campaigns *
nr_campaign_create(const struct nr_campaign_mint *mint, size_t max)
{
    struct nr_campaigns *c = nr_fault() ? NULL : calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->mint = *mint;
    c->max = max;
    nr_campaign_conf_default(&c->conf);
    c->lists.size = sizeof(uint32_t);
    c->adjs.size = sizeof(struct cg_adj);
    for (unsigned i = 0; i < CG_CLASSES; i++)
        c->lists.free[i] = c->adjs.free[i] = NONE;
    c->marked_case = NONE;
    c->n_ref = 1;
    c->k_ref = c->conf.campaigns_min;
    cg_thetas(c);
    return c;
}

void
nr_campaign_destroy(struct nr_campaigns *c)
{
    if (!c)
        return;
    free(c->sources);
    free(c->orgs);
    free(c->cases);
    free(c->values);
    free(c->obs);
    free(c->edges);
    free(c->raws);
    free(c->notes);
    free(c->related);
    free(c->says);
    free(c->camps);
    free(c->events);
    free(c->org_keys.slot);
    free(c->case_keys.slot);
    free(c->value_keys.slot);
    free(c->rel_slot);
    free(c->lists.p);
    free(c->adjs.p);
    free(c->dirty_obs.v);
    free(c->dirty_cases.v);
    free(c->split.v);
    free(c->scope.v);
    free(c->lost.v);
    free(c->org_mark);
    free(c->case_mark);
    free(c->obs_mark);
    free(c->org_vote);
    free(c->org_list);
    free(c->case_node);
    free(c->obs_edge);
    free(c->rows);
    free(c);
}

void
nr_campaign_totals(const struct nr_campaigns *c, struct nr_campaign_totals *out)
{
    *out = (struct nr_campaign_totals){
        .orgs = c->n_orgs,
        .members = c->members,
        .cases = c->n_cases,
        .values = c->n_values,
        .campaigns = c->n_camps,
        .sightings = c->n_edges,
        .links = c->n_links,
        .suggestions = c->n_suggestions,
        .n_ref = c->n_ref,
        .k_ref = c->k_ref,
        .waiting = c->dirty_cases.n,
        .wants_rebuild = c->n_moved || c->conf_waits,
        .theta = c->theta,
        .octets = c->octets,
        .peak = c->peak,
    };
}

uint32_t
nr_campaign_find_org(const struct nr_campaigns *c, const uint8_t *key)
{
    return cg_key_find(&c->org_keys, c->orgs, sizeof(*c->orgs), key);
}

uint32_t
nr_campaign_find_case(const struct nr_campaigns *c, const uint8_t *key)
{
    return cg_key_find(&c->case_keys, c->cases, sizeof(*c->cases), key);
}

uint32_t
nr_campaign_find_value(const struct nr_campaigns *c, const uint8_t *key)
{
    return cg_key_find(&c->value_keys, c->values, sizeof(*c->values), key);
}

const struct nr_campaign_event *
nr_campaign_events(const struct nr_campaigns *c, size_t *n)
{
    *n = c->n_events;
    return c->events;
}

void
nr_campaign_forget(struct nr_campaigns *c)
{
    c->n_events = 0;
}

const char *
nr_campaign_event_name(enum nr_campaign_event_kind k)
{
    static const char *const name[NR_CAMPAIGN_EVENTS] = {
        [NR_CAMPAIGN_LINK_MADE] = "link-made",
        [NR_CAMPAIGN_LINK_BROKEN] = "link-broken",
        [NR_CAMPAIGN_SUGGESTED] = "suggested",
        [NR_CAMPAIGN_FORMED] = "formed",
        [NR_CAMPAIGN_SPLIT_FROM] = "split-from",
        [NR_CAMPAIGN_MERGED_INTO] = "merged-into",
        [NR_CAMPAIGN_JOINED] = "joined",
        [NR_CAMPAIGN_PARTED] = "parted",
        [NR_CAMPAIGN_RENAMED] = "renamed",
        [NR_CAMPAIGN_CLOSED_BY] = "closed",
        [NR_CAMPAIGN_CLOCK_WRONG] = "clock-wrong",
        [NR_CAMPAIGN_SETTLED] = "settled",
        [NR_CAMPAIGN_REBUILT] = "rebuilt",
    };

    return k < NR_CAMPAIGN_EVENTS ? name[k] : "?";
}
