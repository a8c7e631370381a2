/*
 * Reading a snapshot. Each list is read whole and checked before anything is
 * derived from it; references lead to what exists, chains lead one way.
 */
#include "campaign/snapshot.h"

#include "base/cur.h"
#include "base/hash.h"

#include <math.h>

struct in {
    struct nr_cur cur;
    size_t size;
    struct nr_campaigns *c;
    struct nr_diag *d;
    float *rho; /* of each obs */
    uint32_t n_rho;
};

static bool
bad(struct in *in, const char *what)
{
    enum nr_err err = in->cur.err ? in->cur.err : NR_EFORMAT;

    in->cur.err = nr_fail(in->d, err, in->size - nr_cur_left(&in->cur), what);
    return false;
}

static float
get_f32(struct in *in)
{
    uint32_t v = nr_cur_le32(&in->cur);
    float f;

    memcpy(&f, &v, sizeof(f));
    return f;
}

static int32_t
get_i32(struct in *in)
{
    uint32_t v = nr_cur_le32(&in->cur);
    int32_t i;

    memcpy(&i, &v, sizeof(i));
    return i;
}

static void
get_key(struct in *in, uint8_t key[16])
{
    struct nr_bytes b = nr_cur_take(&in->cur, 16);

    if (b.n == 16)
        memcpy(key, b.p, 16);
}

/* N exists below LIMIT, or is NONE where that is allowed. */
static bool
below(uint32_t n, uint32_t limit, bool none)
{
    return n < limit || (none && n == NONE);
}

static bool
day_ok(int32_t day)
{
    return day >= 0 && day <= NR_CAMPAIGN_DAY_MAX;
}

/* A fraction or a number of bits; not NaN. */
static bool
real_ok(float f, float most)
{
    return f >= 0 && f <= most;
}

/* Room for N records of a list, if as many can still be there. */
#define LIST(in, list, cap, n, octets)                                     \
    list_room((in), (void **)&(in)->c->list, &(in)->c->cap, (n), (octets), \
        sizeof(*(in)->c->list))

static bool
list_room(struct in *in, void **p, uint32_t *cap, uint32_t n, size_t octets,
    size_t size)
{
    void *q;

    if (n > nr_cur_left(&in->cur) / octets)
        return bad(in, "snapshot: more records than octets");
    q = cg_grow(in->c, *p, cap, n ? n : 1, size);
    if (q)
        *p = q;
    return q;
}

static bool
read_conf(struct in *in, struct nr_campaign_conf *conf)
{
    struct nr_bytes b;
    uint32_t n = nr_cur_le32(&in->cur);

    if (n > SNAP_CONF_MAX)
        return bad(in, "snapshot: parameters too long");
    b = nr_cur_take(&in->cur, n);
    if (in->cur.err || nr_campaign_conf_parse(b, conf, NULL) != NR_OK)
        return bad(in, "snapshot: parameters");
    return true;
}

struct counts {
    uint32_t sources, orgs, cases, values, obs, edges, raws, notes, related,
        says, camps;
};

static bool
read_head(struct in *in, struct counts *n)
{
    struct nr_campaigns *c = in->c;
    uint32_t *list[] = { &n->sources, &n->orgs, &n->cases, &n->values, &n->obs,
        &n->edges, &n->raws, &n->notes, &n->related, &n->says, &n->camps };
    struct nr_bytes magic = nr_cur_take(&in->cur, SNAP_MAGIC_LEN);
    uint32_t version = nr_cur_le32(&in->cur);

    if (magic.n != SNAP_MAGIC_LEN ||
        memcmp(magic.p, SNAP_MAGIC, SNAP_MAGIC_LEN) != 0)
        return bad(in, "snapshot: not one of campaigns");
    if (version != NR_CAMPAIGN_SNAPSHOT)
        return bad(in, "snapshot: of another version");
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        *list[i] = nr_cur_le32(&in->cur);
        if (*list[i] > NR_CAMPAIGN_COUNT)
            return bad(in, "snapshot: count out of range");
    }
    c->n_ref = nr_cur_le32(&in->cur);
    c->k_ref = nr_cur_le32(&in->cur);
    c->day = get_i32(in);
    c->minted = nr_cur_le32(&in->cur);
    c->conf_waits = nr_cur_u8(&in->cur) != 0;
    c->n_moved = nr_cur_u8(&in->cur) != 0;
    if (in->cur.err || c->n_ref == 0 || c->k_ref == 0 || !day_ok(c->day))
        return bad(in, "snapshot: head out of range");
    return read_conf(in, &c->conf) && read_conf(in, &c->next_conf);
}

