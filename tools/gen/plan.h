/*
 * The schedule of planted lines and near misses, and the ground truth of it.
 */
#ifndef GEN_PLAN_H
#define GEN_PLAN_H

#include "line.h"

#include <stdio.h>

struct plant {
    enum kind kind;
    char *value;
    int64_t first, last; /* microseconds */
    uint32_t count;
};

/* One line to be planted. */
struct occ {
    int64_t t;
    uint32_t plant, serial; /* serial: which occurrence of the plant */
    uint8_t src;
    bool decoy;
};

struct job {
    const char *dir, *org;
    uint64_t bytes, seed;
    int64_t day0, day1; /* local days, day1 exclusive */
    bool daily;
    unsigned decoys;
    unsigned share[S_COUNT]; /* percent; 0: a source that is not kept */
    struct plant *plant;
    uint32_t nplant;
    uint64_t unseen; /* planted lines that no source kept here can show */
};

struct truth {
    FILE *truth, *near;
    struct agg *agg;
    size_t agg_cap, agg_len;
    uint64_t rows, near_rows, skipped;
};

/* --sources A,B: their shares scaled to 100; all of them when list is NULL. */
void gen_choose_sources(struct job *job, const char *list);

/* For gen_each_tsv(): one row of a plant file; arg is the struct job. */
void gen_load_plant_row(char **f, int n, void *arg);

/* All lines to plant, sorted by source and time. */
struct occ *gen_plan(struct job *job, size_t *n_out);

/* The text in which p shows in a line of source src, and that form's name. */
const char *gen_make_observed(const struct plant *p, unsigned src,
    struct rng *r, char *o, enum kind *kind);

/* A text like p that must hit nothing; NULL when this try gave none. */
const char *gen_make_near_miss(struct gen *g, const struct plant *p,
    struct rng *r, char *o, enum kind *kind);

/* A file of dir, opened for writing. */
FILE *gen_create(const char *dir, const char *name);

void gen_truth_open(struct truth *T, const char *dir);

/*
 * Fill text and obs for a scheduled line and write its rows of the truth or
 * of the near misses. False: nothing to emit.
 */
bool gen_stage(struct gen *g, struct truth *T, const struct job *job,
    const struct occ *oc, const char *file, uint64_t line, char *text,
    struct obs *obs);

/* Write expected.tsv and close the others. */
void gen_truth_close(struct truth *T, const char *dir);

#endif
