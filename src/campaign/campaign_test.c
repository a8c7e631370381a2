/* The worked example, and what the engine must not be fooled by. */
#include "campaign/story.h"

#include <math.h>
#include <string.h>

#define NEAR(got, want) CHECK_CASE(#got, fabs((got) - (want)) <= 0.002)

/* Days of the example: 2016-11-03 is day 17108. */
#define NOV3 17108

enum { R1, R2, R3, R4, R5, R6, CASES };

struct example {
    struct story s;
    uint32_t r[CASES];
    uint32_t d1, ip1, ip2, h1, h2, k1, resolver;
    uint64_t k1_seq;
};

static void
example_saw(struct example *x, uint32_t i, uint32_t value)
{
    static const struct {
        int32_t first, last;
        uint8_t conf;
    } when[CASES] = {
        [R1] = { NOV3, NOV3 + 17, 90 },
        [R2] = { NOV3 + 37, NOV3 + 42, 90 },
        [R3] = { NOV3 + 193, NOV3 + 193, 80 },
        [R4] = { NOV3 + 211, NOV3 + 229, 90 },
        [R5] = { NOV3 + 940, NOV3 + 942, 90 },
        [R6] = { NOV3 + 68, NOV3 + 68, 70 },
    };

    (void)story_saw(&x->s, x->r[i], value, when[i].first, when[i].last,
        when[i].conf, true);
}

static void
example_begin(struct example *x)
{
    story_begin(&x->s, 1000, 20);
    for (uint32_t i = 0; i < CASES; i++)
        x->r[i] = story_case(&x->s, NOBODY);
    x->d1 = story_value(&x->s, NR_CAMPAIGN_DOMAIN);
    x->ip1 = story_value(&x->s, NR_CAMPAIGN_IP);
    x->ip2 = story_value(&x->s, NR_CAMPAIGN_IP);
    x->h1 = story_value(&x->s, NR_CAMPAIGN_FILE);
    x->h2 = story_value(&x->s, NR_CAMPAIGN_FILE);
    x->k1 = story_value(&x->s, NR_CAMPAIGN_CERT);
    x->resolver = story_value(&x->s, NR_CAMPAIGN_IP);
    (void)story_note(&x->s, NR_CAMPAIGN_VERDICT, x->h2, NR_CAMPAIGN_SHARED, 0);
    (void)story_note(&x->s, NR_CAMPAIGN_LISTED, x->resolver, 0, 0);
    example_saw(x, R1, x->d1);
    example_saw(x, R1, x->ip1);
    example_saw(x, R1, x->h1);
    example_saw(x, R2, x->d1);
    example_saw(x, R2, x->ip2);
    example_saw(x, R2, x->h2);
    example_saw(x, R3, x->ip2);
    example_saw(x, R3, x->h2);
    example_saw(x, R3, x->k1);
    example_saw(x, R4, x->k1);
    example_saw(x, R4, x->h1);
    example_saw(x, R5, x->ip1);
    example_saw(x, R6, x->h2);
    example_saw(x, R6, x->resolver);
    example_saw(x, R3, x->resolver);
    story_check(&x->s);
}

