#include "plan.h"

#include <stdlib.h>

/*
 * --sources a,b,c: the shares of the sources named, scaled to 100; all of them
 * when LIST is NULL.
 */
void
gen_choose_sources(struct job *job, const char *list)
{
    unsigned sum = 0;
    for (int i = 0; i < S_COUNT; i++) {
        size_t n = strlen(gen_sources[i].name);
        bool on = !list;
        for (const char *p = list; p && !on;
             p = strchr(p, ','), p = p ? p + 1 : NULL)
            on = !strncmp(p, gen_sources[i].name, n) && (p[n] == ',' || !p[n]);
        job->share[i] = on ? gen_sources[i].share : 0;
        sum += job->share[i];
    }
    if (!sum)
        gen_die("--sources %s: none of them is known", list);
    for (int i = 0; list && i < S_COUNT; i++)
        job->share[i] = (job->share[i] * 100 + sum / 2) / sum;
}

void
gen_load_plant_row(char **f, int n, void *arg)
{
    char t[512];
    struct job *job = arg;

    if (n < 5)
        gen_die(
            "plant file: kind<TAB>value<TAB>first<TAB>last<TAB>count[<TAB>org] "
            "expected");
    int k = gen_ioc_add(f[0], f[1], t);
    if (n > 5 && *f[5] && strcmp(f[5], "*") && strcmp(f[5], job->org))
        return; /* an indicator that other organisations see */
    job->plant = gen_realloc(job->plant,
        (job->nplant + 1) * sizeof *job->plant);
    struct plant *p = &job->plant[job->nplant++];
    *p = (struct plant){ (enum kind)k, gen_strndup(t, strlen(t)),
        gen_parse_time(f[2]), gen_parse_time(f[3]),
        (uint32_t)strtoul(f[4], NULL, 10) };
    if (p->last < p->first)
        gen_die("plant %s: last before first", t);
}

static int
occ_cmp(const void *a, const void *b)
{
    const struct occ *x = a, *y = b;
    if (x->src != y->src)
        return x->src < y->src ? -1 : 1;
    if (x->t != y->t)
        return x->t < y->t ? -1 : 1;
    if (x->plant != y->plant)
        return x->plant < y->plant ? -1 : 1;
    return x->decoy != y->decoy ? x->decoy - y->decoy
        : x->serial < y->serial ? -1
                                : x->serial > y->serial;
}

static int
pick_source(const struct job *job, struct rng *r, unsigned kinds)
{
    unsigned sum = 0;
    for (int i = 0; i < S_COUNT; i++)
        if (gen_sources[i].kinds & kinds)
            sum += job->share[i];
    if (!sum)
        return -1; /* no source kept here can show this kind */
    unsigned x = below(r, sum);
    for (int i = 0;; i++)
        if (gen_sources[i].kinds & kinds) {
            if (x < job->share[i])
                return i;
            x -= job->share[i];
        }
}

struct occ *
gen_plan(struct job *job, size_t *n_out)
{
    size_t n = 0, cap = 1024;
    struct occ *v = gen_realloc(NULL, cap * sizeof *v);
    for (uint32_t i = 0; i < job->nplant; i++) {
        const struct plant *p = &job->plant[i];
        struct rng r = { mix64(job->seed ^ 0x706c616e00000000u ^
            hash_str((uint64_t)p->kind, p->value)) };
        unsigned seen_as = p->kind == K_CIDR ? M(IPV4) : 1u << p->kind;
        for (uint32_t k = 0; k < p->count + job->decoys; k++) {
            if (n == cap) {
                cap *= 2;
                v = gen_realloc(v, cap * sizeof *v);
            }
            uint64_t len = (uint64_t)(p->last - p->first);
            int64_t t = p->first + (len ? (int64_t)(rnd(&r) % len) : 0);
            if (k == 0)
                t = p->first;
            if (k == 1 && p->count > 1)
                t = p->last;
            int src = pick_source(job, &r, seen_as);
            if (src < 0)
                job->unseen += k < p->count;
            else
                v[n++] = (struct occ){ t, i, k, (uint8_t)src, k >= p->count };
        }
    }
    qsort(v, n, sizeof *v, occ_cmp);
    *n_out = n;
    return v;
}
