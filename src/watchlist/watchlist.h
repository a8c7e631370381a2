/*
 * Watchlist: a compiled set of indicators, probed with the scanner's tokens.
 *
 * A builder takes indicators from anywhere and writes one file, which is
 * mapped into memory and answers "which indicators does this line contain"
 * with one read of memory for a miss and three for a hit. Equal values
 * are one indicator: what several sources say of it is kept as claims.
 *
 * A list is a base file and up to three deltas beside it (PATH.d1, .d2, .d3),
 * which add, change and remove indicators of what stands below them. Whoever
 * opens PATH gets all of them, as they stood at one moment.
 *
 * The file ("NRWL", version 3; format.h) is not read when it is opened: its
 * head and its table of page checksums are checked, and of a small list
 * (NR_WATCHLIST_WHOLE) every page. Pages of a larger one are checked when an
 * indicator on them is first read, and all of them by nr_watchlist_verify().
 * What a look-up reads is checked against the file's bounds, so that damaged
 * octets cost an answer, never more: nr_watchlist_find() compares the whole
 * key, and nr_watchlist_get() of a damaged page gives the indicator named
 * NR_WATCHLIST_DAMAGED. Files are replaced, never written in place: a mapped
 * one must not be cut short by others.
 *
 * Hashes are keyed by 128 bits that the builder is given (random octets where
 * lists meet foreign logs) and that only the file (mode 0600) knows. That is
 * no promise by itself, so the cost is bounded as well: a look-up reads at
 * most NR_WATCHLIST_PROBES slots of 8 octets whatever it is asked, and a
 * builder that cannot place a value within them takes another hash key.
 *
 * Thread-safety: an open watchlist is read only for its users and may be
 * shared; a builder belongs to one thread.
 */
#ifndef NR_WATCHLIST_H
#define NR_WATCHLIST_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "observable/observable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_WATCHLIST_MAX      ((size_t)50000000) /* indicators of a list */
#define NR_WATCHLIST_TEXT_MAX ((size_t)65535)    /* octets of one text field */
#define NR_WATCHLIST_LIST_MAX ((size_t)4 << 30)  /* octets of a text list */
#define NR_WATCHLIST_CLAIMS   ((size_t)2048) /* of one indicator; more: gone */
#define NR_WATCHLIST_DELTAS   ((size_t)3)    /* beside a base */
#define NR_WATCHLIST_PROBES   ((size_t)512)  /* slots that a look-up reads */
#define NR_WATCHLIST_WHOLE    ((size_t)16 << 20) /* octets checked at once */

#define NR_WATCHLIST_DAMAGED "(damaged list)" /* a FILENAME; see above */

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

/* KEY: of the hashes; random where lists or logs come from outside, a constant
 * where equal octets are wanted. NULL: out of memory. */
struct nr_watchlist_builder *nr_watchlist_builder_create(
    const uint64_t key[2]) NR_MUST_USE;
void nr_watchlist_builder_destroy(struct nr_watchlist_builder *b);

/*
 * Add I; everything is copied. A value that is there already gains a claim
 * (unless the same one stands there) and becomes: widest times, strictest TLP
 * and PAP, the first known role, the first warn. NR_EFORMAT: the key is not
 * canonical; NR_ELIMIT: NR_WATCHLIST_MAX, NR_WATCHLIST_TEXT_MAX; NR_ENOMEM.
 *
 * Three ways of less use: about + add_key for many that differ only in kind and
 * key (I->kind and I->key are ignored by about; KEY must be sound, which
 * add_key takes on trust, and may be held back until flush or another
 * function); reserve says how many will come; remove takes the value out of
 * the list that nr_watchlist_update() changes (a later add of it puts it there
 * anew, without what was said before).
 */
enum nr_err nr_watchlist_add(struct nr_watchlist_builder *b,
    const struct nr_indicator *i, struct nr_diag *d) NR_MUST_USE;

