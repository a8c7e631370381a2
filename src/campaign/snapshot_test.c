/* Saving, loading, going on; and snapshots that are not what they say. */
#include "campaign/story.h"
#include "campaign/synth.h"

#include "base/buf.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY ((size_t)256 << 20)

static enum nr_err
collect(void *ctx, struct nr_bytes octets)
{
    struct nr_buf *b = ctx;

    nr_buf_put(b, octets);
    return b->err;
}

static void
save(const struct nr_campaigns *c, struct nr_buf *out)
{
    const struct nr_campaign_sink sink = { collect, out };

    nr_buf_reset(out);
    assert_int_equal(nr_campaign_save(c, &sink, NULL), NR_OK);
}

static enum nr_err
load(struct nr_bytes in, struct nr_campaigns **out)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };

    return nr_campaign_load(in, &mint, MEMORY, out, NULL);
}

static void
tell(struct nr_campaigns *c, const struct synth *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        assert_int_equal(nr_campaign_add(c, &s->fact[i], NULL, NULL, NULL),
            NR_OK);
        if (i + 1 == s->n || s->fact[i + 1].seq != s->fact[i].seq)
            assert_int_equal(nr_campaign_settle(c, 0, NULL, NULL), NR_OK);
    }
}

/* Stopped and gone on, at several places, ends in the same octets. */
static void
test_resume(void **state)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };
    struct nr_campaigns *a, *b;
    struct nr_buf x, y;
    struct synth s;

    (void)state;
    assert_true(synth_make(&s, 4));
    nr_buf_init(&x, MEMORY);
    nr_buf_init(&y, MEMORY);
    a = nr_campaign_create(&mint, MEMORY);
    b = nr_campaign_create(&mint, MEMORY);
    assert_true(a && b);
    for (size_t part = 0; part < 8; part++) {
        size_t from = s.n * part / 8, to = s.n * (part + 1) / 8;

        tell(a, &s, from, to);
        tell(b, &s, from, to);
        save(b, &x);
        nr_campaign_destroy(b);
        assert_int_equal(load(nr_buf_bytes(&x), &b), NR_OK);
        save(b, &y);
        assert_true(nr_bytes_eq(nr_buf_bytes(&x), nr_buf_bytes(&y)));
        save(a, &y);
        assert_true(nr_bytes_eq(nr_buf_bytes(&x), nr_buf_bytes(&y)));
    }
    nr_campaign_destroy(a);
    nr_campaign_destroy(b);
    nr_buf_fini(&x);
    nr_buf_fini(&y);
    synth_fini(&s);
}

/* A small state with one of everything. */
static void
one_of_each(struct story *s)
{
    uint32_t org, a, b, d, v, w;
    uint64_t seq;

    story_begin(s, 1000, 20);
    org = story_org(s, s->day - 3);
    a = story_case(s, org);
    b = story_case(s, NOBODY);
    d = story_case(s, NOBODY);
    v = story_value(s, NR_CAMPAIGN_DOMAIN);
    w = story_value(s, NR_CAMPAIGN_IP);
    (void)story_saw(s, a, v, 100, 101, 90, true);
    (void)story_saw(s, b, v, 100, 101, 90, true);
    (void)story_saw(s, b, v, 105, 106, 80, false);
    (void)story_saw(s, d, w, 105, 106, 80, false);
    (void)story_related(s, v, w, 90, 200);
    (void)story_note(s, NR_CAMPAIGN_HANDS, v, 0, 300);
    (void)story_note(s, NR_CAMPAIGN_TENANTS, w, 3, 0);
    seq = story_note(s, NR_CAMPAIGN_LISTED, w, 0, 0);
    (void)story_retract(s, seq);
    assert_int_equal(story_says(s, NR_CAMPAIGN_CANNOT, a, d), NR_OK);
    story_settle(s);
    assert_int_equal(story_says(s, NR_CAMPAIGN_RENAME, nr_campaign_of(s->c, a),
                         NOBODY),
        NR_OK);
    story_settle(s);
}

static void
seal(struct nr_buf *b)
{
    uint64_t sum = nr_xxh64((struct nr_bytes){ b->p, b->n - 8 }, 0);

    for (size_t i = 0; i < 8; i++)
        b->p[b->n - 8 + i] = (uint8_t)(sum >> (8 * i) & 0xff);
}

/* Cut anywhere, or with any octet changed, it is refused; and with the sum made
 * to hold again it is refused or it can be used. */
static void
test_damage(void **state)
{
    struct nr_campaigns *c;
    struct nr_buf good, bent;
    struct story s;
    uint32_t taken = 0;

    (void)state;
    one_of_each(&s);
    nr_buf_init(&good, MEMORY);
    nr_buf_init(&bent, MEMORY);
    save(s.c, &good);
    assert_true(good.n < 65536); /* one sum over all */
    for (size_t n = 0; n < good.n; n++)
        assert_int_not_equal(load((struct nr_bytes){ good.p, n }, &c), NR_OK);
    for (size_t i = 0; i < good.n; i++) {
        nr_buf_reset(&bent);
        nr_buf_put(&bent, nr_buf_bytes(&good));
        bent.p[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(load(nr_buf_bytes(&bent), &c), NR_EDAMAGED);
        bent.p[i] = 0xff;
        seal(&bent);
        if (load(nr_buf_bytes(&bent), &c) != NR_OK)
            continue;
        taken++;
        assert_int_equal(nr_campaign_settle(c, 0, NULL, NULL), NR_OK);
        assert_int_equal(nr_campaign_rebuild(c, 18600, NULL), NR_OK);
        nr_campaign_destroy(c);
    }
    assert_true(taken < good.n / 2);
    nr_buf_fini(&good);
    nr_buf_fini(&bent);
    story_end(&s);
}

static void
test_memory(void **state)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };
    struct nr_campaigns *c;
    struct nr_buf b;
    struct story s;

    (void)state;
    one_of_each(&s);
    nr_buf_init(&b, MEMORY);
    save(s.c, &b);
    assert_int_equal(nr_campaign_load(nr_buf_bytes(&b), &mint, 1000, &c, NULL),
        NR_ELIMIT);
    nr_buf_fini(&b);
    story_end(&s);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_resume),
        NR_TEST(test_damage),
        NR_TEST(test_memory),
    };

    if (argc == 2) { /* the seed of the fuzzer, to be looked at */
        struct story s;
        struct nr_buf b;
        FILE *f = fopen(argv[1], "wbe");

        one_of_each(&s);
        nr_buf_init(&b, MEMORY);
        save(s.c, &b);
        if (f && fwrite(b.p, 1, b.n - 8, f) == b.n - 8)
            return fclose(f);
        return EXIT_FAILURE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