static bool
read_sources(struct in *in, uint32_t n, const struct counts *all)
{
    struct nr_campaigns *c = in->c;
    uint32_t edge = 0, raw = 0;

    if (!LIST(in, sources, cap_sources, n, SNAP_SOURCE))
        return false;
    for (; c->n_sources < n; c->n_sources++) {
        struct cg_source *x = &c->sources[c->n_sources];

        x->seq = nr_cur_le64(&in->cur);
        x->prov = nr_cur_le64(&in->cur);
        x->author = nr_cur_le32(&in->cur);
        x->day = get_i32(in);
        x->first_edge = nr_cur_le32(&in->cur);
        x->first_raw = nr_cur_le32(&in->cur);
        x->target = nr_cur_le32(&in->cur);
        if (in->cur.err || !day_ok(x->day) || x->first_edge < edge ||
            x->first_raw < raw || x->first_edge > all->edges ||
            x->first_raw > all->raws || !below(x->target, c->n_sources, true) ||
            (c->n_sources > 0 && x->seq <= c->seq))
            return bad(in, "snapshot: entry out of range");
        edge = x->first_edge;
        raw = x->first_raw;
        c->seq = x->seq;
    }
    /* Only later entries withdraw: from the end, each is known by then. */
    for (uint32_t i = n; i > 0; i--)
        if (c->sources[i - 1].target != NONE && cg_open(c, i - 1))
            c->sources[c->sources[i - 1].target].closers++;
    return n == 0 || c->sources[0].first_edge == 0 ||
        bad(in, "snapshot: sightings of nobody");
}

/* Records stand in the order of their entries. */
static bool
source_ok(const struct in *in, uint32_t s, uint32_t *prev)
{
    bool ok = s < in->c->n_sources && s >= *prev;

    *prev = s;
    return ok;
}

static bool
read_orgs(struct in *in, uint32_t n)
{
    struct nr_campaigns *c = in->c;
    uint32_t prev = 0;

    if (!LIST(in, orgs, cap_orgs, n, SNAP_ORG))
        return false;
    for (; c->n_orgs < n; c->n_orgs++) {
        struct cg_org *x = &c->orgs[c->n_orgs];

        get_key(in, x->key);
        x->source = nr_cur_le32(&in->cur);
        x->joined = get_i32(in);
        x->member = nr_cur_u8(&in->cur) != 0;
        x->weight = nr_cur_u8(&in->cur);
        x->cases = NONE;
        if (in->cur.err || !source_ok(in, x->source, &prev) ||
            !day_ok(x->joined) || x->weight < 1 || x->weight > 16 ||
            nr_campaign_find_org(c, x->key) != NONE)
            return bad(in, "snapshot: organisation out of range");
        cg_key_put(c, &c->org_keys, c->orgs, sizeof(*x), c->n_orgs);
        c->members += x->member;
        if (c->err != NR_OK)
            return false;
    }
    return true;
}

