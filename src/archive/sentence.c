/* The sentence that says what was looked at (domain handbook 7). */
#include "archive/coverage.h"
#include "archive/store.h"

#define MASKS 16u /* sets of kinds spoken of; more are not named */
#define SPANS 3u  /* gaps in the middle that are named */

/* What is missing of a set of kinds. */
struct missing {
    uint32_t kinds;
    int64_t before, after; /* last day of the first gap, first of the last */
    bool has_before, has_after;
};

struct missing_span {
    uint32_t kinds;
    struct nr_days days;
};

struct said {
    double sum, weight;
    struct nr_days all; /* from > to: none */
    size_t asked, seen, denied, unsure;
    struct missing v[MASKS];
    size_t n;
    struct missing_span spans[SPANS];
    size_t n_spans, more;
    uint32_t absent; /* kinds of which there is nothing, and no other helps */
    bool future; /* a window reaches beyond LAST, the youngest day of lines */
    int64_t last;
};

static const char *const names_ja[NR_LOG_KINDS] = { "プロキシ", "DNS",
    "ファイアウォール", "フロー", "EDR", "AD", "メール", "認証", "Web",
    "ウイルス対策", "その他" };
static const char *const names_en[NR_LOG_KINDS] = { "proxy", "DNS", "firewall",
    "flow", "EDR", "AD", "mail", "authentication", "web server", "antivirus",
    "other" };

static struct missing *
missing_of(struct said *s, uint32_t kinds)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].kinds == kinds)
            return &s->v[i];
    if (s->n == MASKS)
        return NULL;
    s->v[s->n] = (struct missing){ .kinds = kinds };
    return &s->v[s->n++];
}

static void
add_span(struct said *s, uint32_t kinds, struct nr_days g)
{
    for (size_t i = 0; i < s->n_spans; i++)
        if (s->spans[i].kinds == kinds && s->spans[i].days.from == g.from &&
            s->spans[i].days.to == g.to)
            return;
    if (s->n_spans < SPANS)
        s->spans[s->n_spans++] = (struct missing_span){ kinds, g };
    else
        s->more++;
}

static void
add_gap(struct said *s, uint32_t kinds, struct nr_days g, struct nr_days window,
    int64_t last)
{
    struct missing *m;

    if (g.from > last) {
        s->future = true;
        s->last = last;
        return;
    }
    if (g.from > window.from && g.to < window.to) {
        add_span(s, kinds, g);
        return;
    }
    m = missing_of(s, kinds);
    if (!m)
        return;
    if (g.from == window.from) {
        m->before = m->has_before && m->before > g.to ? m->before : g.to;
        m->has_before = true;
    } else {
        m->after = m->has_after && m->after < g.from ? m->after : g.from;
        m->has_after = true;
    }
}

/* Which of the kinds that X needs have lines in its window. */
static uint32_t
kinds_in(const struct nr_archive *a, const struct nr_answer *x)
{
    int64_t from = x->window.from < 0 ? 0 : x->window.from;
    int64_t to = x->window.to >= SEG_DAYS ? SEG_DAYS - 1 : x->window.to;
    uint32_t kinds = 0;

    for (uint32_t k = x->kinds; k != 0; k &= k - 1) {
        const uint8_t *days = a->days[__builtin_ctz(k)];
        bool is = false;

        for (int64_t day = from; days && !is && day <= to; day++)
            is = seg_bit(days, (size_t)day);
        if (is)
            kinds |= k & -k;
    }
    return kinds;
}

static void
add_missing(struct said *s, const struct nr_archive *a,
    const struct nr_answer *x, int64_t last)
{
    uint32_t kinds = kinds_in(a, x), any = 0;

    for (uint32_t k = x->kinds; k != 0; k &= k - 1)
        any |= a->days[__builtin_ctz(k)] ? k & -k : 0;
    if (any == 0) {
        s->absent |= x->kinds;
        return;
    }
    for (size_t i = 0; i < x->n_gaps; i++)
        add_gap(s, kinds ? kinds : any, x->gaps[i], x->window, last);
}

static void
gather(struct said *s, const struct nr_archive *a, const struct nr_answer *v,
    size_t n, const double *weights)
{
    const struct nr_answer *same = NULL;
    int64_t last = -1;

    if (a)
        last = nr_archive_present(a, (1u << NR_LOG_KINDS) - 1).range.to;
    for (size_t i = 0; i < n; i++) {
        const struct nr_answer *x = &v[i];
        double weight = weights ? weights[i] : 1;

        s->asked++;
        s->seen += x->answer == NR_ANSWER_SEEN;
        s->denied += x->answer == NR_ANSWER_DENIED;
        s->unsure += x->answer == NR_ANSWER_CANNOT_SAY;
        s->sum += weight * x->coverage;
        s->weight += weight;
        if (x->window.from > x->window.to)
            continue;
        if (s->all.from > s->all.to)
            s->all = x->window;
        s->all.from = x->window.from < s->all.from ? x->window.from
                                                   : s->all.from;
        s->all.to = x->window.to > s->all.to ? x->window.to : s->all.to;
        if (a &&
            (!same || same->kinds != x->kinds ||
                same->window.from != x->window.from ||
                same->window.to != x->window.to))
            add_missing(s, a, x, last);
        same = x;
    }
}

