/*
 * Clusters by the constant Potts model: maximise the sum of the weights inside
 * clusters minus gamma times the pairs inside. Local moves, refinement and
 * aggregation after Traag, Waltman, van Eck 2019 (Leiden), but without chance:
 * the same graph and labels give the same clusters, and every cluster is
 * connected.
 */
#ifndef NR_CAMPAIGN_CPM_H
#define NR_CAMPAIGN_CPM_H

#include "campaign/state.h"

struct cpm_graph {
    uint32_t n;
    const uint32_t *off;  /* n + 1: arcs of node i are off[i] .. off[i + 1] */
    const uint32_t *to;   /* both directions */
    const float *w;       /* 0..1 */
    const uint32_t *size; /* cases in each node */
    /* Nodes that may not meet, both directions; ban_off NULL: none. */
    const uint32_t *ban_off, *ban;
};

/* LABEL: in, a warm start of numbers below n (lower: older, wins ties); out,
 * the clusters, numbers below n. Sticky errors as everywhere. */
void cpm_cluster(struct nr_campaigns *c, const struct cpm_graph *g,
    double gamma, uint32_t *label);
/* One descent to where no move helps. SEED: of the order in which nodes are
 * asked; 0: their own. */
void cpm_descend(struct nr_campaigns *c, const struct cpm_graph *g,
    double gamma, uint64_t seed, uint32_t *label);
double cpm_objective(struct nr_campaigns *c, const struct cpm_graph *g,
    double gamma, const uint32_t *label);

#endif
