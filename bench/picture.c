/*
 * Campaigns at scale: 400,000 cases of 100,000 organisations with 10 million
 * sightings of a million values, made up as bench/README.md says. Prints how
 * long a full rebuild takes, then the time of 10,000 further reports one by
 * one, then a value that 100,000 cases see. The engine only, no store.
 *
 *   bench-picture [CASES VALUES REPORTS]
 *   bench-picture quality      the ten made-up circles against their truth
 */
#include "campaign/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEMORY ((size_t)4 << 30)
#define ORGS   100000u
#define DAY0   16000
#define BUDGET 64u /* cases re-linked at most for one report */
#define HUB    100000u
#define OLD    400u /* further reports come this many days after */

struct plan {
    uint32_t n_cases, n_values, bad;   /* values below BAD belong to somebody */
    uint32_t *camp, *day;              /* of each case */
    uint32_t *first, *n, *from, *span; /* of each campaign */
    uint32_t camps;
};

static double
now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
die(const char *what)
{
    (void)fprintf(stderr, "bench-picture: %s\n", what);
    exit(EXIT_FAILURE);
}

static void *
take(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p)
        die("out of memory");
    return p;
}

struct when {
    uint32_t day, camp;
};

static int
by_day(const void *a, const void *b)
{
    const struct when *x = a, *y = b;

    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    return (x->camp > y->camp) - (x->camp < y->camp);
}

/* A quarter of the cases in campaigns of 2 to 3,000 (power law), the others
 * stray; in the order of their days. */
static void
plan_make(struct plan *p, uint32_t n_cases, uint32_t n_values)
{
    struct when *w = take(n_cases, sizeof(*w));
    uint64_t rng = 7;
    uint32_t c = 0, next = 0;

    *p = (struct plan){ n_cases, n_values, n_values / 10 * 4, NULL, NULL, NULL,
        NULL, NULL, NULL, 0 };
    p->camp = take(n_cases, 4);
    p->day = take(n_cases, 4);
    p->first = take(n_cases, 4);
    p->n = take(n_cases, 4);
    p->from = take(n_cases, 4);
    p->span = take(n_cases, 4);
    while (c < n_cases / 4) {
        double r = 2 / pow(synth_unit(&rng) + 1e-9, .75);
        uint32_t size = r > 3000 ? 3000 : (uint32_t)r, k = p->camps++;

        size = c + size > n_cases / 4 ? n_cases / 4 - c : size;
        p->n[k] = size / 2 + 3;
        if (next + p->n[k] > p->bad)
            p->n[k] = 1;
        p->first[k] = next;
        next = (next + p->n[k]) % p->bad;
        p->from[k] = (uint32_t)(synth_unit(&rng) * 3000);
        p->span[k] = 60 + (uint32_t)(synth_unit(&rng) * 600);
        for (uint32_t i = 0; i < size; i++, c++)
            w[c] = (struct when){
                p->from[k] + (uint32_t)(synth_unit(&rng) * p->span[k]), k
            };
    }
    for (; c < n_cases; c++)
        w[c] = (struct when){ (uint32_t)(synth_unit(&rng) * 3600),
            NR_CAMPAIGN_NONE };
    qsort(w, n_cases, sizeof(*w), by_day);
    for (uint32_t i = 0; i < n_cases; i++) {
        p->camp[i] = w[i].camp;
        p->day[i] = w[i].day;
    }
    free(w);
}

static void
plan_fini(struct plan *p)
{
    free(p->camp);
    free(p->day);
    free(p->first);
    free(p->n);
    free(p->from);
    free(p->span);
}

static void
add(struct nr_campaigns *c, const struct nr_campaign_fact *f)
{
    struct nr_diag d = { 0 };
    char text[512];

    if (nr_campaign_add(c, f, NULL, NULL, &d) == NR_OK)
        return;
    nr_diag_print(&d, text, sizeof(text));
    die(text);
}

static void
key(uint8_t out[NR_CAMPAIGN_KEY], uint64_t n)
{
    memset(out, 0, NR_CAMPAIGN_KEY);
    memcpy(out, &n, sizeof(n));
}

static struct nr_campaign_fact
fact(enum nr_campaign_fact_kind kind, uint64_t seq, uint32_t day)
{
    return (struct nr_campaign_fact){ .kind = kind,
        .seq = seq,
        .author = NR_CAMPAIGN_NONE,
        .day = DAY0 + (int32_t)day };
}

static uint32_t
noise(const struct plan *p, uint64_t *rng)
{
    double x = pow(synth_unit(rng), 6);
    uint32_t popular = p->n_values / 50;

    if (synth_unit(rng) < .6)
        return p->bad + (uint32_t)(x * popular);
    return p->bad + popular +
        (uint32_t)(synth_unit(rng) * (p->n_values - p->bad - popular));
}

