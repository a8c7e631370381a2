/*
 * STIX 2.1 (and 2.0 on input): objects, identifiers, markings, patterns.
 *
 * Objects are read from a parsed tree (json/json.h) into typed structs whose
 * views point into that tree, and printed from the same structs through the
 * JSON writer. What a struct does not name (custom properties of others) is
 * not kept by it: who passes objects on passes their source text.
 *
 * "Section n" is of STIX 2.1 (OASIS, 10 June 2021). Times are microseconds
 * since 1970, NR_TIME_NONE when absent; in a struct to be written 0 means
 * absent too, as a designated initialiser leaves it. Empty views and lists
 * mean absent. What STIX requires is written even then.
 *
 * Errors: NR_EFORMAT (nr_diag.what names the clause, .at is the octet of the
 * parsed text, .name the property), NR_ENOMEM.
 *
 * Thread-safety: touches only its arguments.
 */
#ifndef NR_STIX_H
#define NR_STIX_H

#include "base/date.h"
#include "observable/observable.h"
#include "json/json.h"

/* --- identifiers (section 2.9) --- */

#define NR_STIX_TYPE_MAX ((size_t)250)           /* octets of an object type */
#define NR_STIX_ID_MAX   (NR_STIX_TYPE_MAX + 39) /* octets with NUL */

/* "type--UUID": is it one, and of which type (TYPE may be NULL)? */
bool nr_stix_id_parse(struct nr_str id, struct nr_str *type);
bool nr_stix_id_is(struct nr_str id, struct nr_str type);

/* "TYPE--" and a UUIDv4 of 16 random octets, with NUL. Returns OUT. TYPE is at
 * most NR_STIX_TYPE_MAX octets. */
struct nr_str nr_stix_id_random(const char *type, const uint8_t random[16],
    char out[NR_STIX_ID_MAX]);
/* "TYPE--" and the UUIDv5 of NAME in namespace NS. */
struct nr_str nr_stix_id_named(const char *type, const uint8_t ns[16],
    struct nr_str name, char out[NR_STIX_ID_MAX]);

/* Namespace of deterministic ids of cyber observables (section 2.9). */
extern const uint8_t nr_stix_sco_namespace[16];

/* The deterministic id of cyber observable SCO: UUIDv5 of the canonical JSON
 * of its id contributing properties. NR_ENOTFOUND: its type has none, or it
 * has none of them (its id is then random). */
enum nr_err nr_stix_sco_id(struct nr_arena *scratch, const struct nr_json *sco,
    char out[NR_STIX_ID_MAX], struct nr_diag *d) NR_MUST_USE;

/* "2017-08-21T00:00:00.000Z": milliseconds, microseconds where there are any
 * (section 3.1: a version's modified has at least milliseconds). */
const char *nr_stix_time_print(int64_t us, char buf[NR_RFC3339_MAX]);
/* RFC 3339 in UTC with 'T' and 'Z' only (section 2.16). */
bool nr_stix_time_parse(struct nr_str text, int64_t *us) NR_MUST_USE;

/* --- markings (sections 4, 7.2; TLP 2.0; PAP) --- */

/* Ordered: a larger number is stricter. 0 is "not marked". */
enum nr_tlp {
    NR_TLP_NONE = 0,
    NR_TLP_CLEAR = 1,
    NR_TLP_GREEN = 2,
    NR_TLP_AMBER = 3,
    NR_TLP_AMBER_STRICT = 4,
    NR_TLP_RED = 5,
};

enum nr_pap {
    NR_PAP_NONE = 0,
    NR_PAP_CLEAR = 1,
    NR_PAP_GREEN = 2,
    NR_PAP_AMBER = 3,
    NR_PAP_RED = 4,
};

struct nr_marking {
    enum nr_tlp tlp;
    enum nr_pap pap;
};

/* "clear", "green", "amber", "amber+strict", "red"; "none". Any number. */
const char *nr_tlp_name(unsigned tlp);
const char *nr_pap_name(unsigned pap);
/* As printed, any case, "white" too, with or without "TLP:" / "PAP:". */
bool nr_tlp_parse(struct nr_str text, enum nr_tlp *out) NR_MUST_USE;
bool nr_pap_parse(struct nr_str text, enum nr_pap *out) NR_MUST_USE;

/* Id of the marking definition; empty for NONE. TLP 2.0 and PAP ids. */
struct nr_str nr_tlp_id(enum nr_tlp tlp);
struct nr_str nr_pap_id(enum nr_pap pap);