static void
test_pairs(void **state)
{
    static const struct {
        const char *name;
        uint32_t a, b;
        double bits, p;
        bool linked, suggested;
    } rows[] = {
        { "R1-R2", R1, R2, 9.390, .9710, true, false },
        { "R1-R4", R1, R4, 9.579, .9745, true, false },
        { "R3-R4", R3, R4, 9.360, .9705, true, false },
        { "R2-R3", R2, R3, 10.477, .9862, false, true },
        { "R2-R6", R2, R6, 3.603, .378, false, false },
        { "R3-R6", R3, R6, 3.448, .353, false, false },
        { "R1-R5", R1, R5, 0, 1 / 21.0, false, false },
        { "R5-R6", R5, R6, 0, 1 / 21.0, false, false },
        { "R2-R4", R2, R4, 0, 1 / 21.0, false, false },
    };
    struct nr_campaign_totals t;
    struct example x;

    (void)state;
    example_begin(&x);
    nr_campaign_totals(x.s.c, &t);
    NEAR(t.theta, 7.492);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nr_campaign_pair p = story_pair(&x.s, x.r[rows[i].a],
            x.r[rows[i].b]);

        CHECK_CASE(rows[i].name, fabs(p.bits - rows[i].bits) <= .002);
        CHECK_CASE(rows[i].name, fabs(p.p - rows[i].p) <= .002);
        CHECK_CASE(rows[i].name, p.linked == rows[i].linked);
        CHECK_CASE(rows[i].name, p.suggested == rows[i].suggested);
    }
    assert_int_equal(t.links, 3);
    assert_int_equal(t.suggestions, 1);
    story_end(&x.s);
}

static void
test_items(void **state)
{
    struct nr_campaign_item i;
    struct example x;

    (void)state;
    example_begin(&x);
    i = story_item(&x.s, x.r[R1], x.r[R2], x.d1);
    assert_int_equal(i.gap, 20);
    NEAR(i.rho, .9924);
    NEAR(i.q, .6698);
    NEAR(i.rarity, 1001);
    NEAR(i.bits, 9.390);
    assert_true(i.anchor);
    i = story_item(&x.s, x.r[R2], x.r[R3], x.ip2);
    assert_int_equal(i.gap, 151);
    NEAR(i.q, .2010);
    NEAR(i.rarity, 512);
    NEAR(i.bits, 6.696);
    NEAR(i.rho * i.tau, .310);
    assert_false(i.anchor);
    i = story_item(&x.s, x.r[R2], x.r[R3], x.h2);
    NEAR(i.q, .6840);
    NEAR(i.rarity, 19.627);
    NEAR(i.bits, 3.780);
    i = story_item(&x.s, x.r[R1], x.r[R5], x.ip1);
    assert_int_equal(i.gap, 923);
    assert_int_equal(i.reason, NR_CAMPAIGN_TOO_LONG_AGO);
    NEAR(log2(1 + i.q * (i.rarity - 1)), .381);
    i = story_item(&x.s, x.r[R3], x.r[R6], x.resolver);
    assert_int_equal(i.reason, NR_CAMPAIGN_IS_LISTED);
    story_end(&x.s);
}

static void
test_campaign(void **state)
{
    struct nr_campaign_path path;
    struct nr_campaign_view v;
    uint32_t way[8], all[8], camp;
    struct example x;

    (void)state;
    example_begin(&x);
    camp = nr_campaign_of(x.s.c, x.r[R1]);
    assert_int_equal(nr_campaign_members(x.s.c, camp, all, 8), 4);
    for (uint32_t i = R1; i <= R4; i++)
        assert_int_equal(all[i], x.r[i]);
    assert_int_equal(nr_campaign_of(x.s.c, x.r[R5]), NOBODY);
    assert_int_equal(nr_campaign_of(x.s.c, x.r[R6]), NOBODY);
    assert_int_equal(nr_campaign_view(x.s.c, camp, &v), NR_OK);
    assert_int_equal(v.first, NOV3);
    assert_int_equal(v.last - v.first + 1, 230);
    assert_int_equal(v.id[14], '4');
    assert_int_equal(nr_campaign_path(x.s.c, x.r[R2], x.r[R3], way, 8, &path),
        NR_OK);
    assert_int_equal(path.n, 4);
    assert_int_equal(way[0], x.r[R2]);
    assert_int_equal(way[1], x.r[R1]);
    assert_int_equal(way[2], x.r[R4]);
    assert_int_equal(way[3], x.r[R3]);
    NEAR(path.product, .9183);
    NEAR(path.weakest_p, .9705);
    assert_int_equal(path.weakest, 2);
    story_end(&x.s);
}

