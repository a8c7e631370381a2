/*
 * What the engine holds. Numbers are u32, lists are threaded through the
 * records or stand in pools, and what an inner loop reads together lies
 * together: 24 octets a sighting and 4 in the list of its value.
 */
#ifndef NR_CAMPAIGN_STATE_H
#define NR_CAMPAIGN_STATE_H

#include "campaign/campaign.h"

#define NONE          NR_CAMPAIGN_NONE
#define FAN           NR_CAMPAIGN_FAN
#define CG_ROUNDS     4u  /* rounds of weights and links in one settling */
#define CG_EXACT      64u /* values of up to so many cases: counted each time */
#define CG_ITEMS      64u /* shared values of one pair that are weighed */
#define CG_BITS_MAX   60.0 /* P is 1 beyond; keeps 2^W finite */
#define CG_EXCLUSIVE  20.0 /* bits of a value judged exclusive */
#define CG_EXCL_RHO   .995
#define CG_IP_TENANTS 5u  /* more customers: the address is no anchor */
#define CG_PATH_S     2u  /* more components: the path is no anchor */
#define CG_PROVIDER   3u  /* components that make a parent a provider */
#define CG_CLASSES    27u /* sizes of pool blocks: 2^0 .. 2^26 */

/* One fact, or the facts of one seq that came in a row. */
struct cg_source {
    uint64_t seq, prov;
    uint32_t author;
    int32_t day;
    uint32_t first_edge, first_raw; /* the sightings that it brought */
    uint32_t closers;               /* withdrawals in force against it */
    uint32_t target;                /* source that it withdraws, or NONE */
};

struct cg_org {
    uint8_t key[NR_CAMPAIGN_KEY];
    uint32_t source;
    int32_t joined;
    uint32_t cases; /* list through cg_case.org_next */
    bool member;    /* counts in N */
    uint8_t weight; /* of its vote, in 16ths; see cg_orgs_weigh() */
};

/* Edge `saw`: a case and a value in one tenure; what several sightings say is
 * joined into one interval. */
#define E_OPEN  0x01u /* counts: in the list of its value */
#define E_BAD   0x02u /* called malicious */
#define E_YOUNG 0x04u /* by a new member only: half a vote */

struct cg_edge {
    uint32_t cas, obs;
    uint32_t next; /* of the same case */
    uint32_t raws; /* its sightings if there are several, or NONE */
    uint16_t first, last;
    uint8_t conf, flags;
};

/* A sighting of an edge that has several. */
struct cg_raw {
    uint32_t edge, next; /* next of the same edge; order of the log */
    uint32_t source;
    uint16_t first, last;
    uint8_t conf, flags; /* E_BAD, E_YOUNG */
};

/* A value during one tenure: what weights are computed for. */
#define O_USED   0x01u /* can weigh anything at all */
#define O_ANCHOR 0x02u
#define O_DROP   0x04u /* listed, benign, contextual, provider */
#define O_SHARED 0x08u
#define O_EXCL   0x10u
#define O_DIRTY  0x20u /* in the queue */
#define O_RELINK 0x40u /* all its cases must be looked at */
#define O_LOOSE  0x80u /* its list is not in order: nobody reads it so */

struct cg_obs {
    uint32_t value;
    uint32_t next;    /* tenure after this one, or NONE */
    uint32_t list, n; /* its cases in time: pool block, how many */
    float rho, q0;    /* q0: kappa * rho (or 1) / tenants */
    float l0, inv_h;  /* L0; 1 / half-life or 0 */
    float core_l0;    /* L0 if every case were a component of its own */
    float bits, core; /* w at tau = c = 1 with either L0: now ... */
    float bits_told, core_told; /* ... and when its cases were re-linked */
    uint32_t s;     /* components among its cases, when last counted */
    uint32_t stale; /* changes since then */
    uint16_t from;  /* first day of the tenure */
    uint8_t class;  /* pool block is 2^class */
    uint8_t flags;
};

#define V_LISTED  0x01u
#define V_RELATED 0x02u /* in some relation */
#define V_CHILD   0x04u /* has a parent domain */

struct cg_value {
    uint8_t key[NR_CAMPAIGN_KEY];
    uint32_t obs;    /* first tenure */
    uint32_t notes;  /* list, newest first */
    uint32_t parent; /* value, or NONE */
    uint32_t tenants, harmless;
    uint8_t type, asked_type; /* in force; of its fact */
    uint8_t verdict, flags;
};

struct cg_note {
    uint32_t source, value, next, arg;
    int32_t day;
    uint8_t kind;
};

struct cg_related {
    uint32_t source, a, b, next; /* next of the same pair */
    uint16_t first, last;
};

#define CG_LEFT ((uint8_t)NR_CAMPAIGN_SAYINGS) /* organisation a left */