/* What a marking-definition id says: TLP 1.0, TLP 2.0 and PAP ids, also the
 * old PAP white. False, NONE: another marking. */
bool nr_marking_of_id(struct nr_str id, struct nr_marking *out);
/* What a marking-definition object says (TLP 1 definition, TLP 2.0 or PAP
 * extension, MISP's "TLP:AMBER" statement); NONE where it says nothing. */
struct nr_marking nr_marking_of_definition(const struct nr_json *definition);

/* Strictest of both. */
struct nr_marking nr_marking_join(struct nr_marking a, struct nr_marking b);
/* What is not marked is amber, PAP amber (domain rule 3). */
struct nr_marking nr_marking_effective(struct nr_marking m);

/*
 * The strictest of OBJECT's object_marking_refs and granular_markings; NONE
 * where nothing is said. FIND (may be NULL) gives the marking-definition
 * object of an id that is not well known, or NULL. *UNKNOWN (may be NULL)
 * counts references that stay unknown: their rules are then not understood.
 */
struct nr_marking nr_stix_marking(const struct nr_json *object,
    const struct nr_json *(*find)(void *ctx, struct nr_str id), void *ctx,
    size_t *unknown);

/* Print the marking-definition object of one TLP 2.0 or PAP level. */
void nr_stix_put_tlp_definition(struct nr_json_out *o, enum nr_tlp tlp);
void nr_stix_put_pap_definition(struct nr_json_out *o, enum nr_pap pap);

/* --- objects --- */

/*
 * Does OBJECT keep every MUST of STIX? Breaches of a SHOULD pass. An object
 * without spec_version that is no cyber observable is taken as STIX 2.0. A
 * bundle is checked with all its objects. Unknown types and custom properties
 * pass where their names and forms are right.
 */
enum nr_err nr_stix_check(const struct nr_json *object,
    struct nr_diag *d) NR_MUST_USE;

struct nr_strs {
    const struct nr_str *v;
    size_t n;
};

/* Common properties (section 3.2). */
struct nr_stix_head {
    struct nr_str type, id;
    struct nr_str spec_version; /* read: "2.0" when absent from an SDO or SRO,
                                   "2.1" from an SCO; written: "2.1" if empty */
    struct nr_str created_by_ref, lang;
    int64_t created_us, modified_us;
    int64_t version_us; /* read only: modified, else created, else NONE */
    bool revoked;
    int64_t confidence; /* 0..100; -1: absent */
    struct nr_strs labels;
    struct nr_strs marking_refs; /* object_marking_refs. Written: if empty,
                                    the ids of MARKING stand for it */
    struct nr_marking marking;   /* read: nr_stix_marking() without FIND */
    size_t unknown_markings;     /* read only */
    /* As they stand in the tree; NULL: absent. Written back as they are. */
    const struct nr_json *external_references, *granular_markings, *extensions;
};

/* Type, id, version, markings and the rest of an object's head, with the
 * checks that these need and no more (see nr_stix_check()). A holds lists. */
enum nr_err nr_stix_head_read(struct nr_arena *a, const struct nr_json *object,
    struct nr_stix_head *out, struct nr_diag *d) NR_MUST_USE;

/* A head to write an object with: type, id, both times, creator, marking. */
struct nr_stix_head nr_stix_head_new(const char *type, struct nr_str id,
    int64_t now_us, struct nr_str created_by_ref, struct nr_marking marking);

/* Role of an observable in a case: x_noroshi_role, free text. */
struct nr_stix_indicator {
    struct nr_stix_head head;
    struct nr_str name, description, pattern;
    struct nr_str pattern_type, pattern_version; /* read: "stix" from 2.0 */
    struct nr_strs indicator_types;
    int64_t valid_from_us, valid_until_us;
    int64_t first_seen_us, last_seen_us; /* x_noroshi_first_seen, _last_seen */
    struct nr_str role;                  /* x_noroshi_role */
};

/* How well the logs could answer: x_noroshi_coverage of a sighting. */
struct nr_stix_coverage {
    bool present;
    double coverage;      /* 0..1 */
    struct nr_strs kinds; /* log kinds */
    int64_t from_us, to_us;
    const int64_t (*gaps_us)[2]; /* begin, end */
    size_t n_gaps;
    bool blind;
};

