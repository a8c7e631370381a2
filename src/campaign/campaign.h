/*
 * Campaigns: which reports belong to one operation, and why.
 *
 * Facts go in, in the order of the log; links, campaigns and events come out.
 * Nothing here does I/O, reads a clock or draws randomness: days come with the
 * facts, identifiers from a function of the caller. The same facts in the same
 * order give the same state, octet for octet.
 *
 * A case is one episode at one organisation. Cases that saw the same value (a
 * domain, an address, a file) share evidence: weight w in bits, from how sure
 * we are that the value belongs to the operation (rho), how far apart in time
 * the two saw it (tau) and how rare it is (L0). Values that stand for one asset
 * (a domain and the address it resolved to then) count once. The sum W gives
 * P(same) = 2^W / (2^W + K). A pair with P >= .90 whose evidence holds an
 * anchor is a link; it is broken at P < .60. Links make components, components
 * are cut by the constant Potts model (CPM), and every cluster of two or more
 * is a campaign whose identifier survives what happens to it.
 *
 * Use: nr_campaign_add() for each fact, nr_campaign_settle() after each entry
 * of the log, nr_campaign_rebuild() each night. A value seen by n cases pairs
 * each of them with its NR_CAMPAIGN_FAN neighbours in time only, so the work of
 * one report does not grow with n.
 *
 * Numbers: organisations, cases, values and campaigns are numbered from 0 in
 * the order of their facts; a number is never used twice.
 *
 * After NR_ENOMEM or NR_ELIMIT of memory (not of a fact's number) the object
 * stays failed: every call returns that error; start again from a snapshot.
 * Thread-safety: one thread at a time per object.
 */
#ifndef NR_CAMPAIGN_H
#define NR_CAMPAIGN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_CAMPAIGN_NONE     UINT32_MAX /* no such thing; nobody */
#define NR_CAMPAIGN_FAN      16u   /* neighbours in time, each way, per value */
#define NR_CAMPAIGN_DAY_MAX  65534 /* days since 1970 that a fact may name */
#define NR_CAMPAIGN_EVER     INT32_MAX /* "no end" of an interval or expiry */
#define NR_CAMPAIGN_KEY      16u       /* octets of a key */
#define NR_CAMPAIGN_COUNT    (UINT32_MAX - 16) /* things of one sort, at most */
#define NR_CAMPAIGN_CASE_MAX 65536u /* values that one case may have seen */
#define NR_CAMPAIGN_CHAIN    64u    /* steps of a conflict that are told */

/* --- parameters ------------------------------------------------------ */

/* What a value is; the rows of the parameters. */
enum nr_campaign_type {
    NR_CAMPAIGN_DOMAIN,      /* registered domain or host name */
    NR_CAMPAIGN_IP,          /* anchors while tenants <= 5 */
    NR_CAMPAIGN_FILE,        /* hash, mutex, PDB path, configuration key */
    NR_CAMPAIGN_CERT,        /* certificate, SSH or TLS key */
    NR_CAMPAIGN_PATH,        /* URL path; anchors while s <= 2 */
    NR_CAMPAIGN_ACCOUNT,     /* sender, account, registrant, wallet */
    NR_CAMPAIGN_COMPROMISED, /* legitimate site that was broken into */
    NR_CAMPAIGN_PARENT,      /* parent domain; dropped when s >= 3 */
    NR_CAMPAIGN_CONTEXT,     /* network, AS, family, technique: no weight */
    NR_CAMPAIGN_TYPES,
};

/* "domain", "ip", "file", "cert", "path", "account", "compromised", "parent",
 * "context". */
const char *nr_campaign_type_name(enum nr_campaign_type t);

struct nr_campaign_row {
    double kappa;     /* 0..1: P(a genuine asset says "same operation") */
    double half_life; /* days; 0: does not age */
    double cap;       /* bits, 0..20 */
    bool anchor;
};

