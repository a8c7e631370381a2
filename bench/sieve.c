/*
 * sieve LIST TEXT...: how fast the sieve reads, by variant.
 *
 * LIST is "kind<TAB>value" lines; the files of text are read into memory once.
 * For each variant of this machine: the best of several rounds, in GB per CPU
 * second, and how many spots there were.
 */
#include "base/cpu.h"
#include "observable/observable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define BLOCK  ((size_t)1 << 18)
#define BATCH  ((size_t)4096)

struct text {
    uint8_t *p; /* slack, text, slack */
    size_t n, cap;
};

static double
cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
die(const char *what)
{
    perror(what);
    exit(2);
}

/* Append the file; keeps NR_SIEVE_SLACK octets free before and behind. */
static void
slurp(struct text *t, const char *path)
{
    FILE *f = fopen(path, "rbe");
    size_t got;

    if (!f)
        die(path);
    do {
        if (t->cap - t->n < (1 << 20) + 2 * NR_SIEVE_SLACK) {
            t->cap = t->cap * 2 + (4 << 20);
            t->p = realloc(t->p, t->cap);
            if (!t->p)
                die("memory");
        }
        got = fread(t->p + NR_SIEVE_SLACK + t->n, 1, 1 << 20, f);
        t->n += got;
    } while (got > 0);
    memset(t->p, '\n', NR_SIEVE_SLACK);
    memset(t->p + NR_SIEVE_SLACK + t->n, '\n', NR_SIEVE_SLACK);
    (void)fclose(f);
}

/* The canonical keys of a list, one after the other. */
struct list {
    struct nr_buf keys;
    struct nr_sieve_item *v;
    size_t n, cap, count[NR_KINDS];
};

static void
add_line(struct list *l, struct nr_str line)
{
    struct nr_str value, name = nr_str_cut(line, '\t', &value);
    size_t at = l->keys.n;
    enum nr_kind kind;

    if (l->n == l->cap) {
        l->cap = l->cap * 2 + 1024;
        l->v = realloc(l->v, l->cap * sizeof(*l->v));
        if (!l->v)
            die("memory");
    }
    if (line.n == 0 || line.p[0] == '#' ||
        nr_canon_named(name, value, &kind, &l->keys, NULL) != NR_OK)
        return;
    /* The place is an offset until all are there. */
    l->v[l->n] = (struct nr_sieve_item){ { NULL, l->keys.n - at },
        (uint32_t)kind, (uint32_t)l->n, 0 };
    l->count[kind]++;
    l->n++;
}

static void
load_list(struct list *l, const char *path)
{
    struct text t = { 0 };
    struct nr_str rest, line;
    size_t at = 0;

    slurp(&t, path);
    nr_buf_init(&l->keys, (size_t)4 << 30);
    rest = (struct nr_str){ (const char *)t.p + NR_SIEVE_SLACK, t.n };
    while (rest.n > 0) {
        line = nr_str_cut(rest, '\n', &rest);
        add_line(l, line);
    }
    for (size_t i = 0; i < l->n; i++) {
        l->v[i].key.p = l->keys.p + at;
        at += l->v[i].key.n;
    }
    free(t.p);
}

static struct nr_sieve_set
build(struct list *l)
{
    struct nr_sieve_build b = {
        .key = { { 0x0123456789abcdef, 0xfedcba9876543210 } }
    };
    double t = cpu_s();

    b.n = nr_sieve_sizes(l->count);
    b.filter = calloc(b.n.filter_n, sizeof(*b.filter));
    b.slots = calloc(b.n.slots_n, sizeof(*b.slots));
    b.nets = calloc(b.n.nets_n, sizeof(*b.nets));
    if (!b.filter || !b.slots || !b.nets)
        die("memory");
    for (size_t i = 0; i < l->n; i += BATCH)
        nr_sieve_put(&b, l->v + i, nr_min(BATCH, l->n - i));
    printf("list\t%zu\tput\t%.3f s\tfilter\t%zu KiB\tslots\t%zu KiB\n", l->n,
        cpu_s() - t, b.n.filter_n / 128, b.n.slots_n / 128);
    return (struct nr_sieve_set){
        .key = b.key,
        .marks = b.marks,
        .filter = b.filter,
        .slots = b.slots,
        .nets = b.nets,
        .filter_n = b.n.filter_n,
        .slots_n = b.n.slots_n,
        .nets_n = b.n.nets_n,
    };
}

/* One round over the text; the number of spots. */
static size_t
pass(struct nr_sieve *s, const struct text *t, struct nr_spots *spots)
{
    const uint8_t *p = t->p + NR_SIEVE_SLACK;
    size_t at = 0, n = 0;

    while (at < t->n) {
        size_t end = nr_min(t->n, at + BLOCK);
        const uint8_t *lf = end < t->n ? memrchr(p + at, '\n', end - at) : NULL;

        if (lf)
            end = (size_t)(lf - p) + 1;
        if (nr_sieve_run(s, (struct nr_bytes){ p + at, end - at }, spots))
            die("sieve");
        n += spots->n;
        at = end;
    }
    return n;
}

static void
measure(const struct nr_sieve_set *set, const struct text *t, unsigned cpu)
{
    struct nr_spots spots;
    struct nr_sieve *s = NULL;
    double best = 1e9;
    size_t n = 0;

    if (nr_sieve_create(set, 1, 0, cpu, &s, NULL))
        die("sieve");
    nr_spots_init(&spots);
    for (int i = 0; i < ROUNDS; i++) {
        double a = cpu_s(), b;

        n = pass(s, t, &spots);
        b = cpu_s() - a;
        best = b < best ? b : best;
    }
    printf("%s\t%.3f GB/s\t%.3f s/GB\tspots\t%zu\n", nr_sieve_variant(s),
        (double)t->n * 1e-9 / best, best / ((double)t->n * 1e-9), n);
    nr_spots_fini(&spots);
    nr_sieve_destroy(s);
}

int
main(int argc, char **argv)
{
    unsigned has = nr_cpu_flags(), cpu = NR_CPU_ALL;
    struct nr_sieve_set set;
    struct list list = { 0 };
    struct text text = { 0 };
    const char *only = getenv("NR_CPU");

    if (argc < 3) {
        (void)fprintf(stderr, "usage: sieve LIST TEXT...\n");
        return 2;
    }
    if (only) {
        has &= (unsigned)strtoul(only, NULL, 0);
        cpu = has;
    }
    load_list(&list, argv[1]);
    set = build(&list);
    for (int i = 2; i < argc; i++)
        slurp(&text, argv[i]);
    if (!only)
        for (unsigned use = 0; use <= has; use = use << 1 | 1)
            measure(&set, &text, has & use);
    else
        measure(&set, &text, cpu);
    return 0;
}
