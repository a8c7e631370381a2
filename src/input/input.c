#include "input/input.h"

#include "base/date.h"
#include "base/num.h"
#include "input/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define UTF16_CHUNK ((size_t)1 << 14) /* octets of UTF-16 converted at a time */
#define UTF16_GUESS ((size_t)64)      /* octets that tell UTF-16 without mark */
#define UTF16_FEW   ((size_t)8)       /* fewer octets tell nothing */
#define JUNK_MIN    ((size_t)16)      /* control octets that text may hold */
#define JUNK_PART   ((size_t)20)      /* binary: more than 1 in 20 is one */
#define UTF8_MAX    ((size_t)4)
#define REPLACEMENT 0xfffdu /* what stands for half a character */
#define ESCAPE      0x1b    /* colours in a log are text */

enum charset { UTF8, UTF16LE, UTF16BE };

struct nr_input {
    struct nr_decode code;
    char *name;     /* owned */
    bool own_fd;    /* fd came from nr_input_open */
    bool by_path;   /* name can be looked up */
    bool regular;   /* a file that has a size */
    struct stat st; /* at open */

    enum charset charset;
    uint8_t *wide; /* owned; UTF16_CHUNK octets, or NULL */
    uint8_t half;  /* first octet of a split unit, when have_half */
    uint16_t high; /* high surrogate that waits for its low one, or 0 */
    bool have_half;
    size_t mark; /* octets of the byte order mark */

    size_t block;
    uint8_t *own; /* owned; the buffer of nr_input_next, or NULL */
    uint8_t *buf; /* own or lent; cap octets, n in use, `out` given out */
    size_t cap, n, out;
    uint8_t *rest; /* owned; what a lent buffer held beyond its block */
    size_t rest_n, rest_cap;
    uint64_t at;   /* offset in the text of buf[0] */
    uint64_t line; /* number of the line at buf[0] */
    bool mid_line; /* buf[0] continues a line given out in part */
    bool torn;     /* and a token may run over that cut */
    bool follow, begun, ended, uncounted;
    uint64_t skip; /* octets of text still to be dropped */
    struct nr_diag fault;
};

static enum nr_err
options_check(const struct nr_input_options *o, const char *name,
    struct nr_diag *d)
{
    if (o->block != 0 &&
        (o->block < NR_INPUT_BLOCK_MIN || o->block > NR_INPUT_BLOCK_MAX))
        return nr_fail_name(d, NR_ELIMIT,
            "input: block size is not 4 KiB to 64 MiB", name);
    if (o->head.n > NR_INPUT_RAW)
        return nr_fail_name(d, NR_ELIMIT,
            "input: more than 256 KiB were read before", name);
    return NR_OK;
}

/* "\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF", or ASCII with zeros between. */
static void
charset_guess(struct nr_input *in, struct nr_bytes b)
{
    size_t n = nr_min(b.n, UTF16_GUESS) & ~(size_t)1;
    bool le = n >= UTF16_FEW, be = n >= UTF16_FEW;

    if (nr_bytes_starts(b, NR_BYTES("\xef\xbb\xbf"))) {
        in->mark = 3;
        return;
    }
    if (nr_bytes_starts(b, NR_BYTES("\xff\xfe")) ||
        nr_bytes_starts(b, NR_BYTES("\xfe\xff"))) {
        in->charset = b.p[0] == 0xff ? UTF16LE : UTF16BE;
        in->mark = 2;
        return;
    }
    for (size_t i = 0; i < n; i += 2) {
        le = le && b.p[i] != 0 && b.p[i] < 0x80 && b.p[i + 1] == 0;
        be = be && b.p[i + 1] != 0 && b.p[i + 1] < 0x80 && b.p[i] == 0;
    }
    if (le || be)
        in->charset = le ? UTF16LE : UTF16BE;
}

