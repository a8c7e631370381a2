#include "campaign/synth.h"

#include <math.h>

#define ORGS      1000u
#define START     17000 /* first day of it all */
#define DAYS      1100.0
#define CAMPAIGNS 120u /* of these 100 have one victim */
#define IPS       400u
#define RENTED    60u /* addresses of shared hosting */
#define TOOLS     15u
#define SITES     30u
#define POPULAR   2000u
#define LISTED    1400u
#define JUNK      400u
#define NOISE_MAX 6u
#define DOMAINS   90u /* of one campaign */
#define SEEN_MAX  32u

uint64_t
synth_next(uint64_t *s)
{
    uint64_t z = *s += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

double
synth_unit(uint64_t *s)
{
    return (double)(synth_next(s) >> 11) * 0x1p-53;
}

static uint32_t
below(uint64_t *s, uint32_t n)
{
    return (uint32_t)(synth_unit(s) * n);
}

enum nr_err
synth_mint(void *ctx, uint64_t seq, uint32_t n, uint8_t out[16])
{
    uint64_t state = seq * 1000003 + n, v[2];

    (void)ctx;
    v[0] = synth_next(&state);
    v[1] = synth_next(&state);
    memcpy(out, v, sizeof(v));
    return NR_OK;
}

/* A value of the world. */
struct thing {
    enum nr_campaign_type type;
    double harmless; /* part of the organisations that have it anyway */
    bool listed, noise;
    enum nr_campaign_verdict verdict;
    uint32_t tenants;
    double busy; /* an address: until when */
};

struct domain {
    double from, to;
    uint32_t thing, ip[2], ips;
};

struct event {
    double at;
    uint32_t truth, org, n;
    double first, last;
    uint8_t conf;
    uint32_t seen[SEEN_MAX];
    bool bad[SEEN_MAX];
};

struct world {
    uint64_t rng;
    struct thing *thing;
    uint32_t n, cap;
    struct event *event;
    uint32_t events, cap_events;
    uint32_t ip, rented, tool, site, popular, junk;
    double cdf[POPULAR];
    uint32_t related[8192][2], n_related;
    double when[8192][2];
    bool failed;
};

static uint32_t
thing(struct world *w, struct thing t)
{
    if (w->n == w->cap) {
        uint32_t cap = w->cap ? w->cap * 2 : 4096;
        struct thing *p = realloc(w->thing, cap * sizeof(*p));

        if (!p) {
            w->failed = true;
            return 0;
        }
        w->thing = p;
        w->cap = cap;
    }
    if (t.tenants == 0)
        t.tenants = 1;
    w->thing[w->n] = t;
    return w->n++;
}

static void
furnish(struct world *w)
{
    static const uint32_t tenants[4] = { 20, 50, 200, 800 };
    static const double hosted[4] = { 0, 0, .002, .01 };
    static const double broken[4] = { 0, .001, .003, .01 };
    double sum = 0;

    w->ip = w->n;
    for (uint32_t i = 0; i < IPS; i++)
        (void)thing(w, (struct thing){ .type = NR_CAMPAIGN_IP, .busy = -1e9 });
    w->rented = w->n;
    for (uint32_t i = 0; i < RENTED; i++)
        (void)thing(w,
            (struct thing){ .type = NR_CAMPAIGN_IP,
                .tenants = tenants[below(&w->rng, 4)],
                .harmless = hosted[below(&w->rng, 4)] });
    w->tool = w->n;
    for (uint32_t i = 0; i < TOOLS; i++)
        (void)thing(w,
            (struct thing){ .type = NR_CAMPAIGN_FILE,
                .verdict = synth_unit(&w->rng) < .8 ? NR_CAMPAIGN_SHARED
                                                    : NR_CAMPAIGN_UNJUDGED });
    w->site = w->n;
    for (uint32_t i = 0; i < SITES; i++)
        (void)thing(w,
            (struct thing){ .type = NR_CAMPAIGN_COMPROMISED,
                .harmless = broken[below(&w->rng, 4)] });
    w->popular = w->n;
    for (uint32_t i = 0; i < POPULAR; i++) {
        double p = fmin(.9, .9 / (1 + i * .03));

        sum += p;
        w->cdf[i] = sum;
        (void)thing(w,
            (struct thing){ .type = NR_CAMPAIGN_DOMAIN,
                .harmless = p,
                .listed = i < LISTED,
                .noise = true });
    }
    w->junk = w->n;
    for (uint32_t i = 0; i < JUNK; i++)
        (void)thing(w,
            (struct thing){ .type = NR_CAMPAIGN_DOMAIN,
                .harmless = .001 * (1 + below(&w->rng, 3)),
                .noise = true });
}

static uint32_t
address(struct world *w, double t, double life)
{
    uint32_t free[IPS], n = 0, i;

    for (i = 0; i < IPS; i++)
        if (w->thing[w->ip + i].busy < t - 60)
            free[n++] = i;
    i = w->ip + (n ? free[below(&w->rng, n)] : below(&w->rng, IPS));
    w->thing[i].busy = t + life;
    return i;
}

static uint32_t
infrastructure(struct world *w, double start, double span, struct domain *out)
{
    uint32_t n = 0;

    for (double t = start; t < start + span && n < DOMAINS;
         t += 8 + below(&w->rng, 23)) {
        double life = 20 + below(&w->rng, 101);
        struct domain *d = &out[n++];

        *d = (struct domain){ .from = t, .to = t + life };
        d->thing = thing(w,
            (struct thing){ .type = NR_CAMPAIGN_DOMAIN,
                .verdict = synth_unit(&w->rng) < .3 ? NR_CAMPAIGN_EXCLUSIVE
                                                    : NR_CAMPAIGN_UNJUDGED });
        d->ips = below(&w->rng, 3) == 0 ? 2 : 1;
        for (uint32_t k = 0; k < d->ips; k++) {
            d->ip[k] = synth_unit(&w->rng) < .6
                ? address(w, t, life)
                : w->rented + below(&w->rng, RENTED);
            if (w->n_related < 8192) {
                w->related[w->n_related][0] = d->thing;
                w->related[w->n_related][1] = d->ip[k];
                w->when[w->n_related][0] = t;
                w->when[w->n_related++][1] = t + life;
            }
        }
    }
    return n;
}

static void
see(struct world *w, struct event *e, uint32_t t)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (e->seen[i] == t)
            return;
    if (e->n < SEEN_MAX) {
        e->bad[e->n] = synth_unit(&w->rng) < (w->thing[t].noise ? .05 : .7);
        e->seen[e->n++] = t;
    }
}

