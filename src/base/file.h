/*
 * Files: whole reads, crash-safe replacement, locks, directories.
 *
 * Paths are NUL-terminated. Every function that fails with NR_ESYS leaves
 * errno in D and the path in D's name.
 *
 * Thread-safety: touches only its arguments and the file system.
 */
#ifndef NR_FILE_H
#define NR_FILE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NR_PATH_MAX ((size_t)4096) /* octets with NUL, as PATH_MAX */

/* "DIR/NAME" into BUF (NR_PATH_MAX octets). NR_ELIMIT. */
enum nr_err nr_path_join(char *buf, const char *dir, const char *name,
    struct nr_diag *d) NR_MUST_USE;

/* The whole of PATH, at most MAX octets, arena-owned and followed by a NUL
 * that is not counted. NR_ENOTFOUND, NR_ELIMIT, NR_ENOMEM, NR_ESYS. */
enum nr_err nr_file_read(struct nr_arena *a, const char *path, size_t max,
    struct nr_bytes *out, struct nr_diag *d) NR_MUST_USE;

/* Write all of IN to FD, over short writes and EINTR. NR_ESYS. */
enum nr_err nr_fd_write(int fd, struct nr_bytes in,
    struct nr_diag *d) NR_MUST_USE;

/*
 * Replace PATH by IN so that a crash at any moment leaves the old or the new
 * octets: temporary file in the same directory, fsync, rename, fsync of the
 * directory. MODE as for open(2). NR_ESYS; the old file then stands.
 */
enum nr_err nr_file_replace(const char *path, struct nr_bytes in, mode_t mode,
    struct nr_diag *d) NR_MUST_USE;

/* The end of the same dance for a file written by the caller: fsync FD, rename
 * TMP to PATH, fsync the directory of PATH. Does not close FD. */
enum nr_err nr_file_publish(int fd, const char *tmp, const char *path,
    struct nr_diag *d) NR_MUST_USE;

/* fsync the directory that holds PATH. */
enum nr_err nr_dir_sync_of(const char *path, struct nr_diag *d) NR_MUST_USE;

/* Make directory PATH (mode 0700 unless MODE says else); existing is fine. */
enum nr_err nr_dir_make(const char *path, mode_t mode,
    struct nr_diag *d) NR_MUST_USE;

/*
 * Take the exclusive lock PATH (made if missing) without waiting. *FD stays
 * open while the lock is held; close it to release. NR_EBUSY when another
 * process holds it.
 */
enum nr_err nr_file_lock(const char *path, int *fd,
    struct nr_diag *d) NR_MUST_USE;

/* Entries of a directory in the order of their octets, without "." and "..",
 * arena-owned, each NUL-terminated. NR_ELIMIT past MAX entries. */
struct nr_names {
    const char **v;
    size_t n;
};
enum nr_err nr_dir_list(struct nr_arena *a, const char *path, size_t max,
    struct nr_names *out, struct nr_diag *d) NR_MUST_USE;

#endif
