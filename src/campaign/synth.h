/*
 * Made-up circles of organisations whose truth is known, for tests and bench/.
 * 20 campaigns of 2 to 120 victims and 100 stray cases: short-lived domains on
 * shared and recycled addresses, files, certificates, public tools, broken-into
 * sites, and in every report names and addresses that anybody meets. Reporters
 * label 70 % of what is malicious and 5 % of what is not; hunts find some of
 * the harmless values. The same seed gives the same facts on every machine.
 */
#ifndef NR_CAMPAIGN_SYNTH_H
#define NR_CAMPAIGN_SYNTH_H

#include "campaign/campaign.h"

struct synth {
    struct nr_campaign_fact *fact; /* owned; seq 1.. in order */
    size_t n, cap;
    uint32_t *truth; /* campaign of each case; strays have one each */
    uint32_t n_cases, n_truths;
    uint32_t *truth_n; /* cases of each */
};

/* False: out of memory. */
bool synth_make(struct synth *s, uint64_t seed);
void synth_fini(struct synth *s);

/* Reproducible numbers: splitmix64. */
uint64_t synth_next(uint64_t *state);
double synth_unit(uint64_t *state); /* [0, 1) */

/* Identifiers of (seq, n): the same for a replay. CTX: unused. */
enum nr_err synth_mint(void *ctx, uint64_t seq, uint32_t n, uint8_t out[16]);

struct synth_score {
    double b3_precision, b3_recall;
    double calibration; /* right among links with P >= .9 */
    uint32_t mixed;     /* clusters with two campaigns of two cases or more */
    uint32_t clusters, links;
};

/* LABEL of each case (NR_CAMPAIGN_NONE: alone) against the truth; calibration
 * and links are left 0. */
void synth_score(const struct synth *s, const uint32_t *label,
    struct synth_score *out);
/* Adjusted Rand index of two labellings of N cases; NONE: alone. */
double synth_ari(const uint32_t *a, const uint32_t *b, uint32_t n);

#endif
