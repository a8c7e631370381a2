/*
 * Watchlist: a compiled set of indicators, probed with the scanner's tokens.
 *
 * A builder takes indicators from anywhere and writes one file, which is
 * mapped into memory and answers "which indicators does this line contain"
 * with one filter word for a miss and one hash probe for a hit. Equal values
 * are one indicator: what several sources say of it is kept as claims.
 *
 * The file ("NRWL", version 1; numbers little endian; doc in watchlist.c) is
 * checked whole when opened: checksum, and every offset, length and index in
 * it. A damaged file is refused by name, never half used.
 *
 * Thread-safety: an open watchlist is read only and may be shared; a builder
 * belongs to one thread.
 */
#ifndef NR_WATCHLIST_H
#define NR_WATCHLIST_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "observable/observable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_WATCHLIST_MAX      ((size_t)50000000) /* indicators of a list */
#define NR_WATCHLIST_TEXT_MAX ((size_t)65535)    /* octets of one text field */
#define NR_WATCHLIST_LIST_MAX ((size_t)4 << 30)  /* octets of a text list */

/* What an observable did in the case (domain handbook 5, row 16). Stored. */
enum nr_role {
    NR_ROLE_UNKNOWN = 0,
    NR_ROLE_C2 = 1,
    NR_ROLE_DELIVERY = 2,
    NR_ROLE_EXFIL = 3,
    NR_ROLE_MALWARE = 4,
    NR_ROLE_PHISHING_SENDER = 5,
    NR_ROLE_CREDENTIAL_USE = 6,
    NR_ROLE_SCANNER = 7,
    NR_ROLE_VICTIM_ASSET = 8,
    NR_ROLE_CONTEXTUAL = 9,
};

const char *nr_role_name(unsigned role); /* "c2"; "unknown" for any other */
bool nr_role_from_name(struct nr_str name, enum nr_role *role) NR_MUST_USE;

/* One source's word for an indicator. Texts may be empty. */
struct nr_claim {
    struct nr_str id;        /* STIX id of the indicator object */
    struct nr_str source;    /* who says so */
    struct nr_str reference; /* where to read it */
    int64_t date_s;          /* when it was said; NR_TIME_NONE: unknown */
};

/*
 * One indicator. All times are seconds, NR_TIME_NONE where absent; valid_until
 * absent means open. TLP: 0 not marked, 1 clear, 2 green, 3 amber, 4
 * amber+strict, 5 red. PAP: 0 not marked, 1 clear, 2 green, 3 amber, 4 red.
 */
struct nr_indicator {
    enum nr_kind kind;
    struct nr_bytes key;  /* canonical (observable.h) */
    struct nr_str value;  /* canonical text; ignored by the builder */
    struct nr_claim said; /* its first claim */
    size_t n_claims;      /* >= 1 when read; ignored by the builder */
    int64_t valid_from_s, valid_until_s;
    int64_t first_seen_s, last_seen_s;
    uint8_t tlp, pap;
    uint8_t role;       /* enum nr_role */
    struct nr_str warn; /* "list: entry" of the warninglist that spoke, or "" */
};

/* An indicator without times, marks or claims. Free of allocation. */
struct nr_indicator nr_indicator_of(enum nr_kind kind, struct nr_bytes key);

/*
 * The time an indicator speaks about: first_seen..last_seen if either is
 * there, else valid_from..valid_until; a missing end is NOW_S, a missing start
 * is the end. *FROM_S <= *TO_S holds afterwards.
 */
void nr_indicator_window(const struct nr_indicator *i, int64_t now_s,
    int64_t *from_s, int64_t *to_s);

/* --- building --- */

struct nr_watchlist_builder;

/* SEED: random where lists come from outside (a hash table is filled with
 * them), a constant where equal octets are wanted. NULL: out of memory. */
struct nr_watchlist_builder *nr_watchlist_builder_create(
    uint64_t seed) NR_MUST_USE;
void nr_watchlist_builder_destroy(struct nr_watchlist_builder *b);

/*
 * Add I; everything is copied. A value that is there already gains a claim
 * (unless the same one stands there) and becomes: widest times, strictest TLP
 * and PAP, the first known role, the first warn. NR_EFORMAT: the key is not
 * canonical; NR_ELIMIT: NR_WATCHLIST_MAX, NR_WATCHLIST_TEXT_MAX; NR_ENOMEM.
 */
