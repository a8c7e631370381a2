/* noroshi hunt --summary: what was looked at and found, in one sentence. */
#ifndef HUNT_SUMMARY_H
#define HUNT_SUMMARY_H

#include "archive/archive.h"
#include "clickhouse/clickhouse.h"

/* Print it for V[0..N), the answers of A or C (the other one is NULL), on
 * stderr, in Japanese and in English. */
enum nr_err hunt_summary(const struct nr_archive *a, struct nr_clickhouse *c,
    const struct nr_answer *v, size_t n, struct nr_diag *d) NR_MUST_USE;

#endif
