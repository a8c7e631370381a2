/*
 * What retention dropped: how far each log file had been taken, so that a file
 * that is still where it was does not come back. Private to the room.
 *
 * One file "dropped" in the archive's directory: DROPPED_HEAD, the rows of the
 * parts of files as in section FILES, without names, and XXH3:8 of all before
 * it. Merged segments have few parts of a file. It is replaced in one rename, before segments go: a row too
 * many is of a part that is still there. Who wants logs back that were dropped
 * removes it.
 */
#ifndef NR_ARCHIVE_DROPPED_H
#define NR_ARCHIVE_DROPPED_H

#include "archive/keep.h"
#include "archive/store.h"

#define DROPPED_FILE "dropped"
#define DROPPED_HEAD "noroshi-dropped 1\n"
/* Parts kept in mind, those of files last changed: a hundred a day for 27
 * years. */
#define DROPPED_MAX ((size_t)1000 * 1000)

/* Rows of the file in DIR, arena-owned; none when there is no file.
 * NR_EDAMAGED, NR_ENOMEM, NR_ESYS. */
enum nr_err dropped_read(const char *dir, struct nr_arena *arena,
    struct seg_file **out, size_t *n, struct nr_diag *d) NR_MUST_USE;

/* Add the files of those segments that plan P lets go. */
enum nr_err dropped_add(struct nr_archive *a, const struct nr_keep_plan *p,
    struct nr_diag *d) NR_MUST_USE;

#endif
