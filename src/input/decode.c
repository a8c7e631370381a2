#include "input/decode.h"

#include "base/num.h"
#include "input/input.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include <zstd_errors.h>

#define MAGIC_MAX   ((size_t)6)
#define GZ_WITH_MAX (MAX_WBITS + 16) /* zlib: a gzip header is expected */

/* Wait until FD can be read; false: the caller was told to stop. */
static bool
await(const struct nr_decode *c)
{
    struct pollfd p[2] = { { .fd = c->fd, .events = POLLIN },
        { .fd = c->stop_fd, .events = POLLIN } };

    while (poll(p, 2, -1) < 0)
        if (errno != EINTR)
            return true; /* read(2) will say what is wrong */
    return !(p[1].revents & POLLIN);
}

static enum nr_err
fd_read(struct nr_decode *c, uint8_t *p, size_t n, size_t *got,
    struct nr_diag *d)
{
    ssize_t r = 0;

    if (c->stop_fd <= 0 || await(c))
        do
            r = read(c->fd, p, n);
        while (r < 0 && errno == EINTR);
    if (r < 0 && errno == EAGAIN && c->stream)
        r = 0;
    if (r < 0)
        return nr_fail_file(d, "input: cannot be read", c->name);
    *got = (size_t)r;
    c->offset += (uint64_t)r;
    c->raw_end = r == 0;
    c->short_read = (size_t)r < n;
    return NR_OK;
}

/* More octets behind those of c->raw that are not used yet. */
static enum nr_err
raw_fill(struct nr_decode *c, struct nr_diag *d)
{
    size_t got;
    enum nr_err err;

    if (c->raw_at > 0 && c->raw_at == c->raw_n)
        c->raw_at = c->raw_n = 0;
    err = fd_read(c, c->raw + c->raw_n, NR_INPUT_RAW - c->raw_n, &got, d);
    if (!err)
        c->raw_n += got;
    return err;
}

struct nr_bytes
nr_decode_head(const struct nr_decode *c)
{
    return (struct nr_bytes){ c->raw + c->raw_at, c->raw_n - c->raw_at };
}

static bool
is_gz(struct nr_bytes b)
{
    return nr_bytes_starts(b, NR_BYTES("\x1f\x8b\x08"));
}

static enum nr_form
form_of(struct nr_bytes b)
{
    if (is_gz(b))
        return NR_FORM_GZ;
    if (nr_bytes_starts(b, NR_BYTES("\xfd\x37zXZ\0")))
        return NR_FORM_XZ;
    if (nr_bytes_starts(b, NR_BYTES("\x28\xb5\x2f\xfd")))
        return NR_FORM_ZST;
    /* RFC 8878 section 3.1.2: a skippable frame may come first */
    if (b.n >= 4 && (b.p[0] & 0xf0) == 0x50 && b.p[1] == 0x2a &&
        b.p[2] == 0x4d && b.p[3] == 0x18)
        return NR_FORM_ZST;
    return NR_FORM_PLAIN;
}

static enum nr_err
codec_open(struct nr_decode *c, struct nr_diag *d)
{
    static const char what[] = "input: no memory for the decoder";

    switch (c->form) {
    case NR_FORM_GZ:
        if (inflateInit2(&c->z, GZ_WITH_MAX) != Z_OK)
            return nr_fail_name(d, NR_ENOMEM, what, c->name);
        c->z_ready = true;
        break;
    case NR_FORM_XZ:
        c->x = (lzma_stream)LZMA_STREAM_INIT;
        if (lzma_stream_decoder(&c->x, NR_INPUT_MEMORY, LZMA_CONCATENATED) !=
            LZMA_OK)
            return nr_fail_name(d, NR_ENOMEM, what, c->name);
        break;
    case NR_FORM_ZST:
        c->zs = ZSTD_createDCtx();
        if (!c->zs ||
            ZSTD_isError(ZSTD_DCtx_setParameter(c->zs, ZSTD_d_windowLogMax,
                NR_INPUT_ZSTD_WINDOW_LOG)))
            return nr_fail_name(d, NR_ENOMEM, what, c->name);
        break;
    case NR_FORM_PLAIN:
        break;
    }
    return NR_OK;
}

enum nr_err
nr_decode_start(struct nr_decode *c, struct nr_diag *d)
{
    if (c->stream)
        return NR_OK;
    if (!c->raw)
        c->raw = malloc(NR_INPUT_RAW);
    if (!c->raw)
        return nr_fail_name(d, NR_ENOMEM, "input: no memory", c->name);
    while (c->raw_n < MAGIC_MAX && !c->raw_end) {
        enum nr_err err = raw_fill(c, d);

        if (err)
            return err;
    }
    c->form = form_of(nr_decode_head(c));
    c->inside = c->form != NR_FORM_PLAIN;
    return codec_open(c, d);
}

void
nr_decode_fini(struct nr_decode *c)
{
    if (c->z_ready)
        (void)inflateEnd(&c->z);
    if (c->form == NR_FORM_XZ)
        lzma_end(&c->x);
    (void)ZSTD_freeDCtx(c->zs);
    free(c->raw);
    *c = (struct nr_decode){ .fd = -1 };
}

static void
damaged(struct nr_decode *c)
{
    (void)nr_fail_name(&c->fault, NR_EFORMAT,
        "input: compressed data is damaged from here on", c->name);
}

