/* The inside of a standing hunt. Private to standing*.c. */
#ifndef NR_ARCHIVE_STANDING_IN_H
#define NR_ARCHIVE_STANDING_IN_H

#include "archive/standing.h"
#include "archive/store.h"
#include "base/buf.h"
#include "base/table.h"

/*
 * File: "noroshi-standing 1\n", then records: octets:4 of the body, XXH3:8 of
 * it, the body. The first octet of a body says what it is:
 *   V  values that stand from now on: for each octets:4, kind:1, key
 *   D  values that stand no longer: number:4 each
 *   H  asked: segments:4, from:4, to:4 (values from..to - 1 that stand; of a
 *      segment that was asked before from is where that ended, or 0: all that
 *      was known of it is void), for each segment seq:8 sum:8 lines:8; then rows, see standing_row_put
 *   M  merged: seq:8 sum:8 lines:8 of the new one, then seq:8 of each replaced
 * Values are numbered as they come, from 0. All numbers are little endian.
 */
#define STANDING_HEAD "noroshi-standing 1\n"
#define STANDING_GONE UINT64_MAX /* number in the table of one that is dead */

struct standing_value {
    struct nr_bytes key; /* kind and key; owned by the arena */
    bool dead, used;
};

struct standing_segment {
    uint64_t seq, sum, lines;
    uint32_t upto; /* values below it were asked */
    bool gone;     /* is not in the archive any more, or another */
};

/* What one segment shows of one value. */
struct standing_row {
    uint32_t value, segment; /* indexes */
    uint64_t lines, denied;
    int64_t first_s, last_s;
    uint32_t sources;
    uint32_t n_days;
    uint64_t days; /* index into the numbers of all days */
};

struct nr_standing {
    char path[NR_PATH_MAX];
    int fd;
    bool write;
    uint64_t end; /* octets of whole records */
    struct nr_arena arena;
    struct nr_table table;  /* kind and key -> number */
    struct nr_table by_seq; /* number of a segment -> its last index */
    struct nr_buf values;   /* struct standing_value */
    struct nr_buf segments; /* struct standing_segment */
    struct nr_buf rows;     /* struct standing_row */
    struct nr_buf days;     /* int32_t */
    size_t n_dead;
    uint64_t asked;
};

static inline struct standing_value *
standing_values(const struct nr_standing *s, size_t *n)
{
    *n = s->values.n / sizeof(struct standing_value);
    return (struct standing_value *)(void *)s->values.p;
}

static inline struct standing_segment *
standing_segments(const struct nr_standing *s, size_t *n)
{
    *n = s->segments.n / sizeof(struct standing_segment);
    return (struct standing_segment *)(void *)s->segments.p;
}

static inline struct standing_row *
standing_rows(const struct nr_standing *s, size_t *n)
{
    *n = s->rows.n / sizeof(struct standing_row);
    return (struct standing_row *)(void *)s->rows.p;
}

/* The segment of that number that is not gone; UINT32_MAX: none. */
uint32_t standing_find(const struct nr_standing *s, uint64_t seq);

/* Bodies of records. */
void standing_put_values(struct nr_buf *b, const struct standing_value *v);
void standing_put_segment(struct nr_buf *b, uint64_t seq, uint64_t sum,
    uint64_t lines);
void standing_put_row(struct nr_buf *b, const struct standing_row *r,
    const int32_t *days);

/* Take BODY into S; false: it makes no sense. NR_ENOMEM in *ERR. */
bool standing_take(struct nr_standing *s, struct nr_bytes body,
    enum nr_err *err);

/* Append BODY durably and take it. NR_ENOMEM, NR_ESYS, NR_ELIMIT. */
enum nr_err standing_append(struct nr_standing *s, struct nr_bytes body,
    struct nr_diag *d) NR_MUST_USE;

/* Write the file anew, without what is of the past, and read it. */
enum nr_err standing_rewrite(struct nr_standing *s,
    struct nr_diag *d) NR_MUST_USE;

#endif