static void
put_day(struct nr_buf *out, int64_t day)
{
    char buf[NR_RFC3339_MAX];

    nr_buf_put_str(out, nr_str_of(nr_day_print(day, buf)));
}

/* Never 100 % of what is not all, nor 0 % of something. */
static void
put_share(struct nr_buf *out, double share, enum nr_lang lang)
{
    unsigned percent = (unsigned)(share * 100 + 0.5);

    if (share > 0 && percent == 0)
        nr_buf_put_str(out,
            lang == NR_LANG_JA ? NR_STR("1% 未満") : NR_STR("less than 1%"));
    else
        nr_buf_printf(out, "%u%%", percent >= 100 && share < 1 ? 99 : percent);
}

/* Kinds joined; true: the last name ends with a Latin letter. */
static bool
put_kinds(struct nr_buf *out, uint32_t kinds, enum nr_lang lang)
{
    const char *between = lang == NR_LANG_JA ? "・" : "/";
    bool first = true, latin = false;

    for (; kinds != 0; kinds &= kinds - 1) {
        unsigned bit = (unsigned)__builtin_ctz(kinds);
        const char *name;

        if (bit >= NR_LOG_KINDS)
            break;
        name = lang == NR_LANG_JA ? names_ja[bit] : names_en[bit];
        latin = (unsigned char)name[0] < 0x80;
        if (!first)
            nr_buf_put_str(out, nr_str_of(between));
        else if (latin && lang == NR_LANG_JA)
            nr_buf_put_c(out, ' ');
        nr_buf_put_str(out, nr_str_of(name));
        first = false;
    }
    return latin;
}

/* One thing that is missing. */
struct item {
    uint32_t kinds;
    bool before; /* all up to TO; else from FROM to TO, */
    bool after;  /* ... or all from FROM on */
    int64_t from, to;
};

static bool
put_item(struct nr_buf *out, const struct item *i, enum nr_lang lang)
{
    bool ja = lang == NR_LANG_JA, latin;

    if (ja) {
        put_day(out, i->before ? i->to : i->from);
        if (i->before) {
            nr_buf_put_str(out, NR_STR(" 以前の"));
        } else if (i->after) {
            nr_buf_put_str(out, NR_STR(" 以降の"));
        } else {
            nr_buf_put_str(out, NR_STR("〜"));
            put_day(out, i->to);
            nr_buf_put_str(out, NR_STR(" の"));
        }
        return put_kinds(out, i->kinds, lang);
    }
    latin = put_kinds(out, i->kinds, lang);
    nr_buf_put_str(out,
        i->before      ? NR_STR(" logs up to ")
            : i->after ? NR_STR(" logs since ")
                       : NR_STR(" logs from "));
    put_day(out, i->before ? i->to : i->from);
    if (!i->before && !i->after) {
        nr_buf_put_str(out, NR_STR(" to "));
        put_day(out, i->to);
    }
    return latin;
}

static size_t
items_of(const struct said *s, struct item *v)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].has_before)
            v[n++] = (struct item){ .kinds = s->v[i].kinds,
                .before = true,
                .to = s->v[i].before };
    for (size_t i = 0; i < s->n_spans; i++)
        v[n++] = (struct item){ .kinds = s->spans[i].kinds,
            .from = s->spans[i].days.from,
            .to = s->spans[i].days.to };
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].has_after)
            v[n++] = (struct item){ .kinds = s->v[i].kinds,
                .after = true,
                .from = s->v[i].after };
    return n;
}

