/*
 * bench-dictionary [N [LOOKUPS [SEGMENTS [DIR]]]]: a run of N distinct keys and
 * how fast it answers. See README.md.
 *
 * The keys are synthetic: key I of a permutation of 40-bit numbers, as the
 * upper bits of a hash are, in ascending order; each stands in one of SEGMENTS
 * segments. Look-ups: half of what is there, half of what is not, in the order
 * of the keys as a hunt asks, and in any order.
 */
#include "archive/run.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2

static double
now_ms(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t
mixed(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x9fb21c651e98df25);
    x = (x ^ x >> 29) * UINT64_C(0x2545F4914F6CDD1D);
    return x ^ x >> 32;
}

/* Key I of N: ascending, at a random place of the I-th of N equal parts. */
static uint64_t
key_of(uint64_t i, uint64_t n)
{
    uint64_t width = (UINT64_C(1) << SEG_NAME_BITS) / n;

    return i * width + mixed(i) % width;
}

static size_t
resident_kb(void)
{
    long pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f) {
        if (fscanf(f, "%ld %ld", &all, &pages) != 2)
            pages = 0;
        (void)fclose(f);
    }
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static bool
build(const char *dir, uint64_t n, size_t segments, struct nr_diag *d)
{
    struct run_covered *rows = calloc(segments, sizeof(*rows));
    struct run_writer *w = NULL;
    uint64_t size = 0;
    bool ok = rows && !run_writer_open(dir, 1, rows, segments, NULL, &w, d) &&
        !run_writer_class(w, SEG_NAME, run_shift(SEG_NAME, n), d);

    for (uint64_t i = 0; ok && i < n; i++)
        ok = !run_writer_put(w, key_of(i, n),
            (uint32_t)(mixed(i + n) % segments), d);
    ok = ok && !run_writer_publish(w, &size, d);
    run_writer_close(w);
    free(rows);
    return ok;
}

struct part {
    const struct run *r;
    const uint64_t *v;
    size_t n;
    uint64_t told;
    bool bad;
};

static void
told(void *ctx, uint32_t ordinal)
{
    struct part *p = ctx;

    p->told += ordinal < UINT32_MAX;
}

static void *
look(void *arg)
{
    struct part *p = arg;
    struct run_place at = { 0 };

    for (size_t i = 0; i < p->n; i++)
        p->bad |= run_look(p->r, SEG_NAME, &at, p->v[i], p->v[i], told, p,
                      NULL) != NR_OK;
    return NULL;
}

/* One pass over V by THREADS threads: wall milliseconds. */
static double
pass(const struct run *r, const uint64_t *v, size_t n, size_t threads,
    uint64_t *all)
{
    struct part p[THREADS] = { 0 };
    pthread_t t[THREADS];
    bool started[THREADS] = { false };
    double from = now_ms(CLOCK_MONOTONIC);

    *all = 0;
    for (size_t k = 0; k < threads; k++) {
        p[k].r = r;
        p[k].v = v + n * k / threads;
        p[k].n = n * (k + 1) / threads - n * k / threads;
        if (k > 0)
            started[k] = nr_thread_start(&t[k], look, &p[k]);
    }
    (void)look(&p[0]);
    for (size_t k = 0; k < threads; k++) {
        if (started[k])
            (void)pthread_join(t[k], NULL);
        else if (k > 0)
            (void)look(&p[k]);
        *all += p[k].told;
        if (p[k].bad)
            exit(1);
    }
    return now_ms(CLOCK_MONOTONIC) - from;
}

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double
best(const struct run *r, const uint64_t *v, size_t n, size_t threads,
    uint64_t *all)
{
    double least = 1e9;

    for (int i = 0; i < 5; i++) {
        double ms = pass(r, v, n, threads, all);

        least = ms < least ? ms : least;
    }
    return least;
}

static void
measure(const struct run *r, uint64_t n, size_t lookups)
{
    uint64_t *v = calloc(lookups, sizeof(*v)), all;
    size_t before = resident_kb();
    double first;

    if (!v)
        exit(1);
    for (size_t i = 0; i < lookups; i++)
        v[i] = i % 2 ? key_of(mixed(i) % n, n)
                     : mixed(i * 3 + 1) >> (64 - SEG_NAME_BITS);
    (void)printf("any order\t%zu\t%.1f ms\t1 thread\n", lookups,
        best(r, v, lookups, 1, &all));
    qsort(v, lookups, sizeof(*v), by_value);
    first = pass(r, v, lookups, 1, &all);
    (void)printf("sorted, first\t%zu\t%.1f ms\t1 thread\ttold %llu\n", lookups,
        first, (unsigned long long)all);
    (void)printf("sorted\t%zu\t%.1f ms\t1 thread\n", lookups,
        best(r, v, lookups, 1, &all));
    (void)printf("sorted\t%zu\t%.1f ms\t%d threads\n", lookups,
        best(r, v, lookups, THREADS, &all), THREADS);
    (void)printf("resident\t%.1f MB more than before the look-ups\n",
        (double)(resident_kb() - before) / 1e3 * 1.024);
    free(v);
}

int
main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000000;
    size_t lookups = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    size_t segments = argc > 3 ? strtoull(argv[3], NULL, 10) : 64;
    const char *dir = argc > 4 ? argv[4] : "/dev/shm";
    char path[4200];
    struct run *r = NULL;
    struct nr_diag d = { 0 };
    double cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t octets, keys;

    if (n == 0 || lookups == 0 || segments == 0 ||
        !build(dir, n, segments, &d)) {
        (void)fprintf(stderr, "bench-dictionary: %s\n",
            d.what ? d.what : "numbers above 0");
        return 1;
    }
    (void)snprintf(path, sizeof(path), "%s/0000000000000001.run", dir);
    if (run_open(path, "run", NULL, &r, &d) != NR_OK)
        return 1;
    octets = run_size(r);
    keys = run_keys(r, SEG_NAME);
    (void)printf("synthetic keys\t%llu of %zu segments\n"
                 "build\t%.1f s of CPU, sorted input\n"
                 "mapped\t%.1f MB\t%.1f bits a key\n",
        (unsigned long long)n, segments,
        (now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3, (double)octets / 1e6,
        8.0 * (double)octets / (double)keys);
    measure(r, n, lookups);
    run_close(r);
    (void)unlink(path);
    return 0;
}
