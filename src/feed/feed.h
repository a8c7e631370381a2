/*
 * Feed: from what others publish to indicators.
 *
 * One object gathers indicators from any number of sources: STIX 2.0 and 2.1
 * bundles, arrays and single objects; MISP events in their three shapes; CSV
 * with whatever header; plain, defanged or running text (AsciiDoc included);
 * lines "kind<TAB>value"; compiled watchlists. The form is recognised by its
 * octets. It is the one function behind every LIST argument of the commands.
 *
 * Nothing is dropped in silence: what is refused (no indicator) or cannot be
 * matched (an indicator, but not of a kind that logs can answer) is counted and
 * noted with line, offset and reason; what a warninglist names is taken and
 * flagged with list and entry.
 *
 * The same value from several sources is one indicator with several claims
 * (who says so, where, since when); its window is the widest of theirs, its
 * markings the strictest. A URL without scheme stands for http and https: it
 * becomes two indicators with one claim each.
 *
 * Thread-safety: one thread at a time per object.
 */
#ifndef NR_FEED_H
#define NR_FEED_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, NR_ELIMIT when exceeded. */
#define NR_FEED_FILE_MAX   ((size_t)1 << 30) /* octets of one source */
#define NR_FEED_VALUE_MAX  ((size_t)8192)    /* octets of one value */
#define NR_FEED_NOTES_MAX  ((size_t)10000)   /* notes kept; all are counted */
#define NR_FEED_CLAIMS_MAX ((size_t)64)      /* claims kept per indicator */
#define NR_FEED_MEMORY     ((size_t)4 << 30) /* default ceiling of memory */

enum nr_feed_format {
    NR_FEED_AUTO,
    NR_FEED_STIX,
    NR_FEED_MISP,
    NR_FEED_CSV,
    NR_FEED_TEXT,     /* running text, one value a line, kind<TAB>value */
    NR_FEED_COMPILED, /* a watchlist file; only from a path */
};

/* "auto", "stix", "misp", "csv", "text", "compiled"; false: none of them. */
bool nr_feed_format_from_name(struct nr_str s,
    enum nr_feed_format *out) NR_MUST_USE;
const char *nr_feed_format_name(enum nr_feed_format f);

struct nr_warn;      /* observable.h: loaded warninglists */
struct nr_indicator; /* watchlist.h */
struct nr_watchlist_builder;

struct nr_feed_conf {
    const struct nr_warn *warn; /* borrowed; NULL: nothing is flagged */
    bool by_id;    /* keep STIX objects of one value apart (for answering) */
    size_t memory; /* ceiling in octets; 0: NR_FEED_MEMORY */
};

struct nr_feed;

/* NULL: out of memory. CONF is copied. */
struct nr_feed *nr_feed_create(const struct nr_feed_conf *conf) NR_MUST_USE;
void nr_feed_destroy(struct nr_feed *f);

/*
 * Take a file ("-": standard input) or octets into F. The source of claims that
 * name none themselves is the file's name without folder, or NAME. When a
 * source is malformed as a whole (JSON that does not parse, a compiled list
 * with a wrong checksum, no indicator and nothing refused in a JSON file)
 * nothing of it is kept.
 * NR_EFORMAT, NR_ETRUNC, NR_ELIMIT, NR_ENOMEM, NR_ENOTFOUND, NR_ESYS,
 * NR_EDAMAGED, with the name in D.
 */
enum nr_err nr_feed_add_path(struct nr_feed *f, const char *path,
    enum nr_feed_format format, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_feed_add_bytes(struct nr_feed *f, const char *name,
    struct nr_bytes in, enum nr_feed_format format,
    struct nr_diag *d) NR_MUST_USE;

/* The form of IN, by its octets; never NR_FEED_AUTO. */
enum nr_feed_format nr_feed_recognise(struct nr_bytes in);

/* All indicators so far, in the order they came; owned by F, valid until the
 * next addition. V[i].warn names list and entry when flagged. */
const struct nr_indicator *nr_feed_indicators(const struct nr_feed *f,
    size_t *n);

/* A claim: someone published this value. Texts may be empty. */
struct nr_claim {
    struct nr_str source;    /* who: publisher, file, list */
    struct nr_str reference; /* where to read about it */
    struct nr_str about;     /* what was said of it: actor, title, comment */
    int64_t date_s;          /* when it was published; NR_TIME_NONE */
};

/* Claims on indicator I; owned by F. */
const struct nr_claim *nr_feed_claims(const struct nr_feed *f, size_t i,
    size_t *n);

enum nr_feed_note_kind {
    NR_FEED_REFUSED,     /* no indicator: malformed, not a known kind */
    NR_FEED_UNMATCHABLE, /* an indicator that no log line can answer yet */
    NR_FEED_FLAGGED,     /* taken, and a warninglist spoke */
};

struct nr_feed_note {
    enum nr_feed_note_kind kind;
    const char *why;     /* static */
    struct nr_str file;  /* which source */
    struct nr_str value; /* what it was about, cut to 200 octets */
    struct nr_str more;  /* list and entry of a flag, object id; or empty */
    uint64_t line;       /* from 1; 0: not a matter of lines */
    uint64_t at;         /* offset in octets */
};

/* Notes in the order they came, at most NR_FEED_NOTES_MAX. */
const struct nr_feed_note *nr_feed_notes(const struct nr_feed *f, size_t *n);

struct nr_feed_stats {
    uint64_t sources; /* files and octets added */
    uint64_t read;    /* values looked at */
    uint64_t taken;   /* of these: made or joined an indicator */
    uint64_t merged;  /* of these: the value was there already */
    uint64_t flagged, unmatchable, refused;
    uint64_t indicators; /* distinct, = the array's length */
};

void nr_feed_stats(const struct nr_feed *f, struct nr_feed_stats *out);

/* Hand all indicators to a builder of watchlist.h. */
enum nr_err nr_feed_build(const struct nr_feed *f,
    struct nr_watchlist_builder *b, struct nr_diag *d) NR_MUST_USE;

/* Write the compiled watchlist PATH (crash-safe, replaces). */
enum nr_err nr_feed_write(const struct nr_feed *f, const char *path,
    struct nr_diag *d) NR_MUST_USE;

/*
 * What every command does with its LIST arguments: create with CONF, add each
 * path, recognised. NR_EFORMAT when a list holds no indicator at all. *OUT is
 * the caller's to destroy.
 */
enum nr_err nr_feed_load_list(const char *const *paths, size_t n,
    const struct nr_feed_conf *conf, struct nr_feed **out,
    struct nr_diag *d) NR_MUST_USE;

#endif
