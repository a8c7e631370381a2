/* Texts of options, and figures as text. */
#include "alert/alert.h"
#include "json/json.h"

enum nr_err
nr_alert_rate_parse(struct nr_str text, uint64_t *rate, int64_t *interval_us,
    struct nr_diag *d)
{
    static const struct {
        char unit;
        int64_t s;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    struct nr_str rest, rows = nr_str_cut(text, '/', &rest);
    uint64_t n, times = 1;
    int64_t unit_s = 0;

    for (size_t i = 0; rest.n > 0 && i < sizeof(units) / sizeof(*units); i++)
        if (rest.p[rest.n - 1] == units[i].unit)
            unit_s = units[i].s;
    if (rest.n > 1 &&
        !nr_str_to_u64((struct nr_str){ rest.p, rest.n - 1 }, &times))
        unit_s = 0;
    if (!nr_str_to_u64(rows, &n) || n == 0 || unit_s == 0 || times == 0 ||
        times > UINT64_C(36500) * 86400 / (uint64_t)unit_s)
        return nr_fail(d, NR_EFORMAT, 0,
            "rate: rows and a time wanted, as in 10/1m");
    *rate = n;
    *interval_us = (int64_t)times * unit_s * NR_US_PER_S;
    return NR_OK;
}

enum nr_err
nr_alert_actions_parse(struct nr_str text, unsigned *out, struct nr_diag *d)
{
    unsigned set = 0;

    if (nr_str_eq(text, NR_STR("all"))) {
        *out = NR_ALERT_ALL;
        return NR_OK;
    }
    do {
        struct nr_str word = nr_str_cut(text, ',', &text);
        unsigned a = 0;

        while (a <= NR_ACTION_DENIED &&
            !nr_str_eq(word, nr_str_of(nr_action_name((enum nr_action)a))))
            a++;
        if (a > NR_ACTION_DENIED)
            return nr_fail(d, NR_EFORMAT, 0,
                "dispositions: allowed, denied, unknown or all wanted");
        set |= NR_ALERT_ACTION(a);
    } while (text.n > 0);
    *out = set;
    return NR_OK;
}

void
nr_figures_print(const struct nr_figure *v, size_t n, bool json,
    struct nr_buf *out)
{
    if (json)
        nr_buf_put_c(out, '{');
    for (size_t i = 0; i < n; i++)
        nr_buf_printf(out, json ? "%s\"%s\":%llu" : "%s%s=%llu",
            i == 0     ? ""
                : json ? ","
                       : " ",
            v[i].name, (unsigned long long)v[i].value);
    nr_buf_put_str(out, json ? NR_STR("}\n") : NR_STR("\n"));
}

/* --- progress --- */

#define BAR_MAX 40u /* columns of the bar itself */

/* "1.2 GB" of N octets. */
static void
put_size(struct nr_buf *out, double n)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    size_t u = 0;

    for (; n >= 999.5 && u + 1 < sizeof(units) / sizeof(*units); u++)
        n /= 1000;
    nr_buf_printf(out, n < 9.95 && u > 0 ? "%.1f %s" : "%.0f %s", n, units[u]);
}

static void
put_bar(struct nr_buf *out, double part, unsigned columns)
{
    unsigned full = (unsigned)(part * (double)columns);

    nr_buf_put_c(out, '[');
    for (unsigned i = 0; i < columns; i++)
        nr_buf_put_c(out, i < full ? '=' : i == full ? '>' : ' ');
    nr_buf_printf(out, "] %3.0f%% ", part * 100);
}

static void
put_left(struct nr_buf *out, double s)
{
    if (s < 100)
        nr_buf_printf(out, ", %.0f s left", s);
    else if (s < 6000)
        nr_buf_printf(out, ", %.0f min left", s / 60);
    else if (s < 360000)
        nr_buf_printf(out, ", %.0f h left", s / 3600);
}

static void
put_words(const struct nr_progress *p, const struct nr_progress_now *now,
    struct nr_buf *out)
{
    double s = (double)(now->now_us - p->start_us) / 1e6;
    double rate = s > 0 ? (double)now->done / s : 0;

    put_size(out, (double)now->done);
    if (s >= 0.5) {
        nr_buf_put_str(out, NR_STR(", "));
        put_size(out, rate);
        nr_buf_put_str(out, NR_STR("/s"));
    }
    nr_buf_printf(out, ", %llu hit%s", (unsigned long long)now->hits,
        now->hits == 1 ? "" : "s");
    if (now->total > now->done && rate > 0 && s >= 1)
        put_left(out, (double)(now->total - now->done) / rate);
}

void
nr_progress_draw(struct nr_progress *p, const struct nr_progress_now *now,
    struct nr_buf *out)
{
    size_t room = (now->columns > 0 ? now->columns : 80) - 1, start;
    double part = 0;
    struct nr_buf words;

    if (p->start_us == 0)
        p->start_us = now->now_us;
    if (p->drawn && now->now_us >= p->last_us &&
        now->now_us - p->last_us < NR_PROGRESS_EVERY_US)
        return;
    nr_buf_init(&words, 256);
    put_words(p, now, &words);
    nr_buf_put_c(out, '\r');
    start = out->n;
    if (now->total > 0) {
        part = (double)now->done / (double)now->total;
        part = part > 1 ? 1 : part;
        if (room > words.n + 18)
            put_bar(out, part,
                (unsigned)(room - words.n - 8 > BAR_MAX ? BAR_MAX
                                                        : room - words.n - 8));
        else if (room > words.n + 5)
            nr_buf_printf(out, "%3.0f%% ", part * 100);
    }
    nr_buf_put(out, nr_buf_bytes(&words));
    if (out->n - start > room)
        out->n = start + room;
    nr_buf_put_str(out, NR_STR("\033[K"));
    nr_buf_fini(&words);
    p->drawn = true;
    p->last_us = now->now_us;
}

void
nr_progress_clear(struct nr_progress *p, struct nr_buf *out)
{
    if (p->drawn)
        nr_buf_put_str(out, NR_STR("\r\033[K"));
    p->drawn = false;
}
