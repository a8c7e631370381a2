#include "base/test.h"

#include "base/buf.h"
#include "base/date.h"
#include "input/input.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define OUT_MAX ((size_t)16 << 20)
/* As NR_BYTES, where C wants a constant. */
#define OCTETS(lit)                                \
    {                                              \
        (const uint8_t *)("" lit), sizeof(lit) - 1 \
    }

/* Everything an input gave, and how it ended. */
struct got {
    struct nr_buf text;
    uint64_t lines, blocks, pieces, torn;
    enum nr_err err;
    struct nr_diag diag;
};

static int
file_of(struct nr_bytes b)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(write(fd, b.p, b.n) == (ssize_t)b.n);
    return fd;
}

static void
drain(struct nr_input *in, struct got *g)
{
    struct nr_block b;

    for (;;) {
        g->err = nr_input_next(in, &b, &g->diag);
        if (g->err || b.text.n == 0)
            return;
        assert_true(b.text.n <= NR_INPUT_BLOCK_MAX + 1);
        g->blocks++;
        g->pieces += b.goes_on || b.continues;
        g->torn += b.torn_tail;
        g->lines = b.first_line + b.lines - 1;
        nr_buf_put(&g->text, b.text);
    }
}

static void
read_fd(int fd, const struct nr_input_options *o, struct got *g)
{
    struct nr_input *in;

    *g = (struct got){ 0 };
    nr_buf_init(&g->text, OUT_MAX);
    g->err = nr_input_from_fd(fd, "test", o, &in, &g->diag);
    if (!g->err) {
        drain(in, g);
        nr_input_free(in);
    }
}

static void
read_bytes(struct nr_bytes b, struct got *g)
{
    int fd = file_of(b);

    read_fd(fd, NULL, g);
    (void)close(fd);
}

static bool
text_is(const struct got *g, struct nr_bytes want)
{
    return nr_bytes_eq(nr_buf_bytes(&g->text), want);
}

/* ---- compression ---- */

static struct nr_bytes
pack_gz(struct nr_bytes in, uint8_t *out, size_t max)
{
    z_stream z = { 0 };

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8,
                         Z_DEFAULT_STRATEGY),
        Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = out;
    z.avail_out = (uInt)max;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    (void)deflateEnd(&z);
    return (struct nr_bytes){ out, max - z.avail_out };
}

static struct nr_bytes
pack_xz(struct nr_bytes in, uint8_t *out, size_t max)
{
    size_t n = 0;

    assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, in.p,
                         in.n, out, &n, max),
        LZMA_OK);
    return (struct nr_bytes){ out, n };
}

static struct nr_bytes
pack_zst(struct nr_bytes in, uint8_t *out, size_t max)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t n;

    (void)ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    n = ZSTD_compress2(c, out, max, in.p, in.n);
    assert_false(ZSTD_isError(n));
    (void)ZSTD_freeCCtx(c);
    return (struct nr_bytes){ out, n };
}

typedef struct nr_bytes pack_fn(struct nr_bytes, uint8_t *, size_t);

static const struct packer {
    const char *form;
    pack_fn *pack;
} packers[] = { { "gz", pack_gz }, { "xz", pack_xz }, { "zst", pack_zst } };

#define TEXT_N  ((size_t)300000)
#define PACKERS (sizeof(packers) / sizeof(packers[0]))

/* Lines of 50 octets that do not compress to nothing. */
static struct nr_bytes
make_text(uint8_t *p)
{
    uint32_t x = 1;

    for (size_t i = 0; i < TEXT_N; i++) {
        x = x * 1103515245u + 12345u;
        p[i] = i % 50 == 49 ? '\n' : (uint8_t)('a' + (x >> 16) % 20);
    }
    return (struct nr_bytes){ p, TEXT_N };
}

static void
test_packed(void **state)
{
    uint8_t *t = malloc(TEXT_N);
    uint8_t *z = malloc(4 * TEXT_N);
    struct nr_bytes text = make_text(t);

    (void)state;
    for (size_t i = 0; i < PACKERS; i++) {
        const struct packer *p = &packers[i];
        struct nr_bytes a = p->pack(nr_bytes_sub(text, 0, 1000), z, TEXT_N);
        struct nr_bytes b = p->pack(nr_bytes_sub(text, 1000, text.n), z + a.n,
            2 * TEXT_N);
        struct nr_bytes whole = { z, a.n + b.n };
        struct nr_input *in;
        struct got g;
        int fd;

        read_bytes(whole, &g);
        CHECK_CASE(p->form, g.err == NR_OK && text_is(&g, text));
        CHECK_CASE(p->form, g.lines == TEXT_N / 50);
        nr_buf_fini(&g.text);
        fd = file_of(whole);
        assert_int_equal(nr_input_from_fd(fd, "x", NULL, &in, NULL), NR_OK);
        assert_string_equal(nr_input_form(in), p->form);
        nr_input_free(in);
        (void)close(fd);
    }
    free(t);
    free(z);
}

