/*
 * Clusters against the best there is, found by trying all, on small graphs.
 * With an argument: a graph from standard input to labels on standard output,
 * for tests/test_campaign_oracle.py ("N GAMMA" then "A B W" a line).
 */
#include "base/test.h"
#include "campaign/cpm.h"
#include "campaign/synth.h"

#include <math.h>
#include <stdlib.h>

#define MEMORY   ((size_t)512 << 20)
#define SMALL    9u /* 21,147 partitions */
#define NODES    200000u
#define ARCS_MAX 4000000u

struct arcs {
    uint32_t n, m, *a, *b;
    float *w;
};

static struct nr_campaigns *
engine(void)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };

    return nr_campaign_create(&mint, MEMORY);
}

/* Both directions of each arc in rows. */
static void
rows(const struct arcs *x, uint32_t *off, uint32_t *to, float *w)
{
    for (uint32_t i = 0; i <= x->n; i++)
        off[i] = 0;
    for (uint32_t k = 0; k < x->m; k++) {
        off[x->a[k] + 1]++;
        off[x->b[k] + 1]++;
    }
    for (uint32_t i = 0; i < x->n; i++)
        off[i + 1] += off[i];
    for (uint32_t k = 0; k < x->m; k++) {
        to[off[x->a[k]]] = x->b[k];
        w[off[x->a[k]]++] = x->w[k];
        to[off[x->b[k]]] = x->a[k];
        w[off[x->b[k]]++] = x->w[k];
    }
    for (uint32_t i = x->n; i > 0; i--)
        off[i] = off[i - 1];
    off[0] = 0;
}

static double
best_of_all(struct nr_campaigns *c, const struct cpm_graph *g, double gamma)
{
    uint32_t label[SMALL] = { 0 }, top[SMALL] = { 0 };
    double best = cpm_objective(c, g, gamma, label);

    /* Restricted growth strings: each partition once. */
    for (;;) {
        uint32_t i = g->n - 1;
        double q;

        while (i > 0 && label[i] > top[i - 1])
            i--;
        if (i == 0)
            return best;
        label[i]++;
        top[i] = label[i] > top[i - 1] ? label[i] : top[i - 1];
        for (uint32_t k = i + 1; k < g->n; k++) {
            label[k] = 0;
            top[k] = top[i];
        }
        q = cpm_objective(c, g, gamma, label);
        best = q > best ? q : best;
    }
}

static bool
connected(const struct cpm_graph *g, const uint32_t *label)
{
    uint32_t seen[SMALL] = { 0 }, stack[SMALL * SMALL], parts = 0, labels = 0;

    for (uint32_t i = 0; i < g->n; i++) {
        uint32_t top = 0;
        bool first = true;

        for (uint32_t k = 0; k < i; k++)
            first = first && label[k] != label[i];
        labels += first;
        if (seen[i])
            continue;
        parts++;
        stack[top++] = i;
        seen[i] = 1;
        while (top > 0) {
            uint32_t v = stack[--top];

            for (uint32_t k = g->off[v]; k < g->off[v + 1]; k++)
                if (!seen[g->to[k]] && label[g->to[k]] == label[v]) {
                    seen[g->to[k]] = 1;
                    stack[top++] = g->to[k];
                }
        }
    }
    return parts == labels;
}

static void
test_against_all(void **state)
{
    uint32_t a[36], b[36], off[SMALL + 1], to[72], ones[SMALL], label[SMALL];
    struct nr_campaigns *c = engine();
    uint64_t rng = 1;
    double got = 0, best = 0;
    uint32_t hit = 0;
    float w[36], w2[72];

    (void)state;
    assert_non_null(c);
    for (uint32_t i = 0; i < SMALL; i++)
        ones[i] = 1;
    for (uint32_t round = 0; round < 60; round++) {
        struct arcs x = { SMALL, 0, a, b, w };
        double gamma = .05 + .4 * synth_unit(&rng), q, all;
        struct cpm_graph g = { SMALL, off, to, w2, ones, NULL, NULL };

        for (uint32_t i = 0; i < SMALL; i++)
            for (uint32_t k = i + 1; k < SMALL; k++)
                if (synth_unit(&rng) < .35) {
                    a[x.m] = i;
                    b[x.m] = k;
                    w[x.m++] = (float)(.2 + .8 * synth_unit(&rng));
                }
        rows(&x, off, to, w2);
        for (uint32_t i = 0; i < SMALL; i++)
            label[i] = round % 2 ? i : 0; /* cold, or all in one */
        cpm_cluster(c, &g, gamma, label);
        assert_true(connected(&g, label));
        q = cpm_objective(c, &g, gamma, label);
        all = best_of_all(c, &g, gamma);
        assert_true(q <= all + 1e-6);
        got += q;
        best += all;
        hit += q > all - 1e-6;
    }
    print_message("objective %.4f of the best, the best in %u of 60\n",
        got / best, hit);
    assert_true(got >= .995 * best);
    nr_campaign_destroy(c);
}