/* The report of case I, as entry SEQ, DELAY days later than planned. */
static void
report(struct nr_campaigns *c, const struct plan *p, uint32_t i, uint32_t cas,
    uint64_t seq, uint32_t delay)
{
    uint64_t rng = seq * 77 + 1;
    uint32_t day = p->day[i] + delay, k = p->camp[i], own = 0, others = 25;
    struct nr_campaign_fact f = fact(NR_CAMPAIGN_CASE, seq, day + 30);

    key(f.u.cas.key, cas);
    f.u.cas.org = (uint32_t)(synth_unit(&rng) * ORGS);
    add(c, &f);
    f = fact(NR_CAMPAIGN_SAW, seq, day + 30);
    f.u.saw.cas = cas;
    f.u.saw.first = DAY0 + (int32_t)day;
    f.u.saw.last = f.u.saw.first + (int32_t)(synth_unit(&rng) * 30);
    f.u.saw.conf = (uint8_t)(70 + synth_unit(&rng) * 25);
    if (k != NR_CAMPAIGN_NONE) {
        own = 2 + (uint32_t)(synth_unit(&rng) * 4);
        others = 20;
    }
    for (uint32_t j = 0; j < own; j++) {
        double part = (double)(p->day[i] - p->from[k]) / p->span[k];
        double pos = part * p->n[k] + (synth_unit(&rng) - .5) * 6;
        uint32_t at = pos < 0 ? 0 : (uint32_t)pos;

        at = at >= p->n[k] ? p->n[k] - 1 : at;
        f.u.saw.value = p->first[k] + at;
        f.u.saw.malicious = synth_unit(&rng) < .7;
        add(c, &f);
    }
    for (uint32_t j = 0; j < others; j++) {
        f.u.saw.value = noise(p, &rng);
        f.u.saw.malicious = synth_unit(&rng) < .03;
        add(c, &f);
    }
}

static void
furnish(struct nr_campaigns *c, const struct plan *p)
{
    static const enum nr_campaign_type types[20] = { 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, NR_CAMPAIGN_IP, NR_CAMPAIGN_IP, NR_CAMPAIGN_IP, NR_CAMPAIGN_IP,
        NR_CAMPAIGN_IP, NR_CAMPAIGN_FILE, NR_CAMPAIGN_FILE, NR_CAMPAIGN_FILE,
        NR_CAMPAIGN_CERT, NR_CAMPAIGN_CERT };
    struct nr_campaign_fact f = fact(NR_CAMPAIGN_ORG, 1, 0);
    uint64_t rng = 3;

    f.u.org.joined = DAY0 - 400;
    for (uint32_t i = 0; i < ORGS; i++) {
        key(f.u.org.key, i);
        add(c, &f);
    }
    f = fact(NR_CAMPAIGN_VALUE, 2, 0);
    f.u.value.parent = NR_CAMPAIGN_NONE;
    for (uint32_t i = 0; i < p->n_values; i++) {
        key(f.u.value.key, i);
        f.u.value.type = i < p->bad ? types[synth_next(&rng) % 20]
                                    : NR_CAMPAIGN_DOMAIN;
        add(c, &f);
    }
}

static int
ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void
settle(struct nr_campaigns *c, uint32_t budget, uint32_t *left)
{
    if (nr_campaign_settle(c, budget, left, NULL) != NR_OK)
        die("settling failed");
    nr_campaign_forget(c);
}

static void
percentiles(const char *what, double *t, uint32_t n)
{
    qsort(t, n, sizeof(*t), ascending);
    printf("%s: p50 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us\n", what,
        t[n / 2] * 1e6, t[n - 1 - n / 100] * 1e6, t[n - 1 - n / 1000] * 1e6,
        t[n - 1] * 1e6);
}

static void
one_by_one(struct nr_campaigns *c, const struct plan *p, uint32_t n)
{
    double *t = take(n, sizeof(*t)), begin = now_s();
    uint32_t left = 0, most = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t like = (uint32_t)((uint64_t)p->n_cases * i / n);
        double start = now_s();

        report(c, p, like, p->n_cases + i, 10 + p->n_cases + i, OLD);
        settle(c, BUDGET, &left);
        t[i] = now_s() - start;
        most = left > most ? left : most;
    }
    printf("%u reports one by one, %.2f s: waiting at most %u cases\n", n,
        now_s() - begin, most);
    percentiles("report", t, n);
    begin = now_s();
    settle(c, 0, NULL);
    printf("what waited: %.2f s\n", now_s() - begin);
    free(t);
}