static void
test_verdicts(void **state)
{
    uint64_t shared;
    uint32_t camp;
    struct example x;

    (void)state;
    example_begin(&x);
    camp = nr_campaign_of(x.s.c, x.r[R1]);
    shared = story_note(&x.s, NR_CAMPAIGN_VERDICT, x.k1, NR_CAMPAIGN_SHARED, 0);
    story_check(&x.s);
    NEAR(story_pair(&x.s, x.r[R3], x.r[R4]).bits, 3.735);
    assert_int_equal(nr_campaign_of(x.s.c, x.r[R1]), camp);
    assert_true(story_together(&x.s, x.r[R1], x.r[R2]));
    assert_true(story_together(&x.s, x.r[R1], x.r[R4]));
    assert_int_equal(nr_campaign_of(x.s.c, x.r[R3]), NOBODY);
    assert_true(story_pair(&x.s, x.r[R2], x.r[R3]).suggested);
    (void)story_note(&x.s, NR_CAMPAIGN_VERDICT, x.d1, NR_CAMPAIGN_EXCLUSIVE, 0);
    story_check(&x.s);
    NEAR(story_pair(&x.s, x.r[R1], x.r[R2]).bits, 19.426);
    (void)story_retract(&x.s, shared);
    story_check(&x.s);
    assert_int_equal(nr_campaign_of(x.s.c, x.r[R3]), camp);
    story_end(&x.s);
}

/* In a large circle one labelled domain links nobody until it is judged. */
static void
test_question(void **state)
{
    struct nr_campaign_question q[8];
    uint32_t n, two, three, a[5];
    struct story s;

    (void)state;
    story_begin(&s, 100000, 500);
    two = story_value(&s, NR_CAMPAIGN_DOMAIN);
    three = story_value(&s, NR_CAMPAIGN_DOMAIN);
    for (uint32_t i = 0; i < 5; i++) {
        a[i] = story_case(&s, NOBODY);
        (void)story_saw(&s, a[i], i < 2 ? two : three, NOV3, NOV3, 90, true);
    }
    story_check(&s);
    assert_true(story_pair(&s, a[0], a[1]).missing > 1);
    assert_int_equal(nr_campaign_questions(s.c, q, 8, &n), NR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(q[0].value, three);
    assert_int_equal(q[0].moves, 3);
    assert_int_equal(q[1].value, two);
    assert_int_equal(q[1].moves, 2);
    story_check(&s); /* trying changed nothing */
    assert_int_equal(nr_campaign_of(s.c, a[0]), NOBODY);
    (void)story_note(&s, NR_CAMPAIGN_VERDICT, three, NR_CAMPAIGN_EXCLUSIVE, 0);
    story_check(&s);
    assert_true(story_together(&s, a[2], a[4]));
    assert_int_equal(nr_campaign_questions(s.c, q, 1, &n), NR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(q[0].value, two);
    story_end(&s);
}

/* --- votes ------------------------------------------------------------ */

static double
rho_of(uint32_t yes, uint32_t no, uint32_t harmless, bool young)
{
    uint32_t a, b, v, n = yes + no;
    struct nr_campaign_item i;
    struct story s;

    story_begin(&s, 1000, 20);
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    a = b = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t org = story_org(&s, young ? s.day - 10 : 0);

        b = a;
        a = story_case(&s, org);
        (void)story_saw(&s, a, v, 100, 100, 90, k < yes);
    }
    if (n == 1) { /* the same organisation again: no second vote */
        b = a;
        a = story_case(&s, 0);
        (void)story_saw(&s, a, v, 100, 100, 90, yes > 0);
    }
    for (uint32_t k = 0; k < harmless; k++)
        (void)story_note(&s, NR_CAMPAIGN_HARMLESS, v, story_org(&s, 0), 0);
    story_settle(&s);
    i = story_item(&s, a, b, v);
    story_end(&s);
    return i.rho;
}

static void
test_votes(void **state)
{
    (void)state;
    NEAR(rho_of(2, 0, 0, false), .9924);
    NEAR(rho_of(1, 1, 0, false), .7467);
    NEAR(rho_of(0, 2, 0, false), .0623);
    NEAR(rho_of(1, 0, 0, false), .9033);
    NEAR(rho_of(2, 0, 3, false), .2036);
    /* Two new members: half a vote each. */
    NEAR(rho_of(2, 0, 0, true), .9033);
    NEAR(rho_of(0, 2, 0, true), .1739);
}

/* --- traps ------------------------------------------------------------ */

#define D0 18000 /* the day of a trap */

/* One value seen by N cases of N organisations. */
static void
crowd(struct story *s, uint32_t value, uint32_t n, bool malicious,
    uint32_t *cases)
{
    for (uint32_t i = 0; i < n; i++) {
        cases[i] = story_case(s, NOBODY);
        (void)story_saw(s, cases[i], value, D0 + (int32_t)i % 60,
            D0 + (int32_t)i % 60, 90, malicious);
    }
}

static void
test_one_c2(void **state)
{
    uint32_t v, cases[200];
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    crowd(&s, v, 200, true, cases);
    story_check(&s);
    for (uint32_t i = 1; i < 200; i++)
        assert_true(story_together(&s, cases[0], cases[i]));
    assert_int_equal(story_events(&s, NR_CAMPAIGN_MERGED_INTO), 0);
    story_end(&s);
}

/* A name everybody meets, and nobody calls malicious: strangers stay apart.
 * So do the children of a dynamic-DNS parent. */
static void
test_cdn_glue(void **state)
{
    uint32_t cdn, parent, cases[40], kids[40];
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    cdn = story_value(&s, NR_CAMPAIGN_DOMAIN);
    crowd(&s, cdn, 40, false, cases);
    parent = story_value(&s, NR_CAMPAIGN_PARENT);
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t child = story_child(&s, parent);

        kids[i] = story_case(&s, NOBODY);
        (void)story_saw(&s, kids[i], child, D0, D0, 90, true);
        (void)story_saw(&s, kids[i], parent, D0, D0, 90, true);
    }
    story_check(&s);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(nr_campaign_of(s.c, cases[i]), NOBODY);
        assert_int_equal(nr_campaign_of(s.c, kids[i]), NOBODY);
    }
    assert_int_equal(story_item(&s, kids[0], kids[1], parent).reason,
        NR_CAMPAIGN_IS_PROVIDER);
    story_end(&s);
}