static bool
read_cases(struct in *in, uint32_t n, uint32_t n_camps)
{
    struct nr_campaigns *c = in->c;
    uint32_t prev = 0;

    if (!LIST(in, cases, cap_cases, n, SNAP_CASE))
        return false;
    for (; c->n_cases < n; c->n_cases++) {
        struct cg_case *x = &c->cases[c->n_cases];

        get_key(in, x->key);
        x->source = nr_cur_le32(&in->cur);
        x->org = nr_cur_le32(&in->cur);
        x->camp = nr_cur_le32(&in->cur);
        x->last = nr_cur_le16(&in->cur);
        x->flags = nr_cur_u8(&in->cur);
        x->edges = NONE;
        if (in->cur.err || !source_ok(in, x->source, &prev) ||
            x->org >= c->n_orgs || !below(x->camp, n_camps, true) ||
            x->last > NR_CAMPAIGN_DAY_MAX ||
            (x->flags & ~(C_CLOSED | C_DIRTY)) ||
            nr_campaign_find_case(c, x->key) != NONE)
            return bad(in, "snapshot: case out of range");
        x->org_next = c->orgs[x->org].cases;
        c->orgs[x->org].cases = c->n_cases;
        cg_key_put(c, &c->case_keys, c->cases, sizeof(*x), c->n_cases);
        cg_comp_alone(c, c->n_cases);
        if (x->flags & C_DIRTY)
            cg_push(c, &c->dirty_cases, c->n_cases);
        if (c->err != NR_OK)
            return false;
    }
    return true;
}

static bool
read_values(struct in *in, uint32_t n, uint32_t n_obs)
{
    struct nr_campaigns *c = in->c;

    if (!LIST(in, values, cap_values, n, SNAP_VALUE))
        return false;
    for (; c->n_values < n; c->n_values++) {
        struct cg_value *x = &c->values[c->n_values];

        get_key(in, x->key);
        x->obs = nr_cur_le32(&in->cur);
        x->parent = nr_cur_le32(&in->cur);
        x->asked_type = nr_cur_u8(&in->cur);
        x->notes = NONE;
        if (in->cur.err || x->obs >= n_obs ||
            !below(x->parent, c->n_values, true) ||
            x->asked_type >= NR_CAMPAIGN_TYPES ||
            nr_campaign_find_value(c, x->key) != NONE)
            return bad(in, "snapshot: value out of range");
        cg_key_put(c, &c->value_keys, c->values, sizeof(*x), c->n_values);
        if (c->err != NR_OK)
            return false;
    }
    return true;
}

/* Every tenure is of one value; later ones have higher numbers. */
static bool
tenures_ok(struct in *in)
{
    struct nr_campaigns *c = in->c;
    uint32_t met = 0;

    for (uint32_t v = 0; v < c->n_values; v++)
        for (uint32_t o = c->values[v].obs; o != NONE; o = c->obs[o].next) {
            const struct cg_obs *next = c->obs[o].next != NONE
                ? &c->obs[c->obs[o].next]
                : NULL;

            if (c->obs[o].value != v || (next && next->from < c->obs[o].from))
                return bad(in, "snapshot: tenure of another value");
            met++;
        }
    return met == c->n_obs || bad(in, "snapshot: tenure of no value");
}

static bool
read_obs(struct in *in, uint32_t n)
{
    struct nr_campaigns *c = in->c;

    in->n_rho = n;
    if (!LIST(in, obs, cap_obs, n, SNAP_OBS))
        return false;
    in->rho = cg_take(c, n, sizeof(*in->rho));
    if (!in->rho)
        return false;
    for (; c->n_obs < n; c->n_obs++) {
        struct cg_obs *x = &c->obs[c->n_obs];

        x->value = nr_cur_le32(&in->cur);
        x->next = nr_cur_le32(&in->cur);
        x->s = nr_cur_le32(&in->cur);
        x->stale = nr_cur_le32(&in->cur);
        in->rho[c->n_obs] = get_f32(in);
        x->bits_told = get_f32(in);
        x->core_told = get_f32(in);
        x->from = nr_cur_le16(&in->cur);
        x->flags = nr_cur_u8(&in->cur);
        x->list = NONE;
        if (in->cur.err || x->value >= c->n_values ||
            (x->next != NONE && (x->next <= c->n_obs || x->next >= n)) ||
            !real_ok(in->rho[c->n_obs], 1) ||
            !real_ok(x->bits_told, (float)CG_BITS_MAX) ||
            !real_ok(x->core_told, (float)CG_BITS_MAX) ||
            (x->flags & ~(O_DIRTY | O_RELINK)))
            return bad(in, "snapshot: tenure out of range");
        if (x->flags & O_DIRTY)
            cg_push(c, &c->dirty_obs, c->n_obs);
    }
    return tenures_ok(in);
}

