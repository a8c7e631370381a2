#include "plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct agg {
    uint64_t h;
    enum kind kind;
    char *value;
    uint64_t count;
    int64_t first, last;
};

static void
agg_note(struct truth *T, enum kind k, const char *value, int64_t sec)
{
    if (T->agg_len * 2 >= T->agg_cap) {
        size_t cap = T->agg_cap ? T->agg_cap * 2 : 1024;
        struct agg *a = calloc(cap, sizeof *a);
        if (!a)
            gen_die("out of memory");
        for (size_t i = 0; i < T->agg_cap; i++)
            if (T->agg[i].count) {
                size_t j = T->agg[i].h & (cap - 1);
                while (a[j].count)
                    j = (j + 1) & (cap - 1);
                a[j] = T->agg[i];
            }
        free(T->agg);
        T->agg = a;
        T->agg_cap = cap;
    }
    uint64_t h = gen_ioc_hash(k, value, strlen(value));
    size_t i = h & (T->agg_cap - 1);
    while (T->agg[i].count &&
        (T->agg[i].kind != k || strcmp(T->agg[i].value, value)))
        i = (i + 1) & (T->agg_cap - 1);
    struct agg *a = &T->agg[i];
    if (!a->count++) {
        *a = (struct agg){ h, k, gen_strndup(value, strlen(value)), 1, sec,
            sec };
        T->agg_len++;
    }
    if (sec < a->first)
        a->first = sec;
    if (sec > a->last)
        a->last = sec;
}

/*
 * Fills `text`/`obs` for a scheduled line, and writes its truth (or near-miss)
 * rows. False: nothing to emit.
 */
bool
gen_stage(struct gen *g, struct truth *T, const struct job *job,
    const struct occ *oc, const char *file, uint64_t line, char *text,
    struct obs *obs)
{
    static struct hits h;
    const struct plant *p = &job->plant[oc->plant];
    struct rng r = { mix64(job->seed ^ 0x6f62730000000000u ^ oc->serial ^
        hash_str((uint64_t)p->kind, p->value)) };
    char iso[32];
    int64_t sec = oc->t / USEC;
    *gen_put_iso_utc(iso, oc->t) = 0;
    obs->text = text;
    obs->escaped = false;
    if (oc->decoy) {
        const char *form = NULL;
        for (int i = 0; i < 8 && !form; i++) {
            form = gen_make_near_miss(g, p, &r, text, &obs->kind);
            if (form && !(gen_sources[oc->src].kinds & 1u << obs->kind))
                form = NULL;
        }
        if (!form) {
            T->skipped++;
            return false;
        }
        fprintf(T->near, "%s\t%s\t%s\t%" PRIu64 "\t%" PRId64 "\t%s\t%s\t%s\n",
            gen_kind_names[p->kind], p->value, file, line, sec, iso, form,
            text);
        T->near_rows++;
        return true;
    }
    const char *form = gen_make_observed(p, oc->src, &r, text, &obs->kind);
    obs->escaped = obs->kind == K_DOMAIN &&
        (oc->src == S_SQUID || oc->src == S_WINEVT) && chance(&r, 150);
    if (obs->escaped)
        form = oc->src == S_SQUID ? "percent-encoded" : "json-newline";
    gen_hits_of(&h, obs->kind, text);
    bool self = false;
    for (int i = 0; i < h.n; i++) {
        bool own = h.hit[i].kind == p->kind &&
            !strcmp(h.hit[i].value, p->value);
        self |= own;
        fprintf(T->truth, "%s\t%s\t%s\t%" PRIu64 "\t%" PRId64 "\t%s\t%s\t%s\n",
            gen_kind_names[h.hit[i].kind], h.hit[i].value, file, line, sec, iso,
            own ? form : "also", text);
        agg_note(T, h.hit[i].kind, h.hit[i].value, sec);
        T->rows++;
    }
    if (!self)
        gen_die("internal: planted '%s' does not hit %s", text, p->value);
    return true;
}

FILE *
gen_create(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        gen_die("%s: %s", path, strerror(errno));
    return f;
}

void
gen_truth_open(struct truth *T, const char *dir)
{
    T->truth = gen_create(dir, "truth.tsv");
    T->near = gen_create(dir, "nearmiss.tsv");
    fputs("#kind\tindicator\tfile\tline\tepoch\ttime\tform\tobserved\n",
        T->truth);
    fputs("#kind\tindicator\tfile\tline\tepoch\ttime\tnearmiss\tobserved\n",
        T->near);
}

void
gen_truth_close(struct truth *T, const char *dir)
{
    FILE *f = gen_create(dir, "expected.tsv");

    fputs("#kind\tindicator\tlines\tfirst_epoch\tlast_epoch\n", f);
    for (size_t i = 0; i < T->agg_cap; i++) {
        const struct agg *a = &T->agg[i];

        if (a->count)
            fprintf(f, "%s\t%s\t%" PRIu64 "\t%" PRId64 "\t%" PRId64 "\n",
                gen_kind_names[a->kind], a->value, a->count, a->first, a->last);
    }
    if (fclose(f) || fclose(T->truth) || fclose(T->near))
        gen_die("cannot write the truth files: %s", strerror(errno));
}