/* Child and parent are one asset: together they say no more than the child. */
static void
test_parent_counts_once(void **state)
{
    uint32_t parent, child, a, b;
    struct story s;
    double alone;

    (void)state;
    story_begin(&s, 1000, 20);
    parent = story_value(&s, NR_CAMPAIGN_PARENT);
    child = story_child(&s, parent);
    a = story_case(&s, NOBODY);
    b = story_case(&s, NOBODY);
    (void)story_saw(&s, a, child, D0, D0, 90, true);
    (void)story_saw(&s, b, child, D0, D0, 90, true);
    story_check(&s);
    alone = story_pair(&s, a, b).bits;
    (void)story_saw(&s, a, parent, D0, D0, 90, true);
    (void)story_saw(&s, b, parent, D0, D0, 90, true);
    story_check(&s);
    NEAR(story_pair(&s, a, b).bits, alone);
    assert_int_equal(story_item(&s, a, b, parent).reason,
        NR_CAMPAIGN_SAME_ASSET);
    story_end(&s);
}

static void
test_asset_groups(void **state)
{
    uint32_t domain, ip, a, b;
    uint64_t seq;
    struct story s;
    double both;

    (void)state;
    story_begin(&s, 1000, 20);
    domain = story_value(&s, NR_CAMPAIGN_DOMAIN);
    ip = story_value(&s, NR_CAMPAIGN_IP);
    a = story_case(&s, NOBODY);
    b = story_case(&s, NOBODY);
    (void)story_saw(&s, a, domain, D0, D0, 90, true);
    (void)story_saw(&s, b, domain, D0, D0, 90, true);
    (void)story_saw(&s, a, ip, D0, D0, 90, true);
    (void)story_saw(&s, b, ip, D0, D0, 90, true);
    story_check(&s);
    both = story_pair(&s, a, b).bits;
    seq = story_related(&s, ip, domain, D0, D0 + 30);
    story_check(&s);
    NEAR(story_pair(&s, a, b).bits, story_item(&s, a, b, domain).bits);
    assert_true(story_pair(&s, a, b).bits < both - 5);
    (void)story_retract(&s, seq);
    story_check(&s);
    NEAR(story_pair(&s, a, b).bits, both);
    story_end(&s);
}