/* A cut anywhere gives a prefix of the text, then NR_ETRUNC; an octet turned
 * over gives NR_EFORMAT or NR_ETRUNC and never more than the text. */
static void
test_cut_and_damaged(void **state)
{
    uint8_t *t = malloc(TEXT_N);
    uint8_t *z = malloc(2 * TEXT_N);
    struct nr_bytes text = make_text(t);

    (void)state;
    for (size_t i = 0; i < PACKERS; i++) {
        const struct packer *p = &packers[i];
        struct nr_bytes b = p->pack(text, z, 2 * TEXT_N);
        size_t cuts[] = { 7, b.n / 3, b.n * 9 / 10, b.n - 1 };
        size_t longest = 0;
        struct got g;

        for (size_t k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) {
            read_bytes(nr_bytes_sub(b, 0, cuts[k]), &g);
            CHECK_CASE(p->form, g.err == NR_ETRUNC);
            CHECK_CASE(p->form, strcmp(g.diag.name, "test") == 0);
            CHECK_CASE(p->form, nr_bytes_starts(text, nr_buf_bytes(&g.text)));
            longest = g.text.n;
            nr_buf_fini(&g.text);
        }
        CHECK_CASE(p->form, longest > TEXT_N / 3);
        z[b.n / 2] ^= 0x55;
        read_bytes(b, &g);
        CHECK_CASE(p->form, g.err == NR_EFORMAT || g.err == NR_ETRUNC);
        nr_buf_fini(&g.text);
    }
    free(t);
    free(z);
}

static void
test_after_gz(void **state)
{
    uint8_t z[256] = { 0 };
    struct nr_bytes b = pack_gz(NR_BYTES("a\n"), z, sizeof(z));
    struct got g;

    (void)state;
    read_bytes((struct nr_bytes){ z, b.n + 64 }, &g); /* zeros are padding */
    assert_int_equal(g.err, NR_OK);
    assert_true(text_is(&g, NR_BYTES("a\n")));
    nr_buf_fini(&g.text);
    z[b.n] = 'x';
    read_bytes((struct nr_bytes){ z, b.n + 1 }, &g);
    assert_int_equal(g.err, NR_EFORMAT);
    assert_true(text_is(&g, NR_BYTES("a\n")));
    nr_buf_fini(&g.text);
}

static void
test_memory_limit(void **state)
{
    uint8_t z[512];
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_outBuffer out = { z, sizeof(z), 0 };
    ZSTD_inBuffer in = { "a\n", 2, 0 };
    struct nr_bytes b;
    uint32_t crc;
    uint8_t *id;
    size_t n;
    struct got g;

    (void)state;
    (void)ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog,
        NR_INPUT_ZSTD_WINDOW_LOG + 1);
    (void)ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush);
    (void)ZSTD_compressStream2(c, &out, &in, ZSTD_e_end);
    (void)ZSTD_freeCCtx(c);
    read_bytes((struct nr_bytes){ z, out.pos }, &g);
    assert_int_equal(g.err, NR_ELIMIT);
    nr_buf_fini(&g.text);

    /* xz: turn the dictionary size of the block header up to 1 GiB. */
    b = pack_xz(NR_BYTES("a\n"), z, sizeof(z));
    n = ((size_t)z[12] + 1) * 4 - 4; /* of the block header, without CRC */
    id = memchr(z + 14, 0x21, n);
    assert_non_null(id);
    id[2] = 36;
    crc = lzma_crc32(z + 12, n, 0);
    for (size_t i = 0; i < 4; i++)
        z[12 + n + i] = (uint8_t)(crc >> (8 * i));
    read_bytes(b, &g);
    assert_int_equal(g.err, NR_ELIMIT);
    assert_non_null(strstr(g.diag.what, "128 MiB"));
    nr_buf_fini(&g.text);
}

/* ---- text ---- */

