/* Made-up circles with known truth: is what comes out right, and is what was
 * built case by case what a rebuild finds? bench/picture runs all ten seeds. */
#include "base/test.h"
#include "campaign/synth.h"

#include <stdlib.h>

#define SEEDS  3u
#define MEMORY ((size_t)256 << 20)

static void
labels(const struct nr_campaigns *c, uint32_t *out, uint32_t n)
{
    struct nr_campaign_view v;

    for (uint32_t i = 0; i < n; i++) {
        out[i] = nr_campaign_of(c, i);
        /* A campaign of one case is a number kept for later. */
        if (out[i] != NR_CAMPAIGN_NONE &&
            (nr_campaign_view(c, out[i], &v) != NR_OK || v.cases < 2))
            out[i] = NR_CAMPAIGN_NONE;
    }
}

static bool
entry_ends(const struct synth *s, size_t i)
{
    return i + 1 == s->n || s->fact[i + 1].seq != s->fact[i].seq;
}

static struct nr_campaigns *
engine(void)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };
    struct nr_campaigns *c = nr_campaign_create(&mint, MEMORY);

    assert_non_null(c);
    return c;
}

static void
tell(struct nr_campaigns *c, const struct synth *s, size_t i)
{
    assert_int_equal(nr_campaign_add(c, &s->fact[i], NULL, NULL, NULL), NR_OK);
    if (entry_ends(s, i))
        assert_int_equal(nr_campaign_settle(c, 0, NULL, NULL), NR_OK);
}

/* Share of links with P >= .9 whose cases belong together. */
static double
calibration(struct nr_campaigns *c, const struct synth *s)
{
    struct nr_campaign_pair p;
    double right = 0, all = 0;

    for (uint32_t i = 0; i < s->n_cases; i++)
        for (uint32_t k = i + 1; k < s->n_cases; k++) {
            assert_int_equal(nr_campaign_why(c, i, k, NULL, 0, &p), NR_OK);
            if (!p.linked || p.p < .9)
                continue;
            all++;
            right += s->truth[i] == s->truth[k];
        }
    return right / all;
}

struct sums {
    double precision, recall, calibration, mixed, moved, asked;
};

/* Case by case, counting at every 20th part whose campaign changed. */
static void
by_parts(struct nr_campaigns *c, const struct synth *s, struct sums *sum)
{
    uint32_t *was = calloc(s->n_cases, sizeof(*was));
    uint32_t *now = calloc(s->n_cases, sizeof(*now));
    uint32_t next = s->n_cases / 20, had = 0;
    struct nr_campaign_totals t;

    assert_true(was && now);
    for (size_t i = 0; i < s->n; i++) {
        tell(c, s, i);
        nr_campaign_totals(c, &t);
        if (!entry_ends(s, i) || t.cases < next)
            continue;
        labels(c, now, t.cases);
        for (uint32_t k = 0; k < had; k++) {
            sum->asked += was[k] != NR_CAMPAIGN_NONE;
            sum->moved += was[k] != NR_CAMPAIGN_NONE && was[k] != now[k];
        }
        for (had = 0; had < t.cases; had++)
            was[had] = now[had];
        next += s->n_cases / 20;
    }
    free(was);
    free(now);
}

static void
test_quality(void **state)
{
    struct sums sum = { 0 };

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct nr_campaigns *c = engine();
        struct synth_score score;
        struct synth s;
        uint32_t *now, *again;

        assert_true(synth_make(&s, seed));
        by_parts(c, &s, &sum);
        now = calloc(s.n_cases, sizeof(*now));
        again = calloc(s.n_cases, sizeof(*again));
        assert_true(now && again);
        labels(c, now, s.n_cases);
        synth_score(&s, now, &score);
        sum.precision += score.b3_precision / SEEDS;
        sum.recall += score.b3_recall / SEEDS;
        sum.mixed += (double)score.mixed / SEEDS;
        if (seed == 0)
            sum.calibration = calibration(c, &s);
        assert_int_equal(nr_campaign_rebuild(c, s.fact[s.n - 1].day, NULL),
            NR_OK);
        labels(c, again, s.n_cases);
        assert_true(synth_ari(now, again, s.n_cases) >= .98);
        free(now);
        free(again);
        nr_campaign_destroy(c);
        synth_fini(&s);
    }
    print_message("precision %.3f recall %.3f mixed %.1f calibration %.3f "
                  "moved %.4f\n",
        sum.precision, sum.recall, sum.mixed, sum.calibration,
        sum.moved / sum.asked);
    assert_true(sum.precision >= .97);
    assert_true(sum.recall >= .53);
    assert_true(sum.mixed <= 2);
    assert_true(sum.calibration >= .97);
    assert_true(sum.moved / sum.asked <= .02);
}

/* The same log gives the same identifiers. */
static void
test_replay(void **state)
{
    struct nr_campaigns *a = engine(), *b = engine();
    struct nr_campaign_view x, y;
    struct nr_campaign_totals t, u;
    struct synth s;

    (void)state;
    assert_true(synth_make(&s, 5));
    for (size_t i = 0; i < s.n; i++) {
        tell(a, &s, i);
        tell(b, &s, i);
    }
    nr_campaign_totals(a, &t);
    nr_campaign_totals(b, &u);
    assert_int_equal(t.campaigns, u.campaigns);
    assert_int_equal(t.links, u.links);
    for (uint32_t k = 0; k < t.campaigns; k++) {
        assert_int_equal(nr_campaign_view(a, k, &x), NR_OK);
        assert_int_equal(nr_campaign_view(b, k, &y), NR_OK);
        assert_string_equal(x.id, y.id);
        assert_int_equal(x.cases, y.cases);
    }
    for (uint32_t i = 0; i < s.n_cases; i++)
        assert_int_equal(nr_campaign_of(a, i), nr_campaign_of(b, i));
    nr_campaign_destroy(a);
    nr_campaign_destroy(b);
    synth_fini(&s);
}

