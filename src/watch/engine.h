/*
 * The inside of a watch. Private to the room.
 *
 *   collect.c sources -> files: what is there
 *   find.c    which of it is known, and what is to be read
 *   name.c    names that rotation gives
 *   feed.c    feeds -> blocks
 *   read.c    files -> blocks, under in_lock, by whichever worker comes next
 *   judge.c   block -> hits, by workers side by side
 *   deliver.c hits -> callbacks, in the order of reading, by one thread
 *   state.c   what is kept over a restart
 *   run.c     threads, the ring of blocks, the list in force
 *
 * Locks, in the order of taking: in_lock (reading), known_lock (the files that
 * are known), ring_lock; list_lock is taken alone.
 */
#ifndef NR_WATCH_ENGINE_H
#define NR_WATCH_ENGINE_H

#include "base/file.h"
#include "base/table.h"
#include "input/input.h"
#include "logline/logline.h"
#include "watch/watch.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define ID_N ((size_t)16) /* octets of XXH3-128 */

/* --- files --- */

/* Which file this is, wherever it is now. */
struct mark {
    uint64_t dev, ino;
    uint8_t *head; /* owned; first head_n octets of the text, until they are
                       NR_WATCH_HEAD_MAX and delivered, then NULL */
    uint32_t head_n;
    uint64_t head_hash; /* of NR_WATCH_HEAD_MAX octets, once there are */
};

struct file {
    char *path; /* owned; where it is; under known_lock */
    char *name; /* owned; where it was first met; for ever */
    struct group *group;
    struct mark mark;               /* under known_lock */
    uint64_t seen_size, seen_mtime; /* when `mark` was last compared */
    uint64_t done_size; /* of a file that is not flat and was read to its end;
                           UINT64_MAX: none */
    bool current;       /* the newest of its group */
    uint32_t misses;    /* searches that did not find it, one after the other */
    bool found;         /* in the search that goes on */

    /* reading */
    struct nr_input *in; /* NULL: not open */
    int fd;
    bool own_fd, regular, stream;
    atomic_bool plain_mode; /* the state asks, too */
    bool queued, drained, dirty, finishing, unopened, polled;
    uint64_t polled_at;  /* offset when a poll said that there is more */
    uint64_t read_at;    /* offset in the text of what comes next */
    uint64_t counted;    /* octets of it in stats.size_done */
    uint8_t first[ID_N]; /* of its first line */
    bool has_first;
    int64_t mtime_s;
    uint8_t *intro; /* owned; the text's first lines, for a resumed file */
    size_t intro_n;
    atomic_uint inflight; /* blocks that are not delivered */

    /* delivering */
    atomic_uint_fast64_t at; /* delivered up to here, whole lines */
    uint64_t lines;          /* of them */
    struct nr_logfile *log;
    bool has_state; /* log_state is of `at` */
    uint8_t log_state[NR_LOGFILE_STATE];
    bool fed;     /* an origin of a feed */
    char *cursor; /* owned; of a feed, delivered up to here; NULL: none */
    bool mid_line;
    uint64_t line_at, line_no; /* of the long line that goes on */
    struct nr_record record;
    uint64_t *told; /* owned; indicators told of it */
    size_t n_told, cap_told;
};

/* Files that are one log over time, oldest first: those still to be read. */
struct group {
    char *base; /* owned; path of the newest */
    struct file **v;
    size_t n, cap;
    size_t source, seq; /* index of its source; order of making */
    bool seen;          /* a file of it was known before this search */
};

enum source_kind { SOURCE_PATH, SOURCE_DIR, SOURCE_GLOB, SOURCE_FD };

struct source {
    enum source_kind kind;
    char *path; /* owned */
    int fd;
    bool told, found, begun;
};

/* What a search found; `v` lives until the next one. */
struct found {
    char *path; /* owned */
    size_t source;
    bool primary; /* asked for, not only the relative of such a file */
    bool regular;
    uint64_t dev, ino, size, mtime_ns;
    struct group *group;
    struct file *file;
    bool is_new;
};

/* --- blocks --- */

struct list {
    atomic_uint refs;
    struct nr_watchlist *w;
    unsigned scan; /* NR_SCAN_* */
};

struct spot_hit {
    uint32_t line;            /* index in the block */
    uint32_t line_at, line_n; /* without its end */
    uint32_t at, n;           /* observed */
    uint32_t indicator;
};