/* All of picture.conf. Ranges stand in conf.c, one named row each. */
struct nr_campaign_conf {
    uint32_t version; /* chosen by who changes it; grows */
    struct nr_campaign_row row[NR_CAMPAIGN_TYPES];
    double prior;           /* P(value is an asset) before any vote */
    double vote_yes;        /* bits per organisation that calls it malicious */
    double vote_no;         /* bits against per organisation that does not */
    double benign_bits;     /* bits against per harmless find of a hunt ... */
    double benign_max;      /* ... at most */
    double lone_max;        /* rho that one organisation alone can reach */
    double link_p;          /* a link is made at this P(same) ... */
    double break_p;         /* ... and broken below this */
    double suggest_p;       /* pairs from here on are suggestions */
    double anchor_bits;     /* an anchor has at least these bits ... */
    double anchor_rho;      /* ... and at least this rho * tau */
    double gamma;           /* resolution of the CPM */
    double shared_part;     /* part of N that a shared tool counts as */
    uint32_t young_days;    /* votes of newer members count half */
    uint32_t active_days;   /* a campaign counts in K this long */
    uint32_t campaigns_min; /* K is at least this */
    uint32_t campaigns;     /* K itself; 0: counted at each rebuild */
    uint32_t members;       /* N itself; 0: counted, in steps of 25 % */
};

/* The measured values (doc/architecture.md). */
void nr_campaign_conf_default(struct nr_campaign_conf *conf);

/* picture.conf: lines "name value" or "type.name value", '#' comments; what it
 * does not name keeps the value of *CONF, which is changed on NR_OK only.
 * NR_EFORMAT names the line's octet and the parameter. */
enum nr_err nr_campaign_conf_parse(struct nr_bytes text,
    struct nr_campaign_conf *conf, struct nr_diag *d) NR_MUST_USE;
/* The same form, every parameter, readable back without loss. */
void nr_campaign_conf_print(const struct nr_campaign_conf *conf,
    struct nr_buf *out);

/* --- facts ----------------------------------------------------------- */

enum nr_campaign_fact_kind {
    NR_CAMPAIGN_ORG,     /* an organisation joins */
    NR_CAMPAIGN_LEFT,    /* it is no longer a member; its history stays */
    NR_CAMPAIGN_CASE,    /* an episode at an organisation */
    NR_CAMPAIGN_VALUE,   /* a value gets a number */
    NR_CAMPAIGN_SAW,     /* a case saw a value */
    NR_CAMPAIGN_NOTE,    /* something is known of a value */
    NR_CAMPAIGN_RELATED, /* two values are one asset for a time */
    NR_CAMPAIGN_SAYS,    /* an analyst overrides */
    NR_CAMPAIGN_RETRACT, /* everything of an earlier seq is withdrawn */
    NR_CAMPAIGN_CONF,    /* other parameters; the next rebuild applies them */
    NR_CAMPAIGN_FACTS,
};

enum nr_campaign_verdict {
    NR_CAMPAIGN_UNJUDGED,
    NR_CAMPAIGN_EXCLUSIVE,  /* of one operation only */
    NR_CAMPAIGN_SHARED,     /* public tool, many hands */
    NR_CAMPAIGN_BENIGN,     /* counts nothing */
    NR_CAMPAIGN_CONTEXTUAL, /* counts nothing, is shown */
    NR_CAMPAIGN_VERDICTS,
};

enum nr_campaign_note_kind {
    NR_CAMPAIGN_VERDICT,  /* arg: enum nr_campaign_verdict; last one holds */
    NR_CAMPAIGN_HARMLESS, /* arg: organisation whose hunt found it harmless */
    NR_CAMPAIGN_TENANTS,  /* arg: known customers of the address, >= 1 */
    NR_CAMPAIGN_LISTED,   /* on a warninglist; arg: 0 */
    NR_CAMPAIGN_HANDS,    /* it changed hands on DAY: a new tenure begins */
    NR_CAMPAIGN_RETYPE,   /* arg: enum nr_campaign_type */
    NR_CAMPAIGN_NOTES,
};

enum nr_campaign_says_kind {
    NR_CAMPAIGN_MUST,   /* cases a and b are one campaign */
    NR_CAMPAIGN_CANNOT, /* cases a and b are not */
    NR_CAMPAIGN_PIN,    /* case a belongs to campaign b */
    NR_CAMPAIGN_RENAME, /* campaign a: the name is in the log at seq */
    NR_CAMPAIGN_CLOSE,  /* campaign a is over: not counted in K */
    NR_CAMPAIGN_SAYINGS,
};

/* SEQ never falls from fact to fact; facts of one entry share it, and are
 * withdrawn together. DAY: of the entry, days since 1970. PROV: the caller's
 * reference to report, version, signer. */
struct nr_campaign_fact {
    enum nr_campaign_fact_kind kind;
    uint64_t seq, prov;
    uint32_t author; /* organisation, or NR_CAMPAIGN_NONE */
    int32_t day;

    union {
        struct {
            uint8_t key[NR_CAMPAIGN_KEY]; /* unique among organisations */
            int32_t joined;
        } org;

