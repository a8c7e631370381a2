/*
 * Decoding: the octets of a file with its compression undone. Private to the
 * room. Used by one thread at a time.
 */
#ifndef NR_INPUT_DECODE_H
#define NR_INPUT_DECODE_H

#include "base/err.h"
#include "base/str.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

enum nr_form { NR_FORM_PLAIN, NR_FORM_GZ, NR_FORM_XZ, NR_FORM_ZST };

struct nr_decode {
    int fd;           /* borrowed */
    const char *name; /* borrowed, for messages */
    enum nr_form form;
    uint8_t *raw; /* owned; octets raw_at..raw_n are not yet used */
    size_t raw_at, raw_n;
    uint64_t offset; /* of the next read(2) in the file */
    bool raw_end;    /* read(2) gave 0 last time */
    int stop_fd;     /* > 0: ends a read(2) that would wait */
    bool stream;     /* nothing to decode, and waiting is an end */
    bool short_read; /* read(2) gave less than asked: a pipe, or the end */
    bool inside;     /* a compressed member is begun and not ended */
    bool z_ready;
    z_stream z;
    lzma_stream x;
    ZSTD_DCtx *zs;
    struct nr_diag fault; /* what ended it; fault.err NR_OK: nothing did */
};

/* Read the head of C->fd and choose the form. C is zeroed but for fd, name,
 * stop_fd, stream, and raw with raw_n where octets were read before. */
enum nr_err nr_decode_start(struct nr_decode *c, struct nr_diag *d);

/* The unused octets of the head: all of them while the form is plain. */
struct nr_bytes nr_decode_head(const struct nr_decode *c);

/* At most N > 0 octets into P; *GOT 0 at the end. Octets that precede a
 * failure come first, the failure with the next call. */
enum nr_err nr_decode_read(struct nr_decode *c, uint8_t *p, size_t n,
    size_t *got, struct nr_diag *d) NR_MUST_USE;

void nr_decode_fini(struct nr_decode *c);

#endif
