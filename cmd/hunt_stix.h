/* Answers of a hunt as a STIX 2.1 bundle. */
#ifndef HUNT_STIX_H
#define HUNT_STIX_H

#include "archive/archive.h"
#include "base/env.h"

/*
 * Print a bundle with one sighting per answer (those without lines only with
 * ALL: count 0), and the indicator itself where the list gave no STIX id. Ids
 * are made of kind and value: the same question has the same ids. Nothing to
 * print is an empty line-less output: an empty bundle is no STIX.
 */
enum nr_err hunt_stix(const struct nr_env *env,
    const struct nr_indicator *const *v, const struct nr_answer *answers,
    size_t n, bool all, struct nr_diag *d) NR_MUST_USE;

#endif