/* Two triangles and a bridge; with nodes that may not meet. */
static void
test_bans(void **state)
{
    static const uint32_t off[] = { 0, 2, 4, 7, 10, 12, 14 };
    static const uint32_t to[] = { 1, 2, 0, 2, 0, 1, 3, 2, 4, 5, 3, 5, 3, 4 };
    static const float w[] = { 1, 1, 1, 1, 1, 1, .9F, .9F, 1, 1, 1, 1, 1, 1 };
    static const uint32_t ones[] = { 1, 1, 1, 1, 1, 1 };
    static const uint32_t ban_off[] = { 0, 1, 1, 1, 1, 1, 2 };
    static const uint32_t ban[] = { 5, 0 };
    struct cpm_graph g = { 6, off, to, w, ones, NULL, NULL };
    uint32_t label[6] = { 0, 0, 0, 0, 0, 0 };
    struct nr_campaigns *c = engine();

    (void)state;
    assert_non_null(c);
    cpm_cluster(c, &g, .005, label);
    assert_int_equal(label[0], label[5]);
    g.ban_off = ban_off;
    g.ban = ban;
    cpm_cluster(c, &g, .005, label);
    assert_int_not_equal(label[0], label[5]);
    assert_int_equal(label[0], label[1]);
    assert_int_equal(label[4], label[5]);
    nr_campaign_destroy(c);
}

static int
from_stdin(void)
{
    struct arcs x = { 0 };
    struct nr_campaigns *c = engine();
    uint32_t *off, *to, *ones, *label;
    float *w;
    double gamma;

    if (!c || scanf("%u %lf", &x.n, &gamma) != 2 || x.n > NODES)
        return EXIT_FAILURE;
    x.a = calloc(ARCS_MAX, sizeof(*x.a));
    x.b = calloc(ARCS_MAX, sizeof(*x.b));
    x.w = calloc(ARCS_MAX, sizeof(*x.w));
    off = calloc((size_t)x.n + 2, sizeof(*off));
    to = calloc((size_t)ARCS_MAX * 2, sizeof(*to));
    w = calloc((size_t)ARCS_MAX * 2, sizeof(*w));
    ones = calloc((size_t)x.n + 1, sizeof(*ones));
    label = calloc((size_t)x.n + 1, sizeof(*label));
    if (!x.a || !x.b || !x.w || !off || !to || !w || !ones || !label)
        return EXIT_FAILURE;
    while (x.m < ARCS_MAX &&
        scanf("%u %u %f", &x.a[x.m], &x.b[x.m], &x.w[x.m]) == 3)
        if (x.a[x.m] < x.n && x.b[x.m] < x.n)
            x.m++;
    rows(&x, off, to, w);
    for (uint32_t i = 0; i < x.n; i++) {
        ones[i] = 1;
        label[i] = i;
    }
    cpm_cluster(c, &(struct cpm_graph){ x.n, off, to, w, ones, NULL, NULL },
        gamma, label);
    for (uint32_t i = 0; i < x.n; i++)
        printf("%u\n", label[i]);
    free(x.a);
    free(x.b);
    free(x.w);
    free(off);
    free(to);
    free(w);
    free(ones);
    free(label);
    nr_campaign_destroy(c);
    return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_against_all),
        NR_TEST(test_bans),
    };

    (void)argv;
    if (argc > 1)
        return from_stdin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
