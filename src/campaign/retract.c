/*
 * Withdrawals. Nothing is deleted: an entry that a withdrawal in force names
 * counts no more, and counts again when the withdrawal itself is withdrawn.
 */
#include "campaign/state.h"

/* First index of [0, N) whose source is >= S; records stand in order of their
 * sources, which are their first member at OFFSET. */
static uint32_t
first_of(const void *p, uint32_t n, size_t size, size_t offset, uint32_t s)
{
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2, v;

        memcpy(&v, (const uint8_t *)p + (size_t)mid * size + offset, sizeof(v));
        if (v < s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

#define FIRST(c, list, count, type, s) \
    first_of((c)->list, (c)->count, sizeof(type), offsetof(type, source), s)

static void
renew_sightings(struct nr_campaigns *c, uint32_t s)
{
    bool last = s + 1 == c->n_sources;
    uint32_t edges = last ? c->n_edges : c->sources[s + 1].first_edge;
    uint32_t raws = last ? c->n_raws : c->sources[s + 1].first_raw;

    for (uint32_t e = c->sources[s].first_edge; e < edges; e++)
        cg_edge_renew(c, e);
    for (uint32_t r = c->sources[s].first_raw; r < raws; r++)
        cg_edge_renew(c, c->raws[r].edge);
}

static void
renew_cases(struct nr_campaigns *c, uint32_t s)
{
    uint32_t i = FIRST(c, cases, n_cases, struct cg_case, s);

    for (; i < c->n_cases && c->cases[i].source == s; i++) {
        if (cg_open(c, s))
            c->cases[i].flags &= (uint8_t)~C_CLOSED;
        else
            c->cases[i].flags |= C_CLOSED;
        for (uint32_t e = c->cases[i].edges; e != NONE; e = c->edges[e].next)
            cg_edge_renew(c, e);
        cg_case_dirty(c, i);
        cg_scope(c, i);
        if ((c->cases[i].flags & C_CLOSED) && c->cases[i].camp != NONE) {
            cg_tell(c,
                (struct nr_campaign_event){ .kind = NR_CAMPAIGN_PARTED,
                    .a = i,
                    .b = c->cases[i].camp,
                    .value = NONE });
            cg_camp_leave(c, i);
        }
    }
}

static void
renew_values(struct nr_campaigns *c, uint32_t s)
{
    uint32_t i = FIRST(c, notes, n_notes, struct cg_note, s);

    for (; i < c->n_notes && c->notes[i].source == s; i++) {
        if (c->notes[i].kind == NR_CAMPAIGN_HANDS)
            cg_tenures_renew(c, c->notes[i].value);
        else
            cg_value_refresh(c, c->notes[i].value);
    }
    i = FIRST(c, related, n_related, struct cg_related, s);
    for (; i < c->n_related && c->related[i].source == s; i++)
        cg_related_hit(c, c->related[i].a, c->related[i].b);
}

static void
renew(struct nr_campaigns *c, uint32_t s)
{
    uint32_t i;

    renew_sightings(c, s);
    renew_cases(c, s);
    renew_values(c, s);
    i = FIRST(c, says, n_says, struct cg_says, s);
    if (i < c->n_says && c->says[i].source == s)
        cg_says_renew(c);
    i = FIRST(c, orgs, n_orgs, struct cg_org, s);
    for (; i < c->n_orgs && c->orgs[i].source == s; i++)
        cg_member_renew(c, i);
}

void
cg_retract(struct nr_campaigns *c, uint32_t target)
{
    bool close = true;

    /* Closing a withdrawal opens what it closed, and so on down. */
    for (uint32_t t = target; t != NONE; t = c->sources[t].target) {
        struct cg_source *s = &c->sources[t];
        bool was = s->closers == 0;

        if (close)
            s->closers++;
        else
            s->closers--;
        if (was == (s->closers == 0))
            return; /* another withdrawal holds */
        renew(c, t);
        close = s->closers == 0; /* in force again: it closes its target */
    }
}