static bool
read_edges(struct in *in, uint32_t n)
{
    struct nr_campaigns *c = in->c;

    if (!LIST(in, edges, cap_edges, n, SNAP_EDGE))
        return false;
    for (; c->n_edges < n; c->n_edges++) {
        struct cg_edge *x = &c->edges[c->n_edges];

        x->cas = nr_cur_le32(&in->cur);
        x->obs = nr_cur_le32(&in->cur);
        x->first = nr_cur_le16(&in->cur);
        x->last = nr_cur_le16(&in->cur);
        x->conf = nr_cur_u8(&in->cur);
        x->flags = nr_cur_u8(&in->cur);
        x->raws = NONE;
        if (in->cur.err || x->cas >= c->n_cases || x->obs >= c->n_obs ||
            x->first > x->last || x->last > NR_CAMPAIGN_DAY_MAX ||
            x->conf > 100 || (x->flags & ~(E_OPEN | E_BAD | E_YOUNG)) ||
            c->cases[x->cas].n_edges >= NR_CAMPAIGN_CASE_MAX)
            return bad(in, "snapshot: sighting out of range");
        x->next = c->cases[x->cas].edges;
        c->cases[x->cas].edges = c->n_edges;
        c->cases[x->cas].n_edges++;
    }
    return true;
}

static bool
read_raws(struct in *in, uint32_t n)
{
    struct nr_campaigns *c = in->c;

    if (!LIST(in, raws, cap_raws, n, SNAP_RAW))
        return false;
    for (; c->n_raws < n; c->n_raws++) {
        struct cg_raw *x = &c->raws[c->n_raws];

        x->edge = nr_cur_le32(&in->cur);
        x->source = nr_cur_le32(&in->cur);
        x->first = nr_cur_le16(&in->cur);
        x->last = nr_cur_le16(&in->cur);
        x->conf = nr_cur_u8(&in->cur);
        x->flags = nr_cur_u8(&in->cur);
        if (in->cur.err || x->edge >= c->n_edges || x->source >= c->n_sources ||
            x->first > x->last || x->last > NR_CAMPAIGN_DAY_MAX ||
            x->conf > 100 || (x->flags & ~(E_BAD | E_YOUNG)))
            return bad(in, "snapshot: repeated sighting out of range");
        x->next = c->edges[x->edge].raws;
        c->edges[x->edge].raws = c->n_raws;
    }
    return true;
}

static bool
note_ok(const struct nr_campaigns *c, const struct cg_note *x)
{
    switch (x->kind) {
    case NR_CAMPAIGN_VERDICT:
        return x->arg < NR_CAMPAIGN_VERDICTS;
    case NR_CAMPAIGN_HARMLESS:
        return x->arg < c->n_orgs;
    case NR_CAMPAIGN_TENANTS:
        return x->arg >= 1;
    case NR_CAMPAIGN_LISTED:
        return true;
    case NR_CAMPAIGN_HANDS:
        return x->day > 0 && day_ok(x->day);
    case NR_CAMPAIGN_RETYPE:
        return x->arg < NR_CAMPAIGN_TYPES;
    default:
        return false;
    }
}

static bool
read_notes(struct in *in, uint32_t n)
{
    struct nr_campaigns *c = in->c;
    uint32_t prev = 0;

    if (!LIST(in, notes, cap_notes, n, SNAP_NOTE))
        return false;
    for (; c->n_notes < n; c->n_notes++) {
        struct cg_note *x = &c->notes[c->n_notes];

        x->source = nr_cur_le32(&in->cur);
        x->value = nr_cur_le32(&in->cur);
        x->arg = nr_cur_le32(&in->cur);
        x->day = get_i32(in);
        x->kind = nr_cur_u8(&in->cur);
        if (in->cur.err || !source_ok(in, x->source, &prev) ||
            x->value >= c->n_values || !note_ok(c, x))
            return bad(in, "snapshot: note out of range");
        x->next = c->values[x->value].notes;
        c->values[x->value].notes = c->n_notes;
    }
    return true;
}