static const struct {
    const char *name;
    struct nr_bytes in, want;
    enum nr_err err;
    uint64_t lines;
} texts[] = {
    { "empty", OCTETS(""), OCTETS(""), NR_OK, 0 },
    { "no end of line", OCTETS("a"), OCTETS("a"), NR_OK, 1 },
    { "two", OCTETS("a\nb\n"), OCTETS("a\nb\n"), NR_OK, 2 },
    { "two and a bit", OCTETS("a\nb\nc"), OCTETS("a\nb\nc"), NR_OK, 3 },
    { "crlf stays", OCTETS("a\r\nb\r\n"), OCTETS("a\r\nb\r\n"), NR_OK, 2 },
    { "nul stays", OCTETS("a\0b\n\0\0\n"), OCTETS("a\0b\n\0\0\n"), NR_OK, 2 },
    { "mark",
        OCTETS("\xef\xbb\xbf"
               "a\n"),
        OCTETS("a\n"), NR_OK, 1 },
    { "only a mark", OCTETS("\xef\xbb\xbf"), OCTETS(""), NR_OK, 0 },
    { "latin-1 stays", OCTETS("caf\xe9\n"), OCTETS("caf\xe9\n"), NR_OK, 1 },
    { "utf-16le",
        OCTETS("\xff\xfe"
               "a\0\n\0\x42\x30"),
        OCTETS("a\n\xe3\x81\x82"), NR_OK, 2 },
    { "utf-16be", OCTETS("\xfe\xff\0a\0\n\x30\x42"), OCTETS("a\n\xe3\x81\x82"),
        NR_OK, 2 },
    { "utf-16le, no mark", OCTETS("a\0b\0c\0d\0\n\0"), OCTETS("abcd\n"), NR_OK,
        1 },
    { "utf-16be, no mark", OCTETS("\0a\0b\0c\0d\0\n"), OCTETS("abcd\n"), NR_OK,
        1 },
    { "surrogates", OCTETS("\xff\xfe\x3d\xd8\x00\xde"),
        OCTETS("\xf0\x9f\x98\x80"), NR_OK, 1 },
    { "lone high, lone low, half unit",
        OCTETS("\xff\xfe\x3d\xd8"
               "a\0\x00\xde"
               "b"),
        OCTETS("\xef\xbf\xbd"
               "a\xef\xbf\xbd\xef\xbf\xbd"),
        NR_OK, 1 },
    { "utf-32", OCTETS("\xff\xfe\0\0a\0\0\0"), OCTETS(""), NR_EFORMAT, 0 },
    { "evtx", OCTETS("ElfFile\0\0\0\0\0"), OCTETS(""), NR_EFORMAT, 0 },
    { "pcap", OCTETS("\xd4\xc3\xb2\xa1\2\0\4\0"), OCTETS(""), NR_EFORMAT, 0 },
    { "junk", OCTETS("\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10abc"),
        OCTETS(""), NR_EFORMAT, 0 },
    { "a few controls",
        OCTETS("\1\2\3 a line with stray octets and an \x1b[1mescape\n"),
        OCTETS("\1\2\3 a line with stray octets and an \x1b[1mescape\n"), NR_OK,
        1 },
};

static void
test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct got g;

        read_bytes(texts[i].in, &g);
        CHECK_CASE(texts[i].name, g.err == texts[i].err);
        CHECK_CASE(texts[i].name, text_is(&g, texts[i].want));
        CHECK_CASE(texts[i].name, g.lines == texts[i].lines);
        nr_buf_fini(&g.text);
    }
}

static void
test_line_next(void **state)
{
    struct nr_bytes rest = NR_BYTES("a\r\n\nb\rc\r");
    struct nr_bytes line;

    (void)state;
    assert_true(nr_line_next(&rest, &line));
    assert_true(nr_bytes_eq(line, NR_BYTES("a")));
    assert_true(nr_line_next(&rest, &line));
    assert_true(nr_bytes_eq(line, NR_BYTES("")));
    assert_true(nr_line_next(&rest, &line));
    assert_true(nr_bytes_eq(line, NR_BYTES("b\rc")));
    assert_false(nr_line_next(&rest, &line));
}

