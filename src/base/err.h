/*
 * Errors.
 *
 * A function that can fail returns enum nr_err and nothing else; results go
 * out through its last pointer parameters, which are written only on NR_OK.
 * Where a human needs to know why and where, it also takes a struct nr_diag *
 * (NULL is allowed) and fills it once, at the point of detection.
 *
 * Thread-safety: all functions are pure or touch only their arguments.
 */
#ifndef NR_ERR_H
#define NR_ERR_H

#include "base/attr.h"

#include <errno.h>
#include <stddef.h>

enum nr_err {
    NR_OK = 0,
    NR_ENOMEM,    /* an allocation or an arena limit was refused */
    NR_ELIMIT,    /* a documented limit was exceeded */
    NR_ETRUNC,    /* input ends early; more bytes could complete it */
    NR_EFORMAT,   /* input is malformed; more bytes cannot help */
    NR_EDENIED,   /* the caller may not do this */
    NR_ESYS,      /* a system call or library failed; see nr_diag.sys */
    NR_ENOTFOUND, /* the named thing does not exist */
    NR_EEXIST,    /* the named thing exists already */
    NR_EBUSY,     /* another process holds it; trying again can help */
    NR_EDAMAGED,  /* a checksum of our own files does not hold */
};

#define NR_DIAG_NAME_MAX ((size_t)240) /* octets kept of a name, with NUL */

struct nr_diag {
    enum nr_err err;
    int sys;          /* errno at the time, or 0 */
    size_t at;        /* byte offset into the input, or 0 */
    const char *what; /* static string: "<thing>: <what is wrong> [<source>]" */
    char name[NR_DIAG_NAME_MAX]; /* which one: a path, key or option; or "" */
};

/* What the nr_fail functions share: record WHAT with AT, SYS and NAME (NULL:
 * none) unless D is NULL or holds an earlier failure. */
void nr_diag_record(struct nr_diag *d, enum nr_err err, int sys, size_t at,
    const char *what, const char *name) NR_COLD;

/* Record a failure (the first one wins) and return ERR. D may be NULL. These
 * are inline so that every reader, the analysers too, sees what comes back. */
static inline enum nr_err
nr_fail(struct nr_diag *d, enum nr_err err, size_t at, const char *what)
{
    nr_diag_record(d, err, 0, at, what, NULL);
    return err;
}

/* As nr_fail(d, NR_ESYS, 0, what), keeping errno. */
static inline enum nr_err
nr_fail_sys(struct nr_diag *d, const char *what)
{
    nr_diag_record(d, NR_ESYS, errno, 0, what, NULL);
    return NR_ESYS;
}

/* As nr_fail with at 0, naming what it was about; NAME is cut to fit. */
static inline enum nr_err
nr_fail_name(struct nr_diag *d, enum nr_err err, const char *what,
    const char *name)
{
    nr_diag_record(d, err, 0, 0, what, name);
    return err;
}

/* As nr_fail_sys, naming the file. */
static inline enum nr_err
nr_fail_file(struct nr_diag *d, const char *what, const char *path)
{
    nr_diag_record(d, NR_ESYS, errno, 0, what, path);
    return NR_ESYS;
}

/* Add NAME to a failure recorded without one; nothing if it has a name. */
void nr_diag_add_name(struct nr_diag *d, const char *name);

/*
 * Print D into BUF (N octets, always ends in NUL) as one line without a line
 * feed: "name: what (at octet 17): Permission denied". Control characters of
 * the name are shown as '?'.
 */
void nr_diag_print(const struct nr_diag *d, char *buf, size_t n);

/* Static English name of ERR; never NULL. */
const char *nr_err_name(enum nr_err err);

#endif
