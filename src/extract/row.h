/* Rows, built in one buffer that is written when it is full. Private. */
#ifndef NR_EXTRACT_ROW_H
#define NR_EXTRACT_ROW_H

#include "extract/extract.h"

#include "base/buf.h"

/* Where a value stands. */
struct nr_place {
    uint64_t line, column, offset;
    uint64_t count; /* of a distinct value */
    struct nr_bytes context;
};

struct nr_row {
    const struct nr_extract_options *o; /* borrowed */
    struct nr_extract_sink sink;
    uint8_t *p; /* owned */
    size_t n;

    struct {
        char text[16]; /* its name and a tab */
        size_t n;
    } kinds[NR_KINDS];
    struct nr_buf file; /* "\tNAME\t" as it is printed; in JSON, NAME */
    struct nr_buf text; /* the value being printed, or a JSON row */
    uint64_t line;      /* what line_text says */
    char line_text[24]; /* in decimal */
    size_t line_n;
};

enum nr_err nr_row_init(struct nr_row *r, const struct nr_extract_options *o,
    struct nr_extract_sink sink) NR_MUST_USE;
void nr_row_fini(struct nr_row *r);

/* The rows from here on are of file NAME. */
enum nr_err nr_row_file(struct nr_row *r, struct nr_bytes name,
    struct nr_diag *d) NR_MUST_USE;

enum nr_err nr_row_put(struct nr_row *r, unsigned kind, struct nr_bytes key,
    const struct nr_place *place, struct nr_diag *d) NR_MUST_USE;

enum nr_err nr_row_flush(struct nr_row *r, struct nr_diag *d) NR_MUST_USE;

#endif
