/* A segment file that may be damaged, looked at without trusting it. Private
 * to the room. */
#ifndef NR_ARCHIVE_KEEP_MAP_H
#define NR_ARCHIVE_KEEP_MAP_H

#include "archive/keep.h"
#include "archive/seal_in.h"
#include "archive/segment.h"

struct keep_map {
    const char *name;
    uint8_t *p; /* a private copy, mended as far as it goes; owned */
    size_t n;
    struct seal_view *view; /* of a sealed file, owned: P is its plain text */
    struct nr_bytes file;   /* it; mapped */
    uint64_t seq;           /* from the name */
    bool other_version;
    bool mapped;     /* index_at, sums_at and the sections below are known */
    bool blocks_bad; /* the table of blocks lies on a damaged page */
    bool files_bad;  /* so does the list of files */
    uint64_t index_at, sums_at;

    struct {
        uint64_t at, octets, count;
    } sec[SEG_SECTIONS];
    const struct nr_keep_say *say;
    size_t damages;
};

/* True when NAME is one of a segment. */
bool keep_name(const char *name, uint64_t *seq);

/* Map the file, check all its octets, say what is damaged, mend header, table
 * and trailer in the private copy where the rest tells what they were. */
enum nr_err keep_map_open(const char *dir, const char *name,
    const struct nr_archive_key *key, const struct nr_keep_say *say,
    struct keep_map *out, struct nr_diag *d) NR_MUST_USE;
void keep_map_close(struct keep_map *m);

/* Row I of the table of blocks as it stands; false: none, or it points
 * outside. */
bool keep_map_block(const struct keep_map *m, uint64_t i, struct seg_block *b);

/* Its checksum proves the octets that row B points to. */
bool keep_map_sound(const struct keep_map *m, const struct seg_block *b);

void keep_map_say(struct keep_map *m, struct nr_damage x);

#endif
