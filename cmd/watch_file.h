/*
 * One watched file: reads its blocks, finds indicators in them, and hands out
 * each (line, indicator) pair once, with what the line says.
 */
#ifndef WATCH_FILE_H
#define WATCH_FILE_H

#include "base/err.h"
#include "logline/logline.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

#include <stdbool.h>
#include <stdint.h>

struct watch_hit {
    uint64_t line; /* over all input */
    uint64_t file_line;
    const char *file;
    struct nr_indicator indicator;
    struct nr_bytes observed; /* the text as it stands in the line */
    const struct nr_record *record;
};

struct watch_conf {
    const struct nr_watchlist *list;
    int64_t zone_east_s, now_s;
    unsigned scan; /* NR_SCAN_*; what the list needs is added */
    bool follow;
    /* An error stops all. */
    enum nr_err (
        *hit)(void *ctx, const struct watch_hit *hit, struct nr_diag *d);
    void *ctx;
    uint64_t lines; /* read so far, over all input */
};

struct watch_file;

/* NR_ENOTFOUND, NR_EFORMAT, NR_ESYS, ... as nr_input_open(). */
enum nr_err watch_file_open(struct watch_conf *conf, const char *path,
    struct watch_file **out, struct nr_diag *d) NR_MUST_USE;
void watch_file_close(struct watch_file *f); /* NULL is allowed */

/*
 * Read what there is. In follow mode a file that was rotated or cut short is
 * read to its end and opened anew. *FATAL: the error is not the file's (hit()
 * failed, out of memory).
 */
enum nr_err watch_file_read(struct watch_file *f, bool *fatal,
    struct nr_diag *d) NR_MUST_USE;

/* The list was replaced: numbers of indicators mean others now. */
void watch_file_forget(struct watch_file *f);

/* Following ends: the last line, even without its line feed. */
enum nr_err watch_file_finish(struct watch_file *f, bool *fatal,
    struct nr_diag *d) NR_MUST_USE;

#endif
