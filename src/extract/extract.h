/*
 * Every observable of a text, as rows; and the text of documents.
 *
 * Rows: unlike a watchlist, a reader wants each thing once. Of two readings
 * of the same octets ("%2Fevil.com", "http://evil.com.") only the inner one
 * makes a row, and a name only when its top-level domain exists ("index.html"
 * does not). Where an address is followed by "/N" and has no bits behind the
 * N first, the range is the row and not the address. The columns are
 *     kind value file line column [offset] [context] [known]
 * each of the last three where asked for; with `unique`, one row for each
 * (kind, value):
 *     kind value count file line [known]
 * file and line being those of its first sight. In a TSV field a control
 * character stands as '?', so that nothing from outside forges a column.
 *
 * Documents: PDF, HTML and e-mail, recognised by their first octets (a name
 * is only a hint), are turned into text by a converter, a program of its own
 * that runs confined: it may read the system's files and its standard input,
 * write its standard output, and nothing else; no network, no files, no other
 * processes, and limits on its time, memory and output.
 *
 * Thread-safety: a struct nr_extract belongs to one thread at a time;
 * nr_document_convert() forks and wants a process without threads.
 */
#ifndef NR_EXTRACT_H
#define NR_EXTRACT_H

#include "base/env.h"
#include "base/err.h"
#include "base/str.h"
#include "input/input.h"
#include "observable/observable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- rows --- */

#define NR_EXTRACT_WRITE   ((size_t)1 << 18)   /* octets written at a time */
#define NR_EXTRACT_CONTEXT ((size_t)4096)      /* most octets on either side */
#define NR_EXTRACT_FILES   ((uint32_t)1 << 20) /* files of one run */
/* Octets of memory for `unique`, unless told otherwise. */
#define NR_EXTRACT_MEMORY ((uint64_t)2 << 30)

enum nr_extract_known {
    NR_KNOWN_IGNORED,
    NR_KNOWN_MARKED,  /* a last column: name of the warninglist, or "-" */
    NR_KNOWN_DROPPED, /* no row for what a warninglist has */
};

enum nr_extract_sort {
    NR_SORT_COUNT, /* most frequent first, then by first sight */
    NR_SORT_VALUE, /* by kind, then by canonical key */
    NR_SORT_FIRST, /* by first sight */
};

struct nr_extract_options {
    unsigned kinds;  /* bits 1 << enum nr_kind */
    bool json;       /* a JSON object a line instead of TSV */
    bool defang;     /* values disarmed (nr_defang) */
    bool offset;     /* octet offset of the text, see nr_block.at */
    bool whole_line; /* context: the line */
    size_t context;  /* else context: octets of the line on either side, at
                        most NR_EXTRACT_CONTEXT; 0: none */
    enum nr_extract_known known;
    const struct nr_warnlists *warn; /* borrowed; may be NULL */
    bool unique;                     /* not together with offset and context */
    enum nr_extract_sort sort;
    uint64_t memory; /* of unique; 0: NR_EXTRACT_MEMORY */
    unsigned cpu;    /* kernels to use: bits of base/cpu.h */
};

/* Where rows go: all of B, or NR_ESYS. */
struct nr_extract_sink {
    enum nr_err (*write)(void *ctx, struct nr_bytes b, struct nr_diag *d);
    void *ctx;
};

struct nr_extract; /* owned by the caller of create */

/* How far a block was given out; zeroed before. */
struct nr_extract_at {
    size_t at, counted; /* octets; lines are counted up to the second */
    uint64_t lines;
    bool done;
};

/* O is copied. ENV gives the seed of the table (`unique`). NR_ELIMIT: options
 * out of range or at odds; NR_ENOMEM; NR_ESYS. */
enum nr_err nr_extract_create(const struct nr_extract_options *o,
    struct nr_extract_sink sink, const struct nr_env *env,
    struct nr_extract **out, struct nr_diag *d) NR_MUST_USE;

/* The NR_SCAN_* that the kinds of X need; with FANGS also that of disarmed
 * text. */
unsigned nr_extract_scan_flags(const struct nr_extract *x, bool fangs);

/* Text of file NAME comes now. NR_ELIMIT past NR_EXTRACT_FILES. */
enum nr_err nr_extract_file(struct nr_extract *x, const char *name,
    struct nr_diag *d) NR_MUST_USE;

/*
 * What of block B, the next one of the file, must be scanned for the kinds of
 * X: *PART is the first or next stretch of whole lines of it, with FLAGS as
 * they are given to the scanner. False: that was all.
 */
bool nr_extract_part(struct nr_extract *x, const struct nr_block *b,
    unsigned flags, struct nr_extract_at *at, struct nr_block *part);

/*
 * Rows of the tokens T of block or part B, the next one of the file; T is
 * brought into order if it was read with NR_SCAN_FANGS. NR_ESYS:
 * the sink failed; NR_ELIMIT: `unique` would need more than its memory, and
 * nothing counted so far can be had; NR_ENOMEM.
 */
enum nr_err nr_extract_tokens(struct nr_extract *x, const struct nr_block *b,
    struct nr_tokens *t, struct nr_diag *d) NR_MUST_USE;

/* The rows that are left; with `unique`, all of them. As nr_extract_tokens. */
enum nr_err nr_extract_finish(struct nr_extract *x,
    struct nr_diag *d) NR_MUST_USE;

void nr_extract_destroy(struct nr_extract *x); /* NULL is allowed */

/* --- documents --- */

enum nr_document {
    NR_DOCUMENT_NONE, /* text as it stands, or nothing we know */
    NR_DOCUMENT_PDF,
    NR_DOCUMENT_HTML,
    NR_DOCUMENT_MAIL, /* RFC 5322 with MIME, or an mbox of them */
};

#define NR_DOCUMENT_HEAD    ((size_t)4096)      /* octets that tell */
#define NR_DOCUMENT_MAX     ((size_t)256 << 20) /* of one document */
#define NR_DOCUMENT_TEXT    ((size_t)256 << 20) /* of the text it becomes */
#define NR_DOCUMENT_MEMORY  ((size_t)1 << 30)   /* of a converter's memory */
#define NR_DOCUMENT_SECONDS 60u /* a converter may take, unless told */

/* HEAD: the first octets, NR_DOCUMENT_HEAD of them if there are as many.
 * NAME may be NULL. Pure. */
enum nr_document nr_document_of(struct nr_bytes head, const char *name);

struct nr_converters {
    const char *dir;  /* look only here; NULL: the system's directories */
    unsigned seconds; /* 0: NR_DOCUMENT_SECONDS */
};

/*
 * The text of document NAME, open at FD (borrowed, can seek), into a memory
 * file *TEXT that stands at its beginning; the caller closes it. HTML gives
 * the text as shown, then what is not shown: values of attributes, comments
 * and scripts. A mail gives its decoded header fields and, part by part, its
 * texts and its HTML and PDF attachments; with UNREAD (may be NULL) set to the
 * number of attachments of other kinds, pictures and sound not counted.
 *
 * On failure *TEXT may still be a file, with what came before: -1 if not.
 * NR_ENOTFOUND: the converter is not installed, what says which package has
 * it; NR_EFORMAT: it failed; NR_ELIMIT: time, or output beyond
 * NR_DOCUMENT_TEXT; NR_ESYS; NR_ENOMEM.
 */
enum nr_err nr_document_convert(int fd, enum nr_document kind, const char *name,
    const struct nr_converters *c, int *text, size_t *unread,
    struct nr_diag *d) NR_MUST_USE;

#endif
