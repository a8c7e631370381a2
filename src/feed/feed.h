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
 * (watchlist.h); a URL without scheme stands for http and https.
 *
 * Thread-safety: one thread at a time per object.
 */
#ifndef NR_FEED_H
#define NR_FEED_H

#include "base/err.h"
#include "base/str.h"
#include "watchlist/watchlist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, NR_ELIMIT when exceeded. */
#define NR_FEED_FILE_MAX   ((size_t)4 << 30)  /* octets of one source */
#define NR_FEED_OBJECT_MAX ((size_t)64 << 20) /* octets of one JSON object */
#define NR_FEED_FIELD_MAX  ((size_t)1 << 20)  /* octets of one CSV record */
#define NR_FEED_QUOTE_MAX  ((size_t)200)      /* octets quoted in a note */
#define NR_FEED_NOTES_MAX  ((size_t)10000)    /* notes kept; all count */

enum nr_feed_format {
    NR_FEED_AUTO,
    NR_FEED_STIX,
    NR_FEED_MISP,
    NR_FEED_CSV,
    NR_FEED_TEXT,     /* running text, one value a line, kind<TAB>value */
    NR_FEED_COMPILED, /* a watchlist file */
};

/* "auto", "stix", "misp", "csv", "text", "compiled"; false: none of them. */
bool nr_feed_format_from_name(struct nr_str s,
    enum nr_feed_format *out) NR_MUST_USE;
const char *nr_feed_format_name(enum nr_feed_format f);

struct nr_feed_conf {
    const struct nr_warnlists *warn; /* borrowed; NULL: nothing is flagged */
    uint64_t seed[2];   /* of hashes: random, or a constant in tests */
    const char *source; /* borrowed; NULL: names of files, see below */
    const struct nr_watchlist_defaults *defaults; /* or NULL */
};

struct nr_feed;

/* NULL: out of memory. CONF is copied. */
struct nr_feed *nr_feed_create(const struct nr_feed_conf *conf) NR_MUST_USE;
void nr_feed_destroy(struct nr_feed *f); /* NULL is allowed */

/*
 * Take a file ("-": standard input) or octets into F. The source of claims that
 * name none themselves is that of CONF, else the file's name without folder, or
 * NAME. A compiled list is taken with its deltas; one that other warninglists
 * judged is judged anew. A source
 * that is malformed as a whole (JSON that does not parse, a damaged compiled
 * list) adds nothing.
 * NR_EFORMAT, NR_ETRUNC, NR_ELIMIT, NR_ENOMEM, NR_ENOTFOUND, NR_ESYS,
 * NR_EDAMAGED, with the name in D.
 */
enum nr_err nr_feed_add_path(struct nr_feed *f, const char *path,
    enum nr_feed_format format, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_feed_add_bytes(struct nr_feed *f, const char *name,
    struct nr_bytes in, enum nr_feed_format format,
    struct nr_diag *d) NR_MUST_USE;

/* The form of WHOLE, by its octets; never NR_FEED_AUTO. */
enum nr_feed_format nr_feed_recognise(struct nr_bytes whole);

enum nr_feed_note_kind {
    NR_FEED_REFUSED,     /* no indicator: malformed, not a known kind */
    NR_FEED_UNMATCHABLE, /* an indicator that no log line can answer yet */
    NR_FEED_FLAGGED,     /* taken, and a warninglist spoke */
};

struct nr_feed_note {
    enum nr_feed_note_kind kind;
    struct nr_str why;   /* what is wrong, or list and entry of a flag */
    struct nr_str file;  /* which source */
    struct nr_str value; /* what it was about, cut to NR_FEED_QUOTE_MAX */
    uint64_t line;       /* from 1; 0: not a matter of lines */
    uint64_t at;         /* offset in octets of the record or object */
};

/* Notes in the order they came, at most NR_FEED_NOTES_MAX; owned by F. */
const struct nr_feed_note *nr_feed_notes(const struct nr_feed *f, size_t *n);

struct nr_feed_stats {
    uint64_t sources; /* files and octets added */
    uint64_t values;  /* looked at = taken + unmatchable + refused */
    uint64_t taken;   /* became or joined an indicator */
    uint64_t flagged; /* of these: a warninglist spoke */
    uint64_t unmatchable, refused;
    uint64_t others;     /* STIX objects that are no indicators */
    uint64_t indicators; /* distinct so far */
};

void nr_feed_stats(const struct nr_feed *f, struct nr_feed_stats *out);

/* The compiled list of all that was taken, in memory or as file PATH
 * (crash-safe, replaces). NOW_S becomes its date. */
enum nr_err nr_feed_build(struct nr_feed *f, int64_t now_s,
    struct nr_watchlist **out, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_feed_write(struct nr_feed *f, const char *path, int64_t now_s,
    struct nr_diag *d) NR_MUST_USE;

/* Change the compiled list at PATH by all that was taken: it comes to it, or
 * goes out of it (REMOVE). See nr_watchlist_update(). */
enum nr_err nr_feed_update(struct nr_feed *f, const char *path, bool remove,
    int64_t now_s, struct nr_watchlist_change *out,
    struct nr_diag *d) NR_MUST_USE;

/* Is PATH the file of a compiled list? */
bool nr_feed_is_compiled(const char *path);

/* --- fetching ------------------------------------------------------------ */

#define NR_FEED_FETCH_S    120L            /* for one document */
#define NR_FEED_CONNECT_S  10L             /* to be connected */
#define NR_FEED_EVENTS_MAX ((size_t)20000) /* events of a MISP feed */
#define NR_FEED_TAG_MAX    ((size_t)256)   /* octets of a validator with NUL */

/* Where a feed is, and what was there last time. */
struct nr_feed_where {
    const char *at; /* file, directory, or http:// or https:// address */
    enum nr_feed_format format;
    char etag[NR_FEED_TAG_MAX];     /* as the server said; "" unknown */
    char modified[NR_FEED_TAG_MAX]; /* Last-Modified; "" unknown */
};

/*
 * Take all that stands at W into F. A directory or an address ending in "/" or
 * "/manifest.json" is a MISP feed: its manifest, then each event it names. An
 * address that says "not modified" to the validators in W sets *UNCHANGED and
 * adds nothing; else the validators are renewed. curl_global_init() must have
 * been called. NR_ESYS (no answer, with curl's words), NR_ENOTFOUND,
 * NR_EDENIED, NR_EBUSY (by status), NR_ELIMIT, and as nr_feed_add_bytes.
 */
enum nr_err nr_feed_pull(struct nr_feed *f, struct nr_feed_where *w,
    bool *unchanged, struct nr_diag *d) NR_MUST_USE;

/* --- lists of commands --------------------------------------------------- */

/*
 * What every command does with its LIST arguments: create with CONF, add each
 * path, recognised, and build. A single compiled list is opened as it is.
 * STATS may be NULL.
 * NR_EFORMAT when there is no indicator at all.
 */
enum nr_err nr_feed_load_list(const char *const *paths, size_t n,
    const struct nr_feed_conf *conf, int64_t now_s, struct nr_watchlist **out,
    struct nr_feed_stats *stats, struct nr_diag *d) NR_MUST_USE;

#endif