        struct {
            uint32_t org;
        } left;

        struct {
            uint8_t key[NR_CAMPAIGN_KEY]; /* unique among cases */
            uint32_t org;
        } cas;

        struct {
            uint8_t key[NR_CAMPAIGN_KEY]; /* unique among values */
            enum nr_campaign_type type;
            uint32_t parent; /* value of the parent domain, or NONE */
        } value;

        struct { /* last day after the entry's own: a clock is wrong, cut */
            uint32_t cas, value;
            int32_t first, last;
            uint8_t conf;   /* 0..100 */
            bool malicious; /* the role the reporter gives it */
        } saw;

        struct {
            enum nr_campaign_note_kind kind;
            uint32_t value, arg;
            int32_t day; /* HANDS: first day of the new tenure; else 0 */
        } note;

        struct {
            uint32_t a, b; /* values; the order says nothing */
            int32_t first, last;
        } related;

        struct {
            enum nr_campaign_says_kind kind;
            uint32_t a, b;
            int32_t expires;   /* last day, or NR_CAMPAIGN_EVER */
            uint32_t reviewer; /* second person, or NR_CAMPAIGN_NONE */
        } says;

        struct {
            uint64_t seq;
        } retract; /* withdrawing a withdrawal brings the facts back */

        const struct nr_campaign_conf *conf; /* read during the call */
    } u;
};

struct nr_campaigns;

/* Write 16 random octets for the Nth identifier that the entry SEQ makes
 * needed. Give the same octets for the same (SEQ, N) and a replay of the log
 * gives the same identifiers. NR_OK or NR_ESYS. */
struct nr_campaign_mint {
    enum nr_err (*mint)(void *ctx, uint64_t seq, uint32_t n, uint8_t out[16]);
    void *ctx;
};

/* MAX: ceiling in octets of all memory held. NULL: out of memory. */
struct nr_campaigns *nr_campaign_create(const struct nr_campaign_mint *mint,
    size_t max);
void nr_campaign_destroy(struct nr_campaigns *c); /* NULL: nothing */

/* A step of a conflict between overrides. */
struct nr_campaign_step {
    uint32_t a, b; /* cases */
    uint64_t seq;  /* the override that ties (or parts) them */
};

struct nr_campaign_chain {
    struct nr_campaign_step step[NR_CAMPAIGN_CHAIN];
    uint32_t n;
};

/*
 * Take one fact. *NUMBER (may be NULL): of the new organisation, case or value.
 * NR_ENOTFOUND: it names a number, or a seq, that does not exist. NR_EEXIST:
 * the key is known, *NUMBER is set to who has it and nothing changes.
 * NR_EFORMAT, NR_ELIMIT: a field out of range, seq that falls. NR_EDENIED: an
 * override contradicts others, *CHAIN (may be NULL) says which; nothing changes.
 */
enum nr_err nr_campaign_add(struct nr_campaigns *c,
    const struct nr_campaign_fact *f, uint32_t *number,
    struct nr_campaign_chain *chain, struct nr_diag *d) NR_MUST_USE;

/*
 * Bring links and campaigns up to the facts. BUDGET: cases re-linked at most in
 * this call (0: no limit); *LEFT (may be NULL): how many wait still. While some
 * wait their campaigns are "settling". A step of N rebuilds by itself when no
 * budget is given.
 */
enum nr_err nr_campaign_settle(struct nr_campaigns *c, uint32_t budget,
    uint32_t *left, struct nr_diag *d) NR_MUST_USE;

/* Everything anew from the facts, warm from the present campaigns; DAY is
 * today: K, expiries. Parameters and steps of N and K are taken up here. */
enum nr_err nr_campaign_rebuild(struct nr_campaigns *c, int32_t day,
    struct nr_diag *d) NR_MUST_USE;

/* --- state ----------------------------------------------------------- */

struct nr_campaign_totals {
    uint32_t orgs, members, cases, values, campaigns; /* ever numbered; members
                                                         now */
    uint64_t sightings, links, suggestions;
    uint32_t n_ref, k_ref; /* N and K in use */
    uint32_t waiting;      /* cases still to be re-linked */
    bool wants_rebuild;    /* N moved 25 %, or parameters were changed */
    double theta;          /* bits that make a link */
    size_t octets, peak;   /* memory held, and the most ever */
};

void nr_campaign_totals(const struct nr_campaigns *c,
    struct nr_campaign_totals *out);