/* A line of 3.5 MiB between two short ones, words of 9 octets. */
static void
test_long_line(void **state)
{
    size_t n = ((size_t)7 << 19) + 4;
    uint8_t *p = malloc(n);
    struct nr_block b;
    struct nr_input *in;
    size_t at = 0, pieces = 0;
    int fd;

    (void)state;
    for (size_t i = 0; i < n; i++)
        p[i] = i % 10 == 9 ? ' ' : (uint8_t)('a' + i % 10);
    p[1] = p[n - 3] = p[n - 1] = '\n';
    fd = file_of((struct nr_bytes){ p, n });
    assert_int_equal(nr_input_from_fd(fd, "long", NULL, &in, NULL), NR_OK);
    for (;; at += b.text.n) {
        assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
        if (b.text.n == 0)
            break;
        assert_true(b.at == at && b.text.n <= NR_LINE_MAX + 1);
        assert_memory_equal(b.text.p, p + at, b.text.n);
        assert_false(b.torn_tail || b.torn_head || b.open_end);
        if (b.goes_on) {
            assert_int_equal(b.text.p[b.text.n - 1], ' ');
            assert_true(b.first_line == 2);
        }
        assert_int_equal(b.continues, pieces > 0 && at < n - 2);
        pieces += b.goes_on;
    }
    assert_true(at == n && pieces == 3);
    nr_input_free(in);
    (void)close(fd);
    free(p);
}

/* Without any place to cut, the ends of the pieces are marked; a comma is a
 * place; no character is split. */
static void
test_long_token(void **state)
{
    size_t n = NR_LINE_MAX + 5000;
    uint8_t *p = malloc(n);
    struct got g;

    (void)state;
    memset(p, 'a', n);
    read_bytes((struct nr_bytes){ p, n }, &g);
    assert_true(g.err == NR_OK && g.blocks == 2 && g.torn == 1);
    assert_true(text_is(&g, (struct nr_bytes){ p, n }));
    nr_buf_fini(&g.text);
    p[NR_LINE_MAX - 100] = ',';
    read_bytes((struct nr_bytes){ p, n }, &g);
    assert_true(g.blocks == 2 && g.torn == 0);
    nr_buf_fini(&g.text);
    for (size_t i = 0; i + 3 <= n; i += 3)
        memcpy(p + i, "\xe3\x81\x82", 3);
    n -= n % 3;
    {
        int fd = file_of((struct nr_bytes){ p, n });
        struct nr_input *in;
        struct nr_block b;

        assert_int_equal(nr_input_from_fd(fd, "x", NULL, &in, NULL), NR_OK);
        assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
        assert_true(b.torn_tail);
        assert_true(nr_utf8_valid_len(b.text) == b.text.n);
        nr_input_free(in);
        (void)close(fd);
    }
    free(p);
}

/* 1 GiB without a line feed goes through in pieces. */
static void
test_giant(void **state)
{
    static const off_t size = (off_t)1 << 30;
    int fd = file_of(NR_BYTES("first\n"));
    struct nr_input *in;
    struct nr_block b;
    uint64_t sum = 0, pieces = 0;

    (void)state;
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(nr_input_from_fd(fd, "giant", NULL, &in, NULL), NR_OK);
    do {
        assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
        assert_true(b.text.n <= NR_LINE_MAX + 1);
        sum += b.text.n;
        pieces += b.goes_on;
    } while (b.text.n > 0);
    assert_true(sum == (uint64_t)size && pieces == 1023);
    nr_input_free(in);
    (void)close(fd);
}

/* ---- files ---- */

static void
test_cannot_open(void **state)
{
    char path[] = "/tmp/nr-input-XXXXXX";
    struct nr_diag d = { 0 };
    struct nr_input_options o = { .block = 1 };
    struct nr_input *in = NULL;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(nr_input_open("/nonexistent/x", NULL, &in, &d),
        NR_ENOTFOUND);
    assert_string_equal(d.name, "/nonexistent/x");
    d = (struct nr_diag){ 0 };
    assert_int_equal(nr_input_open("/tmp", NULL, &in, &d), NR_EFORMAT);
    assert_non_null(strstr(d.what, "directory"));
    d = (struct nr_diag){ 0 };
    assert_int_equal(nr_input_open(path, &o, &in, &d), NR_ELIMIT);
    d = (struct nr_diag){ 0 };
    assert_int_equal(fchmod(fd, 0), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0);
    assert_int_equal(nr_input_open(path, NULL, &in, &d), NR_ESYS);
    assert_int_equal(d.sys, EACCES);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_null(in);
    (void)unlink(path);
    (void)close(fd);
}

