#include "extract/extract.h"

#include "base/file.h"
#include "base/num.h"
#include "extract/child.h"
#include "extract/html.h"
#include "extract/mail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME_MAX ((size_t)64) /* octets of "KIND LENGTH\n" */

struct converter {
    const char *program;
    const char *const argv[NR_CHILD_ARGS];
    const char *missing, *failed, *slow, *large;
};

static const struct converter converters[] = {
    [NR_DOCUMENT_PDF] = {
        "pdftotext",
        { "pdftotext", "-q", "-enc", "UTF-8", "-nopgbrk", "-", "-", NULL },
        "document: a PDF needs pdftotext of the Debian package poppler-utils",
        "document: pdftotext cannot read it: damaged, encrypted or too large",
        "document: pdftotext took too long and was ended",
        "document: the PDF gives more than 256 MiB of text; the rest is unread",
    },
    [NR_DOCUMENT_HTML] = {
        "w3m",
        { "w3m", "-dump", "-T", "text/html", "-cols", "9999", "-O", "UTF-8",
            "-graph", NULL },
        "document: HTML needs w3m of the Debian package w3m",
        "document: w3m cannot read it",
        "document: w3m took too long and was ended",
        "document: the HTML gives more than 256 MiB of text; the rest is "
        "unread",
    },
    [NR_DOCUMENT_MAIL] = {
        "python3",
        { "python3", "-I", "-S", "-c", nr_mail_script, NULL },
        "document: a mail needs python3 of the Debian package python3",
        "document: its converter (python3) cannot read the mail",
        "document: the mail's converter (python3) took too long and was ended",
        "document: the mail gives more than 256 MiB of text; the rest is "
        "unread",
    },
};

struct job {
    const struct nr_converters *how;
    const char *name; /* of the document, for messages */
    int text;         /* what it becomes */
    size_t unread;
};

/* --- what it is --- */

static bool
starts_nocase(struct nr_bytes b, struct nr_bytes head)
{
    return b.n >= head.n &&
        nr_bytes_eq_nocase(nr_bytes_sub(b, 0, head.n), head);
}

static struct nr_bytes
skip_space(struct nr_bytes b)
{
    while (b.n > 0 && nr_is_space(b.p[0]))
        b = nr_bytes_sub(b, 1, b.n);
    return b;
}

/* What follows the comments, declarations and white space that may come
 * before an HTML text. */
static struct nr_bytes
html_start(struct nr_bytes b)
{
    b = skip_space(b);
    while (nr_bytes_starts(b, NR_BYTES("<!--")) ||
        nr_bytes_starts(b, NR_BYTES("<?xml"))) {
        const uint8_t *end = memchr(b.p, '>', b.n);

        if (!end)
            break;
        b = skip_space(nr_bytes_sub(b, (size_t)(end - b.p) + 1, b.n));
    }
    return b;
}

static bool
is_html(struct nr_bytes b)
{
    static const struct nr_bytes tags[] = {
        { (const uint8_t *)"<!doctype html", 14 },
        { (const uint8_t *)"<html", 5 },
        { (const uint8_t *)"<head", 5 },
        { (const uint8_t *)"<body", 5 },
    };

    b = html_start(b);
    for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
        if (starts_nocase(b, tags[i]) &&
            (b.n == tags[i].n || b.p[tags[i].n] == '>' ||
                nr_is_space(b.p[tags[i].n])))
            return true;
    return false;
}

/* Octets of the name of a header field that LINE begins with; 0: none.
 * RFC 5322 section 2.2. */