static void
too_large(struct nr_decode *c)
{
    (void)nr_fail_name(&c->fault, NR_ELIMIT,
        "input: needs more than 128 MiB to decompress; compress it again "
        "with a smaller window (zstd --long=27, xz -9 at most)",
        c->name);
}

/* Between gzip members: another one, padding of zeros, or what is no gzip. */
static void
gz_between(struct nr_decode *c)
{
    while (c->raw_at < c->raw_n && c->raw[c->raw_at] == 0)
        c->raw_at++;
    if (c->raw_at == c->raw_n)
        return;
    if (c->raw[c->raw_at] == 0x1f && inflateReset(&c->z) == Z_OK)
        c->inside = true;
    else
        damaged(c);
}

static size_t
gz_step(struct nr_decode *c, uint8_t *p, size_t n)
{
    int r;

    if (!c->inside)
        gz_between(c);
    if (c->fault.err || !c->inside)
        return 0;
    c->z.next_in = c->raw + c->raw_at;
    c->z.avail_in = (uInt)(c->raw_n - c->raw_at);
    c->z.next_out = p;
    c->z.avail_out = (uInt)nr_min(n, UINT32_MAX);
    r = inflate(&c->z, Z_NO_FLUSH);
    c->raw_at = c->raw_n - c->z.avail_in;
    if (r == Z_STREAM_END)
        c->inside = false;
    else if (r == Z_MEM_ERROR)
        (void)nr_fail_name(&c->fault, NR_ENOMEM, "input: no memory", c->name);
    else if (r != Z_OK && r != Z_BUF_ERROR)
        damaged(c);
    return (size_t)(c->z.next_out - p);
}

static size_t
xz_step(struct nr_decode *c, uint8_t *p, size_t n)
{
    lzma_ret r;

    c->x.next_in = c->raw + c->raw_at;
    c->x.avail_in = c->raw_n - c->raw_at;
    c->x.next_out = p;
    c->x.avail_out = n;
    r = lzma_code(&c->x, c->raw_end ? LZMA_FINISH : LZMA_RUN);
    c->raw_at = c->raw_n - c->x.avail_in;
    if (r == LZMA_STREAM_END)
        c->inside = false;
    else if (r == LZMA_MEMLIMIT_ERROR)
        too_large(c);
    else if (r == LZMA_MEM_ERROR)
        (void)nr_fail_name(&c->fault, NR_ENOMEM, "input: no memory", c->name);
    else if (r != LZMA_OK && r != LZMA_BUF_ERROR)
        damaged(c);
    return n - c->x.avail_out;
}

static size_t
zst_step(struct nr_decode *c, uint8_t *p, size_t n)
{
    ZSTD_inBuffer in = { c->raw, c->raw_n, c->raw_at };
    void *to = p;
    ZSTD_outBuffer out = { to, n, 0 };
    size_t r = ZSTD_decompressStream(c->zs, &out, &in);

    c->raw_at = in.pos;
    if (!ZSTD_isError(r))
        c->inside = r != 0;
    else if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
        too_large(c);
    else
        damaged(c);
    return out.pos;
}

static size_t
step(struct nr_decode *c, uint8_t *p, size_t n)
{
    switch (c->form) {
    case NR_FORM_GZ:
        return gz_step(c, p, n);
    case NR_FORM_XZ:
        return xz_step(c, p, n);
    case NR_FORM_ZST:
        return zst_step(c, p, n);
    case NR_FORM_PLAIN:
        break;
    }
    return 0;
}

static enum nr_err
fault_out(const struct nr_decode *c, struct nr_diag *d)
{
    if (c->fault.err && d && d->err == NR_OK)
        *d = c->fault;
    return c->fault.err;
}

/* Until octets come out, the end, or a failure (left in c->fault). */
static size_t
codec_read(struct nr_decode *c, uint8_t *p, size_t n)
{
    for (;;) {
        size_t before;
        size_t got;

        if (c->raw_at == c->raw_n && !c->raw_end &&
            raw_fill(c, &c->fault) != NR_OK)
            return 0;
        if (c->raw_at == c->raw_n && c->raw_end && !c->inside)
            return 0;
        before = c->raw_at;
        got = step(c, p, n);
        if (got || c->fault.err)
            return got;
        if (c->raw_at == before && c->raw_at < c->raw_n)
            damaged(c); /* never seen: a decoder that makes no headway */
        if (c->raw_at == before && c->raw_end)
            break;
    }
    if (c->inside)
        (void)nr_fail_name(&c->fault, NR_ETRUNC,
            "input: compressed data ends early; what came before was read",
            c->name);
    return 0;
}

enum nr_err
nr_decode_read(struct nr_decode *c, uint8_t *p, size_t n, size_t *got,
    struct nr_diag *d)
{
    *got = 0;
    if (c->fault.err)
        return fault_out(c, d);
    if (c->form != NR_FORM_PLAIN)
        *got = codec_read(c, p, n);
    else if (c->raw_at < c->raw_n) {
        *got = nr_min(n, c->raw_n - c->raw_at);
        memcpy(p, c->raw + c->raw_at, *got);
        c->raw_at += *got;
    } else {
        free(c->raw); /* it was for the head */
        c->raw = NULL;
        (void)fd_read(c, p, n, got, &c->fault);
    }
    return *got ? NR_OK : fault_out(c, d);
}