/* One value that 100,000 cases of strangers call malicious. */
static void
hub(struct nr_campaigns *c, const struct plan *p, uint32_t from, uint64_t seq)
{
    double *t = take(HUB, sizeof(*t)), begin = now_s();
    struct nr_campaign_totals was, now;
    struct nr_campaign_fact f = fact(NR_CAMPAIGN_VALUE, seq++, 4100);
    uint64_t rng = 9;

    nr_campaign_totals(c, &was);
    key(f.u.value.key, p->n_values);
    f.u.value.type = NR_CAMPAIGN_DOMAIN;
    f.u.value.parent = NR_CAMPAIGN_NONE;
    add(c, &f);
    for (uint32_t i = 0; i < HUB; i++) {
        double start = now_s();

        f = fact(NR_CAMPAIGN_CASE, seq, 4100);
        key(f.u.cas.key, from + i);
        f.u.cas.org = i;
        add(c, &f);
        f = fact(NR_CAMPAIGN_SAW, seq++, 4100);
        f.u.saw.cas = from + i;
        f.u.saw.value = p->n_values;
        f.u.saw.first = f.u.saw.last = DAY0 +
            (int32_t)(synth_unit(&rng) * 4000);
        f.u.saw.conf = 90;
        f.u.saw.malicious = true;
        add(c, &f);
        settle(c, BUDGET, NULL);
        t[i] = now_s() - start;
    }
    nr_campaign_totals(c, &now);
    printf("hub of %u cases, %.2f s: %llu links (%.1f a case), %u wait\n", HUB,
        now_s() - begin, (unsigned long long)(now.links - was.links),
        (double)(now.links - was.links) / HUB, now.waiting);
    percentiles("hub", t, HUB);
    free(t);
}

static int
quality(void)
{
    struct synth_score sum = { 0 }, x;
    double mixed = 0;

    for (uint64_t seed = 0; seed < 10; seed++) {
        const struct nr_campaign_mint mint = { synth_mint, NULL };
        struct nr_campaigns *c = nr_campaign_create(&mint, MEMORY);
        struct nr_campaign_totals t;
        struct synth s;
        uint32_t *label;

        if (!c || !synth_make(&s, seed))
            die("out of memory");
        for (size_t i = 0; i < s.n; i++) {
            add(c, &s.fact[i]);
            if (i + 1 == s.n || s.fact[i + 1].seq != s.fact[i].seq)
                settle(c, 0, NULL);
        }
        label = take(s.n_cases, sizeof(*label));
        for (uint32_t i = 0; i < s.n_cases; i++)
            label[i] = nr_campaign_of(c, i);
        synth_score(&s, label, &x);
        nr_campaign_totals(c, &t);
        printf("seed %u: precision %.3f recall %.3f mixed %u clusters %u "
               "links %llu K %u\n",
            (unsigned)seed, x.b3_precision, x.b3_recall, x.mixed, x.clusters,
            (unsigned long long)t.links, t.k_ref);
        sum.b3_precision += x.b3_precision / 10;
        sum.b3_recall += x.b3_recall / 10;
        mixed += x.mixed / 10.0;
        free(label);
        nr_campaign_destroy(c);
        synth_fini(&s);
    }
    printf("mean: precision %.3f recall %.3f mixed %.1f\n", sum.b3_precision,
        sum.b3_recall, mixed);
    return EXIT_SUCCESS;
}

static uint32_t
number(const char *s)
{
    char *end;
    unsigned long v = strtoul(s, &end, 10);

    if (end == s || *end || v < 1000 || v > 100000000)
        die("usage: bench-picture [CASES VALUES REPORTS] | quality");
    return (uint32_t)v;
}

int
main(int argc, char **argv)
{
    const struct nr_campaign_mint mint = { synth_mint, NULL };
    uint32_t cases = argc > 1 && strcmp(argv[1], "quality") != 0
        ? number(argv[1])
        : 400000;
    uint32_t values = argc > 2 ? number(argv[2]) : 1000000;
    uint32_t reports = argc > 3 ? number(argv[3]) : 10000;
    struct nr_campaign_totals t;
    struct nr_campaigns *c;
    struct plan p;
    double start;

    if (argc > 1 && strcmp(argv[1], "quality") == 0)
        return quality();
    c = nr_campaign_create(&mint, MEMORY);
    if (!c)
        die("out of memory");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    plan_make(&p, cases, values);
    start = now_s();
    furnish(c, &p);
    for (uint32_t i = 0; i < cases; i++)
        report(c, &p, i, i, 10 + i, 0);
    printf("load: %.2f s\n", now_s() - start);
    start = now_s();
    if (nr_campaign_rebuild(c, DAY0 + 3600, NULL) != NR_OK)
        die("rebuilding failed");
    nr_campaign_totals(c, &t);
    printf("rebuild: %.2f s of %llu sightings, %u values, %u cases, %u "
           "organisations: %llu links, %llu suggestions, %u campaigns\n",
        now_s() - start, (unsigned long long)t.sightings, t.values, t.cases,
        t.orgs, (unsigned long long)t.links, (unsigned long long)t.suggestions,
        t.campaigns);
    printf("memory: %.0f MiB, peak %.0f MiB\n", (double)t.octets / 0x1p20,
        (double)t.peak / 0x1p20);
    start = now_s();
    if (nr_campaign_rebuild(c, DAY0 + 3600, NULL) != NR_OK)
        die("rebuilding failed");
    nr_campaign_totals(c, &t);
    printf("again, warm: %.2f s; K %u\n", now_s() - start, t.k_ref);
    nr_campaign_forget(c);
    one_by_one(c, &p, reports);
    hub(c, &p, cases + reports, 10 + (uint64_t)cases + reports);
    plan_fini(&p);
    nr_campaign_destroy(c);
    return EXIT_SUCCESS;
}
