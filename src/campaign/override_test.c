/* What analysts say, parameters, retraction and facts that are refused. */
#include "campaign/story.h"
#include "campaign/synth.h"

#include "base/buf.h"

#include <math.h>
#include <string.h>

#define D0 18000

/* Two cases that share a labelled domain: a campaign. */
struct two {
    uint32_t a, b, value;
};

static struct two
couple(struct story *s)
{
    struct two t = { .value = story_value(s, NR_CAMPAIGN_DOMAIN) };

    t.a = story_case(s, NOBODY);
    t.b = story_case(s, NOBODY);
    (void)story_saw(s, t.a, t.value, D0, D0, 90, true);
    (void)story_saw(s, t.b, t.value, D0, D0, 90, true);
    story_settle(s);
    return t;
}

static void
test_must(void **state)
{
    struct story s;
    struct two x, y;
    uint32_t old;

    (void)state;
    story_begin(&s, 1000, 20);
    x = couple(&s);
    y = couple(&s);
    old = nr_campaign_of(s.c, x.a);
    nr_campaign_forget(s.c);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_MUST, x.a, y.a), NR_OK);
    story_check(&s);
    assert_int_equal(nr_campaign_of(s.c, y.b), old); /* the oldest stays */
    assert_int_equal(story_events(&s, NR_CAMPAIGN_MERGED_INTO), 1);
    nr_campaign_forget(s.c);
    (void)story_retract(&s, s.seq);
    story_check(&s);
    assert_false(story_together(&s, x.a, y.a));
    assert_true(story_together(&s, y.a, y.b));
    assert_int_equal(nr_campaign_of(s.c, x.a), old);
    assert_int_equal(story_events(&s, NR_CAMPAIGN_SPLIT_FROM), 1);
    story_end(&s);
}

static void
test_cannot(void **state)
{
    uint64_t seq;
    struct story s;
    struct two x;

    (void)state;
    story_begin(&s, 1000, 20);
    x = couple(&s);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_CANNOT, x.a, x.b), NR_OK);
    seq = s.seq;
    story_check(&s);
    assert_false(story_together(&s, x.a, x.b));
    assert_true(story_pair(&s, x.a, x.b).cannot);
    assert_true(story_pair(&s, x.a, x.b).linked); /* what it would have done */
    (void)story_retract(&s, seq);
    story_check(&s);
    assert_true(story_together(&s, x.a, x.b));
    story_end(&s);
}

/* A third case that both are linked with may not bring them together. */
static void
test_cannot_by_third(void **state)
{
    uint32_t v, third;
    struct story s;
    struct two x;

    (void)state;
    story_begin(&s, 1000, 20);
    x = couple(&s);
    third = story_case(&s, NOBODY);
    v = story_value(&s, NR_CAMPAIGN_CERT);
    (void)story_saw(&s, third, x.value, D0, D0, 90, true);
    (void)story_saw(&s, third, v, D0, D0, 90, true);
    (void)story_saw(&s, x.b, v, D0, D0, 90, true);
    story_check(&s);
    assert_true(story_together(&s, x.a, third));
    assert_int_equal(story_says(&s, NR_CAMPAIGN_CANNOT, x.a, x.b), NR_OK);
    story_check(&s);
    assert_false(story_together(&s, x.a, x.b));
    assert_true(story_together(&s, x.b, third)); /* the stronger side */
    story_end(&s);
}

static void
test_conflicts(void **state)
{
    uint32_t i[4];
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    for (uint32_t k = 0; k < 4; k++)
        i[k] = story_case(&s, NOBODY);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_MUST, i[0], i[1]), NR_OK);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_MUST, i[1], i[2]), NR_OK);
    story_settle(&s);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_CANNOT, i[0], i[2]),
        NR_EDENIED);
    assert_int_equal(s.chain.n, 2);
    assert_int_equal(s.chain.step[0].a, i[2]);
    assert_int_equal(s.chain.step[0].b, i[1]);
    assert_int_equal(s.chain.step[1].b, i[0]);
    assert_true(s.chain.step[0].seq > s.chain.step[1].seq);
    assert_true(s.chain.step[1].seq > 0);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_CANNOT, i[0], i[3]), NR_OK);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_MUST, i[2], i[3]), NR_EDENIED);
    assert_int_equal(s.chain.n, 3);
    assert_int_equal(s.chain.step[2].b, i[3]);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_MUST, i[1], i[1]), NR_EFORMAT);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_MUST, i[1], 99), NR_ENOTFOUND);
    story_check(&s);
    assert_true(story_together(&s, i[0], i[2]));
    assert_false(story_together(&s, i[0], i[3]));
    story_end(&s);
}

