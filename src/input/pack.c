#include "base/date.h"
#include "base/file.h"
#include "base/num.h"
#include "input/capture.h"
#include "input/decode.h"
#include "input/input.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAR_MAGIC_AT ((size_t)257) /* POSIX.1-2017, pax, "ustar Interchange" */
#define TAR_BLOCK    ((size_t)512)
#define CHUNK        ((size_t)1 << 17)

enum what { NOTHING, ZIP, TAR, CAPTURE };

struct nr_pack {
    int fd;            /* borrowed */
    char *name, *text; /* owned; of the pack, of the member */
    size_t text_n;
    enum what what;
    struct nr_decode code;
    struct archive *a; /* owned; of ZIP and TAR */
    struct nr_pack_limits max;
    uint64_t size, members, octets;
    uint8_t *chunk;   /* owned; CHUNK octets */
    int spool, lines; /* files without a name; lines: of a capture */
    bool ended;
};

/* The first octets of FD, unpacked, as many as tell; rewinds. */
static enum what
guess(int fd, struct nr_decode *c)
{
    uint8_t head[TAR_BLOCK];
    struct nr_bytes b = { head, 0 };
    enum what what = NOTHING;
    size_t got = 1;

    *c = (struct nr_decode){ .fd = fd, .name = "" };
    (void)lseek(fd, 0, SEEK_SET);
    if (nr_decode_start(c, NULL) == NR_OK)
        while (b.n < sizeof(head) && got > 0 &&
            nr_decode_read(c, head + b.n, sizeof(head) - b.n, &got, NULL) ==
                NR_OK)
            b.n += got;
    if (nr_capture_is(b))
        what = CAPTURE;
    else if (c->form == NR_FORM_PLAIN &&
        (nr_bytes_starts(b, NR_BYTES("PK\x03\x04")) ||
            nr_bytes_starts(b, NR_BYTES("PK\x05\x06"))))
        what = ZIP;
    else if (b.n >= TAR_MAGIC_AT + 5 &&
        memcmp(head + TAR_MAGIC_AT, "ustar", 5) == 0)
        what = TAR;
    nr_decode_fini(c);
    (void)lseek(fd, 0, SEEK_SET);
    return what;
}

bool
nr_pack_is(int fd)
{
    struct nr_decode c;

    return guess(fd, &c) != NOTHING;
}

/* What libarchive asks for */

static la_ssize_t
on_read(struct archive *a, void *ctx, const void **out)
{
    struct nr_pack *p = ctx;
    size_t got = 0;

    *out = p->chunk;
    if (nr_decode_read(&p->code, p->chunk, CHUNK, &got, NULL) != NR_OK) {
        archive_set_error(a, EIO, "unpack");
        return -1;
    }
    return (la_ssize_t)got;
}

static la_ssize_t
on_read_zip(struct archive *a, void *ctx, const void **out)
{
    struct nr_pack *p = ctx;
    ssize_t got;

    *out = p->chunk;
    do
        got = read(p->fd, p->chunk, CHUNK);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        archive_set_error(a, errno, "read");
    return got;
}

static la_int64_t
on_seek(struct archive *a, void *ctx, la_int64_t to, int whence)
{
    struct nr_pack *p = ctx;
    off_t at = lseek(p->fd, to, whence);

    if (at < 0)
        archive_set_error(a, errno, "seek");
    return at < 0 ? ARCHIVE_FATAL : at;
}

static enum nr_err
open_archive(struct nr_pack *p, struct nr_diag *d)
{
    struct archive *a = p->a = archive_read_new();
    bool zip = p->what == ZIP;
    int r;

    if (!a)
        return nr_fail_name(d, NR_ENOMEM, "pack: no memory", p->name);
    r = zip ? archive_read_support_format_zip_seekable(a)
            : archive_read_support_format_tar(a);
    if (r == ARCHIVE_OK && !zip) {
        p->code = (struct nr_decode){ .fd = p->fd, .name = p->name };
        if (nr_decode_start(&p->code, d) != NR_OK)
            return NR_EFORMAT;
    }
    (void)archive_read_set_read_callback(a, zip ? on_read_zip : on_read);
    if (zip)
        (void)archive_read_set_seek_callback(a, on_seek);
    (void)archive_read_set_callback_data(a, p);
    if (r != ARCHIVE_OK || archive_read_open1(a) != ARCHIVE_OK)
        return nr_fail_name(d, zip ? NR_ETRUNC : NR_EFORMAT,
            zip ? "pack: a zip whose directory, at its end, is cut or damaged"
                : "pack: a tar whose head is damaged",
            p->name);
    return NR_OK;
}

static int
spool_open(const char *dir)
{
    char path[NR_PATH_MAX];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 ||
        snprintf(path, sizeof(path), "%s/.unpack-XXXXXX", dir) >=
            (int)sizeof(path))
        return fd;
    fd = mkostemp(path, O_CLOEXEC); /* file systems without O_TMPFILE */
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

