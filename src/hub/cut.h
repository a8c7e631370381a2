/* Cutting references to what a reader may not see out of a body (gate.h). */
#ifndef NR_HUB_CUT_H
#define NR_HUB_CUT_H

#include "hub/gate.h"

/*
 * Replace F's body by one without references to facts hidden from C's reader;
 * the new body lives in C until the next call. *SHOWN: false when nothing
 * meaningful is left.
 */
enum nr_err nr_cut(struct nr_cursor *c, struct nr_fact *f, bool *shown,
    struct nr_diag *d) NR_MUST_USE;

#endif