/* An address is rented to others: by time alone, and by a known change. */
static void
test_recycled_address(void **state)
{
    uint32_t ip, a, b, d, e;
    uint64_t hands;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    ip = story_value(&s, NR_CAMPAIGN_IP);
    a = story_case(&s, NOBODY);
    b = story_case(&s, NOBODY);
    d = story_case(&s, NOBODY);
    e = story_case(&s, NOBODY);
    (void)story_saw(&s, a, ip, D0, D0, 90, true);
    (void)story_saw(&s, b, ip, D0 + 5, D0 + 5, 90, true);
    (void)story_saw(&s, d, ip, D0 + 40, D0 + 40, 90, true);
    (void)story_saw(&s, e, ip, D0 + 450, D0 + 450, 90, true);
    story_check(&s);
    assert_true(story_together(&s, a, b));
    assert_true(story_together(&s, a, d));
    assert_int_equal(nr_campaign_of(s.c, e), NOBODY);
    hands = story_note(&s, NR_CAMPAIGN_HANDS, ip, 0, D0 + 20);
    story_check(&s);
    assert_true(story_together(&s, a, b));
    assert_int_equal(nr_campaign_of(s.c, d), NOBODY);
    assert_int_equal(story_item(&s, a, d, ip).reason, NR_CAMPAIGN_OTHER_TENURE);
    (void)story_retract(&s, hands);
    story_check(&s);
    assert_true(story_together(&s, a, d));
    story_end(&s);
}

/* A scanner touches everybody; hunts find it harmless at many. */
static void
test_scanner(void **state)
{
    uint32_t ip, cases[60];
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    ip = story_value(&s, NR_CAMPAIGN_IP);
    crowd(&s, ip, 60, true, cases);
    story_check(&s);
    assert_true(story_together(&s, cases[0], cases[59]));
    for (uint32_t i = 0; i < 150; i++)
        (void)story_note(&s, NR_CAMPAIGN_HARMLESS, ip, story_org(&s, 0), 0);
    story_check(&s);
    for (uint32_t i = 0; i < 60; i++)
        assert_false(story_linked(&s, cases[0], cases[i]));
    assert_false(story_together(&s, cases[0], cases[1]));
    story_end(&s);
}

/* One article, passed on by one organisation five times, is one vote. */
static void
test_article_five_times(void **state)
{
    uint32_t v, org, a[5];
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    org = story_org(&s, 0);
    for (uint32_t i = 0; i < 5; i++) {
        a[i] = story_case(&s, org);
        (void)story_saw(&s, a[i], v, D0, D0, 90, true);
    }
    story_check(&s);
    NEAR(story_item(&s, a[0], a[4], v).rho, .9033);
    assert_int_equal(story_item(&s, a[0], a[4], v).organisations, 1);
    story_end(&s);
}