/* Number of the thing with KEY; NR_CAMPAIGN_NONE. */
uint32_t nr_campaign_find_org(const struct nr_campaigns *c, const uint8_t *key);
uint32_t nr_campaign_find_case(const struct nr_campaigns *c,
    const uint8_t *key);
uint32_t nr_campaign_find_value(const struct nr_campaigns *c,
    const uint8_t *key);

enum nr_campaign_state {
    NR_CAMPAIGN_OPEN,
    NR_CAMPAIGN_CLOSED, /* an analyst said so; cases may still join */
    NR_CAMPAIGN_MERGED, /* see into; it has no cases */
    NR_CAMPAIGN_EMPTY,  /* all its cases were withdrawn */
};

struct nr_campaign_view {
    char id[37]; /* UUIDv4, text */
    enum nr_campaign_state state;
    uint32_t cases;
    uint32_t into;       /* campaign it was merged into, or NONE */
    uint32_t from;       /* campaign it split from, or NONE */
    uint64_t named;      /* seq of the last rename, 0: none */
    int32_t first, last; /* days of its sightings; 0, 0: none */
    bool settling;
};

/* NR_ENOTFOUND: no such number. */
enum nr_err nr_campaign_view(const struct nr_campaigns *c, uint32_t campaign,
    struct nr_campaign_view *out) NR_MUST_USE;
/* Up to MAX case numbers, ascending; returns how many there are. */
uint32_t nr_campaign_members(const struct nr_campaigns *c, uint32_t campaign,
    uint32_t *out, uint32_t max);
/* Campaign of CASE; NR_CAMPAIGN_NONE: alone, or no such case. A campaign whose
 * last links were broken keeps its number on one case. */
uint32_t nr_campaign_of(const struct nr_campaigns *c, uint32_t cas);

/* --- events ---------------------------------------------------------- */

enum nr_campaign_event_kind {
    NR_CAMPAIGN_LINK_MADE,   /* a, b cases; value: the strongest */
    NR_CAMPAIGN_LINK_BROKEN, /* a, b cases; bits: what is left */
    NR_CAMPAIGN_SUGGESTED,   /* a, b cases; value: the strongest */
    NR_CAMPAIGN_FORMED,      /* a campaign */
    NR_CAMPAIGN_SPLIT_FROM,  /* a new campaign, b the one it came from */
    NR_CAMPAIGN_MERGED_INTO, /* a campaign went into b */
    NR_CAMPAIGN_JOINED,      /* case a is in campaign b now */
    NR_CAMPAIGN_PARTED,      /* case a is alone now, was in campaign b */
    NR_CAMPAIGN_RENAMED,     /* campaign a */
    NR_CAMPAIGN_CLOSED_BY,   /* campaign a */
    NR_CAMPAIGN_CLOCK_WRONG, /* case a, value b: the future was cut off */
    NR_CAMPAIGN_SETTLED,     /* nothing waits any more */
    NR_CAMPAIGN_REBUILT,     /* a: N, b: K */
    NR_CAMPAIGN_EVENTS,
};

struct nr_campaign_event {
    enum nr_campaign_event_kind kind;
    uint32_t a, b;
    uint32_t value; /* or NONE */
    float bits, p;  /* of the pair; 0 otherwise */
    uint64_t seq;   /* the last fact that was known */
};

/* "link-made", "link-broken", ... as above with '-'. */
const char *nr_campaign_event_name(enum nr_campaign_event_kind k);

/* Events since the last nr_campaign_forget(), in order; borrowed until the next
 * call that is not const. */
const struct nr_campaign_event *nr_campaign_events(const struct nr_campaigns *c,
    size_t *n);
void nr_campaign_forget(struct nr_campaigns *c);

/* --- explanations ---------------------------------------------------- */

enum nr_campaign_reason {
    NR_CAMPAIGN_COUNTED,      /* its bits are in the sum */
    NR_CAMPAIGN_SAME_ASSET,   /* another value of its group says more */
    NR_CAMPAIGN_IS_LISTED,    /* a warninglist has it */
    NR_CAMPAIGN_IS_BENIGN,    /* judged benign or contextual */
    NR_CAMPAIGN_IS_PROVIDER,  /* parent domain that strangers use */
    NR_CAMPAIGN_NO_WEIGHT,    /* a type that never weighs */
    NR_CAMPAIGN_OTHER_TENURE, /* it changed hands between the two */
    NR_CAMPAIGN_TOO_LONG_AGO, /* under half a bit because of the gap */
    NR_CAMPAIGN_TOO_COMMON,   /* under half a bit anyway */
    NR_CAMPAIGN_TOO_FAR,      /* others that saw it stand between */
    NR_CAMPAIGN_REASONS,
};