static void
test_resume(void **state)
{
    struct nr_input_options o = { .start = 4, .line = 3 };
    static const struct nr_bytes forms[] = {
        OCTETS("a\nb\nc\nd\n"),
        OCTETS("\xef\xbb\xbf"
               "a\nb\nc\nd\n"),
        OCTETS("\xff\xfe"
               "a\0\n\0b\0\n\0c\0\n\0d\0\n\0"),
    };
    uint8_t z[128];
    struct got g;
    int fd;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        fd = file_of(i < 3 ? forms[i] : pack_zst(forms[0], z, sizeof(z)));
        read_fd(fd, &o, &g);
        assert_true(g.err == NR_OK && g.lines == 4);
        assert_true(text_is(&g, NR_BYTES("c\nd\n")));
        nr_buf_fini(&g.text);
        (void)close(fd);
    }
}

static void
test_follow(void **state)
{
    char path[] = "/tmp/nr-input-XXXXXX", other[64];
    struct nr_input_options o = { .follow = true };
    struct nr_input *in;
    struct nr_block b;
    int fd = mkstemp(path);

    (void)state;
    (void)snprintf(other, sizeof(other), "%s.1", path);
    assert_int_equal(nr_input_open(path, &o, &in, NULL), NR_OK);
    assert_true(nr_input_mtime(in) != NR_TIME_NONE);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(b.text.n == 0);
    assert_true(write(fd, "one\ntw", 6) == 6);
    assert_int_equal(nr_input_check(in), NR_INPUT_GROWN);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(nr_bytes_eq(b.text, NR_BYTES("one\n")));
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(b.text.n == 0);
    assert_int_equal(nr_input_check(in), NR_INPUT_SAME);
    assert_true(write(fd, "o\nthr", 5) == 5);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(nr_bytes_eq(b.text, NR_BYTES("two\n")) && b.first_line == 2);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(nr_input_check(in), NR_INPUT_GONE);
    (void)close(fd);
    fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600);
    assert_int_equal(nr_input_check(in), NR_INPUT_ROTATED);
    nr_input_finish(in);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(nr_bytes_eq(b.text, NR_BYTES("thr")) && b.open_end);
    nr_input_free(in);
    (void)unlink(path);
    (void)unlink(other);
    (void)close(fd);
}

static void
test_shrinks(void **state)
{
    uint8_t *t = malloc(TEXT_N);
    struct nr_input_options o = { .block = NR_INPUT_BLOCK_MIN };
    int fd = file_of(make_text(t));
    struct nr_input *in;
    struct nr_block b;
    struct got g = { 0 };

    (void)state;
    nr_buf_init(&g.text, OUT_MAX);
    assert_int_equal(nr_input_from_fd(fd, "test", &o, &in, NULL), NR_OK);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(nr_input_check(in), NR_INPUT_SHRUNK);
    drain(in, &g);
    assert_int_equal(g.err, NR_ETRUNC);
    assert_non_null(strstr(g.diag.what, "shorter"));
    nr_buf_fini(&g.text);
    nr_input_free(in);
    (void)close(fd);
    free(t);
}

/* A pipe is not waited for: a line that is there is given. */
static void
test_pipe(void **state)
{
    struct nr_input *in;
    struct nr_block b;
    int p[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_true(write(p[1],
                    "a line, and then some, all of it well over "
                    "sixty-four octets of text\nhal",
                    72) > 0);
    assert_int_equal(nr_input_from_fd(p[0], "pipe", NULL, &in, NULL), NR_OK);
    assert_true(nr_input_mtime(in) == NR_TIME_NONE);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(b.lines == 1 && !b.open_end);
    assert_true(write(p[1], "f\n", 2) == 2);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(b.first_line == 2 && b.text.p[b.text.n - 1] == '\n');
    (void)close(p[1]);
    assert_int_equal(nr_input_next(in, &b, NULL), NR_OK);
    assert_true(b.text.n == 0);
    nr_input_free(in);
    (void)close(p[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_packed),
        NR_TEST(test_cut_and_damaged),
        NR_TEST(test_after_gz),
        NR_TEST(test_memory_limit),
        NR_TEST(test_texts),
        NR_TEST(test_line_next),
        NR_TEST(test_long_line),
        NR_TEST(test_long_token),
        NR_TEST(test_giant),
        NR_TEST(test_cannot_open),
        NR_TEST(test_resume),
        NR_TEST(test_follow),
        NR_TEST(test_shrinks),
        NR_TEST(test_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
