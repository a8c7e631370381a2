/*
 * Values, their tenures, and the list of each tenure: its cases in time.
 *
 * A list is a sorted array in a pool: most sightings come in order of time and
 * are appended; another moves the rest up, 4 octets a case. The lists of
 * values too common to weigh anything are not kept in order at all (O_LOOSE):
 * nobody walks them, and a resolver seen by a million costs no sorting.
 */
#include "campaign/state.h"

static bool
before(const struct cg_edge *a, const struct cg_edge *b)
{
    return a->first != b->first ? a->first < b->first : a->cas < b->cas;
}

/* First place in the list whose edge is not before X. */
static uint32_t
place(const struct nr_campaigns *c, const struct cg_obs *o,
    const struct cg_edge *x)
{
    const uint32_t *v = cg_list(c, o);
    uint32_t lo = 0, hi = o->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (before(&c->edges[v[mid]], x))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t
cg_list_place(const struct nr_campaigns *c, uint32_t edge)
{
    return place(c, &c->obs[c->edges[edge].obs], &c->edges[edge]);
}

/* Pairs of cases around place P that are FAN + EXTRA apart: an insertion drives
 * them apart, a removal brings them together. */
static void
straddlers(struct nr_campaigns *c, const struct cg_obs *o, uint32_t p,
    bool inserted)
{
    const uint32_t *v = cg_list(c, o);

    if (o->n <= FAN || !(o->flags & O_USED))
        return;
    for (uint32_t back = 1; back <= FAN; back++) {
        /* Inserted: P itself lies between, one step more. */
        uint64_t r = (uint64_t)p - back + FAN + (inserted ? 1 : 0);
        uint32_t a, b;

        if (back > p || r >= o->n || r < (uint64_t)p + (inserted ? 1 : 0))
            continue;
        a = c->edges[v[p - back]].cas;
        b = c->edges[v[r]].cas;
        if (!inserted || cg_adj_find(c, a, b))
            cg_case_dirty(c, a);
    }
}

static bool
list_room(struct nr_campaigns *c, struct cg_obs *o)
{
    uint32_t at = 0;

    if (o->list == NONE) {
        if (!cg_pool_take(c, &c->lists, 0, &at))
            return false;
        o->list = at;
        o->class = 0;
        return true;
    }
    if (o->n < (uint64_t)1 << o->class)
        return true;
    if (!cg_pool_take(c, &c->lists, o->class + 1u, &at))
        return false;
    memcpy((uint32_t *)c->lists.p + at, cg_list(c, o), (size_t)o->n * 4);
    cg_pool_give(&c->lists, o->class, o->list);
    o->list = at;
    o->class ++;
    return true;
}

void
cg_list_insert(struct nr_campaigns *c, uint32_t edge)
{
    const struct cg_edge *x = &c->edges[edge];
    struct cg_obs *o = &c->obs[x->obs];
    uint32_t *v, p = o->n;

    if (!list_room(c, o))
        return;
    v = cg_list(c, o);
    if (o->n > 0 && !before(&c->edges[v[o->n - 1]], x)) {
        if ((o->flags & O_LOOSE) || (o->n > CG_EXACT && !(o->flags & O_USED)))
            o->flags |= O_LOOSE;
        else
            p = place(c, o, x);
    }
    memmove(v + p + 1, v + p, (size_t)(o->n - p) * 4);
    v[p] = edge;
    o->n++;
    o->stale++;
    straddlers(c, o, p, true);
}

void
cg_list_remove(struct nr_campaigns *c, uint32_t edge)
{
    struct cg_obs *o = &c->obs[c->edges[edge].obs];
    uint32_t *v = cg_list(c, o), p;

    if (o->flags & O_LOOSE)
        for (p = 0; p < o->n && v[p] != edge; p++)
            ;
    else
        p = place(c, o, &c->edges[edge]);
    if (p >= o->n || v[p] != edge)
        return;
    o->n--;
    memmove(v + p, v + p + 1, (size_t)(o->n - p) * 4);
    o->stale++;
    straddlers(c, o, p, false);
}

uint32_t
cg_obs_new(struct nr_campaigns *c, uint32_t value, uint16_t from)
{
    struct cg_obs *p = cg_grow(c, c->obs, &c->cap_obs, (uint64_t)c->n_obs + 1,
        sizeof(*p));

    if (!p)
        return NONE;
    c->obs = p;
    c->obs[c->n_obs] = (struct cg_obs){ .value = value,
        .from = from,
        .next = NONE,
        .list = NONE };
    return c->n_obs++;
}

/* Days of [FIRST, LAST] that fall in [FROM, TO). */
static uint32_t
overlap(uint32_t first, uint32_t last, uint32_t from, uint32_t to)
{
    uint32_t lo = first > from ? first : from;
    uint32_t hi = last + 1 < to ? last + 1 : to;

    return hi > lo ? hi - lo : 0;
}

uint32_t
cg_tenure(const struct nr_campaigns *c, uint32_t v, uint16_t first,
    uint16_t last)
{
    uint32_t best = c->values[v].obs, most = 0;

    for (uint32_t o = best; o != NONE; o = c->obs[o].next) {
        uint32_t to = UINT16_MAX + 1u, n;

        if (c->obs[o].next != NONE)
            to = c->obs[c->obs[o].next].from;
        n = overlap(first, last, c->obs[o].from, to);
        if (n > most) {
            most = n;
            best = o;
        }
    }
    return best;
}

static int
by_day(const void *a, const void *b)
{
    const uint16_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Take the open edges of all tenures of V out of their lists. */
static uint32_t *
take_edges(struct nr_campaigns *c, uint32_t v, uint32_t *n)
{
    uint32_t *edges, total = 0, k = 0;

    for (uint32_t o = c->values[v].obs; o != NONE; o = c->obs[o].next)
        total += c->obs[o].n;
    *n = total;
    edges = cg_take(c, total, sizeof(*edges));
    if (!edges)
        return NULL;
    for (uint32_t o = c->values[v].obs; o != NONE; o = c->obs[o].next) {
        struct cg_obs *x = &c->obs[o];

        if (x->n > 0)
            memcpy(edges + k, cg_list(c, x), (size_t)x->n * 4);
        k += x->n;
        x->n = 0;
        x->stale++;
        x->flags &= (uint8_t)~O_LOOSE;
    }
    return edges;
}

/* The days on which V changed hands, ascending, each once. */
static uint16_t *
cuts_of(struct nr_campaigns *c, uint32_t v, uint32_t *n)
{
    uint32_t total = 0, k = 0;
    uint16_t *days;

    for (uint32_t i = c->values[v].notes; i != NONE; i = c->notes[i].next)
        total += c->notes[i].kind == NR_CAMPAIGN_HANDS;
    days = cg_take(c, total, sizeof(*days));
    if (!days)
        return NULL;
    *n = total; /* what cg_give must be told */
    for (uint32_t i = c->values[v].notes; i != NONE; i = c->notes[i].next)
        if (c->notes[i].kind == NR_CAMPAIGN_HANDS &&
            cg_open(c, c->notes[i].source))
            days[k++] = (uint16_t)c->notes[i].day;
    qsort(days, k, sizeof(*days), by_day);
    for (uint32_t i = k; i < total; i++)
        days[i] = 0; /* day 0 begins the first tenure anyway */
    return days;
}

void
cg_tenures_renew(struct nr_campaigns *c, uint32_t v)
{
    uint32_t n_edges = 0, n_cuts = 0, o = c->values[v].obs;
    uint32_t *edges = take_edges(c, v, &n_edges);
    uint16_t *cuts = edges ? cuts_of(c, v, &n_cuts) : NULL;
    uint16_t prev = 0;

    for (uint32_t i = 0; cuts && i < n_cuts; i++) {
        if (cuts[i] <= prev)
            continue;
        prev = cuts[i];
        if (c->obs[o].next == NONE) {
            uint32_t fresh = cg_obs_new(c, v, prev);

            if (fresh == NONE)
                break;
            c->obs[o].next = fresh;
        }
        o = c->obs[o].next;
        c->obs[o].from = prev;
    }
    /* Tenures that are no more stay, empty: their numbers are in use. */
    for (o = c->obs[o].next; o != NONE; o = c->obs[o].next)
        c->obs[o].from = UINT16_MAX;
    for (uint32_t i = 0; cuts && i < n_edges && c->err == NR_OK; i++) {
        struct cg_edge *e = &c->edges[edges[i]];

        e->obs = cg_tenure(c, v, e->first, e->last);
        cg_list_insert(c, edges[i]);
        cg_case_dirty(c, e->cas);
    }
    c->marked_case = NONE;
    for (o = c->values[v].obs; o != NONE; o = c->obs[o].next)
        cg_obs_dirty(c, o, true);
    cg_give(c, cuts, n_cuts, sizeof(*cuts));
    cg_give(c, edges, n_edges, sizeof(*edges));
}

/* How many organisations found V harmless; quadratic only in repetitions. */
static uint32_t
count_harmless(struct nr_campaigns *c, uint32_t v)
{
    uint32_t epoch = cg_epoch(c), n = 0;

    if (!cg_marks(c))
        return 0;
    for (uint32_t i = c->values[v].notes; i != NONE; i = c->notes[i].next) {
        const struct cg_note *x = &c->notes[i];

        if (x->kind != NR_CAMPAIGN_HARMLESS || !cg_open(c, x->source) ||
            c->org_mark[x->arg] == epoch)
            continue;
        c->org_mark[x->arg] = epoch;
        n++;
    }
    return n;
}

void
cg_value_derive(struct nr_campaigns *c, uint32_t v)
{
    struct cg_value *x = &c->values[v];
    bool judged = false, rented = false, typed = false;

    x->verdict = NR_CAMPAIGN_UNJUDGED;
    x->tenants = 1;
    x->type = x->asked_type;
    x->flags &= (uint8_t)~V_LISTED;
    x->harmless = count_harmless(c, v);
    /* Newest first: the first of a kind holds. */
    for (uint32_t i = x->notes; i != NONE; i = c->notes[i].next) {
        const struct cg_note *n = &c->notes[i];

        if (!cg_open(c, n->source))
            continue;
        if (n->kind == NR_CAMPAIGN_LISTED)
            x->flags |= V_LISTED;
        if (n->kind == NR_CAMPAIGN_VERDICT && !judged) {
            x->verdict = (uint8_t)n->arg;
            judged = true;
        }
        if (n->kind == NR_CAMPAIGN_TENANTS && !rented) {
            x->tenants = n->arg;
            rented = true;
        }
        if (n->kind == NR_CAMPAIGN_RETYPE && !typed) {
            x->type = (uint8_t)n->arg;
            typed = true;
        }
    }
}

void
cg_value_refresh(struct nr_campaigns *c, uint32_t v)
{
    cg_value_derive(c, v);
    for (uint32_t o = c->values[v].obs; o != NONE; o = c->obs[o].next)
        cg_obs_dirty(c, o, false);
}