struct cg_says {
    uint32_t source, a, b, reviewer;
    uint32_t tie; /* case that a is tied to while in force, or NONE */
    int32_t expires;
    uint8_t kind;
    bool on; /* in force */
};

/* Adjacency of a case, ascending. Stands at both ends. */
#define A_LINK    0x01u
#define A_SUGGEST 0x02u
#define A_MUST    0x04u
#define A_CANNOT  0x08u
#define A_CORE    0x10u /* a link even if every case counts: see link.c */
#define A_HEARD   0x20u /* while rebuilding: some value speaks of it */
#define A_TIES    (A_LINK | A_MUST)
#define A_BONDS   (A_CORE | A_MUST) /* these make components */

struct cg_adj {
    uint32_t to;
    float bits, rt; /* W; rho * tau of the best anchor */
    uint32_t flags;
};

struct cg_case {
    uint8_t key[NR_CAMPAIGN_KEY];
    uint32_t source, org, org_next;
    uint32_t edges, n_edges;
    uint32_t comp, comp_next; /* a case of the component; ring */
    uint32_t comp_n;          /* size, at the case that names it */
    uint32_t camp, camp_next, camp_prev;
    uint32_t adj, n_adj; /* pool block in adjs */
    uint16_t last;       /* latest day, for K */
    uint8_t adj_class;
    uint8_t flags;
};

#define C_CLOSED 0x01u /* withdrawn */
#define C_DIRTY  0x02u /* in the queue of cases */
#define C_SCOPE  0x04u /* to be clustered again */

struct cg_camp {
    uint8_t id[16];
    uint32_t head, n; /* members */
    uint32_t into, from;
    uint32_t rename, close; /* says in force, or NONE */
};

/* Blocks of 2^k elements of one size, with a free list for each k. */
struct cg_pool {
    void *p;
    uint32_t n, cap;
    uint32_t free[CG_CLASSES];
    uint32_t size; /* octets an element, >= 4 */
};

struct cg_queue {
    uint32_t *v;
    uint32_t n, cap;
};

/* Key to number: open addressing, at most half full. */
struct cg_keys {
    uint32_t *slot;
    uint32_t cap, n;
};

/* A contribution to a pair. */
struct cg_row {
    uint32_t to, obs;  /* the other case; the value */
    float w, core, rt; /* bits with either L0; rho * tau if it can anchor */
};

struct nr_campaigns {
    struct nr_campaign_mint mint;
    enum nr_err err; /* sticky */
    size_t octets, peak, max;

    struct nr_campaign_conf conf, next_conf;
    bool conf_waits, n_moved;
    uint32_t n_ref, k_ref, members;
    int32_t day; /* latest of any fact */
    uint64_t seq;
    uint32_t minted; /* identifiers under this seq */
    double theta, theta_break, theta_suggest;

    struct cg_source *sources;
    uint32_t n_sources, cap_sources;
    struct cg_org *orgs;
    uint32_t n_orgs, cap_orgs;
    struct cg_case *cases;
    uint32_t n_cases, cap_cases;
    struct cg_value *values;
    uint32_t n_values, cap_values;
    struct cg_obs *obs;
    uint32_t n_obs, cap_obs;
    struct cg_edge *edges;
    uint32_t n_edges, cap_edges;
    struct cg_raw *raws;
    uint32_t n_raws, cap_raws;
    struct cg_note *notes;
    uint32_t n_notes, cap_notes;
    struct cg_related *related;
    uint32_t n_related, cap_related;
    struct cg_says *says;
    uint32_t n_says, cap_says;
    struct cg_camp *camps;
    uint32_t n_camps, cap_camps;
    struct nr_campaign_event *events;
    uint32_t n_events, cap_events;

    struct cg_keys org_keys, case_keys, value_keys;
    uint32_t *rel_slot; /* pair of values to cg_related */
    uint32_t rel_cap;
    struct cg_pool lists; /* u32: edges of a value in time */
    struct cg_pool adjs;  /* struct cg_adj */
    struct cg_queue dirty_obs, dirty_cases, split, scope;
    struct cg_queue lost; /* pairs of cases that lost their link */
    uint64_t n_links, n_suggestions;

    /* Scratch; marks hold the epoch that wrote them. */
    uint32_t epoch;
    uint32_t *org_mark, *case_mark, *obs_mark;
    uint32_t cap_org_mark, cap_case_mark, cap_obs_mark;
    uint8_t *org_vote;
    uint32_t *org_list;
    uint32_t cap_org_vote, cap_org_list;
    uint32_t *case_node, *obs_edge;
    uint32_t cap_case_node, cap_obs_edge;
    uint32_t marked_case; /* whose edges obs_edge knows */
    struct cg_row *rows;
    uint32_t n_rows, cap_rows;
};