enum nr_err
nr_pack_open(int fd, const char *name, const char *spool,
    const struct nr_pack_limits *limits, struct nr_pack **out,
    struct nr_diag *d)
{
    struct nr_pack *p = calloc(1, sizeof(*p));
    struct nr_pack_limits max = { 0 };
    struct stat st = { 0 };
    enum nr_err err = NR_OK;

    if (!p)
        return nr_fail_name(d, NR_ENOMEM, "pack: no memory", name);
    max = limits ? *limits : max;
    p->max.members = max.members ? max.members : NR_PACK_MEMBERS_MAX;
    p->max.octets = max.octets ? max.octets : NR_PACK_OCTETS_MAX;
    p->max.ratio = max.ratio ? max.ratio : NR_PACK_RATIO_MAX;
    p->fd = fd;
    p->what = guess(fd, &p->code);
    p->text_n = strlen(name) + NR_PACK_NAME_MAX + 2;
    p->name = strdup(name);
    p->text = malloc(p->text_n);
    p->chunk = malloc(CHUNK);
    p->lines = -1;
    p->spool = spool_open(spool);
    if (fstat(fd, &st) == 0 && st.st_size > 0)
        p->size = (uint64_t)st.st_size;
    if (!p->name || !p->text || !p->chunk)
        err = nr_fail_name(d, NR_ENOMEM, "pack: no memory", name);
    else if (p->spool < 0 || (p->lines = spool_open(spool)) < 0)
        err = nr_fail_file(d, "pack: make a file to unpack into", spool);
    else if (p->what == NOTHING)
        err = nr_fail_name(d, NR_EFORMAT, "pack: neither archive nor capture",
            name);
    else if (p->what != CAPTURE)
        err = open_archive(p, d);
    if (err)
        nr_pack_free(p);
    else
        *out = p;
    return err;
}

void
nr_pack_free(struct nr_pack *p)
{
    if (!p)
        return;
    (void)archive_read_free(p->a);
    nr_decode_fini(&p->code);
    if (p->spool >= 0)
        (void)close(p->spool);
    if (p->lines >= 0)
        (void)close(p->lines);
    free(p->chunk);
    free(p->text);
    free(p->name);
    free(p);
}

static enum nr_err
empty(int fd, const char *name, struct nr_diag *d)
{
    if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) != 0)
        return nr_fail_file(d, "pack: empty the file to unpack into", name);
    return NR_OK;
}

/* N more octets unpacked. */
static enum nr_err
count(struct nr_pack *p, uint64_t n, struct nr_diag *d)
{
    p->octets += n;
    if (p->octets > p->max.octets)
        return nr_fail_name(d, NR_ELIMIT,
            "pack: holds more octets than a pack may (1 TiB)", p->text);
    if (p->octets > NR_PACK_SMALL && p->octets / p->max.ratio > p->size)
        return nr_fail_name(d, NR_ELIMIT,
            "pack: unpacks to more than 400 times its size, as bombs do; "
            "unpack it by hand if it is none",
            p->text);
    return NR_OK;
}

/* What libarchive or the decoder under it says. */
static enum nr_err
broken(struct nr_pack *p, struct nr_diag *d)
{
    const char *why = archive_error_string(p->a);

    if (p->code.fault.err) {
        struct nr_diag f = p->code.fault;

        return nr_fail_name(d, f.err, f.what, p->name);
    }
    if (why && strstr(why, "runcated"))
        return nr_fail_name(d, NR_ETRUNC,
            "pack: ends early; what came before was read", p->text);
    return nr_fail_name(d, NR_EFORMAT,
        "pack: damaged from here on; what came before was read", p->text);
}

/* The member's octets into the spool. *WHY: the pack's fault; the result: what
 * ends everything (limits, disk). */
static enum nr_err
unpack(struct nr_pack *p, struct nr_diag *why, struct nr_diag *d)
{
    enum nr_err err = empty(p->spool, p->text, d);

    while (!err) {
        la_ssize_t n;
        uint8_t *to = p->chunk;

        if (p->what == CAPTURE) {
            size_t got = 0;

            if (nr_decode_read(&p->code, to, CHUNK, &got, why) != NR_OK ||
                got == 0)
                break;
            n = (la_ssize_t)got;
            err = nr_fd_write(p->spool, (struct nr_bytes){ to, got }, d);
        } else {
            const void *block;
            size_t got = 0;
            la_int64_t at;
            int r = archive_read_data_block(p->a, &block, &got, &at);

            if (r == ARCHIVE_EOF)
                break;
            if (r != ARCHIVE_OK) {
                (void)broken(p, why);
                break;
            }
            n = (la_ssize_t)got;
            err = nr_fd_write(p->spool, (struct nr_bytes){ block, got }, d);
        }
        if (!err)
            err = count(p, (uint64_t)n, d);
    }
    return err;
}