static bool
read_related(struct in *in, uint32_t n)
{
    struct nr_campaigns *c = in->c;
    uint32_t prev = 0;

    if (!LIST(in, related, cap_related, n, SNAP_RELATED))
        return false;
    while (c->n_related < n) {
        struct cg_related *x = &c->related[c->n_related];

        x->source = nr_cur_le32(&in->cur);
        x->a = nr_cur_le32(&in->cur);
        x->b = nr_cur_le32(&in->cur);
        x->first = nr_cur_le16(&in->cur);
        x->last = nr_cur_le16(&in->cur);
        if (in->cur.err || !source_ok(in, x->source, &prev) || x->a >= x->b ||
            x->b >= c->n_values || x->first > x->last)
            return bad(in, "snapshot: relation out of range");
        cg_related_put(c, c->n_related++);
        if (c->err != NR_OK)
            return false;
    }
    return true;
}

static bool
says_ok(const struct nr_campaigns *c, const struct cg_says *x, uint32_t camps)
{
    if (!below(x->tie, c->n_cases, true) || x->tie == x->a)
        return x->kind == CG_LEFT && x->tie == NONE && x->a < c->n_orgs;
    switch (x->kind) {
    case NR_CAMPAIGN_MUST:
    case NR_CAMPAIGN_CANNOT:
        return x->a < c->n_cases && x->b < c->n_cases && x->a != x->b;
    case NR_CAMPAIGN_PIN:
        return x->a < c->n_cases && x->b < camps;
    case NR_CAMPAIGN_RENAME:
    case NR_CAMPAIGN_CLOSE:
        return x->a < camps && x->tie == NONE;
    case CG_LEFT:
        return x->a < c->n_orgs && x->tie == NONE;
    default:
        return false;
    }
}

static bool
read_says(struct in *in, uint32_t n, uint32_t camps)
{
    struct nr_campaigns *c = in->c;
    uint32_t prev = 0;

    if (!LIST(in, says, cap_says, n, SNAP_SAYS))
        return false;
    for (; c->n_says < n; c->n_says++) {
        struct cg_says *x = &c->says[c->n_says];

        x->source = nr_cur_le32(&in->cur);
        x->a = nr_cur_le32(&in->cur);
        x->b = nr_cur_le32(&in->cur);
        x->reviewer = nr_cur_le32(&in->cur);
        x->tie = nr_cur_le32(&in->cur);
        x->expires = get_i32(in);
        x->kind = nr_cur_u8(&in->cur);
        x->on = nr_cur_u8(&in->cur) != 0;
        if (in->cur.err || !source_ok(in, x->source, &prev) ||
            !says_ok(c, x, camps))
            return bad(in, "snapshot: override out of range");
    }
    return true;
}

/* Campaigns go into older ones: no circles. Members come last to first. */
static bool
read_camps(struct in *in, uint32_t n)
{
    struct nr_campaigns *c = in->c;

    if (!LIST(in, camps, cap_camps, n, SNAP_CAMP))
        return false;
    for (; c->n_camps < n; c->n_camps++) {
        struct cg_camp *x = &c->camps[c->n_camps];

        get_key(in, x->id);
        x->into = nr_cur_le32(&in->cur);
        x->from = nr_cur_le32(&in->cur);
        x->head = NONE;
        if (in->cur.err || !below(x->into, c->n_camps, true) ||
            !below(x->from, c->n_camps, true))
            return bad(in, "snapshot: campaign out of range");
    }
    for (uint32_t i = c->n_cases; i > 0; i--) {
        uint32_t camp = c->cases[i - 1].camp;

        if (camp == NONE)
            continue;
        if (c->camps[camp].into != NONE)
            return bad(in, "snapshot: case of a merged campaign");
        cg_camp_enter(c, i - 1, camp);
    }
    return true;
}