static void
test_pin(void **state)
{
    uint32_t alone, camp;
    uint64_t seq;
    struct story s;
    struct two x;

    (void)state;
    story_begin(&s, 1000, 20);
    x = couple(&s);
    alone = story_case(&s, NOBODY);
    camp = nr_campaign_of(s.c, x.a);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_PIN, alone, camp), NR_OK);
    seq = s.seq;
    story_check(&s);
    assert_int_equal(nr_campaign_of(s.c, alone), camp);
    assert_int_equal(nr_campaign_rebuild(s.c, s.day + 400, NULL), NR_OK);
    assert_int_equal(nr_campaign_of(s.c, alone), camp);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_CANNOT, alone, x.a),
        NR_EDENIED);
    (void)story_retract(&s, seq);
    story_check(&s);
    assert_int_equal(nr_campaign_of(s.c, alone), NOBODY);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_PIN, alone, 77), NR_ENOTFOUND);
    story_end(&s);
}

static void
test_names(void **state)
{
    struct nr_campaign_view v;
    uint64_t first, second;
    uint32_t camp;
    struct story s;
    struct two x;

    (void)state;
    story_begin(&s, 1000, 20);
    x = couple(&s);
    camp = nr_campaign_of(s.c, x.a);
    assert_int_equal(story_says(&s, NR_CAMPAIGN_RENAME, camp, NOBODY), NR_OK);
    first = s.seq;
    assert_int_equal(story_says(&s, NR_CAMPAIGN_RENAME, camp, NOBODY), NR_OK);
    second = s.seq;
    assert_int_equal(story_says(&s, NR_CAMPAIGN_CLOSE, camp, NOBODY), NR_OK);
    assert_int_equal(nr_campaign_view(s.c, camp, &v), NR_OK);
    assert_int_equal(v.named, second);
    assert_int_equal(v.state, NR_CAMPAIGN_CLOSED);
    (void)story_retract(&s, second);
    assert_int_equal(nr_campaign_view(s.c, camp, &v), NR_OK);
    assert_int_equal(v.named, first);
    story_check(&s);
    story_end(&s);
}

/* An override ends on its day, at the rebuild after it. */
static void
test_expiry(void **state)
{
    struct nr_campaign_fact f = { .kind = NR_CAMPAIGN_SAYS, .author = NOBODY };
    uint32_t a, b;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    a = story_case(&s, NOBODY);
    b = story_case(&s, NOBODY);
    f.seq = ++s.seq;
    f.day = s.day;
    f.u.says.kind = NR_CAMPAIGN_MUST;
    f.u.says.a = a;
    f.u.says.b = b;
    f.u.says.expires = s.day + 10;
    f.u.says.reviewer = NOBODY;
    assert_int_equal(nr_campaign_add(s.c, &f, NULL, NULL, NULL), NR_OK);
    story_check(&s);
    assert_true(story_together(&s, a, b));
    assert_int_equal(nr_campaign_rebuild(s.c, s.day + 10, NULL), NR_OK);
    assert_true(story_together(&s, a, b));
    assert_int_equal(nr_campaign_rebuild(s.c, s.day + 11, NULL), NR_OK);
    assert_false(story_together(&s, a, b));
    story_end(&s);
}