enum slot_kind { SLOT_BLOCK, SLOT_TROUBLE, SLOT_CLOSE, SLOT_FATAL };

struct slot {
    bool done; /* under ring_lock */
    enum slot_kind kind;
    uint8_t *buf; /* owned; nr_input_room octets */
    struct nr_block block;
    struct file *file;
    struct nr_diag why;
    struct list *list;
    char cursor[NR_WATCH_CURSOR_MAX]; /* of a feed; "": none */
    struct spot_hit *hits;            /* owned */
    size_t n_hits, cap_hits;
    struct nr_logtext lines; /* of the block */
    uint64_t spots, false_spots;
};

/* What a worker needs for itself. */
struct judge {
    struct nr_tokens tokens;
    struct nr_matches matches;
    struct nr_spots spots;
    struct nr_sieve *sieve; /* of the list of version `list`; NULL: none */
    struct list *list;      /* a reference */
    unsigned cpu;
};

struct feed; /* feed.c */

/* A directory that is watched for changes. */
struct folder {
    char *path; /* owned */
    int wd;
};

struct nr_watch {
    struct nr_watch_conf conf;
    bool keyed;  /* files are known by mark: follow, or there is a state */
    int stop_fd; /* eventfd; readable: stop */
    atomic_bool stopping;

    pthread_mutex_t in_lock, known_lock, ring_lock, list_lock;
    pthread_cond_t ring_free;

    struct list *list; /* under list_lock */

    struct source *sources;
    size_t n_sources, cap_sources, n_streams;
    struct feed *feeds;
    size_t n_feeds, cap_feeds, feed_turn;
    bool feeds_first;    /* in the next read */
    struct file **files; /* under known_lock */
    size_t n_files, cap_files;
    struct group **groups;
    size_t n_groups, cap_groups;
    struct found *found;
    size_t n_found, cap_found;
    struct nr_table by_path, by_base;
    uint8_t *probe; /* owned; a buffer for nr_file_probe */
    uint8_t head[NR_WATCH_HEAD_MAX];
    bool probe_flat; /* what was probed last is not packed */
    size_t turn;     /* group to read from next */
    bool searched, search_due, ended;
    int64_t searched_us, looked_us;
    struct nr_diag *troubles; /* told before the next block */
    size_t n_troubles, cap_troubles;

    int inotify; /* -1: none */
    struct folder *folders;
    size_t n_folders, cap_folders;

    struct slot *ring;
    size_t n_ring;
    uint64_t read_seq, give_seq; /* under ring_lock */
    atomic_bool read_end;
    bool giver_sleeps;
    atomic_bool reader_waits; /* for input: nothing is there to be read */
    int done_fd;              /* eventfd: the next slot is done */

    /* delivering */
    uint64_t lines;
    int64_t saved_us, ticked_us;
    atomic_bool unsaved; /* something changed since the state was written */
    int lock_fd;         /* of the state */
    struct nr_buf extra;

    atomic_uint_fast64_t octets, hits, denied, opened, failed, spots,
        false_spots, waits_in, waits_out, swaps, saves, size, size_done,
        lines_out;
    unsigned threads;
};

/* name.c: is NAME what rotation makes of BASE (file names without folder)?
 * *RANK orders such names together with nr_rank_cmp. */
struct rank {
    enum { RANK_NUMBER, RANK_DATE, RANK_OTHER, RANK_CURRENT } kind;

    uint64_t number;
    const char *text;
    uint64_t mtime_ns;
};

bool nr_name_is_rotated(const char *name, const char *base, struct rank *rank);
/* The I-th name that NAME may be a rotation of, into OUT (strlen(NAME) + 1
 * octets); false: there are no more. */
bool nr_name_base(const char *name, unsigned i, char *out);
/* Octets of NAME without ".gz" and the like. */
size_t nr_name_unpacked(const char *name);
/* < 0: A is older. */
int nr_rank_cmp(const struct rank *a, const struct rank *b);

/* collect.c. Called under in_lock. */
enum nr_err nr_collect(struct nr_watch *w, struct nr_diag *d) NR_MUST_USE;
void nr_found_reset(struct nr_watch *w);
/* Be woken by changes in the folder of PATH. */
void nr_folder_watch(struct nr_watch *w, const char *path);