static size_t
field_name(struct nr_bytes line)
{
    size_t n = 0;

    while (
        n < line.n && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
        n++;
    return n > 0 && n < line.n && line.p[n] == ':' ? n : 0;
}

static bool
is_mail_field(struct nr_bytes name)
{
    static const char *const names[] = { "from", "to", "subject", "date",
        "message-id", "received", "mime-version", "return-path", "delivered-to",
        "content-type", "reply-to", "x-original-to", "dkim-signature",
        "sender" };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (nr_bytes_eq_nocase(name,
                (struct nr_bytes){ (const uint8_t *)names[i],
                    strlen(names[i]) }))
            return true;
    return false;
}

/* Do header fields come first, and WANTED known ones of a mail among them?
 * The head may end within them. */
static bool
is_mail(struct nr_bytes head, size_t wanted)
{
    struct nr_bytes line;
    size_t known = 0, lines = 0;

    while (nr_line_next(&head, &line) && line.n > 0) {
        size_t n = field_name(line);
        bool first = lines++ == 0;

        if (first && nr_bytes_starts(line, NR_BYTES("From ")))
            continue;
        if (!first && nr_is_space(line.p[0]))
            continue;
        if (n == 0) {
            if (head.n == 0)
                break; /* cut by the end of the head */
            return false;
        }
        known += is_mail_field(nr_bytes_sub(line, 0, n));
    }
    return known >= wanted;
}

static bool
has_ending(const char *name, const char *ending)
{
    size_t n = name ? strlen(name) : 0, m = strlen(ending);

    return n >= m &&
        nr_bytes_eq_nocase((struct nr_bytes){ (const uint8_t *)name + n - m,
                               m },
            (struct nr_bytes){ (const uint8_t *)ending, m });
}

enum nr_document
nr_document_of(struct nr_bytes head, const char *name)
{
    bool mail = has_ending(name, ".eml") || has_ending(name, ".mbox");
    bool html = has_ending(name, ".html") || has_ending(name, ".htm");

    if (nr_bytes_starts(head, NR_BYTES("\xef\xbb\xbf")))
        head = nr_bytes_sub(head, 3, head.n);
    if (nr_bytes_starts(skip_space(head), NR_BYTES("%PDF-")))
        return NR_DOCUMENT_PDF;
    if (is_html(head) ||
        (html && nr_bytes_starts(html_start(head), NR_BYTES("<"))))
        return NR_DOCUMENT_HTML;
    if (is_mail(head, mail ? 1 : 3))
        return NR_DOCUMENT_MAIL;
    return NR_DOCUMENT_NONE;
}

/* --- converting it --- */

static enum nr_err
find_program(const struct job *j, const struct converter *c,
    char path[NR_PATH_MAX], struct nr_diag *d)
{
    static const char *const system[] = { "/usr/bin", "/usr/local/bin", "/bin",
        NULL };
    const char *const own[] = { j->how->dir, NULL };

    for (const char *const *dir = j->how->dir ? own : system; *dir; dir++)
        if (nr_path_join(path, *dir, c->program, NULL) == NR_OK &&
            access(path, X_OK) == 0)
            return NR_OK;
    return nr_fail_name(d, NR_ENOTFOUND, c->missing, j->name);
}

static enum nr_err
memory_file(int *fd, struct nr_diag *d)
{
    *fd = memfd_create("noroshi", MFD_CLOEXEC);
    return *fd >= 0 ? NR_OK : nr_fail_sys(d, "document: memfd_create");
}

/* Run the converter of KIND from IN, at its beginning, to OUT. */
static enum nr_err
run(const struct job *j, enum nr_document kind, int in, int out,
    struct nr_diag *d)
{
    const struct converter *c = &converters[kind];
    struct nr_child child = {
        .argv = c->argv,
        .in = in,
        .out = out,
        .output = NR_DOCUMENT_TEXT,
        .seconds = j->how->seconds,
        .memory = NR_DOCUMENT_MEMORY,
    };
    char path[NR_PATH_MAX];
    enum nr_child_end end;
    enum nr_err err = find_program(j, c, path, d);
    off_t kept;

    if (err)
        return err;
    child.path = path;
    kept = lseek(out, 0, SEEK_CUR);
    if (kept < 0 || lseek(in, 0, SEEK_SET) < 0)
        return nr_fail_file(d, "document: cannot seek", j->name);
    child.output -= nr_min(child.output, (size_t)kept);
    err = nr_child_run(&child, &end, d);
    if (err)
        return err;
    if (end == NR_CHILD_LARGE)
        return nr_fail_name(d, NR_ELIMIT, c->large, j->name);
    if (end == NR_CHILD_SLOW)
        return nr_fail_name(d, NR_ELIMIT, c->slow, j->name);
    if (end == NR_CHILD_FAILED)
        return nr_fail_name(d, NR_EFORMAT, c->failed, j->name);
    return NR_OK;
}

/* The whole of FD in memory of its own. Mapping the file would let whoever
 * shortens it end us. */
static enum nr_err
read_all(const struct job *j, int fd, struct nr_buf *out, struct nr_diag *d)
{
    off_t at = 0;

    while (out->err == NR_OK) {
        size_t old = out->n;
        uint8_t *p = nr_buf_extend(out, (size_t)1 << 16);
        ssize_t n = p ? pread(fd, p, (size_t)1 << 16, at) : 0;

        if (n < 0)
            return nr_fail_file(d, "document: cannot be read", j->name);
        if (p)
            out->n = old + (size_t)n;
        at += n;
        if (n == 0)
            break;
    }
    return out->err == NR_OK
        ? NR_OK
        : nr_fail_name(d, out->err, "document: too large", j->name);
}

static enum nr_err
put(const struct job *j, struct nr_bytes b, struct nr_diag *d)
{
    off_t at = lseek(j->text, 0, SEEK_CUR);

    if (at < 0 || b.n > NR_DOCUMENT_TEXT - nr_min((size_t)at, NR_DOCUMENT_TEXT))
        return nr_fail_name(d, NR_ELIMIT,
            "document: more than 256 MiB of text; the rest is unread", j->name);
    return nr_fd_write(j->text, b, d);
}

/* The text as shown, then what is hidden. The hidden part is ours to read and
 * comes even if the converter fails. */
static enum nr_err
html(const struct job *j, int fd, struct nr_diag *d)
{
    enum nr_err shown = run(j, NR_DOCUMENT_HTML, fd, j->text, d), err;
    struct nr_buf in, out;

    nr_buf_init(&in, NR_DOCUMENT_MAX + ((size_t)1 << 16));
    nr_buf_init(&out, NR_DOCUMENT_TEXT);
    err = read_all(j, fd, &in, shown ? NULL : d);
    if (!err) {
        nr_buf_put_c(&out, '\n');
        nr_html_hidden(nr_buf_bytes(&in), &out);
        err = out.err ? nr_fail_name(d, out.err, "document: too large", j->name)
                      : put(j, nr_buf_bytes(&out), d);
    }
    nr_buf_fini(&in);
    nr_buf_fini(&out);
    return shown ? shown : err;
}

/* B in a file of its own, through the converter of KIND. */
static enum nr_err
part(const struct job *j, enum nr_document kind, struct nr_bytes b,
    struct nr_diag *d)
{
    int fd = -1;
    enum nr_err err = memory_file(&fd, d);

    if (!err)
        err = nr_fd_write(fd, b, d);
    if (!err)
        err = kind == NR_DOCUMENT_HTML ? html(j, fd, d)
                                       : run(j, kind, fd, j->text, d);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

/* "KIND LENGTH\n" off the front of *REST, and the octets behind it. */
static bool
next_frame(struct nr_bytes *rest, struct nr_str *kind, struct nr_bytes *body)
{
    struct nr_bytes head = nr_bytes_sub(*rest, 0, nr_min(rest->n, FRAME_MAX));
    const uint8_t *lf = head.n ? memchr(head.p, '\n', head.n) : NULL;
    struct nr_str text, length;
    uint64_t n;

    if (!lf ||
        !nr_str_from_utf8((struct nr_bytes){ head.p, (size_t)(lf - head.p) },
            &text))
        return false;
    *kind = nr_str_cut(text, ' ', &length);
    *rest = nr_bytes_sub(*rest, text.n + 1, rest->n);
    if (!nr_str_to_u64(length, &n))
        return false;
    n = nr_min((size_t)n, rest->n); /* cut short: its converter failed */
    *body = nr_bytes_sub(*rest, 0, (size_t)n);
    *rest = nr_bytes_sub(*rest, (size_t)n, rest->n);
    return true;
}

/* One frame of mail.py. */
static enum nr_err
mail_part(struct job *j, struct nr_str kind, struct nr_bytes body,
    struct nr_diag *d)
{
    if (nr_str_eq(kind, NR_STR("text")))
        return put(j, body, d);
    if (nr_str_eq(kind, NR_STR("html")))
        return part(j, NR_DOCUMENT_HTML, body, d);
    if (nr_str_eq(kind, NR_STR("pdf")))
        return part(j, NR_DOCUMENT_PDF, body, d);
    j->unread++;
    return NR_OK;
}

/* Every part that can be read is, whatever became of the others; the first
 * failure is told. */
static enum nr_err
mail(struct job *j, int fd, struct nr_diag *d)
{
    struct nr_bytes rest, body;
    struct nr_str kind;
    struct nr_buf frames;
    int out = -1;
    enum nr_err err = memory_file(&out, d), first;

    nr_buf_init(&frames, NR_DOCUMENT_TEXT + ((size_t)1 << 16));
    first = err ? err : run(j, NR_DOCUMENT_MAIL, fd, out, d);
    if (!err)
        err = read_all(j, out, &frames, first ? NULL : d);
    if (out >= 0)
        (void)close(out);
    rest = nr_buf_bytes(&frames);
    while (!err && next_frame(&rest, &kind, &body)) {
        enum nr_err bad = mail_part(j, kind, body, first ? NULL : d);

        first = first ? first : bad;
        if (bad == NR_ESYS || bad == NR_ENOMEM)
            break;
    }
    nr_buf_fini(&frames);
    return first ? first : err;
}

enum nr_err
nr_document_convert(int fd, enum nr_document kind, const char *name,
    const struct nr_converters *c, int *text, size_t *unread, struct nr_diag *d)
{
    struct nr_converters how = *c;
    struct job j = { .how = &how, .name = name, .text = -1 };
    struct stat st;
    enum nr_err err;

    *text = -1;
    if (unread)
        *unread = 0;
    if (how.seconds == 0)
        how.seconds = NR_DOCUMENT_SECONDS;
    if (fstat(fd, &st) != 0)
        return nr_fail_file(d, "document: cannot be read", name);
    if (st.st_size > (off_t)NR_DOCUMENT_MAX)
        return nr_fail_name(d, NR_ELIMIT, "document: larger than 256 MiB",
            name);
    err = memory_file(&j.text, d);
    if (err)
        return err;
    if (kind == NR_DOCUMENT_MAIL)
        err = mail(&j, fd, d);
    else if (kind == NR_DOCUMENT_HTML)
        err = html(&j, fd, d);
    else
        err = run(&j, kind, fd, j.text, d);
    if (lseek(j.text, 0, SEEK_SET) < 0) {
        (void)close(j.text);
        return nr_fail_sys(d, "document: cannot seek");
    }
    if (unread)
        *unread = j.unread;
    *text = j.text;
    return err;
}
