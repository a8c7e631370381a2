/*
 * Building a segment: blocks are written as they come, the index gathers in
 * memory until the segment is published. Private to the room.
 *
 * Thread-safety: one thread; a second one of its own counts and writes.
 */
#ifndef NR_ARCHIVE_BUILD_H
#define NR_ARCHIVE_BUILD_H

#include "archive/segment.h"
#include "archive/stream.h"
#include "logline/logline.h"
#include "observable/observable.h"

#include <pthread.h>

/* One distinct observable. */
struct build_entry {
    struct seg_key key;
    int64_t first_s, last_s;
    uint32_t lines, denied;
    uint64_t line_id;      /* the last line that counted */
    struct seg_place last; /* it stood in, of `places` of them */
    uint32_t places;
    uint16_t cls;
    uint16_t spare;
    uint32_t sources;
};

_Static_assert(sizeof(struct build_entry) <= 72, "an entry is one miss or two");

/* A place in which an entry stands. */
struct build_post {
    uint32_t entry;
    struct seg_place at;
};

/* What all observations of one line share. */
struct build_line {
    uint64_t id;
    int64_t time_s;
    int32_t day;
    uint32_t block;
    uint32_t source;
    bool denied;
};

/* An observation of the block that waits for its turn. */
struct build_seen {
    struct seg_key key;
    uint32_t cls, line; /* line: index in the block */
};

/* A block that was read: all that is to be counted and written of it. */
struct build_job {
    struct nr_buf text, meta;
    struct nr_buf seen;  /* struct build_seen */
    struct nr_buf lines; /* struct build_line */
    struct seg_block row;
    bool keep;
};

struct build_days {
    uint8_t *bits; /* SEG_DAYS; owned */
    uint64_t lines;
    int64_t first, last;
};

/* A stream while its hours gather: of the file at hand, or by its name. */
struct build_stream {
    struct seg_stream row; /* jumps, runs: not used */
    char *text;            /* of row.name; owned; NULL: of the file at hand */
    uint8_t *bits;         /* owned; hour BASE is bit 0 of HOURS */
    int64_t base;
    size_t hours; /* a multiple of 8 */
    int64_t seen; /* the hour marked last */
    struct seg_jump jump[SEG_JUMPS_MAX];
};

/* The clock of the file at hand, as its lines show it. */
struct build_clock {
    int64_t now;  /* the youngest time believed; NR_TIME_NONE: none */
    int64_t back; /* of the lines behind it, one after the other: the first */
    int64_t most; /* ... and the youngest */
    uint32_t behind;
    int64_t leapt_from; /* NOW before it leapt last; NR_TIME_NONE: it did not */
    int64_t leapt_to;
    uint32_t since; /* lines since then */
};

/* build_rhythm.c */
struct build_rhythm {
    struct build_stream **file; /* owned, as the next: of the file at hand */
    size_t n_file, cap_file;
    struct build_stream **v;
    size_t n, cap;
    struct build_stream *last; /* of FILE, the one that had a line last */
    struct build_clock clock;
    size_t memory; /* octets of all bits */
    bool failed;
};

struct build {
    struct seg_writer *w;
    struct build_entry *entries; /* owned */
    size_t n_entries, cap_entries;
    uint64_t *slots;          /* owned; see build.c */
    size_t n_slots;           /* a power of two */
    struct build_post *posts; /* owned */
    size_t n_posts, cap_posts;
    struct build_days days[NR_SOURCES][NR_LOG_KINDS];
    struct seg_info info;
    struct nr_buf files;
    struct nr_buf rows; /* struct seg_block of each block */
    uint32_t n_files;
    uint64_t line_id;
    struct nr_tokens tokens;
    uint32_t n_blocks;

    /* While one block is read, the one before is counted and written: by a
     * thread, to which entries to rows belong until build_turn_wait(). */
    struct build_job jobs[2];
    unsigned turn; /* of the job that is read next */
    bool threaded, stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct build_job *given; /* NULL: it has nothing to do */
    enum nr_err err;
    struct nr_diag why;
    size_t memory; /* of the tables, after the block before the last */
    uint64_t observations;

    struct build_rhythm rhythm;
    struct nr_buf replaced; /* rows of REPLACES */
    uint64_t n_replaced;