/* A value that both cases saw. */
struct nr_campaign_item {
    uint32_t value;
    enum nr_campaign_reason reason;
    uint8_t group;              /* equal: one asset */
    bool anchor;                /* its rho * tau, with its bits, anchors */
    double bits;                /* w; 0 unless COUNTED or SAME_ASSET */
    double rho, tau, q, rarity; /* rarity: L0 */
    int32_t gap;                /* days between the two */
    uint32_t organisations, components, harmless; /* that saw it; s; b */
    enum nr_campaign_verdict verdict;
};

struct nr_campaign_pair {
    double bits, p; /* W, P(same) */
    double missing; /* bits to theta; 0 or less: enough */
    double anchor;  /* rho * tau of the best anchor; 0: none */
    bool linked, suggested, must, cannot;
    uint32_t n; /* items there are; more than MAX: the first stand */
};

/* What speaks for cases A and B: strongest first, then what does not count and
 * why. NR_ENOTFOUND: no such case. */
enum nr_err nr_campaign_why(struct nr_campaigns *c, uint32_t a, uint32_t b,
    struct nr_campaign_item *items, uint32_t max,
    struct nr_campaign_pair *out) NR_MUST_USE;

/* A way from case to case by the links of the maximum spanning tree. */
struct nr_campaign_path {
    uint32_t n;       /* cases on it; 0: not in one campaign */
    double product;   /* of the P of its steps */
    double weakest_p; /* of the weakest step ... */
    uint32_t weakest; /* ... from cases[weakest] to the next */
};

/* Path from A to B inside their campaign: up to MAX cases go to CASES. */
enum nr_err nr_campaign_path(struct nr_campaigns *c, uint32_t a, uint32_t b,
    uint32_t *cases, uint32_t max, struct nr_campaign_path *out) NR_MUST_USE;

/* "Joined by one value only": a step of the spanning tree whose loss leaves
 * two cases or more on either side, with no sure anchor across. */
struct nr_campaign_bridge {
    bool found;
    uint32_t a, b;    /* the step; A is on the smaller side */
    uint32_t value;   /* what joins */
    uint32_t smaller; /* cases on that side */
    double doubt;     /* product (1 - rho * tau) of the anchors across */
};

#define NR_CAMPAIGN_DOUBT 0.05 /* more of it: a bridge */

enum nr_err nr_campaign_bridge(struct nr_campaigns *c, uint32_t campaign,
    struct nr_campaign_bridge *out) NR_MUST_USE;

/* --- judge this value ------------------------------------------------ */

struct nr_campaign_question {
    uint32_t value;
    uint32_t moves; /* cases whose campaign would change if it were exclusive */
    uint32_t cases; /* that saw it */
    double bits;    /* what it says now */
};

#define NR_CAMPAIGN_TRIALS 256u /* values that are tried out, at most */

/* The values whose verdict would move the most cases, most first; up to MAX of
 * them. Each is tried out: its links are made, the campaigns around clustered,
 * the moves counted and everything undone. *N: how many. NR_EBUSY: cases wait,
 * settle first. */
enum nr_err nr_campaign_questions(struct nr_campaigns *c,
    struct nr_campaign_question *out, uint32_t max, uint32_t *n) NR_MUST_USE;

/* --- snapshots -------------------------------------------------------- */

#define NR_CAMPAIGN_SNAPSHOT 1u /* version that is written and read */

/* Where a snapshot goes, in order, piece by piece. */
struct nr_campaign_sink {
    enum nr_err (*put)(void *ctx, struct nr_bytes octets);
    void *ctx;
};

/* The whole state but for untold events. NR_EBUSY: overrides wait to be
 * settled. The sink's own errors come back. */
enum nr_err nr_campaign_save(const struct nr_campaigns *c,
    const struct nr_campaign_sink *sink, struct nr_diag *d) NR_MUST_USE;

/* The engine that a snapshot holds: going on from it gives what going on
 * without it would. Every number is checked before it is believed.
 * NR_EDAMAGED: its sum does not hold; NR_EFORMAT: of another version, or a
 * number is out of range; NR_ETRUNC; NR_ELIMIT, NR_ENOMEM: more than MAX. */
enum nr_err nr_campaign_load(struct nr_bytes snapshot,
    const struct nr_campaign_mint *mint, size_t max, struct nr_campaigns **out,
    struct nr_diag *d) NR_MUST_USE;

#endif