/* For qsort of uint32_t. */
int cg_ascending(const void *a, const void *b);

/* --- memory (state.c) --- */

/* P with room for NEED elements of SIZE octets, *CAP counting them; new room
 * is zero. NULL and a sticky error: refused. */
void *cg_grow(struct nr_campaigns *c, void *p, uint32_t *cap, uint64_t need,
    size_t size) NR_MUST_USE;
/* Scratch of N octets for the length of a call; counted. */
void *cg_take(struct nr_campaigns *c, uint64_t n, size_t size) NR_MUST_USE;
void cg_give(struct nr_campaigns *c, void *p, uint64_t n, size_t size);
bool cg_pool_take(struct nr_campaigns *c, struct cg_pool *p, unsigned class,
    uint32_t *at) NR_MUST_USE;
void cg_pool_give(struct cg_pool *p, unsigned class, uint32_t at);
void cg_push(struct nr_campaigns *c, struct cg_queue *q, uint32_t v);
uint32_t cg_epoch(struct nr_campaigns *c);
enum nr_err cg_fail(struct nr_campaigns *c, enum nr_err err);
uint32_t cg_key_find(const struct cg_keys *k, const void *things, size_t size,
    const uint8_t *key);
void cg_key_put(struct nr_campaigns *c, struct cg_keys *k, const void *things,
    size_t size, uint32_t n);
/* Room for the scratch of everything that exists. */
bool cg_marks(struct nr_campaigns *c) NR_MUST_USE;
void cg_tell(struct nr_campaigns *c, struct nr_campaign_event e);

/* --- values and their lists (value.c) --- */

/* What the notes in force say of V; and, with refresh, let it be weighed. */
void cg_value_derive(struct nr_campaigns *c, uint32_t v);
void cg_value_refresh(struct nr_campaigns *c, uint32_t v);
uint32_t cg_obs_new(struct nr_campaigns *c, uint32_t value, uint16_t from);
/* Tenure of value V that the interval falls in most. */
uint32_t cg_tenure(const struct nr_campaigns *c, uint32_t v, uint16_t first,
    uint16_t last);
/* The tenures of V after a change of hands was added or withdrawn. */
void cg_tenures_renew(struct nr_campaigns *c, uint32_t v);
void cg_list_insert(struct nr_campaigns *c, uint32_t edge);
void cg_list_remove(struct nr_campaigns *c, uint32_t edge);
/* Place of EDGE in the list of its value. */
uint32_t cg_list_place(const struct nr_campaigns *c, uint32_t edge);

static inline uint32_t *
cg_list(const struct nr_campaigns *c, const struct cg_obs *o)
{
    return (uint32_t *)c->lists.p + o->list;
}

/* --- weights (weigh.c) --- */

/* Thresholds of the references in use. */
void cg_thetas(struct nr_campaigns *c);
/* Count the votes for O and set its weights, each case a component; then the
 * components that its cases have; both. */
void cg_obs_votes(struct nr_campaigns *c, uint32_t o);
void cg_obs_components(struct nr_campaigns *c, uint32_t o);
void cg_obs_count(struct nr_campaigns *c, uint32_t o);
/* As above where it is cheap or due; queue its cases if the weight moved. */
void cg_obs_update(struct nr_campaigns *c, uint32_t o);
void cg_obs_dirty(struct nr_campaigns *c, uint32_t o, bool relink);
/* The weights of O as they were with RHO and the s that it holds. */
void cg_obs_restore(struct nr_campaigns *c, uint32_t o, float rho);
/* Members whose labels verdicts contradict lose weight: (g + 2) / (g + b + 2)
 * for g labels that stand and b that do not. */
void cg_orgs_weigh(struct nr_campaigns *c);
/* q of the pair, and *TAU; w is log2(1 + q (L0 - 1)). */
double cg_weigh(const struct cg_obs *o, const struct cg_edge *a,
    const struct cg_edge *b, double *tau);
struct cg_row cg_row_of(const struct nr_campaigns *c, uint32_t obs,
    const struct cg_edge *me, const struct cg_edge *you);
double cg_p(const struct nr_campaigns *c, double bits);

struct cg_pair {
    double bits;   /* W */
    float rt;      /* of the best anchor; 0: none that anchors */
    float weak;    /* the same within the hysteresis */
    bool core;     /* a link with the other L0 */
    uint32_t best; /* obs with the most bits */
};

/* Sum per asset group; ROWS are of one pair (A, B) and distinct in obs. The
 * first CG_ITEMS count. GROUP[i] (may be NULL, room for CG_ITEMS): of row i. */
struct cg_pair cg_judge(const struct nr_campaigns *c, const struct cg_row *rows,
    uint32_t n, uint8_t *group);