static uint32_t
popular(struct world *w)
{
    double x = synth_unit(&w->rng) * w->cdf[POPULAR - 1];
    uint32_t lo = 0, hi = POPULAR - 1;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (w->cdf[mid] < x)
            lo = mid + 1;
        else
            hi = mid;
    }
    return w->popular + lo;
}

/* What one operation owns. */
struct operation {
    double start, span;
    struct domain domain[DOMAINS];
    uint32_t domains, file, files, cert, certs;
    uint32_t tool[2], site[3];
};

static void
see_domains(struct world *w, const struct operation *o, struct event *e)
{
    uint32_t active[DOMAINS], n = 0, take;

    for (uint32_t i = 0; i < o->domains; i++)
        if (o->domain[i].from <= e->first && e->first <= o->domain[i].to)
            active[n++] = i;
    if (n == 0)
        active[n++] = below(&w->rng, o->domains);
    take = below(&w->rng, 3) == 0 ? 2 : 1;
    for (uint32_t k = 0; k < take && n > 0; k++) {
        uint32_t at = below(&w->rng, n);
        const struct domain *d = &o->domain[active[at]];

        active[at] = active[--n];
        if (synth_unit(&w->rng) < .9)
            see(w, e, d->thing);
        if (synth_unit(&w->rng) < .7)
            see(w, e, d->ip[below(&w->rng, d->ips)]);
    }
}

