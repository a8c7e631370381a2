/* A converter, run confined between two descriptors. Private. */
#ifndef NR_EXTRACT_CHILD_H
#define NR_EXTRACT_CHILD_H

#include "base/err.h"

#include <stddef.h>

#define NR_CHILD_ARGS 12 /* words of a command, with the final NULL */

struct nr_child {
    const char *path; /* of the program */
    const char *const *argv;
    int in;           /* borrowed: becomes its standard input */
    int out;          /* borrowed: its output is appended here */
    size_t output;    /* octets of it at most */
    unsigned seconds; /* of its time, by the clock and by the processor */
    size_t memory;    /* octets of its address space */
};

enum nr_child_end {
    NR_CHILD_DONE,   /* it said success */
    NR_CHILD_FAILED, /* it said failure, or died */
    NR_CHILD_SLOW,   /* killed after its time */
    NR_CHILD_LARGE,  /* killed when its output passed the limit */
};

/*
 * Run it to its end. What it wrote until then is in C->out, except when it was
 * NR_CHILD_LARGE: then the first C->output octets of it. NR_ESYS: it could not
 * be run, or its output not kept.
 */
enum nr_err nr_child_run(const struct nr_child *c, enum nr_child_end *end,
    struct nr_diag *d) NR_MUST_USE;

#endif