static void
put_missing(struct nr_buf *out, const struct said *s, enum nr_lang lang)
{
    bool ja = lang == NR_LANG_JA, latin = false;
    struct item v[2 * MASKS + SPANS];
    size_t n = items_of(s, v);

    for (size_t i = 0; i < n; i++) {
        const char *between = ja ? "、" : i + 1 < n ? ", " : " and ";

        if (i == 0)
            between = ja ? "。" : ". ";
        nr_buf_put_str(out, nr_str_of(between));
        latin = put_item(out, &v[i], lang);
    }
    if (n > 0 && s->more > 0)
        nr_buf_printf(out, ja ? "、ほか %llu 件" : " and %llu more stretches",
            (unsigned long long)s->more);
    if (n > 0)
        nr_buf_put_str(out,
            !ja                         ? NR_STR(" are not there")
                : latin && s->more == 0 ? NR_STR(" は残っていません")
                                        : NR_STR("は残っていません"));
    if (s->absent != 0) {
        nr_buf_put_str(out, ja ? NR_STR("。") : NR_STR(". There are no "));
        latin = put_kinds(out, s->absent, lang);
        nr_buf_put_str(out,
            !ja         ? NR_STR(" logs")
                : latin ? NR_STR(" のログはありません")
                        : NR_STR("のログはありません"));
    }
    if (s->future) {
        nr_buf_put_str(out,
            ja ? NR_STR("。") : NR_STR(". There are no logs since "));
        put_day(out, s->last + 1);
        nr_buf_put_str(out,
            ja ? NR_STR(" 以降のログはありません") : NR_STR(""));
    }
}

static void
put_head_ja(struct nr_buf *out, const struct said *s, double share)
{
    put_day(out, s->all.from);
    nr_buf_put_str(out, NR_STR("〜"));
    put_day(out, s->all.to);
    nr_buf_put_str(out, NR_STR(" のうち "));
    put_share(out, share, NR_LANG_JA);
    nr_buf_put_str(out, NR_STR(" の期間のログ"));
    if (s->seen > 0)
        nr_buf_printf(out,
            "を検査し、%llu 件中 %llu 件の指標の痕跡がありました",
            (unsigned long long)s->asked, (unsigned long long)s->seen);
    else if (share < NR_COVERAGE_MIN || s->unsure == s->asked)
        nr_buf_put_str(out,
            NR_STR("しか検査できず、痕跡の有無は確認できません"));
    else
        nr_buf_put_str(out, NR_STR("を検査し、痕跡はありませんでした"));
    if (s->denied > 0)
        nr_buf_printf(out, "（%llu 件の指標は遮断された通信だけにあります）",
            (unsigned long long)s->denied);
    if (s->unsure > 0 && s->unsure < s->asked && share >= NR_COVERAGE_MIN)
        nr_buf_printf(out, "。%llu 件の指標については確認できません",
            (unsigned long long)s->unsure);
}

static void
put_head_en(struct nr_buf *out, const struct said *s, double share)
{
    bool unsure = s->seen == 0 &&
        (share < NR_COVERAGE_MIN || s->unsure == s->asked);

    nr_buf_put_str(out, unsure ? NR_STR("Only logs of ") : NR_STR("Logs of "));
    put_share(out, share, NR_LANG_EN);
    nr_buf_put_str(out, NR_STR(" of the time from "));
    put_day(out, s->all.from);
    nr_buf_put_str(out, NR_STR(" to "));
    put_day(out, s->all.to);
    if (s->seen > 0)
        nr_buf_printf(out,
            " were searched: traces of %llu of %llu indicators were found",
            (unsigned long long)s->seen, (unsigned long long)s->asked);
    else if (unsure)
        nr_buf_put_str(out,
            NR_STR(" could be searched: whether there are traces cannot be "
                   "said"));
    else
        nr_buf_put_str(out, NR_STR(" were searched and no trace was found"));
    if (s->denied > 0)
        nr_buf_printf(out, " (%llu indicators only in traffic that was denied)",
            (unsigned long long)s->denied);
    if (s->unsure > 0 && s->unsure < s->asked && share >= NR_COVERAGE_MIN)
        nr_buf_printf(out, ". Of %llu indicators it cannot be said",
            (unsigned long long)s->unsure);
}

void
nr_coverage_sentence(const struct nr_archive *a, const struct nr_answer *v,
    size_t n, const double *weights, enum nr_lang lang, struct nr_buf *out)
{
    struct said s = { .all = { 1, 0 } };
    bool ja = lang == NR_LANG_JA;
    double share;

    gather(&s, a, v, n, weights);
    share = s.weight > 0 ? s.sum / s.weight : 0;
    if (n == 0) {
        nr_buf_put_str(out,
            ja ? NR_STR("調べる指標がありません")
               : NR_STR("There is no indicator to look for"));
        return;
    }
    if (s.all.from > s.all.to) {
        nr_buf_put_str(out,
            ja ? NR_STR("検査できるログがなく、痕跡の有無は確認できません")
               : NR_STR("There are no logs to search: whether there are traces "
                        "cannot be said"));
        return;
    }
    if (ja)
        put_head_ja(out, &s, share);
    else
        put_head_en(out, &s, share);
    put_missing(out, &s, lang);
}
