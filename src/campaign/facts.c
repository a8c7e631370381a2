/* Facts: each is checked whole before anything is changed. */
#include "campaign/state.h"

uint32_t
cg_source_find(const struct nr_campaigns *c, uint64_t seq)
{
    uint32_t lo = 0, hi = c->n_sources;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (c->sources[mid].seq < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n_sources && c->sources[lo].seq == seq ? lo : NONE;
}

uint32_t
cg_source_of(const struct nr_campaigns *c, uint32_t edge)
{
    uint32_t lo = 0, hi = c->n_sources;

    /* The last source that begins at or before the edge. */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (c->sources[mid].first_edge <= edge)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* The source of fact F: that of the facts before it with the same seq. */
static uint32_t
source(struct nr_campaigns *c, const struct nr_campaign_fact *f)
{
    struct cg_source *p;

    if (c->n_sources > 0 && c->sources[c->n_sources - 1].seq == f->seq)
        return c->n_sources - 1;
    p = cg_grow(c, c->sources, &c->cap_sources, (uint64_t)c->n_sources + 1,
        sizeof(*p));
    if (!p)
        return NONE;
    c->sources = p;
    c->sources[c->n_sources] = (struct cg_source){ .seq = f->seq,
        .prov = f->prov,
        .author = f->author,
        .day = f->day,
        .first_edge = c->n_edges,
        .first_raw = c->n_raws,
        .target = NONE };
    c->seq = f->seq;
    c->minted = 0;
    c->day = f->day > c->day ? f->day : c->day;
    return c->n_sources++;
}

static bool
day_ok(int32_t day)
{
    return day >= 0 && day <= NR_CAMPAIGN_DAY_MAX;
}

static enum nr_err
add_org(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    uint32_t *number, struct nr_diag *d)
{
    uint32_t s;
    struct cg_org *p;

    *number = nr_campaign_find_org(c, f->u.org.key);
    if (*number != NONE)
        return NR_EEXIST;
    if (!day_ok(f->u.org.joined))
        return nr_fail(d, NR_ELIMIT, 0, "fact: day of joining out of range");
    s = source(c, f);
    p = cg_grow(c, c->orgs, &c->cap_orgs, (uint64_t)c->n_orgs + 1, sizeof(*p));
    if (s == NONE || !p)
        return c->err;
    c->orgs = p;
    p = &c->orgs[c->n_orgs];
    *p = (struct cg_org){ .source = s,
        .joined = f->u.org.joined,
        .cases = NONE,
        .member = true,
        .weight = 16 };
    memcpy(p->key, f->u.org.key, sizeof(p->key));
    cg_key_put(c, &c->org_keys, c->orgs, sizeof(*p), c->n_orgs);
    *number = c->n_orgs++;
    c->members++;
    return c->err;
}

static enum nr_err
add_case(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    uint32_t *number, struct nr_diag *d)
{
    uint32_t s, org = f->u.cas.org;
    struct cg_case *p;

    *number = nr_campaign_find_case(c, f->u.cas.key);
    if (*number != NONE)
        return NR_EEXIST;
    if (org >= c->n_orgs)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such organisation");
    s = source(c, f);
    p = cg_grow(c, c->cases, &c->cap_cases, (uint64_t)c->n_cases + 1,
        sizeof(*p));
    if (s == NONE || !p)
        return c->err;
    c->cases = p;
    p = &c->cases[c->n_cases];
    *p = (struct cg_case){ .source = s,
        .org = org,
        .org_next = c->orgs[org].cases,
        .edges = NONE,
        .camp = NONE };
    memcpy(p->key, f->u.cas.key, sizeof(p->key));
    cg_comp_alone(c, c->n_cases);
    c->orgs[org].cases = c->n_cases;
    cg_key_put(c, &c->case_keys, c->cases, sizeof(*p), c->n_cases);
    *number = c->n_cases++;
    return c->err;
}

static enum nr_err
add_value(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    uint32_t *number, struct nr_diag *d)
{
    uint32_t obs, parent = f->u.value.parent;
    struct cg_value *p;

    *number = nr_campaign_find_value(c, f->u.value.key);
    if (*number != NONE)
        return NR_EEXIST;
    if (f->u.value.type >= NR_CAMPAIGN_TYPES)
        return nr_fail(d, NR_EFORMAT, 0, "fact: no such type of value");
    if (parent != NONE && parent >= c->n_values)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such parent");
    if (source(c, f) == NONE)
        return c->err;
    p = cg_grow(c, c->values, &c->cap_values, (uint64_t)c->n_values + 1,
        sizeof(*p));
    obs = cg_obs_new(c, c->n_values, 0);
    if (!p || obs == NONE)
        return c->err;
    c->values = p;
    p = &c->values[c->n_values];
    *p = (struct cg_value){ .obs = obs,
        .notes = NONE,
        .parent = parent,
        .tenants = 1,
        .type = (uint8_t)f->u.value.type,
        .asked_type = (uint8_t)f->u.value.type };
    memcpy(p->key, f->u.value.key, sizeof(p->key));
    cg_key_put(c, &c->value_keys, c->values, sizeof(*p), c->n_values);
    *number = c->n_values++;
    return c->err;
}

/* The edge of CAS and OBS, or NONE. Sightings of one case come together: its
 * edges are laid out once, then each look-up is one access. */
static uint32_t
find_edge(struct nr_campaigns *c, uint32_t cas, uint32_t obs)
{
    uint32_t e;

    if (c->marked_case != cas)
        for (e = c->cases[cas].edges; e != NONE; e = c->edges[e].next)
            c->obs_edge[c->edges[e].obs] = e;
    c->marked_case = cas;
    e = c->obs_edge[obs];
    return e < c->n_edges && c->edges[e].cas == cas && c->edges[e].obs == obs
        ? e
        : NONE;
}

static bool
add_raw(struct nr_campaigns *c, uint32_t e, struct cg_raw raw)
{
    struct cg_raw *p = cg_grow(c, c->raws, &c->cap_raws,
        (uint64_t)c->n_raws + 1, sizeof(*p));

    if (!p)
        return false;
    c->raws = p;
    raw.edge = e;
    raw.next = c->edges[e].raws;
    c->edges[e].raws = c->n_raws;
    c->raws[c->n_raws++] = raw;
    return true;
}

/* What the open sightings of an edge say together; false: there are none. */
static bool
joined(const struct nr_campaigns *c, uint32_t e, struct cg_edge *out)
{
    bool any = false, full = false;

    *out = c->edges[e];
    out->flags = 0;
    for (uint32_t i = out->raws; i != NONE; i = c->raws[i].next) {
        const struct cg_raw *r = &c->raws[i];

        if (!cg_open(c, r->source))
            continue;
        if (!any || r->first < out->first)
            out->first = r->first;
        if (!any || r->last > out->last)
            out->last = r->last;
        if (!any || r->conf > out->conf)
            out->conf = r->conf;
        /* The strongest vote stands: malicious beats not, full beats half. */
        if ((r->flags & E_BAD) && !(out->flags & E_BAD)) {
            out->flags |= E_BAD;
            full = false;
        }
        if ((r->flags & E_BAD) == (out->flags & E_BAD))
            full = full || !(r->flags & E_YOUNG);
        any = true;
    }
    if (!full)
        out->flags |= E_YOUNG;
    return any;
}

void
cg_edge_renew(struct nr_campaigns *c, uint32_t e)
{
    struct cg_edge *x = &c->edges[e], now = *x;
    bool open, was = x->flags & E_OPEN;

    if (x->raws == NONE)
        open = cg_open(c, cg_source_of(c, e));
    else
        open = joined(c, e, &now);
    open = open && !(c->cases[x->cas].flags & C_CLOSED);
    if (was) {
        cg_hit(c, e);
        cg_list_remove(c, e);
    }
    now.flags &= (uint8_t)~E_OPEN;
    if (open) {
        now.flags |= E_OPEN;
        now.obs = cg_tenure(c, c->obs[x->obs].value, now.first, now.last);
    }
    c->edges[e] = now;
    if (open) {
        cg_list_insert(c, e);
        cg_hit(c, e);
    }
    if (open && now.last > c->cases[now.cas].last)
        c->cases[now.cas].last = now.last;
}

static enum nr_err
saw_ok(const struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_diag *d)
{
    if (f->u.saw.cas >= c->n_cases || f->u.saw.value >= c->n_values)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such case or value");
    if (!day_ok(f->u.saw.first) || !day_ok(f->u.saw.last) ||
        f->u.saw.first > f->u.saw.last || f->u.saw.conf > 100)
        return nr_fail(d, NR_ELIMIT, 0,
            "fact: days or confidence of a sighting out of range");
    if (c->cases[f->u.saw.cas].n_edges >= NR_CAMPAIGN_CASE_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "fact: the case saw too many values");
    return NR_OK;
}

/* Days after the entry's own (one is left for time zones): a wrong clock. */
static bool
cut_future(const struct nr_campaign_fact *f, struct cg_edge *x)
{
    int32_t most = f->day + 1;
    bool cut = f->u.saw.last > most;

    x->first = (uint16_t)(f->u.saw.first > most ? f->day : f->u.saw.first);
    x->last = (uint16_t)(cut ? f->day : f->u.saw.last);
    if (x->last < x->first)
        x->last = x->first;
    return cut;
}

static enum nr_err
add_saw(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_diag *d)
{
    uint32_t cas = f->u.saw.cas, e, s;
    struct cg_edge x = { .cas = cas, .conf = f->u.saw.conf, .raws = NONE };
    struct cg_edge *p;
    enum nr_err err = saw_ok(c, f, d);

    if (err)
        return err;
    s = source(c, f);
    if (s == NONE || !cg_marks(c))
        return c->err;
    if (cut_future(f, &x))
        cg_tell(c,
            (struct nr_campaign_event){ .kind = NR_CAMPAIGN_CLOCK_WRONG,
                .a = cas,
                .b = f->u.saw.value,
                .value = f->u.saw.value });
    x.obs = cg_tenure(c, f->u.saw.value, x.first, x.last);
    x.flags = f->u.saw.malicious ? E_BAD : 0;
    if (f->day - c->orgs[c->cases[cas].org].joined <
        (int32_t)c->conf.young_days)
        x.flags |= E_YOUNG;
    e = find_edge(c, cas, x.obs);
    if (e != NONE) {
        const struct cg_edge *o = &c->edges[e];

        if (o->raws == NONE &&
            !add_raw(c, e,
                (struct cg_raw){ .source = cg_source_of(c, e),
                    .first = o->first,
                    .last = o->last,
                    .conf = o->conf,
                    .flags = o->flags & (E_BAD | E_YOUNG) }))
            return c->err;
        if (!add_raw(c, e,
                (struct cg_raw){ .source = s,
                    .first = x.first,
                    .last = x.last,
                    .conf = x.conf,
                    .flags = x.flags }))
            return c->err;
        cg_edge_renew(c, e);
        return c->err;
    }
    p = cg_grow(c, c->edges, &c->cap_edges, (uint64_t)c->n_edges + 1,
        sizeof(*p));
    if (!p)
        return c->err;
    c->edges = p;
    e = c->n_edges++;
    x.next = c->cases[cas].edges;
    c->edges[e] = x;
    c->cases[cas].edges = e;
    c->cases[cas].n_edges++;
    c->obs_edge[x.obs] = e;
    cg_edge_renew(c, e);
    return c->err;
}

static enum nr_err
note_ok(const struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_diag *d)
{
    uint32_t arg = f->u.note.arg;
    bool ok = false;

    if (f->u.note.value >= c->n_values)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such value");
    switch (f->u.note.kind) {
    case NR_CAMPAIGN_VERDICT:
        ok = arg < NR_CAMPAIGN_VERDICTS;
        break;
    case NR_CAMPAIGN_HARMLESS:
        if (arg >= c->n_orgs)
            return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such organisation");
        ok = true;
        break;
    case NR_CAMPAIGN_TENANTS:
        ok = arg >= 1;
        break;
    case NR_CAMPAIGN_LISTED:
        ok = true;
        break;
    case NR_CAMPAIGN_HANDS:
        ok = f->u.note.day > 0 && day_ok(f->u.note.day);
        break;
    case NR_CAMPAIGN_RETYPE:
        ok = arg < NR_CAMPAIGN_TYPES;
        break;
    case NR_CAMPAIGN_NOTES:
        break;
    }
    return ok ? NR_OK
              : nr_fail(d, NR_EFORMAT, 0, "fact: note on a value is malformed");
}

static enum nr_err
add_note(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_diag *d)
{
    uint32_t v = f->u.note.value, s;
    struct cg_note *p;
    enum nr_err err = note_ok(c, f, d);

    if (err)
        return err;
    s = source(c, f);
    p = cg_grow(c, c->notes, &c->cap_notes, (uint64_t)c->n_notes + 1,
        sizeof(*p));
    if (s == NONE || !p)
        return c->err;
    c->notes = p;
    c->notes[c->n_notes] = (struct cg_note){ s, v, c->values[v].notes,
        f->u.note.arg, f->u.note.day, (uint8_t)f->u.note.kind };
    c->values[v].notes = c->n_notes++;
    if (f->u.note.kind == NR_CAMPAIGN_HANDS)
        cg_tenures_renew(c, v);
    else
        cg_value_refresh(c, v);
    return c->err;
}

static enum nr_err
add_related(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_diag *d)
{
    uint32_t a = f->u.related.a, b = f->u.related.b, s;
    struct cg_related *p;

    if (a >= c->n_values || b >= c->n_values)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such value");
    if (a == b || !day_ok(f->u.related.first) || !day_ok(f->u.related.last) ||
        f->u.related.first > f->u.related.last)
        return nr_fail(d, NR_EFORMAT, 0, "fact: relation is malformed");
    s = source(c, f);
    p = cg_grow(c, c->related, &c->cap_related, (uint64_t)c->n_related + 1,
        sizeof(*p));
    if (s == NONE || !p)
        return c->err;
    c->related = p;
    c->related[c->n_related] = (struct cg_related){ s, a < b ? a : b,
        a < b ? b : a, NONE, (uint16_t)f->u.related.first,
        (uint16_t)f->u.related.last };
    cg_related_put(c, c->n_related++);
    cg_related_hit(c, a, b);
    return c->err;
}

/* Only cases that saw both values can change: look at those of the rarer. */
void
cg_related_hit(struct nr_campaigns *c, uint32_t a, uint32_t b)
{
    uint64_t na = 0, nb = 0;
    uint32_t o;

    for (o = c->values[a].obs; o != NONE; o = c->obs[o].next)
        na += c->obs[o].n;
    for (o = c->values[b].obs; o != NONE; o = c->obs[o].next)
        nb += c->obs[o].n;
    for (o = c->values[na <= nb ? a : b].obs; o != NONE; o = c->obs[o].next)
        for (uint32_t k = 0; k < c->obs[o].n; k++)
            cg_case_dirty(c, c->edges[cg_list(c, &c->obs[o])[k]].cas);
}

static enum nr_err
add_says(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_campaign_chain *chain, struct nr_diag *d)
{
    struct cg_says *p, x = { 0 };
    enum nr_err err;

    if (f->kind == NR_CAMPAIGN_LEFT) {
        if (f->u.left.org >= c->n_orgs)
            return nr_fail(d, NR_ENOTFOUND, 0, "fact: no such organisation");
        x = (struct cg_says){ .a = f->u.left.org,
            .b = NONE,
            .kind = CG_LEFT,
            .reviewer = NONE,
            .expires = NR_CAMPAIGN_EVER };
    } else {
        err = cg_says_check(c, f, chain, d);
        if (err)
            return err;
        x = (struct cg_says){ .a = f->u.says.a,
            .b = f->u.says.b,
            .reviewer = f->u.says.reviewer,
            .expires = f->u.says.expires,
            .kind = (uint8_t)f->u.says.kind };
    }
    x.tie = NONE;
    x.source = source(c, f);
    p = cg_grow(c, c->says, &c->cap_says, (uint64_t)c->n_says + 1, sizeof(*p));
    if (x.source == NONE || !p)
        return c->err;
    c->says = p;
    c->says[c->n_says++] = x;
    cg_says_renew(c);
    return c->err;
}

static enum nr_err
add_retract(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_diag *d)
{
    uint32_t target = cg_source_find(c, f->u.retract.seq), s;

    if (target == NONE || f->u.retract.seq >= f->seq)
        return nr_fail(d, NR_ENOTFOUND, 0, "fact: no entry to withdraw");
    if (c->seq == f->seq)
        return nr_fail(d, NR_EFORMAT, 0,
            "fact: a withdrawal needs an entry of its own");
    s = source(c, f);
    if (s == NONE || !cg_marks(c))
        return c->err;
    c->sources[s].target = target;
    cg_retract(c, target);
    return c->err;
}

static enum nr_err
add_conf(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    struct nr_diag *d)
{
    enum nr_err err = cg_conf_check(f->u.conf, d);

    if (err)
        return err;
    if (source(c, f) == NONE)
        return c->err;
    c->next_conf = *f->u.conf;
    c->conf_waits = true;
    return NR_OK;
}

enum nr_err
nr_campaign_add(struct nr_campaigns *c, const struct nr_campaign_fact *f,
    uint32_t *number, struct nr_campaign_chain *chain, struct nr_diag *d)
{
    uint32_t n = NONE;
    enum nr_err err = NR_EFORMAT;

    if (c->err != NR_OK)
        return nr_fail(d, c->err, 0, "campaigns: failed before");
    if (c->n_sources > 0 &&
        (f->seq < c->seq ||
            (f->seq == c->seq && c->sources[c->n_sources - 1].target != NONE)))
        return nr_fail(d, NR_EFORMAT, 0, "fact: out of order");
    if (!day_ok(f->day))
        return nr_fail(d, NR_ELIMIT, 0, "fact: day of the entry out of range");
    switch (f->kind) {
    case NR_CAMPAIGN_ORG:
        err = add_org(c, f, &n, d);
        break;
    case NR_CAMPAIGN_CASE:
        err = add_case(c, f, &n, d);
        break;
    case NR_CAMPAIGN_VALUE:
        err = add_value(c, f, &n, d);
        break;
    case NR_CAMPAIGN_SAW:
        err = add_saw(c, f, d);
        break;
    case NR_CAMPAIGN_NOTE:
        err = add_note(c, f, d);
        break;
    case NR_CAMPAIGN_RELATED:
        err = add_related(c, f, d);
        break;
    case NR_CAMPAIGN_LEFT:
    case NR_CAMPAIGN_SAYS:
        err = add_says(c, f, chain, d);
        break;
    case NR_CAMPAIGN_RETRACT:
        err = add_retract(c, f, d);
        break;
    case NR_CAMPAIGN_CONF:
        err = add_conf(c, f, d);
        break;
    case NR_CAMPAIGN_FACTS:
        break;
    }
    if (err == NR_OK)
        err = c->err;
    if (number && (err == NR_OK || err == NR_EEXIST))
        *number = n;
    if (err != NR_OK && err != NR_EEXIST)
        return nr_fail(d, err, 0, "fact: not taken");
    return err;
}
