/*
 * Watching: log text from anywhere, judged by a watchlist as it comes.
 *
 * Sources are read block by block; worker threads look for indicators in the
 * blocks; hits are handed out in the order of the input, on the one thread
 * that called nr_watch_run(). The watchlist can be replaced while that goes
 * on: each block is judged by exactly one list.
 *
 * Followed files are known by device, inode and the first octets of their
 * text, so a rotation (rename, copy and truncate, packing afterwards) is
 * neither read twice nor missed, also when it happened while nobody looked and
 * a state file says where reading stopped.
 *
 * Thread-safety: a struct nr_watch belongs to one thread, but for
 * nr_watch_stop, nr_watch_swap and nr_watch_stats, which any thread may call
 * while another is in nr_watch_run. All callbacks come on the latter.
 */
#ifndef NR_WATCH_H
#define NR_WATCH_H

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/str.h"
#include "logline/logline.h"
#include "watchlist/watchlist.h"

#include <stdbool.h>
#include <stdint.h>

#define NR_HIT_ID      ((size_t)16)        /* octets */
#define NR_HIT_ID_TEXT (2 * NR_HIT_ID + 1) /* its hexadecimal form, with NUL */

#define NR_WATCH_THREADS_MAX 64u
#define NR_WATCH_BLOCK       ((size_t)1 << 18) /* octets of a usual block */
/* A known file is told from others by this much of its text. */
#define NR_WATCH_HEAD_MAX  ((size_t)4096)
#define NR_WATCH_FILES_MAX ((size_t)1 << 20) /* files of one run */
#define NR_WATCH_DEPTH_MAX 64u /* of directories below one that was named */
#define NR_WATCH_SAVE_S    INT64_C(1) /* the state is this old at most */
#define NR_WATCH_TICK_MS   200        /* tick() comes as often */
/* Limits of a piece of a feed; beyond them the feed is told of by trouble(). */
#define NR_WATCH_PIECE_MAX   ((size_t)1 << 20) /* octets of text */
#define NR_WATCH_CURSOR_MAX  ((size_t)512) /* octets of a cursor, with NUL */
#define NR_WATCH_ORIGINS_MAX ((uint32_t)1 << 16)
#define NR_WATCH_EXTRA_MAX   ((size_t)128 << 20) /* octets that mark() keeps */

/* One pair of line and indicator; views are borrowed for the call. */
struct nr_hit {
    uint64_t line;      /* number over all input, from 1; goes on over restarts
                           that have a state */
    uint64_t file_line; /* number in its file, from 1 */
    uint64_t at;        /* offset of the line in the text of its file, after
                           decompression and conversion, without the mark */
    const char *file;   /* path; "-": standard input; name of a stream */
    struct nr_bytes text; /* the line without its end; of a line longer than
                             NR_LINE_MAX the piece that has the indicator */
    struct nr_indicator indicator;
    struct nr_bytes observed;       /* as it stands in `text` */
    const struct nr_record *record; /* its views point into `text`, or, for
                                       later pieces of a long line, are empty */
    /* XXH3-128 of the line's text, its offset, the first line of its file and
     * the indicator's kind and key: the same hit has the same id after a
     * restart, wherever rotation has put the file meanwhile. */
    uint8_t id[NR_HIT_ID];
    uint64_t list_version; /* nr_watchlist_version of the list that judged */
};

/* Lower-case hexadecimal. */
void nr_hit_id_print(const uint8_t id[NR_HIT_ID], char out[NR_HIT_ID_TEXT]);

struct nr_watch_stats {
    uint64_t octets;       /* of text delivered */
    uint64_t lines;        /* delivered */
    uint64_t hits;         /* handed out, denied ones too */
    uint64_t denied;       /* of them: record->action is NR_ACTION_DENIED */
    uint64_t files;        /* opened */
    uint64_t failed;       /* told of by trouble() */
    uint64_t spots;        /* places that the sieve pointed at */
    uint64_t false_spots;  /* lines looked at for them without a hit */
    uint64_t waits_input;  /* times that a worker found nothing to read */
    uint64_t waits_output; /* times that a worker found the ring full */
    uint64_t swaps;        /* lists taken after the first */
    uint64_t saves;        /* states written */
    uint64_t list_version; /* of the newest list */
    uint64_t indicators;   /* in it */
    uint64_t size;      /* octets of the sources as far as known; 0: unknown */
    uint64_t size_done; /* of those, read from (packed files: packed octets) */
    unsigned threads;
};

struct nr_watch;

struct nr_watch_conf {
    unsigned threads; /* 0: one per processor, at most NR_WATCH_THREADS_MAX */
    bool follow;      /* wait for more at the end of files, until stop */
    unsigned cpu;     /* kernels that may be used: NR_CPU_* of base/cpu.h that
                         this machine has; 0: the portable ones */
    unsigned scan;    /* NR_SCAN_*, as the user wants it; what a list needs
                         (nr_scan_flags_of its kinds) is added for each list.
                         With one of NR_SCAN_BEYOND_SIEVE all lines are
                         scanned */
    int64_t zone_east_s;      /* of times that name no zone */
    const struct nr_env *env; /* borrowed */
    const char *state; /* path of the state file, borrowed; NULL: none. One
                          that does not exist is begun. */
    int wake_fd;       /* when readable, tick() comes at once; -1: none */