static void
test_only_anchor_withdrawn(void **state)
{
    uint32_t v, a, b, camp;
    uint64_t seq, undo;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    a = story_case(&s, NOBODY);
    b = story_case(&s, NOBODY);
    (void)story_saw(&s, a, v, D0, D0, 90, true);
    seq = story_saw(&s, b, v, D0, D0, 90, true);
    story_check(&s);
    assert_true(story_together(&s, a, b));
    camp = nr_campaign_of(s.c, a);
    undo = story_retract(&s, seq);
    story_check(&s);
    assert_false(story_linked(&s, a, b));
    assert_false(story_together(&s, a, b));
    assert_int_equal(nr_campaign_of(s.c, a), camp); /* kept, on its oldest */
    undo = story_retract(&s, undo);
    story_check(&s);
    assert_true(story_together(&s, a, b));
    assert_int_equal(nr_campaign_of(s.c, b), camp);
    (void)story_retract(&s, undo);
    story_check(&s);
    assert_false(story_together(&s, a, b));
    story_end(&s);
}

static void
test_wrong_clock(void **state)
{
    uint32_t v, a, b;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    a = story_case(&s, NOBODY);
    b = story_case(&s, NOBODY);
    (void)story_saw(&s, a, v, s.day, s.day, 90, true);
    (void)story_saw(&s, b, v, s.day - 3, s.day + 5000, 90, true);
    story_check(&s);
    assert_int_equal(story_events(&s, NR_CAMPAIGN_CLOCK_WRONG), 1);
    assert_int_equal(story_item(&s, a, b, v).gap, 0);
    story_end(&s);
}

/* One member alone can call anything malicious, as often as it likes: rho stays
 * under .95, and what others saw without the role brings it down. */
static void
test_hostile_labels(void **state)
{
    uint32_t v, bad, cases[12], mine[30];
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    bad = story_org(&s, 0);
    crowd(&s, v, 12, false, cases);
    for (uint32_t i = 0; i < 30; i++) {
        mine[i] = story_case(&s, bad);
        (void)story_saw(&s, mine[i], v, D0 + 1, D0 + 1, 100, true);
    }
    story_check(&s);
    assert_true(story_item(&s, cases[0], cases[1], v).rho < .01);
    for (uint32_t i = 1; i < 12; i++)
        assert_false(story_linked(&s, cases[0], cases[i]));
    story_end(&s);
}

/* Labels that verdicts contradict cost weight, from the next rebuild on. */
static void
test_overturned(void **state)
{
    uint32_t bad, other, v, a, b;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    bad = story_org(&s, 0);
    other = story_case(&s, bad);
    for (uint32_t i = 0; i < 6; i++) {
        v = story_value(&s, NR_CAMPAIGN_DOMAIN);
        (void)story_saw(&s, other, v, D0, D0, 90, true);
        (void)story_note(&s, NR_CAMPAIGN_VERDICT, v, NR_CAMPAIGN_BENIGN, 0);
    }
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    a = story_case(&s, bad);
    b = story_case(&s, NOBODY);
    (void)story_saw(&s, a, v, D0, D0, 90, true);
    (void)story_saw(&s, b, v, D0, D0, 90, false);
    assert_int_equal(nr_campaign_rebuild(s.c, s.day, NULL), NR_OK);
    /* (1 + 2) / (1 + 6 + 2): 5 of 16ths; .4 3.807 .3125 -1.663 */
    NEAR(story_item(&s, a, b, v).rho, .3244);
    story_end(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_pairs),
        NR_TEST(test_items),
        NR_TEST(test_campaign),
        NR_TEST(test_verdicts),
        NR_TEST(test_question),
        NR_TEST(test_votes),
        NR_TEST(test_one_c2),
        NR_TEST(test_cdn_glue),
        NR_TEST(test_parent_counts_once),
        NR_TEST(test_asset_groups),
        NR_TEST(test_recycled_address),
        NR_TEST(test_scanner),
        NR_TEST(test_article_five_times),
        NR_TEST(test_only_anchor_withdrawn),
        NR_TEST(test_wrong_clock),
        NR_TEST(test_hostile_labels),
        NR_TEST(test_overturned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