enum nr_err nr_watchlist_add(struct nr_watchlist_builder *b,
    const struct nr_indicator *i, struct nr_diag *d) NR_MUST_USE;

size_t nr_watchlist_builder_count(const struct nr_watchlist_builder *b);

/*
 * Add the indicators of a text list: "kind<TAB>value[<TAB>...]", one a line,
 * '#' starts a comment line, CRLF is taken. SOURCE becomes the claim. WARN may
 * be NULL. A line that cannot be taken is counted and the first one is
 * reported in *WHY ("line 3: domain: ..."); the others still enter.
 * NR_EFORMAT: not one line could be taken; NR_ELIMIT, NR_ENOMEM.
 */
struct nr_text_load {
    size_t lines, taken, refused; /* without comments and empty lines */
    size_t refused_line;          /* number of the first refused line, or 0 */
    struct nr_diag why;           /* of that line */
};
enum nr_err nr_watchlist_load_text(struct nr_watchlist_builder *b,
    struct nr_bytes text, struct nr_str source, const struct nr_warnlists *warn,
    struct nr_text_load *out, struct nr_diag *d) NR_MUST_USE;

/* Write the list to PATH so that a crash leaves the old or the new file.
 * CREATED_S is the list's date. NR_ENOMEM, NR_ESYS. */
enum nr_err nr_watchlist_write(struct nr_watchlist_builder *b, const char *path,
    int64_t created_s, struct nr_diag *d) NR_MUST_USE;

/* --- reading --- */

struct nr_watchlist;

/* NR_EFORMAT: no watchlist (see nr_watchlist_is_one), or of a later version;
 * NR_EDAMAGED, NR_ETRUNC: it is one, but not whole; NR_ENOTFOUND, NR_ESYS. */
enum nr_err nr_watchlist_open(const char *path, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* The list of a builder without a file. */
enum nr_err nr_watchlist_build(struct nr_watchlist_builder *b,
    int64_t created_s, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* From octets in memory, copied; the form of a file. */
enum nr_err nr_watchlist_decode(struct nr_bytes in, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

void nr_watchlist_close(struct nr_watchlist *w); /* NULL is allowed */

/* Do these first octets of a file say that it is a compiled watchlist? */
bool nr_watchlist_is_one(struct nr_bytes head);

size_t nr_watchlist_count(const struct nr_watchlist *w);
int64_t nr_watchlist_created_s(const struct nr_watchlist *w);
/* Checksum of the file: a new version has another one. */
uint64_t nr_watchlist_version(const struct nr_watchlist *w);

/* Indicator I (< count), in the order of adding. Views are borrowed from W. */
struct nr_indicator nr_watchlist_get(const struct nr_watchlist *w, size_t i);

/* Claim K (< n_claims) of indicator I. */
struct nr_claim nr_watchlist_claim(const struct nr_watchlist *w, size_t i,
    size_t k);

/* Index of the indicator with exactly this kind and key. */
bool nr_watchlist_find(const struct nr_watchlist *w, enum nr_kind kind,
    struct nr_bytes key, size_t *i) NR_MUST_USE;

/* How many indicators are of kinds that nr_scan() finds only when asked
 * (nr_watchlist_scan_flags): an archive has no index of them. */
size_t nr_watchlist_unmatched_count(const struct nr_watchlist *w);

/* What the scanner must look for so that all kinds of W are found: NR_SCAN_MORE,
 * JA3, FILES, IDN, each only if an indicator needs it. */
unsigned nr_watchlist_scan_flags(const struct nr_watchlist *w);

/* --- matching --- */

struct nr_match {
    uint32_t line;  /* as in the token */
    uint32_t token; /* index of the first token of the line that showed it */
    uint32_t indicator; /* index for nr_watchlist_get() */
};

struct nr_matches {
    struct nr_match *v; /* owned */
    size_t n, cap;
};

void nr_matches_init(struct nr_matches *m);
void nr_matches_fini(struct nr_matches *m);

/*
 * Every (line, indicator) pair of T once, ascending by line, then token.
 * A DOMAIN token is looked up under each of its dotted suffixes, an address
 * also under every range that holds it, a URL also without its scheme (http,
 * https). *OUT is emptied first and keeps its memory. NR_ENOMEM.
 */
enum nr_err nr_watchlist_match(const struct nr_watchlist *w,
    const struct nr_tokens *t, struct nr_matches *out) NR_MUST_USE;

#endif