static void
victim(struct world *w, const struct operation *o, uint32_t truth, uint32_t org)
{
    static const uint8_t conf[4] = { 70, 80, 90, 95 };
    struct event *e = &w->event[w->events++];
    double part;
    uint32_t noise;

    *e = (struct event){ .truth = truth, .org = org };
    e->first = o->start + o->span * synth_unit(&w->rng);
    e->last = e->first - 15 * log(1 - synth_unit(&w->rng));
    part = (e->first - o->start) / o->span;
    see_domains(w, o, e);
    if (o->files && synth_unit(&w->rng) < .6)
        see(w, e, o->file + (uint32_t)(part * o->files));
    if (o->certs && synth_unit(&w->rng) < .3)
        see(w, e, o->cert + (uint32_t)(part * o->certs));
    if (synth_unit(&w->rng) < .5)
        see(w, e, o->tool[below(&w->rng, 2)]);
    if (synth_unit(&w->rng) < .3)
        see(w, e, o->site[below(&w->rng, 3)]);
    noise = 2 + below(&w->rng, NOISE_MAX - 1);
    for (uint32_t k = 0; k < noise; k++)
        see(w, e,
            synth_unit(&w->rng) < .8 ? popular(w)
                                     : w->junk + below(&w->rng, JUNK));
    e->conf = conf[below(&w->rng, 4)];
    e->at = e->last;
}

static void
several(struct world *w, enum nr_campaign_type type, uint32_t n,
    uint32_t *first)
{
    *first = w->n;
    for (uint32_t i = 0; i < n; i++)
        (void)thing(w, (struct thing){ .type = type });
}

/* K different ones of the N from FIRST. */
static void
sample(struct world *w, uint32_t first, uint32_t n, uint32_t *out, uint32_t k)
{
    for (uint32_t i = 0; i < k;) {
        bool again = false;

        out[i] = first + below(&w->rng, n);
        for (uint32_t j = 0; j < i; j++)
            again = again || out[j] == out[i];
        i += !again;
    }
}

static void
operate(struct world *w, uint32_t truth, uint32_t victims)
{
    struct operation o = { 0 };
    uint8_t taken[ORGS] = { 0 };

    o.span = victims > 1 ? 60 + below(&w->rng, 641) : 5;
    o.start = synth_unit(&w->rng) * (DAYS - o.span);
    o.domains = infrastructure(w, o.start, o.span, o.domain);
    if (synth_unit(&w->rng) < .8)
        o.files = victims / 5 + 1;
    several(w, NR_CAMPAIGN_FILE, o.files, &o.file);
    if (synth_unit(&w->rng) < .5)
        o.certs = (uint32_t)(o.span / 60) ? (uint32_t)(o.span / 60) : 1;
    several(w, NR_CAMPAIGN_CERT, o.certs, &o.cert);
    sample(w, w->tool, TOOLS, o.tool, 2);
    sample(w, w->site, SITES, o.site, 3);
    for (uint32_t i = 0; i < victims; i++) {
        uint32_t org;

        do
            org = below(&w->rng, ORGS);
        while (taken[org]);
        taken[org] = 1;
        victim(w, &o, truth, org);
    }
}

static struct nr_campaign_fact *
fact(struct synth *s, enum nr_campaign_fact_kind kind, double day)
{
    struct nr_campaign_fact *f;

    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4096;
        struct nr_campaign_fact *p = realloc(s->fact, cap * sizeof(*p));

        if (!p)
            return NULL;
        s->fact = p;
        s->cap = cap;
    }
    f = &s->fact[s->n++];
    memset(f, 0, sizeof(*f));
    f->kind = kind;
    f->author = NR_CAMPAIGN_NONE;
    f->seq = s->n;
    f->day = START + (int32_t)day;
    return f;
}

static void
key(uint8_t out[NR_CAMPAIGN_KEY], uint64_t n)
{
    memset(out, 0, NR_CAMPAIGN_KEY);
    memcpy(out, &n, sizeof(n));
}