/* "PACK!name", or NULL with WHY. */
static const char *
name_member(struct nr_pack *p, const char *in, struct nr_diag *why)
{
    int n;

    while (in && (*in == '/' || (in[0] == '.' && in[1] == '/')))
        in++;
    if (!in || !*in) {
        (void)nr_fail_name(why, NR_EFORMAT, "pack: a member without a name",
            p->name);
        return NULL;
    }
    n = snprintf(p->text, p->text_n, "%s!%s", p->name, in);
    for (char *c = p->text; *c; c++)
        if ((uint8_t)*c < ' ' || *c == 0x7f)
            *c = '?';
    if (n < 0 || (size_t)n >= p->text_n) {
        (void)nr_fail_name(why, NR_ELIMIT,
            "pack: a member's name is longer than 1024 octets", p->text);
        return NULL;
    }
    for (const char *c = in; c; c = strchr(c, '/')) {
        c += *c == '/';
        if (strncmp(c, "..", 2) == 0 && (c[2] == '/' || c[2] == '\0')) {
            (void)nr_fail_name(why, NR_EFORMAT,
                "pack: a member's name leads out of the pack; not taken",
                p->text);
            return NULL;
        }
    }
    return p->text;
}

/* The spool is the member; a capture in it becomes lines. */
static enum nr_err
deliver(struct nr_pack *p, struct nr_member *m, struct nr_diag *d)
{
    struct nr_decode c;
    enum what in = guess(p->spool, &c);
    enum nr_err err;

    m->fd = p->spool;
    if (in == NOTHING)
        return NR_OK;
    if (in != CAPTURE || c.form != NR_FORM_PLAIN) {
        m->fd = -1;
        (void)nr_fail_name(&m->fault, NR_ELIMIT,
            "pack: a pack within a pack is not read: unpack it first", p->text);
        return NR_OK;
    }
    err = empty(p->lines, p->text, d);
    if (!err) {
        struct nr_diag why = { 0 };

        err = nr_capture_lines(p->spool, p->text, p->lines, p->max.octets,
            &why);
        if (why.err && !m->fault.err)
            m->fault = why;
        if (err == NR_ESYS || err == NR_ENOMEM) {
            if (d && d->err == NR_OK)
                *d = why;
            return err;
        }
    }
    m->fd = p->lines;
    (void)lseek(p->lines, 0, SEEK_SET);
    return NR_OK;
}

static enum nr_err
next_capture(struct nr_pack *p, struct nr_member *m, struct nr_diag *d)
{
    enum nr_err err;

    p->ended = true;
    (void)snprintf(p->text, p->text_n, "%s", p->name);
    m->name = p->text;
    p->code = (struct nr_decode){ .fd = p->fd, .name = p->name };
    err = nr_decode_start(&p->code, d);
    if (!err)
        err = unpack(p, &m->fault, d);
    return err ? err : deliver(p, m, d);
}

/* The next entry that is a file; NULL at the end. */
static enum nr_err
next_entry(struct nr_pack *p, struct archive_entry **out, struct nr_diag *d)
{
    *out = NULL;
    for (;;) {
        int r = archive_read_next_header(p->a, out);

        if (r == ARCHIVE_EOF) {
            *out = NULL;
            p->ended = true;
            return NR_OK;
        }
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
            return broken(p, d);
        if (++p->members > p->max.members)
            return nr_fail_name(d, NR_ELIMIT,
                "pack: has more members than a pack may (100 000)", p->name);
        if (archive_entry_filetype(*out) == AE_IFREG &&
            !archive_entry_hardlink(*out))
            return NR_OK;
    }
}

enum nr_err
nr_pack_next(struct nr_pack *p, struct nr_member *m, struct nr_diag *d)
{
    struct archive_entry *e;
    enum nr_err err;

    *m = (struct nr_member){ .fd = -1, .mtime_s = NR_TIME_NONE };
    if (p->ended)
        return NR_OK;
    if (p->what == CAPTURE)
        return next_capture(p, m, d);
    (void)snprintf(p->text, p->text_n, "%s", p->name);
    err = next_entry(p, &e, d);
    if (err || !e) {
        p->ended = true;
        return err;
    }
    m->name = p->name;
    if (archive_entry_mtime_is_set(e))
        m->mtime_s = archive_entry_mtime(e);
    if (!name_member(p, archive_entry_pathname(e), &m->fault))
        return NR_OK;
    m->name = p->text;
    if (archive_entry_is_encrypted(e)) {
        (void)nr_fail_name(&m->fault, NR_EDENIED,
            "pack: a member is encrypted; unpack it first", p->text);
        return NR_OK;
    }
    err = unpack(p, &m->fault, d);
    p->ended = err || m->fault.err;
    return err ? err : deliver(p, m, d);
}
