#include "base/buf.h"

#include "base/fault.h"
#include "base/num.h"

#include <stdio.h>
#include <stdlib.h>

#define CAP_MIN ((size_t)256)

void
nr_buf_init(struct nr_buf *b, size_t max)
{
    *b = (struct nr_buf){ .max = max };
}

void
nr_buf_fini(struct nr_buf *b)
{
    free(b->p);
    *b = (struct nr_buf){ 0 };
}

void
nr_buf_reset(struct nr_buf *b)
{
    b->n = 0;
    b->err = NR_OK;
}

static bool
reserve(struct nr_buf *b, size_t n)
{
    size_t cap = nr_max(b->cap, CAP_MIN);
    uint8_t *p;

    if (b->err)
        return false;
    if (n <= b->cap - b->n)
        return true;
    if (n > b->max - b->n) {
        b->err = NR_ELIMIT;
        return false;
    }
    while (cap < b->n + n)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    p = nr_fault() ? NULL : realloc(b->p, cap);
    if (!p) {
        b->err = NR_ENOMEM;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *
nr_buf_extend(struct nr_buf *b, size_t n)
{
    uint8_t *at;

    if (!reserve(b, nr_max(n, 1)))
        return NULL;
    at = b->p + b->n;
    b->n += n;
    return at;
}

void
nr_buf_put(struct nr_buf *b, struct nr_bytes in)
{
    if (in.n == 0 || !reserve(b, in.n))
        return;
    memcpy(b->p + b->n, in.p, in.n);
    b->n += in.n;
}

void
nr_buf_put_str(struct nr_buf *b, struct nr_str s)
{
    nr_buf_put(b, nr_bytes_of(s));
}

void
nr_buf_put_c(struct nr_buf *b, char c)
{
    nr_buf_put(b, (struct nr_bytes){ (const uint8_t *)&c, 1 });
}

void
nr_buf_put_le(struct nr_buf *b, uint64_t v, size_t octets)
{
    uint8_t le[8];

    for (size_t i = 0; i < octets; i++, v >>= 8)
        le[i] = (uint8_t)(v & 0xff);
    nr_buf_put(b, (struct nr_bytes){ le, octets });
}

void
nr_buf_printf(struct nr_buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(b, (size_t)n + 1))
        return;
    va_start(ap, fmt);
    n = vsnprintf((char *)b->p + b->n, b->cap - b->n, fmt, ap);
    va_end(ap);
    if (n > 0)
        b->n += (size_t)n;
}

const char *
nr_buf_cstr(struct nr_buf *b)
{
    if (!reserve(b, 1))
        return NULL;
    b->p[b->n] = '\0';
    return (const char *)b->p;
}