/* A case that is withdrawn leaves; what it held up falls apart. */
static void
test_case_withdrawn(void **state)
{
    uint32_t left, middle, right, v, w;
    uint64_t seq;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    left = story_case(&s, NOBODY);
    right = story_case(&s, NOBODY);
    middle = story_case(&s, NOBODY);
    seq = s.seq;
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    w = story_value(&s, NR_CAMPAIGN_CERT);
    (void)story_saw(&s, left, v, D0, D0, 90, true);
    (void)story_saw(&s, middle, v, D0, D0, 90, true);
    (void)story_saw(&s, middle, w, D0, D0, 90, true);
    (void)story_saw(&s, right, w, D0, D0, 90, true);
    story_check(&s);
    assert_true(story_together(&s, left, right));
    seq = story_retract(&s, seq);
    story_check(&s);
    assert_false(story_together(&s, left, right));
    assert_int_equal(nr_campaign_of(s.c, middle), NOBODY);
    (void)story_retract(&s, seq);
    story_check(&s);
    assert_true(story_together(&s, left, right));
    assert_true(story_together(&s, left, middle));
    story_end(&s);
}

/* The wait of a budget: what is left settles later, to the same end. */
static void
test_budget(void **state)
{
    uint32_t cases[40], v, left = 0;
    struct nr_campaign_view view;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    v = story_value(&s, NR_CAMPAIGN_DOMAIN);
    for (uint32_t i = 0; i < 40; i++) {
        cases[i] = story_case(&s, NOBODY);
        (void)story_saw(&s, cases[i], v, D0, D0, 90, true);
    }
    story_settle(&s);
    (void)story_note(&s, NR_CAMPAIGN_VERDICT, v, NR_CAMPAIGN_BENIGN, 0);
    assert_int_equal(nr_campaign_settle(s.c, 5, &left, NULL), NR_OK);
    assert_int_equal(left, 35);
    assert_int_equal(nr_campaign_view(s.c, 0, &view), NR_OK);
    assert_true(view.settling);
    while (left > 0)
        assert_int_equal(nr_campaign_settle(s.c, 5, &left, NULL), NR_OK);
    assert_int_equal(nr_campaign_of(s.c, cases[39]), NOBODY);
    story_check(&s);
    story_end(&s);
}

/* Two halves that one weak anchor joins are told apart. */
static void
test_bridge(void **state)
{
    struct nr_campaign_bridge bridge;
    uint32_t v, l[3], r[3], a, b, joint;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    a = story_value(&s, NR_CAMPAIGN_DOMAIN);
    b = story_value(&s, NR_CAMPAIGN_DOMAIN);
    for (uint32_t i = 0; i < 3; i++) {
        l[i] = story_case(&s, NOBODY);
        r[i] = story_case(&s, NOBODY);
        (void)story_saw(&s, l[i], a, D0, D0, 90, true);
        (void)story_saw(&s, r[i], b, D0, D0, 90, true);
    }
    joint = story_value(&s, NR_CAMPAIGN_CERT);
    (void)story_saw(&s, l[0], joint, D0, D0, 90, true);
    (void)story_saw(&s, r[0], joint, D0 + 120, D0 + 120, 90, true);
    story_check(&s);
    assert_true(story_together(&s, l[1], r[1]));
    assert_int_equal(nr_campaign_bridge(s.c, nr_campaign_of(s.c, l[0]),
                         &bridge),
        NR_OK);
    assert_true(bridge.found);
    assert_int_equal(bridge.value, joint);
    assert_int_equal(bridge.smaller, 3);
    /* A second, sure anchor: no doubt is left. */
    v = story_value(&s, NR_CAMPAIGN_FILE);
    (void)story_saw(&s, l[1], v, D0, D0, 90, true);
    (void)story_saw(&s, r[2], v, D0, D0, 90, true);
    story_check(&s);
    assert_int_equal(nr_campaign_bridge(s.c, nr_campaign_of(s.c, l[0]),
                         &bridge),
        NR_OK);
    assert_false(bridge.found);
    story_end(&s);
}

/* --- parameters ------------------------------------------------------- */

