/* Which parts of which files an archive holds. Private to the room. */
#ifndef NR_ARCHIVE_INGEST_H
#define NR_ARCHIVE_INGEST_H

#include "archive/store.h"

/* A part of a file, as in segments, without its name. */
struct part {
    struct seg_file f; /* name empty */
};

struct catalogue {
    struct part *v; /* owned */
    size_t n, cap;
};

void catalogue_fini(struct catalogue *c);
enum nr_err catalogue_load(struct catalogue *c, struct nr_archive *a,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err catalogue_put(struct catalogue *c, const struct seg_file *f,
    struct nr_diag *d) NR_MUST_USE;

/* A file about to be read: who it is. */
struct identity {
    uint64_t dev, ino;
    uint64_t size; /* octets, of a plain file; else 0 */
    uint32_t head_n;
    uint8_t head[SEG_HEAD];
    int64_t mtime_s;
    int64_t first_s; /* time of its first line that has one */
};

/* How much of a file is known. */
struct known {
    uint64_t id; /* 0: not in the archive as this file, maybe as another */
    uint64_t to, lines, open_at;
};

/* Look FD (named NAME) up; reads it only when its first octets are known but
 * it is not the very file. FD is rewound. */
enum nr_err catalogue_find(const struct catalogue *c, int fd, const char *name,
    const struct identity *who, struct known *out,
    struct nr_diag *d) NR_MUST_USE;

/* XXH3, 128 bits, of B. */
void hash128(struct nr_bytes b, uint8_t out[16]);

#endif