    /* A hit. An error ends the run with it, here and below. */
    enum nr_err (*hit)(void *ctx, const struct nr_hit *h, struct nr_diag *d);
    /*
     * Everything handed out so far is to be put out for good (fsync where it
     * goes to a file), as the state that is written next says it was. What the
     * callee needs to go on from here (the length of its output, what it holds
     * back: nr_alert_save) is appended to EXTRA, at most NR_WATCH_EXTRA_MAX
     * octets, and kept in the state. NR_EBUSY ends nothing: something is still
     * on its way out, so the state written before stays the last one and the
     * question is put again with the next block or tick. Only called when
     * there is a state, at least every NR_WATCH_SAVE_S while lines come, and
     * at the end. NULL: nothing to keep.
     */
    enum nr_err (*mark)(void *ctx, struct nr_buf *extra, struct nr_diag *d);
    /*
     * A state was read: EXTRA is what mark() gave for it. What was put out
     * after it will be handed out again, so it is to be cut off
     * (nr_alert_load). Called once, before the first hit. NULL allowed.
     */
    enum nr_err (*cut)(void *ctx, struct nr_bytes extra, struct nr_diag *d);
    /* A source could not be read (whole): said once, the others go on. */
    enum nr_err (
        *trouble)(void *ctx, const struct nr_diag *why, struct nr_diag *d);
    /*
     * Comes at least every NR_WATCH_TICK_MS while blocks are delivered, every
     * second while nothing happens, and when wake_fd is readable (the callee
     * reads it empty). IDLE: all input that could be read was delivered; what
     * the callee holds back (buffered rows) had better be put out. May be NULL.
     */
    enum nr_err (
        *tick)(void *ctx, struct nr_watch *w, bool idle, struct nr_diag *d);
    void *ctx;
};

/*
 * LIST is taken over, also on failure; it is closed when the last line that it
 * judged was delivered. Strings in C are borrowed until nr_watch_free. NR_ENOMEM,
 * NR_ESYS; of the state file: NR_EFORMAT, NR_EDAMAGED (it is no state, or not
 * whole: the caller says to remove it to begin anew), NR_EBUSY (another process
 * works with it).
 */
enum nr_err nr_watch_new(const struct nr_watch_conf *c,
    struct nr_watchlist *list, struct nr_watch **out,
    struct nr_diag *d) NR_MUST_USE;
void nr_watch_free(struct nr_watch *w); /* NULL is fine */

/*
 * Add a source. PATH: a file; a directory (all regular files below it, by
 * name; symbolic links in it are not followed); a pattern (glob(7)) where no
 * file has that very name; "-": standard input. A path that stands
 * for nothing is told of by trouble() in its turn, as is one that cannot be
 * read; with `follow` files that appear later are read from their start, and a
 * file that is not there yet is waited for when its path was there once.
 * NR_ELIMIT, NR_ENOMEM.
 */
enum nr_err nr_watch_add(struct nr_watch *w, const char *path,
    struct nr_diag *d) NR_MUST_USE;

/*
 * A stream of lines, each ended by LF, from a pipe or socket whose writer puts
 * nothing else there (src/receiver). FD is borrowed; NAME is copied and stands
 * as `file` in the hits. It is at its end when read(2) says so or after stop.
 */
enum nr_err nr_watch_add_fd(struct nr_watch *w, int fd, const char *name,
    struct nr_diag *d) NR_MUST_USE;

/* Whole lines, each ended by LF, all of one origin. */
struct nr_watch_piece {
    struct nr_bytes text; /* borrowed until the next call; empty: none now */
    uint32_t origin;      /* the number of its sender within the feed */
    const char *name;     /* of the origin; stands as `file` in the hits */
    struct nr_str cursor; /* where to go on behind it, for who can; or empty */
    bool end;             /* nothing will come any more */
};

/*
 * Lines that are received by somebody else (src/receiver), from many senders
 * over one descriptor. Each origin is as a file of its own. Called under a
 * lock by one worker at a time.
 */
struct nr_watch_feed {
    int fd; /* readable: next() may have something, or its end */
    /* Never waits. A failure is its end, and told of by trouble(). */
    enum nr_err (
        *next)(void *ctx, struct nr_watch_piece *out, struct nr_diag *d);
    /* The watch stops: next() is still called until the end. */
    void (*finish)(void *ctx);
    void *ctx;
};
enum nr_err nr_watch_add_feed(struct nr_watch *w, const struct nr_watch_feed *f,
    struct nr_diag *d) NR_MUST_USE;

/*
 * The cursor of the last piece of origin NAME whose hits were delivered,
 * according to the state file STATE, into CURSOR (N octets, with NUL); ""
 * without one, or without the file. NR_EFORMAT, NR_EDAMAGED, NR_ENOMEM,
 * NR_ESYS.
 */
enum nr_err nr_watch_state_cursor(const char *state, const char *name,
    char *cursor, size_t n, struct nr_diag *d) NR_MUST_USE;

/*
 * Read all sources, in the order of adding and one after the other, unless
 * `follow` is set or there are streams, where whatever has something is read.
 * Returns at the end of all sources or after nr_watch_stop; what was read was
 * then delivered, and the state, if any, saved. To be called once.
 * Failures of callbacks, NR_ENOMEM, NR_ESYS (the state cannot be written).
 */
enum nr_err nr_watch_run(struct nr_watch *w, struct nr_diag *d) NR_MUST_USE;

/* No more is read; async-signal-safe. */
void nr_watch_stop(struct nr_watch *w);

/* From the next block on LIST judges; taken over. */
void nr_watch_swap(struct nr_watch *w, struct nr_watchlist *list);

void nr_watch_get_stats(struct nr_watch *w, struct nr_watch_stats *out);

#endif