static bool
note(struct synth *s, enum nr_campaign_note_kind kind, uint32_t value,
    uint32_t arg)
{
    struct nr_campaign_fact *f = fact(s, NR_CAMPAIGN_NOTE, 0);

    if (!f)
        return false;
    f->u.note.kind = kind;
    f->u.note.value = value;
    f->u.note.arg = arg;
    return true;
}

/* A value, and what is known of it: hunts have looked for a third. */
static bool
tell_thing(struct synth *s, struct world *w, uint32_t i)
{
    const struct thing *t = &w->thing[i];
    struct nr_campaign_fact *f = fact(s, NR_CAMPAIGN_VALUE, 0);
    bool ok = f;

    if (!f)
        return false;
    key(f->u.value.key, i);
    f->u.value.type = t->type;
    f->u.value.parent = NR_CAMPAIGN_NONE;
    if (t->listed)
        ok = ok && note(s, NR_CAMPAIGN_LISTED, i, 0);
    if (t->tenants > 1)
        ok = ok && note(s, NR_CAMPAIGN_TENANTS, i, t->tenants);
    if (t->verdict)
        ok = ok && note(s, NR_CAMPAIGN_VERDICT, i, t->verdict);
    if (t->listed || t->harmless <= 0 || synth_unit(&w->rng) >= .3)
        return ok;
    for (uint32_t org = 0; org < ORGS; org++)
        if (synth_unit(&w->rng) < t->harmless)
            ok = ok && note(s, NR_CAMPAIGN_HARMLESS, i, org);
    return ok;
}

static int
by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

static bool
tell_event(struct synth *s, const struct event *e, uint32_t n)
{
    struct nr_campaign_fact *f = fact(s, NR_CAMPAIGN_CASE, e->last);
    uint64_t seq = s->n;

    if (!f)
        return false;
    key(f->u.cas.key, n);
    f->u.cas.org = e->org;
    s->truth[n] = e->truth;
    s->truth_n[e->truth]++;
    for (uint32_t k = 0; k < e->n; k++) {
        f = fact(s, NR_CAMPAIGN_SAW, e->last);
        if (!f)
            return false;
        f->seq = seq;
        f->u.saw.cas = n;
        f->u.saw.value = e->seen[k];
        f->u.saw.first = START + (int32_t)e->first;
        f->u.saw.last = START + (int32_t)e->last;
        f->u.saw.conf = e->conf;
        f->u.saw.malicious = e->bad[k];
    }
    return true;
}

static bool
tell(struct synth *s, struct world *w)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < ORGS; i++) {
        struct nr_campaign_fact *f = fact(s, NR_CAMPAIGN_ORG, 0);

        ok = f;
        if (f) {
            key(f->u.org.key, i);
            f->u.org.joined = START - 365;
        }
    }
    for (uint32_t i = 0; ok && i < w->n; i++)
        ok = tell_thing(s, w, i);
    for (uint32_t i = 0; ok && i < w->n_related; i++) {
        struct nr_campaign_fact *f = fact(s, NR_CAMPAIGN_RELATED, 0);

        ok = f;
        if (!f)
            break;
        f->u.related.a = w->related[i][0];
        f->u.related.b = w->related[i][1];
        f->u.related.first = START + (int32_t)w->when[i][0];
        f->u.related.last = START + (int32_t)w->when[i][1];
    }
    qsort(w->event, w->events, sizeof(*w->event), by_time);
    for (uint32_t i = 0; ok && i < w->events; i++)
        ok = tell_event(s, &w->event[i], i);
    return ok;
}