static void
test_conf(void **state)
{
    static const struct {
        const char *text;
        enum nr_err err;
    } rows[] = {
        { "", NR_OK },
        { "# nothing\n\n  gamma 0.01 # finer\n", NR_OK },
        { "domain.half-life 90\ndomain.anchor 0\n", NR_OK },
        { "gamma", NR_EFORMAT },
        { "gamma 2", NR_EFORMAT },
        { "gamma nan", NR_EFORMAT },
        { "gamma 0.1x", NR_EFORMAT },
        { "campaigns 1.5", NR_EFORMAT },
        { "domian.kappa 1", NR_EFORMAT },
        { "domain.kapa 1", NR_EFORMAT },
        { "break-p .95", NR_ELIMIT },
    };
    struct nr_campaign_conf conf, back;
    struct nr_buf b, again;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nr_bytes in = { (const uint8_t *)rows[i].text,
            strlen(rows[i].text) };

        nr_campaign_conf_default(&conf);
        CHECK_CASE(rows[i].text,
            nr_campaign_conf_parse(in, &conf, NULL) == rows[i].err);
    }
    nr_campaign_conf_default(&conf);
    conf.gamma = .1 + .2;
    conf.row[NR_CAMPAIGN_CERT].cap = 10.7;
    nr_buf_init(&b, 1 << 16);
    nr_campaign_conf_print(&conf, &b);
    nr_campaign_conf_default(&back);
    assert_int_equal(nr_campaign_conf_parse(nr_buf_bytes(&b), &back, NULL),
        NR_OK);
    nr_buf_init(&again, 1 << 16);
    nr_campaign_conf_print(&back, &again);
    assert_true(nr_bytes_eq(nr_buf_bytes(&b), nr_buf_bytes(&again)));
    assert_true(back.gamma >= conf.gamma && back.gamma <= conf.gamma);
    nr_buf_fini(&b);
    nr_buf_fini(&again);
}

/* Other parameters wait for the rebuild. */
static void
test_conf_change(void **state)
{
    struct nr_campaign_fact f = { .kind = NR_CAMPAIGN_CONF, .author = NOBODY };
    struct nr_campaign_conf conf;
    struct nr_campaign_totals t;
    struct story s;
    struct two x;

    (void)state;
    story_begin(&s, 1000, 20);
    x = couple(&s);
    nr_campaign_conf_default(&conf);
    conf.members = 1000;
    conf.campaigns = 5000;
    f.seq = ++s.seq;
    f.day = s.day;
    f.u.conf = &conf;
    assert_int_equal(nr_campaign_add(s.c, &f, NULL, NULL, NULL), NR_OK);
    story_settle(&s);
    assert_true(story_together(&s, x.a, x.b));
    nr_campaign_totals(s.c, &t);
    assert_true(t.wants_rebuild);
    assert_int_equal(nr_campaign_rebuild(s.c, s.day, NULL), NR_OK);
    nr_campaign_totals(s.c, &t);
    assert_false(t.wants_rebuild);
    assert_int_equal(t.k_ref, 5000);
    assert_false(story_together(&s, x.a, x.b));
    story_end(&s);
}

/* --- facts that are refused ------------------------------------------- */

static void
test_refused(void **state)
{
    static const struct {
        const char *name;
        struct nr_campaign_fact f;
        enum nr_err err;
    } rows[] = {
        { "case of nobody",
            { .kind = NR_CAMPAIGN_CASE, .seq = 100, .u.cas.org = 50 },
            NR_ENOTFOUND },
        { "value of no type",
            { .kind = NR_CAMPAIGN_VALUE,
                .seq = 100,
                .u.value.type = NR_CAMPAIGN_TYPES },
            NR_EFORMAT },
        { "value of no parent",
            { .kind = NR_CAMPAIGN_VALUE, .seq = 100, .u.value.parent = 50 },
            NR_ENOTFOUND },
        { "sighting backwards",
            { .kind = NR_CAMPAIGN_SAW,
                .seq = 100,
                .u.saw.first = 5,
                .u.saw.last = 4 },
            NR_ELIMIT },
        { "sighting too sure",
            { .kind = NR_CAMPAIGN_SAW, .seq = 100, .u.saw.conf = 101 },
            NR_ELIMIT },
        { "sighting of nothing",
            { .kind = NR_CAMPAIGN_SAW, .seq = 100, .u.saw.value = 9 },
            NR_ENOTFOUND },
        { "day out of range",
            { .kind = NR_CAMPAIGN_SAW, .seq = 100, .day = 70000 }, NR_ELIMIT },
        { "out of order", { .kind = NR_CAMPAIGN_SAW, .seq = 1 }, NR_EFORMAT },
        { "nothing to withdraw",
            { .kind = NR_CAMPAIGN_RETRACT, .seq = 100, .u.retract.seq = 90 },
            NR_ENOTFOUND },
        { "related to itself", { .kind = NR_CAMPAIGN_RELATED, .seq = 100 },
            NR_EFORMAT },
        { "no such verdict",
            { .kind = NR_CAMPAIGN_NOTE,
                .seq = 100,
                .u.note.arg = NR_CAMPAIGN_VERDICTS },
            NR_EFORMAT },
        { "no tenants",
            { .kind = NR_CAMPAIGN_NOTE,
                .seq = 100,
                .u.note.kind = NR_CAMPAIGN_TENANTS },
            NR_EFORMAT },
        { "no such fact", { .kind = NR_CAMPAIGN_FACTS, .seq = 100 },
            NR_EFORMAT },
    };
    struct nr_campaign_totals was, now;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    (void)couple(&s);
    nr_campaign_totals(s.c, &was);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nr_diag d = { 0 };

        CHECK_CASE(rows[i].name,
            nr_campaign_add(s.c, &rows[i].f, NULL, NULL, &d) == rows[i].err);
        CHECK_CASE(rows[i].name, d.what != NULL);
    }
    nr_campaign_totals(s.c, &now);
    assert_int_equal(was.sightings, now.sightings);
    assert_int_equal(was.links, now.links);
    story_check(&s);
    story_end(&s);
}

