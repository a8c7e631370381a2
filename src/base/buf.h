/*
 * Growing buffer with a ceiling and a sticky error.
 *
 * Appending never fails at the call: after the first refusal (past the
 * ceiling or out of memory) b->err stays set and nothing more is appended, so
 * a writer is checked once, at its end. Doubling keeps the copying linear.
 * One thread at a time.
 */
#ifndef NR_BUF_H
#define NR_BUF_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct nr_buf {
    uint8_t *p; /* owned; NULL while nothing was appended */
    size_t n;   /* octets in use */
    size_t cap, max;
    enum nr_err err; /* NR_OK, NR_ELIMIT or NR_ENOMEM */
};

/* MAX: ceiling in octets, > 0. */
void nr_buf_init(struct nr_buf *b, size_t max);
void nr_buf_fini(struct nr_buf *b);
/* Empty it, keep the memory, clear the error. */
void nr_buf_reset(struct nr_buf *b);

void nr_buf_put(struct nr_buf *b, struct nr_bytes in);
void nr_buf_put_str(struct nr_buf *b, struct nr_str s);
void nr_buf_put_c(struct nr_buf *b, char c);
void nr_buf_put_le(struct nr_buf *b, uint64_t v, size_t octets);
void nr_buf_printf(struct nr_buf *b, const char *fmt, ...) NR_PRINTF(2, 3);

/* N octets to be written by the caller at the returned place, already counted
 * in b->n; NULL when refused. */
uint8_t *nr_buf_extend(struct nr_buf *b, size_t n) NR_MUST_USE;

/* What was appended; borrowed until the next change. */
static inline struct nr_bytes
nr_buf_bytes(const struct nr_buf *b)
{
    return (struct nr_bytes){ b->p, b->n };
}

/* End with a NUL that is not counted; NULL when refused. */
const char *nr_buf_cstr(struct nr_buf *b) NR_MUST_USE;

#endif