struct nr_stix_sighting {
    struct nr_stix_head head;
    struct nr_str description, sighting_of_ref;
    struct nr_strs observed_data_refs, where_sighted_refs;
    int64_t first_seen_us, last_seen_us;
    int64_t count; /* written unless < 0; 0: looked, not seen */
    bool summary;
    struct nr_str answer; /* x_noroshi_answer: seen, denied, ... */
    int64_t denied;       /* x_noroshi_denied; -1: absent */
    struct nr_stix_coverage coverage;
};

struct nr_stix_identity {
    struct nr_stix_head head;
    struct nr_str name, description, identity_class, contact_information;
    struct nr_strs roles, sectors;
};

struct nr_stix_report {
    struct nr_stix_head head;
    struct nr_str name, description;
    struct nr_strs report_types, object_refs;
    int64_t published_us;
};

struct nr_stix_relationship {
    struct nr_stix_head head;
    struct nr_str relationship_type, description, source_ref, target_ref;
    int64_t start_us, stop_us;
};

struct nr_stix_marking_definition {
    struct nr_stix_head head;
    struct nr_str name, definition_type;
    const struct nr_json *definition;
    struct nr_marking says;
};

struct nr_stix_observed_data {
    struct nr_stix_head head;
    int64_t first_observed_us, last_observed_us, number_observed;
    struct nr_strs object_refs;
    const struct nr_json *objects; /* STIX 2.0: dictionary of observables */
};

struct nr_stix_infrastructure {
    struct nr_stix_head head;
    struct nr_str name, description;
    struct nr_strs infrastructure_types, aliases;
    int64_t first_seen_us, last_seen_us;
};

struct nr_stix_malware {
    struct nr_stix_head head;
    struct nr_str name, description;
    struct nr_strs malware_types, aliases;
    bool is_family;
    int64_t first_seen_us, last_seen_us;
};

struct nr_stix_campaign {
    struct nr_stix_head head;
    struct nr_str name, description, objective;
    struct nr_strs aliases;
    int64_t first_seen_us, last_seen_us;
};

struct nr_stix_intrusion_set {
    struct nr_stix_head head;
    struct nr_str name, description, resource_level, primary_motivation;
    struct nr_strs aliases, goals;
    int64_t first_seen_us, last_seen_us;
};

struct nr_stix_bundle {
    struct nr_str id;
    const struct nr_json *objects; /* its array; NULL: none */
};

/*
 * Reading: OBJECT must be of the struct's type and have its required
 * properties in the right types; anything else is left to nr_stix_check().
 * Writing: prints one object value through O. What is missing or of the wrong
 * form in the struct shows in nr_stix_check() of the result.
 */
#define NR_STIX_TYPED(name)                                       \
    enum nr_err nr_stix_##name##_read(struct nr_arena *a,         \
        const struct nr_json *object, struct nr_stix_##name *out, \
        struct nr_diag *d) NR_MUST_USE;                           \
    void nr_stix_##name##_write(struct nr_json_out *o,            \
        const struct nr_stix_##name *in)

NR_STIX_TYPED(indicator);
NR_STIX_TYPED(sighting);
NR_STIX_TYPED(identity);
NR_STIX_TYPED(report);
NR_STIX_TYPED(relationship);
NR_STIX_TYPED(marking_definition);
NR_STIX_TYPED(observed_data);
NR_STIX_TYPED(infrastructure);
NR_STIX_TYPED(malware);
NR_STIX_TYPED(campaign);
NR_STIX_TYPED(intrusion_set);

#undef NR_STIX_TYPED

enum nr_err nr_stix_bundle_read(const struct nr_json *object,
    struct nr_stix_bundle *out, struct nr_diag *d) NR_MUST_USE;
/* Opens a bundle of that id and its "objects"; then write the objects (at
 * least one: an empty array is no STIX), then nr_stix_bundle_close(). */
void nr_stix_bundle_open(struct nr_json_out *o, struct nr_str id);
void nr_stix_bundle_close(struct nr_json_out *o);

/* --- patterns (section 9) --- */

#define NR_STIX_PATTERN_MAX ((size_t)1 << 20) /* octets of a pattern */
#define NR_STIX_NEST_MAX    ((size_t)64)      /* parentheses, nested */

enum nr_stix_node_type {
    NR_STIX_FOLLOWEDBY, /* observation expressions, in time order */
    NR_STIX_OBS_OR,
    NR_STIX_OBS_AND,
    NR_STIX_OBSERVATION, /* [ one comparison expression ] */
    NR_STIX_CMP_OR,
    NR_STIX_CMP_AND,
    NR_STIX_COMPARISON,
};