static size_t
put_utf8(uint8_t *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (uint8_t)(0xc0 | c >> 6);
        p[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (uint8_t)(0xe0 | c >> 12);
        p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        p[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    p[0] = (uint8_t)(0xf0 | c >> 18);
    p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    p[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* One unit of UTF-16 (RFC 2781 section 2.2) into P; at most 7 octets. */
static size_t
put_unit(struct nr_input *in, uint16_t u, uint8_t *p)
{
    size_t n = 0;

    if (in->high != 0 && (u & 0xfc00) == 0xdc00) {
        uint32_t c = 0x10000 + ((uint32_t)(in->high & 0x3ff) << 10) +
            (uint32_t)(u & 0x3ff);

        in->high = 0;
        return put_utf8(p, c);
    }
    if (in->high != 0) {
        n = put_utf8(p, REPLACEMENT);
        in->high = 0;
    }
    if ((u & 0xfc00) == 0xd800) {
        in->high = u;
        return n;
    }
    return n + put_utf8(p + n, (u & 0xfc00) == 0xdc00 ? REPLACEMENT : u);
}

/* N octets of in->wide to P, which has room for twice as many. */
static size_t
wide_convert(struct nr_input *in, size_t n, uint8_t *p)
{
    size_t o = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = in->wide[i];

        if (in->have_half)
            o += put_unit(in,
                in->charset == UTF16LE ? (uint16_t)(c << 8 | in->half)
                                       : (uint16_t)(in->half << 8 | c),
                p + o);
        in->half = c;
        in->have_half = !in->have_half;
    }
    return o;
}

/* At most N octets of UTF-8 made from UTF-16 read; *GOT 0 at the end. */
static enum nr_err
wide_read(struct nr_input *in, uint8_t *p, size_t n, size_t *got,
    struct nr_diag *d)
{
    size_t ask = nr_min(UTF16_CHUNK, n / UTF8_MAX * 2);

    *got = 0;
    while (*got == 0) {
        size_t have = 0;
        enum nr_err err = nr_decode_read(&in->code, in->wide, ask, &have, d);

        if (have > 0) {
            *got = wide_convert(in, have, p);
            continue;
        }
        if (in->follow || (in->high == 0 && !in->have_half))
            return err;
        in->high = 0;
        in->have_half = false;
        *got = put_utf8(p, REPLACEMENT);
        return NR_OK;
    }
    return NR_OK;
}

static enum nr_err
text_read(struct nr_input *in, uint8_t *p, size_t n, size_t *got,
    struct nr_diag *d)
{
    return in->charset == UTF8 ? nr_decode_read(&in->code, p, n, got, d)
                               : wide_read(in, p, n, got, d);
}

static const struct {
    struct nr_bytes magic;
    const char *what;
} binaries[] = {
    { { (const uint8_t *)"ElfFile\0", 8 },
        "input: a binary Windows event log (EVTX): export it as XML or JSON" },
    { { (const uint8_t *)"\xd4\xc3\xb2\xa1", 4 },
        "input: a packet capture, not a log" },
    { { (const uint8_t *)"\xa1\xb2\xc3\xd4", 4 },
        "input: a packet capture, not a log" },
    { { (const uint8_t *)"\x0a\x0d\x0d\x0a", 4 },
        "input: a packet capture (pcapng), not a log" },
    { { (const uint8_t *)"BZh", 3 },
        "input: bzip2 is not read: unpack it with bunzip2 first" },
    { { (const uint8_t *)"PK\x03\x04", 4 },
        "input: a ZIP archive: unpack it first" },
    { { (const uint8_t *)"\x7f"
                         "ELF",
          4 },
        "input: a program, not a log" },
    { { (const uint8_t *)"\xff\xfe\0\0", 4 }, "input: UTF-32 is not read" },
};

/* What B, the beginning of the text, is if it is no text; NULL if it is. */
static const char *
binary_what(const struct nr_input *in, struct nr_bytes b)
{
    size_t junk = 0, zeros = 0;

    for (size_t i = 0; i < sizeof(binaries) / sizeof(binaries[0]); i++)
        if (nr_bytes_starts(b, binaries[i].magic))
            return binaries[i].what;
    for (size_t i = 0; i < b.n && in->charset == UTF8; i++) {
        uint8_t c = b.p[i];

        zeros += c == 0;
        junk += c != 0 && (c < ' ' || c == 0x7f) && !nr_is_space(c) &&
            c != ESCAPE;
    }
    if (junk >= JUNK_MIN && junk > (b.n - zeros) / JUNK_PART)
        return "input: binary data, not text";
    return NULL;
}

/* The head of a UTF-16 text, in the buffer, becomes UTF-8. */
static enum nr_err
wide_begin(struct nr_input *in, struct nr_diag *d)
{
    size_t n = in->n - in->mark;

    in->wide = malloc(UTF16_CHUNK);
    if (!in->wide)
        return nr_fail_name(d, NR_ENOMEM, "input: no memory", in->name);
    memcpy(in->wide, in->buf + in->mark, n);
    in->n = wide_convert(in, n, in->buf);
    return NR_OK;
}

/* Plain UTF-8 can be entered anywhere. */
static enum nr_err
jump(struct nr_input *in, struct nr_diag *d)
{
    uint64_t to = in->skip + in->mark;

    if (to > INT64_MAX || lseek(in->code.fd, (off_t)to, SEEK_SET) == (off_t)-1)
        return nr_fail_file(d, "input: cannot seek", in->name);
    in->code.raw_at = in->code.raw_n = in->n = 0;
    in->code.offset = to;
    in->at = in->skip;
    in->skip = 0;
    return NR_OK;
}

/* Charset and offset, once the first octets are there. Nothing is begun while
 * the file is empty: it may yet grow a mark. */
static enum nr_err
begin(struct nr_input *in, struct nr_diag *d)
{
    const char *what;

    while (in->n < UTF16_GUESS) {
        size_t got = 0;
        enum nr_err err = nr_decode_read(&in->code, in->buf + in->n,
            NR_INPUT_BLOCK_MIN, &got, in->n ? NULL : d);

        if (err && in->n == 0)
            return err;
        if (got == 0)
            break; /* a failure comes again, when these octets are read */
        in->n += got;
    }
    if (in->n == 0)
        return NR_OK;
    in->begun = true;
    if (in->code.stream)
        return NR_OK;
    charset_guess(in, (struct nr_bytes){ in->buf, in->n });
    what = binary_what(in, (struct nr_bytes){ in->buf, in->n });
    if (what) {
        in->n = 0;
        return nr_fail_name(d, NR_EFORMAT, what, in->name);
    }
    if (in->charset != UTF8)
        return wide_begin(in, d);
    if (in->skip && in->regular && in->code.form == NR_FORM_PLAIN)
        return jump(in, d);
    in->n -= in->mark;
    memmove(in->buf, in->buf + in->mark, in->n);
    return NR_OK;
}

/* A file that is now shorter than what was read of it. */
static bool
has_shrunk(const struct nr_input *in)
{
    struct stat st;

    return in->regular && in->code.form == NR_FORM_PLAIN &&
        fstat(in->code.fd, &st) == 0 && st.st_size >= 0 &&
        (uint64_t)st.st_size < in->code.offset;
}

/* Take what was given out off the front, and what is still to be skipped. */
static void
consume(struct nr_input *in)
{
    in->n -= in->out;
    memmove(in->buf, in->buf + in->out, in->n);
    in->at += in->out;
    in->out = 0;
}

static void
drop_skipped(struct nr_input *in)
{
    size_t n = in->skip < in->n ? (size_t)in->skip : in->n;

    in->out = n;
    in->skip -= n;
    consume(in);
}

/* One step of reading; 0 octets: the end, or a failure in in->fault. */
static size_t
more(struct nr_input *in)
{
    size_t got = 0, room = in->cap - in->n;

    if (!in->begun)
        return begin(in, &in->fault) == NR_OK && in->begun ? 1 : 0;
    if (in->n < in->block) /* little of a line is left over then */
        room = nr_min(room, nr_max(in->block - in->n, NR_INPUT_BLOCK_MIN));
    if (text_read(in, in->buf + in->n, room, &got, &in->fault))
        return 0;
    in->n += got;
    return got;
}

/*
 * Read until the buffer holds a whole line (and a block's worth of them, when
 * reading does not wait), a line too long to hold, or the end.
 */
static void
fill(struct nr_input *in)
{
    size_t seen = 0; /* octets that hold no LF */
    bool lf = false;

    for (in->ended = false; !in->ended; in->ended = in->fault.err != NR_OK) {
        if (!lf && in->n > seen)
            lf = memchr(in->buf + seen, '\n', in->n - seen) != NULL;
        seen = in->n;
        if (lf ? in->n >= in->block || in->code.short_read
               : in->n > NR_LINE_MAX)
            return;
        if (in->fault.err || more(in) == 0)
            break;
        if (in->skip) {
            drop_skipped(in);
            seen = 0;
            lf = false;
        }
    }
    in->ended = true;
    if (!in->fault.err && has_shrunk(in))
        (void)nr_fail_name(&in->fault, NR_ETRUNC,
            "input: became shorter while it was read; what was read stands",
            in->name);
}

/* White space, controls, quotes and angle brackets end every token. */
static bool
ends_token(uint8_t c)
{
    return c <= ' ' || c == 0x7f || c == '"' || c == '<' || c == '>';
}

/* Octets that no name, address, hash or mail address contains. */
static bool
ends_name(uint8_t c)
{
    return c < 0x80 && !nr_is_digit(c) && !nr_is_alpha(c) && c != '.' &&
        c != '-' && c != '_' && c != ':' && c != '@' && c != '+' && c != '%';
}

/* Where to cut a line whose first NR_LINE_MAX octets are at P. */
static size_t
cut_at(const uint8_t *p, bool *torn)
{
    size_t n = NR_LINE_MAX;

    *torn = false;
    for (size_t i = n; i > n - NR_LINE_TAIL; i--)
        if (ends_token(p[i - 1]))
            return i;
    for (size_t i = n; i > n - NR_LINE_TAIL; i--)
        if (ends_name(p[i - 1]))
            return i;
    *torn = true;
    for (size_t i = 0; i < UTF8_MAX - 1 && (p[n] & 0xc0) == 0x80; i++)
        n--; /* not inside a character */
    return n;
}

/* Octets of the whole lines at the front of the buffer that are not too
 * long: of lines up to the last LF only those can be that leave no LF within
 * NR_LINE_MAX octets of their start. */
static size_t
whole_lines(const struct nr_input *in)
{
    const uint8_t *last = in->n ? memrchr(in->buf, '\n', in->n) : NULL;
    size_t end = last ? (size_t)(last - in->buf) + 1 : 0, at = 0;

    while (end - at > NR_LINE_MAX + 1) {
        const uint8_t *lf = memrchr(in->buf + at, '\n', NR_LINE_MAX + 1);

        if (!lf)
            return at;
        at = (size_t)(lf - in->buf) + 1;
    }
    return end;
}

static uint32_t
count_lines(struct nr_bytes text)
{
    const uint8_t *end = text.p + text.n, *p = text.p;
    uint32_t n = 0;

    for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
        n++;
    return n;
}

/* A piece of a line too long, or the rest of one: alone in its block. */
static size_t
piece(struct nr_input *in, struct nr_block *b)
{
    size_t look = nr_min(in->n, NR_LINE_MAX + 1);
    const uint8_t *lf = look ? memchr(in->buf, '\n', look) : NULL;

    b->lines = 1;
    if (lf) {
        in->mid_line = in->torn = false;
        in->line++;
        return (size_t)(lf - in->buf) + 1;
    }
    in->mid_line = true;
    if (in->n > NR_LINE_MAX) {
        b->goes_on = true;
        look = cut_at(in->buf, &b->torn_tail);
    } else {
        b->open_end = true;
    }
    in->torn = b->torn_tail;
    return look;
}

/* The next block of the buffer, whose first in->n octets are unused text. */
static enum nr_err
next(struct nr_input *in, struct nr_block *out, struct nr_diag *d)
{
    *out = (struct nr_block){ 0 };
    fill(in);
    if (in->n == 0 ||
        (in->ended && in->follow && !in->fault.err && in->n <= NR_LINE_MAX &&
            !memchr(in->buf, '\n', in->n))) {
        if (in->fault.err && d && d->err == NR_OK)
            *d = in->fault;
        return in->fault.err;
    }
    *out = (struct nr_block){ .at = in->at,
        .first_line = in->line,
        .continues = in->mid_line,
        .torn_head = in->torn };
    if (!in->mid_line)
        in->out = whole_lines(in);
    if (in->out == 0) {
        in->out = piece(in, out);
    } else if (!in->uncounted) {
        out->lines = count_lines((struct nr_bytes){ in->buf, in->out });
        in->line += out->lines;
    }
    if (in->uncounted) {
        out->first_line = 0;
        out->lines = 0;
    }
    out->text = (struct nr_bytes){ in->buf, in->out };
    return NR_OK;
}

enum nr_err
nr_input_next(struct nr_input *in, struct nr_block *out, struct nr_diag *d)
{
    if (!in->own) {
        in->own = malloc(in->cap);
        if (!in->own)
            return nr_fail_name(d, NR_ENOMEM, "input: no memory", in->name);
        in->buf = in->own;
    }
    consume(in);
    return next(in, out, d);
}

size_t
nr_input_room(size_t block)
{
    return nr_max(block ? block : NR_INPUT_BLOCK, NR_LINE_MAX) +
        NR_INPUT_BLOCK_MIN + 2 * NR_INPUT_SLACK;
}

/* What the lent buffer holds beyond the block goes where it outlives it. */
static enum nr_err
keep_rest(struct nr_input *in, struct nr_diag *d)
{
    size_t n = in->n - in->out;

    if (n > in->rest_cap) {
        uint8_t *p = realloc(in->rest, n);

        if (!p)
            return nr_fail_name(d, NR_ENOMEM, "input: no memory", in->name);
        in->rest = p;
        in->rest_cap = n;
    }
    if (n > 0)
        memcpy(in->rest, in->buf + in->out, n);
    in->rest_n = n;
    in->at += in->out;
    in->out = 0;
    return NR_OK;
}

enum nr_err
nr_input_next_in(struct nr_input *in, uint8_t *buf, struct nr_block *out,
    struct nr_diag *d)
{
    enum nr_err err, kept;

    in->buf = buf + NR_INPUT_SLACK;
    if (in->rest_n > 0)
        memcpy(in->buf, in->rest, in->rest_n);
    in->n = in->rest_n;
    err = next(in, out, d);
    kept = keep_rest(in, d);
    memset(buf, '\n', NR_INPUT_SLACK);
    memset(in->buf + out->text.n, '\n', NR_INPUT_SLACK);
    in->buf = NULL;
    return err ? err : kept;
}

bool
nr_input_is_flat(const struct nr_input *in, size_t *mark)
{
    *mark = in->mark;
    return in->begun && in->charset == UTF8 && in->regular &&
        in->code.form == NR_FORM_PLAIN;
}

uint64_t
nr_input_offset(const struct nr_input *in)
{
    return in->code.offset;
}

void
nr_input_finish(struct nr_input *in)
{
    in->follow = false;
}

static enum nr_err
stat_check(struct nr_input *in, struct nr_diag *d)
{
    if (fstat(in->code.fd, &in->st) != 0)
        return nr_fail_file(d, "input: cannot be read", in->name);
    if (S_ISDIR(in->st.st_mode))
        return nr_fail_name(d, NR_EFORMAT,
            "input: is a directory: name its files", in->name);
    in->regular = S_ISREG(in->st.st_mode);
    if (in->regular && lseek(in->code.fd, 0, SEEK_SET) == (off_t)-1)
        return nr_fail_file(d, "input: cannot seek", in->name);
    return NR_OK;
}

static struct nr_input *
input_new(const char *name, const struct nr_input_options *o, struct nr_diag *d)
{
    static const struct nr_input_options none;
    struct nr_input *in;
    size_t n;

    o = o ? o : &none;
    if (options_check(o, name, d))
        return NULL;
    in = calloc(1, sizeof(*in));
    if (!in)
        goto nomem;
    in->code.fd = -1;
    in->block = o->block ? o->block : NR_INPUT_BLOCK;
    in->cap = nr_input_room(in->block) - 2 * NR_INPUT_SLACK;
    in->skip = o->start;
    in->line = o->line ? o->line : 1;
    in->follow = o->follow;
    in->uncounted = o->uncounted;
    in->code.stop_fd = o->stop_fd;
    in->code.stream = o->stream;
    n = strlen(name) + 1;
    in->name = malloc(n);
    if (!in->name)
        goto nomem;
    memcpy(in->name, name, n);
    in->code.name = in->name;
    if (o->head.n > 0) {
        in->code.raw = malloc(NR_INPUT_RAW);
        if (!in->code.raw)
            goto nomem;
        memcpy(in->code.raw, o->head.p, o->head.n);
        in->code.raw_n = o->head.n;
    }
    return in;
nomem:
    (void)nr_fail_name(d, NR_ENOMEM, "input: no memory", name);
    nr_input_free(in);
    return NULL;
}

static enum nr_err
input_start(struct nr_input *in, struct nr_diag *d)
{
    enum nr_err err = stat_check(in, d);

    return err ? err : nr_decode_start(&in->code, d);
}

enum nr_err
nr_input_from_fd(int fd, const char *name, const struct nr_input_options *o,
    struct nr_input **out, struct nr_diag *d)
{
    struct nr_diag local = { 0 };
    struct nr_input *in = input_new(name, o, d ? d : &local);
    enum nr_err err;

    if (!in)
        return d ? d->err : local.err;
    in->code.fd = fd;
    err = input_start(in, d);
    if (err)
        nr_input_free(in);
    else
        *out = in;
    return err;
}

enum nr_err
nr_input_open(const char *path, const struct nr_input_options *o,
    struct nr_input **out, struct nr_diag *d)
{
    struct nr_diag local = { 0 };
    struct nr_input *in;
    enum nr_err err;

    if (strcmp(path, "-") == 0)
        return nr_input_from_fd(STDIN_FILENO, "standard input", o, out, d);
    in = input_new(path, o, d ? d : &local);
    if (!in)
        return d ? d->err : local.err;
    in->by_path = true;
    in->code.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    in->own_fd = true;
    if (in->code.fd >= 0)
        err = input_start(in, d);
    else if (errno == ENOENT)
        err = nr_fail_name(d, NR_ENOTFOUND, "input: no such file", path);
    else
        err = nr_fail_file(d, "input: cannot be opened", path);
    if (err)
        nr_input_free(in);
    else
        *out = in;
    return err;
}

enum nr_input_state
nr_input_check(const struct nr_input *in)
{
    struct stat now, named;

    if (fstat(in->code.fd, &now) != 0)
        return NR_INPUT_GONE;
    if (in->by_path) {
        if (stat(in->name, &named) != 0)
            return NR_INPUT_GONE;
        if (named.st_ino != in->st.st_ino || named.st_dev != in->st.st_dev)
            return NR_INPUT_ROTATED;
    }
    if (!in->regular || now.st_size < 0)
        return NR_INPUT_SAME;
    if ((uint64_t)now.st_size < in->code.offset)
        return NR_INPUT_SHRUNK;
    return (uint64_t)now.st_size > in->code.offset ? NR_INPUT_GROWN
                                                   : NR_INPUT_SAME;
}

const char *
nr_input_form(const struct nr_input *in)
{
    static const char *const names[] = { "plain", "gz", "xz", "zst" };

    return names[in->code.form];
}

int64_t
nr_input_mtime(const struct nr_input *in)
{
    return in->regular ? (int64_t)in->st.st_mtime : NR_TIME_NONE;
}

void
nr_input_free(struct nr_input *in)
{
    if (!in)
        return;
    if (in->own_fd && in->code.fd >= 0)
        (void)close(in->code.fd);
    nr_decode_fini(&in->code);
    free(in->wide);
    free(in->own);
    free(in->rest);
    free(in->name);
    free(in);
}
