/* Indicators of a list as rows for programs. */
#include "watchlist.h"

#include "base/date.h"
#include "stix/stix.h"
#include "json/json.h"

#include <stdio.h>

#define OUT_STEP ((size_t)1 << 16) /* octets written together */
#define ROW_MAX  ((size_t)1 << 30) /* 2048 claims of three long texts */

void
watchlist_rows_init(struct watchlist_rows *r, const struct nr_watchlist *w,
    bool json)
{
    *r = (struct watchlist_rows){ .w = w, .json = json };
    nr_buf_init(&r->out, ROW_MAX);
    nr_buf_init(&r->text, NR_KEY_MAX * 4);
}

void
watchlist_put_text(struct nr_buf *out, struct nr_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];

        nr_buf_put_c(out, (char)(c < 0x20 || c == 0x7f ? '?' : c));
    }
    if (text.n == 0)
        nr_buf_put_c(out, '-');
}

static void
put_time(struct nr_buf *out, int64_t s)
{
    char text[NR_RFC3339_MAX];

    nr_buf_put_str(out,
        s == NR_TIME_NONE ? NR_STR("-") : nr_str_of(nr_time_print(s, text)));
}

/* Did an earlier claim name the source of claim K? */
static bool
was_named(const struct nr_watchlist *w, size_t i, size_t k, struct nr_str s)
{
    for (size_t j = 0; j < k; j++)
        if (nr_str_eq(nr_watchlist_claim(w, i, j).source, s))
            return true;
    return false;
}

/* All of them, each once, parted by semicolons. */
static void
put_sources(struct nr_buf *out, const struct nr_watchlist *w, size_t i,
    const struct nr_indicator *x)
{
    for (size_t k = 0; k < x->n_claims; k++) {
        struct nr_str s = nr_watchlist_claim(w, i, k).source;

        if (k > 0 && was_named(w, i, k, s))
            continue;
        if (k > 0)
            nr_buf_put_c(out, ';');
        watchlist_put_text(out, s);
    }
}

static void
put_tsv(struct watchlist_rows *r, const char *lead, size_t i,
    const struct nr_indicator *x)
{
    struct nr_buf *out = &r->out;

    if (lead)
        nr_buf_printf(out, "%s\t", lead);
    nr_buf_printf(out, "%s\t", nr_kind_name(x->kind));
    watchlist_put_text(out, x->value);
    nr_buf_put_c(out, '\t');
    put_time(out, x->valid_from_s);
    nr_buf_put_c(out, '\t');
    put_time(out, x->valid_until_s);
    nr_buf_printf(out, "\t%s\t%s\t%s\t", x->tlp ? nr_tlp_name(x->tlp) : "-",
        x->pap ? nr_pap_name(x->pap) : "-",
        x->role ? nr_role_name(x->role) : "-");
    put_sources(out, r->w, i, x);
    nr_buf_put_c(out, '\t');
    watchlist_put_text(out, x->warn);
    nr_buf_put_c(out, '\n');
}

static void
json_time(struct nr_json_out *o, struct nr_str name, int64_t s)
{
    char text[NR_RFC3339_MAX];

    if (s != NR_TIME_NONE)
        nr_json_member_str(o, name, nr_str_of(nr_time_print(s, text)));
}

static void
json_text(struct nr_json_out *o, struct nr_str name, struct nr_str text)
{
    if (text.n > 0)
        nr_json_member_str(o, name, text);
}

static void
json_claims(struct nr_json_out *o, const struct nr_watchlist *w, size_t i,
    size_t n)
{
    nr_json_key(o, NR_STR("claims"));
    nr_json_open_array(o);
    for (size_t k = 0; k < n; k++) {
        struct nr_claim c = nr_watchlist_claim(w, i, k);

        nr_json_open_object(o);
        json_text(o, NR_STR("source"), c.source);
        json_text(o, NR_STR("id"), c.id);
        json_text(o, NR_STR("reference"), c.reference);
        json_time(o, NR_STR("date"), c.date_s);
        nr_json_close_object(o);
    }
    nr_json_close_array(o);
}

static void
put_json(struct watchlist_rows *r, const char *lead, size_t i,
    const struct nr_indicator *x)
{
    struct nr_json_out o;

    nr_json_out_init(&o, &r->out);
    nr_json_open_object(&o);
    if (lead)
        nr_json_member_str(&o, NR_STR("why"), nr_str_of(lead));
    nr_json_member_str(&o, NR_STR("kind"), nr_str_of(nr_kind_name(x->kind)));
    nr_json_member_str(&o, NR_STR("value"), x->value);
    json_time(&o, NR_STR("valid_from"), x->valid_from_s);
    json_time(&o, NR_STR("valid_until"), x->valid_until_s);
    json_time(&o, NR_STR("first_seen"), x->first_seen_s);
    json_time(&o, NR_STR("last_seen"), x->last_seen_s);
    if (x->tlp)
        nr_json_member_str(&o, NR_STR("tlp"), nr_str_of(nr_tlp_name(x->tlp)));
    if (x->pap)
        nr_json_member_str(&o, NR_STR("pap"), nr_str_of(nr_pap_name(x->pap)));
    if (x->role)
        nr_json_member_str(&o, NR_STR("role"),
            nr_str_of(nr_role_name(x->role)));
    json_text(&o, NR_STR("warninglist"), x->warn);
    json_claims(&o, r->w, i, x->n_claims);
    nr_json_close_object(&o);
    if (nr_json_out_end(&o) == NR_OK)
        nr_buf_put_c(&r->out, '\n');
    else if (r->out.err == NR_OK)
        r->out.err = NR_EFORMAT;
}

static bool
drain(struct watchlist_rows *r)
{
    bool ok = r->out.err == NR_OK &&
        fwrite(r->out.p, 1, r->out.n, stdout) == r->out.n;

    nr_buf_reset(&r->out);
    return ok;
}

bool
watchlist_rows_put(struct watchlist_rows *r, const char *lead, size_t i,
    const struct nr_indicator *x)
{
    if (r->json)
        put_json(r, lead, i, x);
    else
        put_tsv(r, lead, i, x);
    return r->out.n < OUT_STEP && r->out.err == NR_OK ? true : drain(r);
}

bool
watchlist_rows_fini(struct watchlist_rows *r)
{
    bool ok = r->out.n == 0 ? r->out.err == NR_OK : drain(r);

    nr_buf_fini(&r->out);
    nr_buf_fini(&r->text);
    return ok;
}