bool
synth_make(struct synth *s, uint64_t seed)
{
    static const uint32_t sizes[20] = { 120, 80, 60, 40, 40, 30, 30, 20, 20, 15,
        15, 12, 10, 8, 8, 6, 5, 4, 3, 2 };
    struct world *w = calloc(1, sizeof(*w));
    uint32_t total = 100;
    bool ok = false;

    *s = (struct synth){ .n_truths = CAMPAIGNS };
    for (uint32_t i = 0; i < 20; i++)
        total += sizes[i];
    s->n_cases = total;
    s->truth = calloc(total, sizeof(*s->truth));
    s->truth_n = calloc(CAMPAIGNS, sizeof(*s->truth_n));
    if (w)
        w->event = calloc(total, sizeof(*w->event));
    if (w && w->event && s->truth && s->truth_n) {
        w->rng = seed * UINT64_C(0xD1342543DE82EF95) + 12345;
        furnish(w);
        for (uint32_t c = 0; c < CAMPAIGNS; c++)
            operate(w, c, c < 20 ? sizes[c] : 1);
        ok = !w->failed && tell(s, w);
    }
    if (w) {
        free(w->thing);
        free(w->event);
    }
    free(w);
    return ok;
}

void
synth_fini(struct synth *s)
{
    free(s->fact);
    free(s->truth);
    free(s->truth_n);
    *s = (struct synth){ 0 };
}

/* --- scores ----------------------------------------------------------- */

struct cell {
    uint32_t a, b;
};

static int
by_cell(const void *x, const void *y)
{
    const struct cell *p = x, *q = y;

    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return (p->b > q->b) - (p->b < q->b);
}

/* Labels with those alone made distinct, above everything else. */
static struct cell *
cells(const uint32_t *a, const uint32_t *b, uint32_t n)
{
    struct cell *v = calloc((size_t)n + 1, sizeof(*v));

    for (uint32_t i = 0; v && i < n; i++) {
        v[i].a = a[i] == NR_CAMPAIGN_NONE ? UINT32_C(0x80000000) + i : a[i];
        v[i].b = b[i] == NR_CAMPAIGN_NONE ? UINT32_C(0x80000000) + i : b[i];
    }
    if (v)
        qsort(v, n, sizeof(*v), by_cell);
    return v;
}

static double
pairs(double n)
{
    return n * (n - 1) / 2;
}

double
synth_ari(const uint32_t *a, const uint32_t *b, uint32_t n)
{
    struct cell *v = cells(a, b, n), *u = cells(b, a, n);
    double both = 0, pa = 0, pb = 0, expect, most, out = -1;
    uint32_t same = 0, sa = 0, sb = 0;

    if (v && u) {
        for (uint32_t i = 0; i < n; i++) {
            bool more = i + 1 < n;

            same++;
            sa++;
            sb++;
            if (!more || by_cell(&v[i], &v[i + 1]) != 0) {
                both += pairs(same);
                same = 0;
            }
            if (!more || v[i].a != v[i + 1].a) {
                pa += pairs(sa);
                sa = 0;
            }
            if (!more || u[i].a != u[i + 1].a) {
                pb += pairs(sb);
                sb = 0;
            }
        }
        expect = pa * pb / pairs(n);
        most = (pa + pb) / 2;
        out = most > expect ? (both - expect) / (most - expect) : 1;
    }
    free(v);
    free(u);
    return out;
}

void
synth_score(const struct synth *s, const uint32_t *label,
    struct synth_score *out)
{
    struct cell *v = cells(label, s->truth, s->n_cases);

    *out = (struct synth_score){ 0 };
    for (uint32_t i = 0, end; v && i < s->n_cases; i = end) {
        double n, precision = 0;
        uint32_t big = 0;

        for (end = i; end < s->n_cases && v[end].a == v[i].a; end++)
            ;
        n = end - i;
        for (uint32_t k = i, stop; k < end; k = stop) {
            double m;

            for (stop = k; stop < end && v[stop].b == v[k].b; stop++)
                ;
            m = stop - k;
            precision += m * m / n;
            out->b3_recall += m * m / s->truth_n[v[k].b];
            big += s->truth_n[v[k].b] >= 2;
        }
        out->b3_precision += precision;
        out->clusters += n >= 2;
        out->mixed += big >= 2;
    }
    out->b3_precision /= s->n_cases;
    out->b3_recall /= s->n_cases;
    free(v);
}