    /* the last row of presence written to, by source, kinds and day */
    uint32_t seen_source, seen_kinds;
    int64_t seen_day;
};

/* NOW_S is kept as the time of creation. */
enum nr_err build_open(const char *dir, uint64_t seq,
    const struct nr_archive_key *key, int64_t now_s, struct build **out,
    struct nr_diag *d) NR_MUST_USE;
void build_close(struct build *b); /* NULL is fine */

/* Octets of memory that the tables take, growth foreseen, without the block
 * given last: the same on each run. */
size_t build_memory(const struct build *b);

/* Days between the oldest and the youngest line so far. */
int64_t build_span_days(const struct build *b);

/* A block of lines of the file that build_file will name next. */
struct build_lines {
    struct nr_bytes text;
    uint64_t at, first_line;
    uint32_t lines;
    bool continues; /* its first line is the last one of the block before */
    bool keep;      /* the text is stored, not only indexed */
};

enum nr_err build_block(struct build *b, struct nr_logfile *log,
    const struct build_lines *in, struct nr_diag *d) NR_MUST_USE;

/* A block as a segment has it: what is known of its lines is in ROWS, as many
 * as IN says; all of SOURCE. What the lines say beside that the caller takes
 * over by the functions below. */
enum nr_err build_stored(struct build *b, const struct build_lines *in,
    const struct seg_line *rows, unsigned source,
    struct nr_diag *d) NR_MUST_USE;
/* Begin the job of a block: its octets and what is observable in them. NR_ENOMEM. */
enum nr_err build_begin(struct build *b, const struct build_lines *in,
    struct build_job **out, struct nr_diag *d) NR_MUST_USE;
void build_put_row(struct build_job *j, int64_t *prev, int64_t s, bool denied);
/* Lines of P, a row of another segment; times, sources and kinds of its info;
 * a stream of it. NR_ENOMEM. */
enum nr_err build_take_days(struct build *b,
    const struct seg_presence *p) NR_MUST_USE;
void build_take_info(struct build *b, const struct seg_info *i);
enum nr_err build_rhythm_take(struct build_rhythm *x,
    const struct seg_stream *s) NR_MUST_USE;

/* The sources of the entries with a stored key, where lines say others than
 * their blocks. V ascends by class and key. After build_turn_wait(). */
struct build_sources {
    struct seg_key key;
    uint32_t cls, sources;
};

void build_set_sources(struct build *b, const struct build_sources *v,
    size_t n);

/* Ends the part of a file that the blocks since the last call came from. */
void build_file(struct build *b, const struct seg_file *f);

/* Write the index and publish. B is to be closed whatever comes back. */
enum nr_err build_publish(struct build *b, uint64_t *size,
    struct nr_diag *d) NR_MUST_USE;

/* build_rhythm.c: when streams wrote. A line that is none's continuation;
 * false: no memory. */
bool build_rhythm_line(struct build_rhythm *x, const struct nr_record *r,
    int64_t time_s) NR_MUST_USE;
/* The lines since the last call were of file PATH. */
void build_rhythm_file(struct build_rhythm *x, struct nr_str path);
/* The rows of all streams, appended to OUT. NR_ENOMEM. */
enum nr_err build_rhythm_rows(struct build_rhythm *x,
    struct nr_buf *out) NR_MUST_USE;
void build_rhythm_fini(struct build_rhythm *x);

/* build_index.c: the table of what was seen. */
bool build_index_init(struct build *b) NR_MUST_USE;
void build_index_fini(struct build *b);
size_t build_index_memory(const struct build *b);
/* Count what J shows, and write it. NR_ENOMEM, NR_ESYS. */
enum nr_err build_take(struct build *b, struct build_job *j,
    struct nr_diag *d) NR_MUST_USE;
/* The whole index, gathered in X. NR_ENOMEM. */
enum nr_err build_put_index(const struct build *b,
    struct seg_index *x) NR_MUST_USE;

/* build_turn.c: two blocks by turns. Without a second thread the giver does
 * the work itself. */
void build_turn_begin(struct build *b);
void build_turn_end(struct build *b);
struct build_job *build_turn_job(struct build *b); /* the one to be read */
/* Waits for the job given before, and says how that went. */
enum nr_err build_turn_give(struct build *b, struct build_job *j,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err build_turn_wait(struct build *b, struct nr_diag *d) NR_MUST_USE;

#endif