static bool
read_links(struct in *in)
{
    struct nr_campaigns *c = in->c;

    for (uint32_t i = 0; i < c->n_cases; i++) {
        uint32_t n = nr_cur_le32(&in->cur), prev = i;

        if (in->cur.err || n > nr_cur_left(&in->cur) / SNAP_ADJ)
            return bad(in, "snapshot: more links than octets");
        for (uint32_t k = 0; k < n; k++) {
            struct cg_adj v = { 0 };
            uint32_t to = nr_cur_le32(&in->cur);

            v.bits = get_f32(in);
            v.rt = get_f32(in);
            v.flags = nr_cur_u8(&in->cur);
            if (in->cur.err || to <= prev || to >= c->n_cases ||
                !real_ok(v.bits, 1e6F) || !real_ok(v.rt, 1) || !v.flags ||
                (v.flags & ~(A_LINK | A_SUGGEST | A_MUST | A_CANNOT | A_CORE)))
                return bad(in, "snapshot: link out of range");
            cg_adj_set(c, i, to, v);
            c->n_links += (v.flags & A_LINK) != 0;
            c->n_suggestions += (v.flags & A_SUGGEST) != 0;
            prev = to;
            if (c->err != NR_OK)
                return false;
        }
    }
    return nr_cur_left(&in->cur) == 0 ||
        bad(in, "snapshot: octets after the end");
}

/* What follows from the facts. */
static bool
derive(struct in *in)
{
    struct nr_campaigns *c = in->c;

    if (!cg_marks(c))
        return false;
    cg_thetas(c);
    cg_comps_all(c);
    cg_names(c);
    for (uint32_t v = 0; v < c->n_values; v++)
        cg_value_derive(c, v);
    for (uint32_t o = 0; o < c->n_obs; o++)
        in->c->obs[o].class = 0;
    for (uint32_t e = 0; e < c->n_edges && c->err == NR_OK; e++)
        if (c->edges[e].flags & E_OPEN) {
            c->obs[c->edges[e].obs].stale--; /* the insertion adds one */
            cg_list_insert(c, e);
        }
    for (uint32_t o = 0; o < c->n_obs && c->err == NR_OK; o++)
        cg_obs_restore(c, o, in->rho[o]);
    return c->err == NR_OK;
}

static bool
read_all(struct in *in)
{
    struct counts n = { 0 };

    return read_head(in, &n) && read_sources(in, n.sources, &n) &&
        read_orgs(in, n.orgs) && read_cases(in, n.cases, n.camps) &&
        read_values(in, n.values, n.obs) && read_obs(in, n.obs) &&
        read_edges(in, n.edges) && read_raws(in, n.raws) &&
        read_notes(in, n.notes) && read_related(in, n.related) &&
        read_says(in, n.says, n.camps) && read_camps(in, n.camps) &&
        read_links(in) && derive(in);
}

static bool
sum_holds(struct nr_bytes all)
{
    struct nr_cur c = nr_cur(all);
    uint64_t sum = 0;

    while (nr_cur_left(&c) > 8) {
        size_t left = nr_cur_left(&c) - 8;

        sum = nr_xxh64(nr_cur_take(&c, left < SNAP_CHUNK ? left : SNAP_CHUNK),
            sum);
    }
    return nr_cur_le64(&c) == sum && !c.err;
}

enum nr_err
nr_campaign_load(struct nr_bytes snapshot, const struct nr_campaign_mint *mint,
    size_t max, struct nr_campaigns **out, struct nr_diag *d)
{
    struct in in = { .d = d };
    enum nr_err err = NR_OK;

    if (snapshot.n < SNAP_MAGIC_LEN + 12)
        return nr_fail(d, NR_ETRUNC, 0, "snapshot: ends early");
    if (!sum_holds(snapshot))
        return nr_fail(d, NR_EDAMAGED, 0, "snapshot: its sum does not hold");
    snapshot.n -= 8;
    in.cur = nr_cur(snapshot);
    in.size = snapshot.n;
    in.c = nr_campaign_create(mint, max);
    if (!in.c)
        return nr_fail(d, NR_ENOMEM, 0, "snapshot: out of memory");
    if (!read_all(&in))
        err = in.cur.err ? in.cur.err : in.c->err;
    cg_give(in.c, in.rho, in.n_rho, sizeof(*in.rho));
    if (err != NR_OK) {
        nr_campaign_destroy(in.c);
        return nr_fail(d, err, 0, "snapshot: not readable");
    }
    *out = in.c;
    return NR_OK;
}
