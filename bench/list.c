/*
 * bench-list LIST: what a compiled list costs who opens it, one table row.
 *
 * LIST is changed: 1000 names are added and merged in, so give it a copy. Times
 * are of the processor's clock for look-ups and of the wall for all that waits
 * for the system; the best of ROUNDS.
 */
#include "base/buf.h"
#include "watchlist/watchlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOKUPS ((size_t)1000000)
#define CHANGES ((size_t)1000)
#define ROUNDS  5

static const uint64_t hash_key[2] = { 0x0123456789abcdef, 0xfedcba9876543210 };

static _Noreturn void
die(const char *what, const struct nr_diag *d)
{
    (void)fprintf(stderr, "bench-list: %s: %s\n", what,
        d && d->what ? d->what : "");
    exit(1);
}

static double
now_s(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double
less(double a, double b)
{
    return a < b ? a : b;
}

/* Resident octets of this process. */
static double
rss_mb(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long all = 0, resident = 0;
    long page = sysconf(_SC_PAGESIZE);

    if (!f || fscanf(f, "%lu %lu", &all, &resident) != 2)
        die("/proc/self/statm", NULL);
    (void)fclose(f);
    return (double)resident * (double)page / 1e6;
}

static uint64_t
next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Indicators taken by chance, or values that are none of them; as tokens of a
 * line each. */
static void
sample(const char *path, bool miss, struct nr_tokens *t)
{
    struct nr_watchlist *w;
    struct nr_diag d = { 0 };
    uint64_t x = miss ? 7 : 5;

    if (nr_watchlist_open(path, &w, &d) != NR_OK)
        die(path, &d);
    nr_tokens_init(t, 0);
    t->v = calloc(LOOKUPS, sizeof(*t->v));
    if (!t->v)
        die("memory", NULL);
    for (size_t i = 0; i < LOOKUPS; i++) {
        struct nr_indicator ind = nr_watchlist_get(w,
            next(&x) % nr_watchlist_count(w));
        size_t at = t->keys.n;

        t->v[i] = (struct nr_token){ .line = (uint32_t)i,
            .key_at = (uint32_t)at,
            .key_n = (uint32_t)ind.key.n,
            .kind = (uint32_t)ind.kind };
        nr_buf_put(&t->keys, ind.key);
        if (miss && t->keys.err == NR_OK)
            t->keys.p[at] = (uint8_t)(t->keys.p[at] ^ (2 | (next(&x) & 1)));
    }
    t->n = LOOKUPS;
    if (t->keys.err != NR_OK)
        die("memory", NULL);
    nr_watchlist_close(w);
}

static double
find_ns(const struct nr_watchlist *w, const struct nr_tokens *t, size_t *found)
{
    double start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    size_t at;

    *found = 0;
    for (size_t i = 0; i < t->n; i++)
        *found += nr_watchlist_find(w, (enum nr_kind)t->v[i].kind,
            nr_token_key(t, &t->v[i]), &at);
    return (now_s(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e9 / (double)t->n;
}

static double
match_ns(const struct nr_watchlist *w, const struct nr_tokens *t)
{
    struct nr_matches m;
    double start;

    nr_matches_init(&m);
    start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    if (nr_watchlist_match(w, t, &m) != NR_OK)
        die("memory", NULL);
    start = now_s(CLOCK_PROCESS_CPUTIME_ID) - start;
    nr_matches_fini(&m);
    return start * 1e9 / (double)t->n;
}

static double
open_ms(const char *path)
{
    double best = 1e9;

    for (int i = 0; i < ROUNDS; i++) {
        double start = now_s(CLOCK_MONOTONIC);
        struct nr_watchlist *w;
        struct nr_diag d = { 0 };

        if (nr_watchlist_open(path, &w, &d) != NR_OK)
            die(path, &d);
        best = less(best, (now_s(CLOCK_MONOTONIC) - start) * 1e3);
        nr_watchlist_close(w);
    }
    return best;
}

static double
update_ms(const char *path)
{
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(hash_key);
    struct nr_watchlist_change change;
    struct nr_diag d = { 0 };
    double start = now_s(CLOCK_MONOTONIC);

    for (size_t i = 0; b && i < CHANGES; i++) {
        char name[64];
        int n = snprintf(name, sizeof(name), "n%zu.bench-list.example", i);
        struct nr_indicator ind = nr_indicator_of(NR_KIND_DOMAIN,
            (struct nr_bytes){ (const uint8_t *)name, (size_t)n });

        if (nr_watchlist_add(b, &ind, &d) != NR_OK)
            die("add", &d);
    }
    if (!b || nr_watchlist_update(path, b, 1, &change, &d) != NR_OK)
        die("update", &d);
    if (change.added != CHANGES)
        die("update: not all were new", NULL);
    nr_watchlist_builder_destroy(b);
    return (now_s(CLOCK_MONOTONIC) - start) * 1e3;
}

static double
merge_s(const char *path)
{
    double start = now_s(CLOCK_MONOTONIC);
    struct nr_diag d = { 0 };

    if (nr_watchlist_merge(path, hash_key, 1, &d) != NR_OK)
        die("merge", &d);
    return now_s(CLOCK_MONOTONIC) - start;
}

int
main(int argc, char **argv)
{
    double open, before, opened, used, hit[2] = { 1e9, 1e9 };
    double miss[2] = { 1e9, 1e9 }, update;
    struct nr_tokens there, absent;
    struct nr_watchlist *w;
    struct nr_diag d = { 0 };
    size_t n, found, octets;
    struct stat st;

    if (argc != 2)
        die("usage: bench-list LIST", NULL);
    if (stat(argv[1], &st) != 0)
        die(argv[1], NULL);
    octets = (size_t)st.st_size;
    open = open_ms(argv[1]);
    sample(argv[1], false, &there);
    sample(argv[1], true, &absent);
    before = rss_mb();
    if (nr_watchlist_open(argv[1], &w, &d) != NR_OK)
        die(argv[1], &d);
    n = nr_watchlist_count(w);
    opened = rss_mb() - before;
    (void)find_ns(w, &absent, &found);
    (void)find_ns(w, &there, &found);
    if (found != LOOKUPS)
        die("an indicator is not found", NULL);
    used = rss_mb() - before;
    for (int i = 0; i < ROUNDS; i++) {
        hit[0] = less(hit[0], find_ns(w, &there, &found));
        miss[0] = less(miss[0], find_ns(w, &absent, &found));
        hit[1] = less(hit[1], match_ns(w, &there));
        miss[1] = less(miss[1], match_ns(w, &absent));
    }
    nr_watchlist_close(w);
    update = update_ms(argv[1]);
    printf("%.1f\t%.2f\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.2f\n",
        (double)octets / (double)n, open, opened, used, hit[0], miss[0], hit[1],
        miss[1], update, merge_s(argv[1]));
    nr_tokens_fini(&there);
    nr_tokens_fini(&absent);
    return 0;
}
