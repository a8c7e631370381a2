/* What extract and watch share: tokens of a block, and printing of fields. */
#ifndef BLOCK_H
#define BLOCK_H

#include "base/buf.h"
#include "input/input.h"
#include "observable/observable.h"

/* Tokens of BLOCK; where a line was torn inside a run, the tokens that touch
 * the tear are no whole ones and are taken out. CPU: nr_scanner_choose(). */
enum nr_err block_scan(const struct nr_block *block, unsigned cpu,
    struct nr_tokens *out) NR_MUST_USE;

/* The octets of a path or token with control characters as '?', so that a
 * name cannot forge a column or a line. */
void block_put_field(struct nr_buf *out, struct nr_bytes text);

#endif