/* --- any order -------------------------------------------------------- */

/* What else happens between reports, drawn from RNG: verdicts, withdrawals,
 * withdrawals of withdrawals, harmless finds, changes of hands. */
static void
disturb(struct nr_campaigns *c, const struct synth *s, uint64_t *rng,
    uint64_t *seq, uint64_t *last_undo)
{
    struct nr_campaign_fact f = { .seq = ++*seq,
        .day = 18200,
        .author = NR_CAMPAIGN_NONE };
    const struct nr_campaign_fact *any = &s->fact[synth_next(rng) % s->n];
    double what = synth_unit(rng);
    uint64_t target = 1 + synth_next(rng) % (*seq - 1);
    enum nr_err err;

    if (what < .3 && any->kind == NR_CAMPAIGN_SAW) {
        f.kind = NR_CAMPAIGN_NOTE;
        f.u.note.kind = NR_CAMPAIGN_VERDICT;
        f.u.note.value = any->u.saw.value;
        f.u.note.arg = (uint32_t)(synth_next(rng) % NR_CAMPAIGN_VERDICTS);
    } else if (what < .4 && any->kind == NR_CAMPAIGN_SAW) {
        f.kind = NR_CAMPAIGN_NOTE;
        f.u.note.kind = NR_CAMPAIGN_HANDS;
        f.u.note.value = any->u.saw.value;
        f.u.note.day = any->u.saw.first + 5;
    } else if (what < .6) {
        f.kind = NR_CAMPAIGN_RETRACT;
        f.u.retract.seq = *last_undo && what < .45 ? *last_undo : target;
        *last_undo = f.seq;
    } else {
        return;
    }
    err = nr_campaign_add(c, &f, NULL, NULL, NULL);
    assert_true(err == NR_OK || err == NR_ENOTFOUND);
}

/* Facts in order, reports in the order of ORDER, each under a new seq. */
static void
shuffled(struct nr_campaigns *c, const struct synth *s, uint64_t seed,
    bool trouble)
{
    size_t first = s->n, n = 0, *start = calloc(s->n, sizeof(*start));
    uint64_t rng = seed, seq = 0, undo = 0;

    assert_non_null(start);
    for (size_t i = 0; i < s->n; i++)
        if (s->fact[i].kind == NR_CAMPAIGN_CASE) {
            first = i < first ? i : first;
            start[n++] = i;
        }
    for (size_t i = 0; i < first; i++) {
        tell(c, s, i);
        seq = s->fact[i].seq;
    }
    /* Cases are numbered by their facts: first all of them, then what they
     * saw, in any order. */
    for (size_t i = 0; i < n; i++) {
        struct nr_campaign_fact f = s->fact[start[i]];

        f.seq = ++seq;
        f.day = 18200;
        assert_int_equal(nr_campaign_add(c, &f, NULL, NULL, NULL), NR_OK);
    }
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)(synth_next(&rng) % i), t = start[i - 1];

        start[i - 1] = start[k];
        start[k] = t;
    }
    for (size_t i = 0; i < n; i++) {
        seq++;
        for (size_t k = start[i] + 1;
             k < s->n && s->fact[k].kind == NR_CAMPAIGN_SAW; k++) {
            struct nr_campaign_fact f = s->fact[k];

            f.seq = seq;
            f.day = 18200;
            assert_int_equal(nr_campaign_add(c, &f, NULL, NULL, NULL), NR_OK);
        }
        if (trouble)
            disturb(c, s, &rng, &seq, &undo);
        assert_int_equal(nr_campaign_settle(c, 0, NULL, NULL), NR_OK);
    }
    free(start);
}

static void
test_any_order(void **state)
{
    uint32_t *a, *b, *d;
    struct synth s;

    (void)state;
    assert_true(synth_make(&s, 2));
    a = calloc(s.n_cases, sizeof(*a));
    b = calloc(s.n_cases, sizeof(*b));
    d = calloc(s.n_cases, sizeof(*d));
    assert_true(a && b && d);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct nr_campaigns *c = engine();
        bool trouble = seed > 3;
        uint32_t differ = 0;

        shuffled(c, &s, seed, trouble);
        labels(c, a, s.n_cases);
        assert_int_equal(nr_campaign_rebuild(c, 18200, NULL), NR_OK);
        labels(c, b, s.n_cases);
        for (uint32_t i = 0; i < s.n_cases; i++)
            differ += a[i] != b[i];
        print_message("order %u: rand index %.4f, %u of %u ids differ\n",
            (unsigned)seed, synth_ari(a, b, s.n_cases), differ, s.n_cases);
        assert_true(synth_ari(a, b, s.n_cases) >= .98);
        assert_true(differ <= s.n_cases / 50);
        /* Two orders of the same facts tell the same story. */
        if (!trouble && seed > 1)
            assert_true(synth_ari(a, d, s.n_cases) >= .98);
        for (uint32_t i = 0; i < s.n_cases; i++)
            d[i] = a[i];
        nr_campaign_destroy(c);
    }
    free(a);
    free(b);
    free(d);
    synth_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_quality),
        NR_TEST(test_replay),
        NR_TEST(test_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