enum nr_stix_op {
    NR_STIX_EQ,
    NR_STIX_NEQ,
    NR_STIX_GT,
    NR_STIX_LT,
    NR_STIX_GE,
    NR_STIX_LE,
    NR_STIX_IN,
    NR_STIX_LIKE,
    NR_STIX_MATCHES,
    NR_STIX_ISSUBSET,
    NR_STIX_ISSUPERSET,
    NR_STIX_EXISTS,
};

enum nr_stix_const_type {
    NR_STIX_STRING,
    NR_STIX_INTEGER,
    NR_STIX_FLOAT,
    NR_STIX_BOOLEAN,
    NR_STIX_BINARY,    /* text: base64 */
    NR_STIX_HEX,       /* text: hex digits */
    NR_STIX_TIMESTAMP, /* text: RFC 3339 */
};

struct nr_stix_const {
    enum nr_stix_const_type type;
    struct nr_str text; /* string unescaped; else the literal inside quotes */
    const struct nr_stix_const *next; /* in a set */
};

/* A step of an object path: a name, or an index into a list. */
struct nr_stix_step {
    bool is_index, any; /* [2], [-1]; [*] */
    int64_t index;
    struct nr_str name; /* unescaped */
    const struct nr_stix_step *next;
};

enum nr_stix_qualifier_type {
    NR_STIX_WITHIN,  /* seconds */
    NR_STIX_REPEATS, /* times */
    NR_STIX_START_STOP,
};

struct nr_stix_qualifier {
    enum nr_stix_qualifier_type type;
    bool after_group; /* a parenthesis closes between it and those before */
    struct nr_str first, second;          /* number; or START and STOP times */
    const struct nr_stix_qualifier *next; /* the one written after it */
};

struct nr_stix_node {
    enum nr_stix_node_type type;
    size_t at; /* octet of the pattern where it begins */
    /* Operators: two or more operands; an observation: its expression. */
    const struct nr_stix_node *child, *next;
    const struct nr_stix_qualifier *qualifiers; /* observation expressions */
    /* comparison */
    struct nr_str object_type;
    const struct nr_stix_step *path;
    bool negated;
    enum nr_stix_op op;
    const struct nr_stix_const *value; /* IN: the set; EXISTS: NULL */
};

/* The tree is arena-owned and points into TEXT. NR_EFORMAT or NR_ETRUNC
 * (at: the octet of TEXT), NR_ELIMIT (a limit above), NR_ENOMEM. */
enum nr_err nr_stix_pattern_parse(struct nr_arena *a, struct nr_str text,
    const struct nr_stix_node **out, struct nr_diag *d) NR_MUST_USE;

/* Canonical text of a pattern: one space around operators, parentheses only
 * where needed; it parses to the same tree. */
void nr_stix_pattern_print(const struct nr_stix_node *n, struct nr_buf *b);

/* One thing that a watchlist can hold, taken out of a pattern. */
struct nr_stix_atom {
    enum nr_kind kind;   /* of the value; not yet made canonical */
    struct nr_str value; /* as written */
    size_t at;           /* octet of the pattern */
};

/* A part of a pattern that a watchlist cannot hold. */
struct nr_stix_unmatched {
    const char *why; /* static: "joined by AND", "operator LIKE", ... */
    size_t at;       /* octet of the pattern */
};

struct nr_stix_atoms {
    const struct nr_stix_atom *v;
    size_t n;
    const struct nr_stix_unmatched *rest; /* nothing is dropped silently */
    size_t n_rest;
};

/*
 * The atoms of a pattern: equalities of known properties (also IN, and
 * ISSUBSET of an address range) joined by OR alone, inside an observation or
 * between observations, so that each of them by itself fulfils the pattern.
 * All else is in REST. Arena-owned. NR_ENOMEM.
 */
enum nr_err nr_stix_pattern_atoms(struct nr_arena *a,
    const struct nr_stix_node *pattern, struct nr_stix_atoms *out,
    struct nr_diag *d) NR_MUST_USE;

/* Append "[ipv4-addr:value = '203.0.113.7']" for the text of a canonical key;
 * nr_stix_pattern_atoms() gives it back. Kinds without a place in STIX stand
 * in our own object type x-noroshi-observable. False: no such kind. */
bool nr_stix_pattern_of(enum nr_kind kind, struct nr_str value,
    struct nr_buf *out);

#endif