/* Do the values of two tenures stand for one asset? */
bool cg_same_asset(const struct nr_campaigns *c, uint32_t o1, uint32_t o2);

/* --- links (link.c) --- */

struct cg_adj *cg_adj_find(const struct nr_campaigns *c, uint32_t a,
    uint32_t b);

static inline struct cg_adj *
cg_adjs(const struct nr_campaigns *c, uint32_t a)
{
    return (struct cg_adj *)c->adjs.p + c->cases[a].adj;
}

/* Set what stands between A and B; flags 0 removes it. */
void cg_adj_set(struct nr_campaigns *c, uint32_t a, uint32_t b,
    struct cg_adj v);
void cg_case_dirty(struct nr_campaigns *c, uint32_t i);
/* What case I shares with others, through the fans: c->rows by case. */
void cg_gather(struct nr_campaigns *c, uint32_t i);
void cg_relink(struct nr_campaigns *c, uint32_t i);
/* The flags (LINK, SUGGEST or 0) that a pair gets. */
uint32_t cg_decide(const struct nr_campaigns *c, const struct cg_pair *p,
    uint32_t was);

enum cg_part { CG_BOTH, CG_CORE, CG_FINAL };

/* Make PART of the pair (A, B) stand as judged; events, and with CG_BOTH also
 * components. */
void cg_link_set(struct nr_campaigns *c, uint32_t a, uint32_t b,
    const struct cg_pair *p, enum cg_part part);

/* --- components (component.c) --- */

void cg_comp_alone(struct nr_campaigns *c, uint32_t i);
void cg_comp_join(struct nr_campaigns *c, uint32_t a, uint32_t b);
void cg_comp_split(struct nr_campaigns *c, uint32_t i);
void cg_comps_all(struct nr_campaigns *c);

/* --- campaigns (match.c) --- */

void cg_camp_enter(struct nr_campaigns *c, uint32_t i, uint32_t camp);
void cg_camp_leave(struct nr_campaigns *c, uint32_t i);
void cg_scope(struct nr_campaigns *c, uint32_t i);
/* If the cases in scope were clustered now: those whose campaign would change.
 * Nothing does. */
uint32_t cg_moves(struct nr_campaigns *c);
/* Cluster the cases in scope and hand out the identifiers. */
void cg_cluster(struct nr_campaigns *c);

void cg_merged(struct nr_campaigns *c, uint32_t camp, uint32_t into);
/* A new campaign, told; NONE: a sticky error. */
uint32_t cg_camp_form(struct nr_campaigns *c);
void cg_tell_move(struct nr_campaigns *c, uint32_t i, uint32_t was,
    uint32_t now);

/* --- local moves (local.c) --- */

/* Move the cases in scope by themselves; false: cg_cluster() must. */
bool cg_local(struct nr_campaigns *c);

/* --- settling (settle.c) and rebuilding (rebuild.c) --- */

/* N is 25 % from N_ref. */
bool cg_n_moved(const struct nr_campaigns *c);
void cg_rebuild(struct nr_campaigns *c);

/* --- overrides (override.c) --- */

enum nr_err cg_says_check(struct nr_campaigns *c,
    const struct nr_campaign_fact *f, struct nr_campaign_chain *chain,
    struct nr_diag *d) NR_MUST_USE;
/* The overrides in force have changed: renew what stands between cases. */
void cg_says_renew(struct nr_campaigns *c);
void cg_names(struct nr_campaigns *c); /* of the campaigns, as overridden */
void cg_member_renew(struct nr_campaigns *c, uint32_t org);

/* --- parameters (conf.c) --- */

enum nr_err cg_conf_check(const struct nr_campaign_conf *f,
    struct nr_diag *d) NR_MUST_USE;

/* --- facts (facts.c) --- */

static inline bool
cg_open(const struct nr_campaigns *c, uint32_t source)
{
    return c->sources[source].closers == 0;
}

/* The sighting with the number E, once facts about it changed. */
void cg_edge_renew(struct nr_campaigns *c, uint32_t e);
uint32_t cg_source_of(const struct nr_campaigns *c, uint32_t edge);
uint32_t cg_source_find(const struct nr_campaigns *c, uint64_t seq);
void cg_related_hit(struct nr_campaigns *c, uint32_t a, uint32_t b);
/* Put relation R where cg_same_asset() finds it. */
void cg_related_put(struct nr_campaigns *c, uint32_t r);

/* --- withdrawals (retract.c) --- */

void cg_retract(struct nr_campaigns *c, uint32_t target);

static inline void
cg_hit(struct nr_campaigns *c, uint32_t edge)
{
    cg_obs_dirty(c, c->edges[edge].obs, false);
    cg_case_dirty(c, c->edges[edge].cas);
}

#endif