static inline const char *
name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* find.c. Called under in_lock. */
enum nr_err nr_find(struct nr_watch *w, struct nr_diag *d) NR_MUST_USE;
void nr_find_events(struct nr_watch *w); /* read inotify, mark what changed */
void nr_find_fini(struct nr_watch *w);
enum nr_err nr_trouble(struct nr_watch *w, const struct nr_diag *why,
    struct nr_diag *d) NR_MUST_USE;

/* file.c */
struct file *nr_file_add(struct nr_watch *w, const char *path,
    struct nr_diag *d);
void nr_file_free(struct file *f);
/*
 * The first octets of PATH's text, at most NR_WATCH_HEAD_MAX; *INTRO (may be
 * NULL): its first lines, more of them. Both stand in buffers of W. NR_EBUSY:
 * DEV and INO are no longer those of PATH; else as nr_input_open.
 */
enum nr_err nr_file_probe(struct nr_watch *w, const char *path, uint64_t dev,
    uint64_t ino, struct nr_bytes *head, struct nr_bytes *intro,
    struct nr_diag *d) NR_MUST_USE;
bool nr_mark_matches(const struct mark *m, struct nr_bytes head);
/* Octets of text that begin the file, seen while reading. */
enum nr_err nr_mark_grow(struct nr_watch *w, struct file *f, uint64_t at,
    struct nr_bytes text, struct nr_diag *d) NR_MUST_USE;
uint64_t nr_mark_hash(const struct mark *m, size_t n);

/* read.c. Under in_lock. The next block, or what else is to be delivered:
 * *GOT false: nothing now (w->ended: nor later). */
enum nr_err nr_read(struct nr_watch *w, struct slot *s, bool *got,
    struct nr_diag *d) NR_MUST_USE;
/* Sleep until there may be something to read, or stop. */
void nr_read_wait(struct nr_watch *w);
void nr_read_close(struct file *f);
/* What F was read from is no longer its text: it may turn up elsewhere. */
void nr_read_lost(struct nr_watch *w, struct file *f);

/* run.c */
void nr_list_drop(struct list *l);

/* feed.c. Under in_lock. */
enum nr_err nr_feed_read(struct nr_watch *w, struct slot *s, bool *got,
    struct nr_diag *d) NR_MUST_USE;
void nr_feed_finish(struct nr_watch *w); /* any number of times */
bool nr_feed_all_ended(const struct nr_watch *w);
size_t nr_feed_poll(const struct nr_watch *w, struct pollfd *p, size_t max);
void nr_feed_fini(struct nr_watch *w);

/* judge.c */
enum nr_err nr_judge(const struct nr_watch *w, struct judge *j, struct slot *s,
    struct nr_diag *d) NR_MUST_USE;
void nr_judge_init(struct judge *j, unsigned cpu);
void nr_judge_fini(struct judge *j);

/* deliver.c */
enum nr_err nr_deliver(struct nr_watch *w, struct slot *s,
    struct nr_diag *d) NR_MUST_USE;
void nr_hit_id(const struct nr_hit *h, const uint8_t first[ID_N],
    uint8_t out[NR_HIT_ID]);

/* state.c */
enum nr_err nr_state_load(struct nr_watch *w, struct nr_diag *d) NR_MUST_USE;
/* The octets of a state into the files of W, which has none, and of these the
 * octets. NR_EFORMAT, NR_EDAMAGED; NR_ENOMEM. */
enum nr_err nr_state_decode(struct nr_watch *w, struct nr_bytes in,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_state_encode(struct nr_watch *w, struct nr_buf *b) NR_MUST_USE;
/* NR_EBUSY: not now. */
enum nr_err nr_state_save(struct nr_watch *w, struct nr_diag *d) NR_MUST_USE;

static inline int64_t
nr_watch_now_us(const struct nr_watch *w)
{
    return w->conf.env->now_us(w->conf.env->ctx);
}

/* Has SPAN gone by since THEN (also when the clock was set back)? */
static inline bool
nr_watch_due(int64_t now, int64_t then, int64_t span)
{
    return now < then || now - then >= span;
}

/* Room for one more in *V of *CAP elements of SIZE octets, N of them used. */
bool nr_watch_room(void *v, size_t *cap, size_t n, size_t size);

#endif