/* The same key twice: who has it, and nothing else. */
static void
test_known_key(void **state)
{
    struct nr_campaign_fact f = { .kind = NR_CAMPAIGN_ORG, .author = NOBODY };
    uint32_t first = NOBODY, again = NOBODY;
    struct story s;

    (void)state;
    story_begin(&s, 1000, 20);
    f.seq = ++s.seq;
    f.day = s.day;
    memset(f.u.org.key, 7, sizeof(f.u.org.key));
    assert_int_equal(nr_campaign_add(s.c, &f, &first, NULL, NULL), NR_OK);
    f.seq = ++s.seq;
    assert_int_equal(nr_campaign_add(s.c, &f, &again, NULL, NULL), NR_EEXIST);
    assert_int_equal(first, again);
    assert_int_equal(nr_campaign_find_org(s.c, f.u.org.key), first);
    story_end(&s);
}

/* N follows the members in steps of a quarter. */
static void
test_members(void **state)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };
    struct nr_campaigns *c = nr_campaign_create(&mint, (size_t)16 << 20);
    struct nr_campaign_fact f = { .kind = NR_CAMPAIGN_ORG };
    struct nr_campaign_totals t;

    (void)state;
    assert_non_null(c);
    for (uint32_t i = 0; i < 120; i++) {
        f.seq = i + 1;
        memcpy(f.u.org.key, &i, sizeof(i));
        assert_int_equal(nr_campaign_add(c, &f, NULL, NULL, NULL), NR_OK);
        assert_int_equal(nr_campaign_settle(c, 0, NULL, NULL), NR_OK);
        nr_campaign_totals(c, &t);
        assert_true(t.members <= t.n_ref * 1.25 || t.n_ref == t.members);
        assert_true(t.n_ref <= t.members);
    }
    assert_true(t.n_ref < 120); /* not each of them */
    for (uint32_t i = 0; i < 60; i++) {
        f = (struct nr_campaign_fact){ .kind = NR_CAMPAIGN_LEFT,
            .seq = 200 + i,
            .u.left.org = i };
        assert_int_equal(nr_campaign_add(c, &f, NULL, NULL, NULL), NR_OK);
        assert_int_equal(nr_campaign_settle(c, 0, NULL, NULL), NR_OK);
    }
    nr_campaign_totals(c, &t);
    assert_int_equal(t.members, 60);
    assert_true(t.n_ref <= 75);
    nr_campaign_destroy(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_must),
        NR_TEST(test_cannot),
        NR_TEST(test_cannot_by_third),
        NR_TEST(test_conflicts),
        NR_TEST(test_pin),
        NR_TEST(test_names),
        NR_TEST(test_expiry),
        NR_TEST(test_case_withdrawn),
        NR_TEST(test_budget),
        NR_TEST(test_bridge),
        NR_TEST(test_conf),
        NR_TEST(test_conf_change),
        NR_TEST(test_refused),
        NR_TEST(test_known_key),
        NR_TEST(test_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
