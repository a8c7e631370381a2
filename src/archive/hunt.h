/* The inside of a hunt. Private to the room. */
#ifndef NR_ARCHIVE_HUNT_H
#define NR_ARCHIVE_HUNT_H

#include "archive/store.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

/* What is looked up: one key, or a range of keys. */
struct probe {
    enum seg_class cls;
    struct seg_key lo, hi;
    unsigned kind;
    struct nr_bytes key; /* canonical; to exclude equal fingerprints */
    uint32_t indicator;
    bool origin; /* of a URL, where URLs are not indexed: lo and hi are those of
                    its origin, whose blocks tell */
};

struct probes {
    struct probe *v; /* arena-owned; ascending by class and lo */
    size_t n;
};

/* ORIGINS: some segments have no URLs in their index. */
enum nr_err probes_make(struct nr_arena *a, const struct nr_indicator *const *v,
    size_t n, bool origins, struct probes *out, struct nr_diag *d) NR_MUST_USE;

/* Is P looked up in segments of these SEG_I_*? */
static inline bool
probe_is_for(const struct probe *p, uint32_t flags)
{
    return p->kind != NR_KIND_URL ||
        p->origin == ((flags & SEG_I_NO_URLS) != 0);
}

/* Does token (KIND, KEY), whose class and key of the index are C and K, show
 * P? */
bool probe_shows(const struct probe *p, unsigned kind, struct nr_bytes key,
    enum seg_class c, struct seg_key k);

/* What is known of one indicator in a segment, or in all. */
struct sum {
    uint64_t lines, denied;
    int64_t first_s, last_s;
    uint32_t sources;
    uint64_t days;
    uint64_t last_file, last_line; /* counted last; file from 1 */
};

#define SUM_CLEAR \
    ((struct sum){ .first_s = NR_TIME_NONE, .last_s = NR_TIME_NONE })

void sum_add_time(struct sum *s, int64_t time_s);

struct day_of {
    uint32_t indicator;
    int32_t day;
};

/* By indicator, then by day. */
int day_cmp(const void *a, const void *b);

/* One matching line. */
struct ref {
    int64_t time_s;
    uint32_t segment, block, line, indicator;
};

/* A hunt through one segment: results are merged only when all of it could be
 * read. */
struct pass {
    struct nr_archive *a;
    struct segment *s;
    uint32_t segment;
    const struct probes *probes;
    const uint32_t *only; /* numbers of the probes to be asked, ascending; NULL:
                             all are */
    size_t n_only;
    bool lines;          /* every line is wanted */
    struct nr_arena mem; /* reset for each segment */
    struct sum *sums;    /* of each indicator, for this segment; those that are
                            hit are cleared then, no other page is touched */
    struct nr_buf days;  /* struct day_of */
    struct nr_buf refs;  /* struct ref */
    struct nr_buf hits;  /* struct hit */
    struct nr_buf wants; /* struct want */
    struct nr_buf origins, urls; /* pass_origin.c: entries (uint64_t) of
                                    origins hit, probes (uint32_t) of them */
    struct nr_tokens tokens, one;
    struct nr_scanner scanner;
    struct seg_text text;
    struct nr_buf meta; /* struct seg_line of the block that is open */
};

/* Of the room: read block I and the rows of its lines into P; count its line
 * LINE for INDICATOR unless it was the last one counted. SOURCE: of its block
 * too. */
enum nr_err pass_open(struct pass *p, uint32_t i, struct seg_block *b,
    struct nr_diag *d) NR_MUST_USE;
void pass_count(struct pass *p, uint32_t indicator, bool source, uint32_t block,
    const struct seg_block *b, uint32_t line);

/* pass_origin.c: entry AT of the names is the origin of PROBE's URL; and when
 * all are known the lines of these URLs. */
void pass_origin_hit(struct pass *p, uint32_t probe, uint64_t at);
enum nr_err pass_origins(struct pass *p, struct nr_diag *d) NR_MUST_USE;

void pass_init(struct pass *p, struct nr_archive *a,
    const struct probes *probes, bool lines);
void pass_fini(struct pass *p);
/* Fill p->sums, p->days and p->refs (appended). */
enum nr_err pass_run(struct pass *p, struct nr_diag *d) NR_MUST_USE;
/* The entries of the index that were hit, also after a failure: how many, and
 * the indicator of each; the sums of no others changed. */
size_t pass_hits(const struct pass *p);
uint32_t pass_hit(const struct pass *p, size_t i);

#define HUNT_TOO_MANY                                                     \
    "hunt: more matching lines than can be put in order (10 M); ask for " \
    "fewer "                                                              \
    "indicators"

/* lanes.c: a pass through every segment that O wants, o->threads at a time.
 * What N indicators show into ALL, the days (struct day_of) into DAYS and, when
 * lines are wanted, the lines (struct ref) into REFS, both empty before. */
enum nr_err lanes_run(struct nr_archive *a, const struct probes *probes,
    size_t n, const struct nr_hunt_options *o, struct sum *all,
    struct nr_buf *days, struct nr_buf *refs, struct nr_diag *d) NR_MUST_USE;

/* Hand the lines of REFS (sorted) out. */
enum nr_err lines_print(struct nr_archive *a, const struct ref *v, size_t n,
    const struct nr_hunt_options *o, struct nr_diag *d) NR_MUST_USE;

#endif