enum nr_err nr_watchlist_about(struct nr_watchlist_builder *b,
    const struct nr_indicator *i, uint32_t *about,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_watchlist_add_key(struct nr_watchlist_builder *b,
    enum nr_kind kind, struct nr_bytes key, uint32_t about,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_watchlist_flush(struct nr_watchlist_builder *b,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_watchlist_reserve(struct nr_watchlist_builder *b, size_t n,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_watchlist_remove(struct nr_watchlist_builder *b,
    enum nr_kind kind, struct nr_bytes key, struct nr_diag *d) NR_MUST_USE;

/* Distinct values added (and not removed). */
size_t nr_watchlist_builder_count(const struct nr_watchlist_builder *b);

/* Take out all that was added so far: B as the set of what
 * nr_watchlist_update() is to remove. NR_ENOMEM. */
enum nr_err nr_watchlist_remove_all(struct nr_watchlist_builder *b,
    struct nr_diag *d) NR_MUST_USE;

/* The version of the warninglists (nr_warn_version) that gave the warnings;
 * 0, as at first: none. It is kept in the file. */
void nr_watchlist_judged_by(struct nr_watchlist_builder *b, uint64_t version);

/* What holds from now on for indicators that come without: times for those
 * that have none (NR_TIME_NONE: none), marks that are the least. */
struct nr_watchlist_defaults {
    int64_t valid_from_s, valid_until_s;
    uint8_t tlp, pap;
};

void nr_watchlist_assume(struct nr_watchlist_builder *b,
    const struct nr_watchlist_defaults *o);

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

/*
 * Write the list to PATH so that a crash leaves the old or the new file; the
 * deltas of an old one are removed. CREATED_S is the list's date. NR_ENOMEM,
 * NR_ESYS, NR_ELIMIT (no key of the hashes places every value: not by chance),
 * NR_EBUSY (another process is changing that list: it would undo this).
 */
enum nr_err nr_watchlist_write(struct nr_watchlist_builder *b, const char *path,
    int64_t created_s, struct nr_diag *d) NR_MUST_USE;

/*
 * Change the list at PATH by what B was told, at the cost of B: a delta beside
 * it (three deltas are folded into one with this). An indicator that is there
 * already joins what B says of it, as in nr_watchlist_add(). PATH's time of
 * change is renewed, for those who watch it. A crash leaves the list as before
 * or as after. NR_ENOTFOUND: no list there; NR_EBUSY: another process changes
 * it; and as nr_watchlist_open, nr_watchlist_write.
 */
struct nr_watchlist_change {
    size_t added, changed, removed; /* indicators */
    size_t absent;                  /* to be removed, but not there */
    size_t deltas;                  /* beside the list now */
    size_t delta_n, base_n;         /* indicators of all deltas; of the base */
};
enum nr_err nr_watchlist_update(const char *path,
    struct nr_watchlist_builder *b, int64_t created_s,
    struct nr_watchlist_change *out, struct nr_diag *d) NR_MUST_USE;

/* One base again of the list at PATH, under the hash key KEY; to be called in
 * the background when deltas have grown. Readers keep what they have open.
 * Without deltas nothing is done. Errors as above. */
enum nr_err nr_watchlist_merge(const char *path, const uint64_t key[2],
    int64_t created_s, struct nr_diag *d) NR_MUST_USE;

/* --- reading --- */

struct nr_watchlist;

/* The list at PATH with its deltas. NR_EFORMAT: no watchlist (see
 * nr_watchlist_is_one), a delta alone, or one of another version, which is to
 * be compiled again; NR_EDAMAGED, NR_ETRUNC: it is one, but not whole; NR_ELIMIT:
 * it says that it has more than NR_WATCHLIST_MAX indicators; NR_EBUSY:
 * it is being replaced again and again; NR_ENOTFOUND, NR_ESYS, NR_ENOMEM. */
enum nr_err nr_watchlist_open(const char *path, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* The same, when OLD is what was open there before (NULL: nothing): files that
 * are still the same are shared with it and neither mapped nor checked again,
 * so that a delta is taken over at its own cost. Both are to be closed. */
enum nr_err nr_watchlist_reopen(const char *path,
    const struct nr_watchlist *old, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* The list of a builder without a file. */
enum nr_err nr_watchlist_build(struct nr_watchlist_builder *b,
    int64_t created_s, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* From octets in memory, copied; the form of a file without deltas. */
enum nr_err nr_watchlist_decode(struct nr_bytes in, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* One more user of W, who closes it, too. Thread-safe. Returns W. */
struct nr_watchlist *nr_watchlist_ref(struct nr_watchlist *w);

/* The last of its users frees it. Thread-safe. NULL is allowed. */
void nr_watchlist_close(struct nr_watchlist *w);

/* Every octet and every reference of W. NR_EDAMAGED says where; NR_ENOMEM. */
enum nr_err nr_watchlist_verify(const struct nr_watchlist *w,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The same for the files at PATH, also of those that cannot be opened: FAULT is
 * told of each place that is damaged, by page; a record that does not fit is
 * looked for where all pages of a file are whole. NR_ENOTFOUND, NR_ESYS,
 * NR_ENOMEM; NR_EFORMAT: PATH is no list of this version, or a delta alone.
 */
struct nr_watchlist_fault {
    const char *file;
    const char *part; /* "head", "entries", ... (format.h) */
    const char *what;
    uint64_t at, n; /* octets of the file */
};

struct nr_watchlist_checked {
    size_t files, pages, faults;
};
enum nr_err nr_watchlist_check(const char *path,
    void (*fault)(void *ctx, const struct nr_watchlist_fault *f), void *ctx,
    struct nr_watchlist_checked *out, struct nr_diag *d) NR_MUST_USE;

/* Do these first octets of a file say that it is a compiled watchlist? */
bool nr_watchlist_is_one(struct nr_bytes head);

size_t nr_watchlist_count(const struct nr_watchlist *w);
int64_t nr_watchlist_created_s(const struct nr_watchlist *w);
/* Checksum of the files: a new version has another one. */
uint64_t nr_watchlist_version(const struct nr_watchlist *w);
/* Of the warninglists that judged it, see nr_watchlist_judged_by. When base and
 * deltas were judged by different ones: a number that is none of theirs. */
uint64_t nr_watchlist_warn_version(const struct nr_watchlist *w);

struct nr_watchlist_stat {
    size_t indicators, octets;    /* of all; of its files */
    size_t deltas, delta_n, gone; /* indicators in deltas; no longer counted */
    size_t by_kind[NR_KINDS];     /* that count */
    int64_t base_created_s;
    bool keyed; /* its hashes have a key that is not 0 */
    size_t keys, entries, abouts, slots, sieve; /* octets of the base */
};

void nr_watchlist_stat(const struct nr_watchlist *w,
    struct nr_watchlist_stat *out);

/* What is said in W, each saying once for all indicators of one file that have
 * it: FN gets the index of one of them and how many they are. NR_ENOMEM. */
enum nr_err nr_watchlist_sayings(const struct nr_watchlist *w,
    void (*fn)(void *ctx, size_t i, size_t n), void *ctx,
    struct nr_diag *d) NR_MUST_USE;

/* Indicator I (< count), in the order of adding. Views are borrowed from W. */
struct nr_indicator nr_watchlist_get(const struct nr_watchlist *w, size_t i);

/* The same for a walk over a whole list: what has to be printed of its value
 * is put into TEXT (emptied first) and not kept with W. */
struct nr_indicator nr_watchlist_read(const struct nr_watchlist *w, size_t i,
    struct nr_buf *text);

/* The same without the value of what is not its own text (addresses, hashes):
 * for walks that print few. */
struct nr_indicator nr_watchlist_bare(const struct nr_watchlist *w, size_t i);

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

/* What nr_sieve_create() reads, one set a layer: views of W, which must stay
 * open. An indicator that a delta took out still gives spots, no matches. */
void nr_watchlist_sieve(const struct nr_watchlist *w,
    struct nr_sieve_set sets[NR_SIEVE_SETS_MAX], size_t *n);

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
