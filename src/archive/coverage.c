/* Windows, coverage and the rule of answers (domain handbook 7). */
#include "archive/store.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

uint32_t
nr_archive_needs(unsigned kind)
{
    switch (kind) {
    case NR_KIND_DOMAIN:
    case NR_KIND_URL:
        return NR_LOG_DNS | NR_LOG_PROXY;
    case NR_KIND_IPV4:
    case NR_KIND_IPV6:
    case NR_KIND_CIDR4:
    case NR_KIND_CIDR6:
        return NR_LOG_FW | NR_LOG_PROXY | NR_LOG_FLOW;
    case NR_KIND_MD5:
    case NR_KIND_SHA1:
    case NR_KIND_SHA256:
        return NR_LOG_EDR | NR_LOG_AV | NR_LOG_MAIL;
    case NR_KIND_EMAIL:
        return NR_LOG_MAIL;
    default:
        return 0;
    }
}

struct nr_days
nr_archive_window(const struct nr_indicator *i, int64_t now_s, int64_t oldest)
{
    bool seen = i->first_seen_s != NR_TIME_NONE ||
        i->last_seen_s != NR_TIME_NONE;
    int64_t from = seen ? i->first_seen_s : i->valid_from_s;
    int64_t to = seen ? i->last_seen_s : i->valid_until_s;

    if (from == NR_TIME_NONE && to == NR_TIME_NONE)
        return (struct nr_days){ oldest, nr_day_of(now_s) };
    if (to == NR_TIME_NONE)
        to = now_s > from ? now_s : from;
    if (from == NR_TIME_NONE || from > to)
        from = to;
    return (struct nr_days){ nr_day_of(from) - NR_COVERAGE_DAYS,
        nr_day_of(to) + NR_COVERAGE_DAYS };
}

/* Days 8 * AT to 8 * AT + 7 that V has of a kind of KINDS. */
static uint8_t
days_of(uint8_t *const v_of[NR_LOG_KINDS], uint32_t kinds, size_t at)
{
    uint8_t v = 0;

    for (uint32_t k = kinds; k != 0; k &= k - 1) {
        const uint8_t *days = v_of[__builtin_ctz(k)];

        v |= days ? days[at] : 0;
    }
    return v;
}

static bool
is_covered(const struct nr_archive *a, uint32_t kinds, int64_t day)
{
    return (days_of(a->judged ? a->known : a->days, kinds, (size_t)day / 8) >>
                   (day % 8) &
               1) != 0;
}

/* The part of W that the archive can know at all. */
static struct nr_days
known(struct nr_days w)
{
    return (struct nr_days){ w.from < 0 ? 0 : w.from,
        w.to >= SEG_DAYS ? SEG_DAYS - 1 : w.to };
}

uint64_t
store_covered(const struct nr_archive *a, uint32_t kinds, struct nr_days w)
{
    struct nr_days k = known(w);
    uint64_t n = 0;

    for (int64_t day = k.from; day <= k.to; day++)
        n += is_covered(a, kinds, day);
    return n;
}

enum nr_err
store_gaps(const struct nr_archive *a, uint32_t kinds, struct nr_days w,
    struct nr_arena *arena, const struct nr_days **out, size_t *n)
{
    struct nr_days k = known(w), *v;
    size_t count = 0;
    bool inside = false;

    *out = NULL;
    *n = 0;
    if (w.from > w.to)
        return NR_OK;
    for (int pass = 0; pass < 2; pass++) {
        v = pass ? nr_new(arena, struct nr_days, count + 1) : NULL;
        if (pass && !v)
            return NR_ENOMEM;
        count = 0;
        inside = k.from > w.from || k.from > k.to;
        if (inside) {
            if (v)
                v[0] = (struct nr_days){ w.from, w.to };
            count = 1;
        }
        for (int64_t day = k.from; day <= k.to; day++) {
            bool gap = !is_covered(a, kinds, day);

            if (gap && !inside && v)
                v[count] = (struct nr_days){ day, w.to };
            count += gap && !inside;
            if (!gap && inside && v)
                v[count - 1].to = day - 1;
            inside = gap;
        }
        if (!inside && k.to < w.to) {
            if (v)
                v[count] = (struct nr_days){ k.to + 1, w.to };
            count++;
        }
        if (v)
            *out = v;
    }
    *n = count;
    return NR_OK;
}

enum nr_answer_kind
store_answer(uint64_t lines, uint64_t denied, double coverage, bool has_kind)
{
    if (lines > denied)
        return NR_ANSWER_SEEN;
    if (lines > 0)
        return NR_ANSWER_DENIED;
    if (!has_kind || coverage < NR_COVERAGE_MIN)
        return NR_ANSWER_CANNOT_SAY;
    return NR_ANSWER_NOT_SEEN;
}

const char *
nr_answer_name(enum nr_answer_kind k)
{
    static const char *const names[] = { "cannot-say", "not-seen", "denied",
        "seen" };

    return (unsigned)k < sizeof(names) / sizeof(names[0]) ? names[k]
                                                          : "cannot-say";
}

const char *
nr_note_name(unsigned bit)
{
    static const char *const names[NR_NOTES] = { "query-stripped",
        "host-unknown", "clock", "gap", "stopped" };

    return bit < NR_NOTES ? names[bit] : "";
}

struct nr_archive_presence
nr_archive_present(const struct nr_archive *a, uint32_t kinds)
{
    struct nr_archive_presence p = { .range = { 1, 0 } };

    for (size_t at = 0; at < STORE_DAYS_OCTETS; at++) {
        uint8_t v = days_of(a->days, kinds, at);

        if (v == 0)
            continue;
        if (p.days == 0)
            p.range.from = (int64_t)at * 8 + __builtin_ctz(v);
        p.range.to = (int64_t)at * 8 + 31 - __builtin_clz(v);
        p.days += (uint64_t)__builtin_popcount(v);
    }
    return p;
}
