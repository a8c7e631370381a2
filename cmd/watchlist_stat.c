/* noroshi watchlist stat, verify: what a list is made of, and if it is whole. */
#include "watchlist.h"

#include "base/arena.h"
#include "base/date.h"
#include "base/table.h"
#include "stix/stix.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_MAX   ((size_t)1 << 30)
#define ROWS_GROW ((size_t)64)

/* --- who says what of how many --- */

struct count {
    struct nr_str name; /* borrowed from the list */
    uint64_t n;
};

struct tally {
    const struct nr_watchlist *w;
    struct nr_table names; /* source -> index of its count */
    struct count *v;       /* owned */
    size_t n, cap;
    uint64_t tlp[6], pap[5], flagged;
    struct nr_buf text;
    bool no_memory;
};

static bool
room_for_one(struct tally *t)
{
    size_t cap = t->cap ? t->cap * 2 : ROWS_GROW;
    struct count *v;

    if (t->n < t->cap)
        return true;
    v = reallocarray(t->v, cap, sizeof(*v));
    if (!v)
        return false;
    t->v = v;
    t->cap = cap;
    return true;
}

static void
count_source(struct tally *t, struct nr_str name, size_t n)
{
    struct nr_bytes key = nr_bytes_of(name);
    bool added = false;
    uint64_t *at = room_for_one(t) ? nr_table_put(&t->names, key, t->n, &added)
                                   : NULL;

    if (!at) {
        t->no_memory = true;
        return;
    }
    if (added)
        t->v[t->n++] = (struct count){ name, 0 };
    t->v[*at].n += n;
}

static void
on_saying(void *ctx, size_t i, size_t n)
{
    struct tally *t = ctx;
    struct nr_indicator x = nr_watchlist_read(t->w, i, &t->text);

    t->tlp[x.tlp < 6 ? x.tlp : 0] += n;
    t->pap[x.pap < 5 ? x.pap : 0] += n;
    t->flagged += x.warn.n > 0 ? n : 0;
    for (size_t k = 0; k < x.n_claims; k++) {
        struct nr_str s = nr_watchlist_claim(t->w, i, k).source;
        bool again = false;

        for (size_t j = 0; j < k && !again; j++)
            again = nr_str_eq(nr_watchlist_claim(t->w, i, j).source, s);
        if (!again)
            count_source(t, s, n);
    }
}

static int
by_count(const void *a, const void *b)
{
    const struct count *x = a, *y = b;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int c = x->n == y->n ? 0 : x->n < y->n ? 1 : -1;

    if (c == 0 && n > 0)
        c = memcmp(x->name.p, y->name.p, n);
    return c ? c : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* --- printing --- */

/* One of both: rows "name<TAB>value", or members of an object. */
struct printer {
    struct nr_buf *out;
    struct nr_json_out o;
    bool json;
};

static void
put_n(struct printer *p, const char *name, uint64_t v)
{
    if (p->json)
        nr_json_member_i64(&p->o, nr_str_of(name), (int64_t)v);
    else
        nr_buf_printf(p->out, "%s\t%llu\n", name, (unsigned long long)v);
}

static void
put_s(struct printer *p, const char *name, const char *v)
{
    if (p->json)
        nr_json_member_str(&p->o, nr_str_of(name), nr_str_of(v));
    else
        nr_buf_printf(p->out, "%s\t%s\n", name, v);
}

static void
put_time(struct printer *p, const char *name, int64_t s)
{
    char text[NR_RFC3339_MAX];

    put_s(p, name, nr_time_print(s, text));
}

static void
begin(struct printer *p, const char *group)
{
    if (!p->json)
        return;
    nr_json_key(&p->o, nr_str_of(group));
    nr_json_open_object(&p->o);
}

static void
put_in(struct printer *p, const char *group, struct nr_str name, uint64_t v)
{
    if (v == 0)
        return;
    if (p->json) {
        nr_json_member_i64(&p->o, name, (int64_t)v);
        return;
    }
    nr_buf_printf(p->out, "%s ", group);
    watchlist_put_text(p->out, name);
    nr_buf_printf(p->out, "\t%llu\n", (unsigned long long)v);
}

static void
end(struct printer *p)
{
    if (p->json)
        nr_json_close_object(&p->o);
}

/* By name: ranges of both families have one. */
static void
put_kinds(struct printer *p, const struct nr_watchlist_stat *st)
{
    begin(p, "kinds");
    for (unsigned k = 0; k < NR_KINDS; k++) {
        struct nr_str name = nr_str_of(nr_kind_name((enum nr_kind)k));
        uint64_t n = 0;
        bool first = true;

        for (unsigned j = 0; j < NR_KINDS; j++) {
            if (!nr_str_eq(nr_str_of(nr_kind_name((enum nr_kind)j)), name))
                continue;
            first = first && j >= k;
            n += st->by_kind[j];
        }
        if (first)
            put_in(p, "kind", name, n);
    }
    end(p);
}

static void
put_groups(struct printer *p, const struct nr_watchlist_stat *st,
    const struct tally *t)
{
    put_kinds(p, st);
    begin(p, "tlp");
    for (unsigned k = 0; k < 6; k++)
        put_in(p, "tlp", nr_str_of(nr_tlp_name(k)), t->tlp[k]);
    end(p);
    begin(p, "pap");
    for (unsigned k = 0; k < 5; k++)
        put_in(p, "pap", nr_str_of(nr_pap_name(k)), t->pap[k]);
    end(p);
    begin(p, "sources");
    for (size_t k = 0; k < t->n; k++)
        put_in(p, "source", t->v[k].name, t->v[k].n);
    end(p);
}

static void
put_stat(struct printer *p, const struct nr_watchlist *w, const struct tally *t)
{
    struct nr_watchlist_stat st;
    char version[24] = "none";
    uint64_t v = nr_watchlist_warn_version(w);

    nr_watchlist_stat(w, &st);
    if (v)
        (void)snprintf(version, sizeof(version), "%016llx",
            (unsigned long long)v);
    put_n(p, "indicators", st.indicators);
    put_n(p, "unmatched", nr_watchlist_unmatched_count(w));
    put_n(p, "flagged", t->flagged);
    put_n(p, "octets", st.octets);
    put_n(p, "octets_each", st.indicators ? st.octets / st.indicators : 0);
    put_n(p, "deltas", st.deltas);
    put_n(p, "delta_indicators", st.delta_n);
    put_n(p, "gone", st.gone);
    put_time(p, "built", st.base_created_s);
    put_time(p, "changed", nr_watchlist_created_s(w));
    put_s(p, "key", st.keyed ? "yes" : "no");
    put_s(p, "warninglists", version);
    put_groups(p, &st, t);
}

static int
finish(struct cli *cli, struct nr_buf *out, enum nr_err err, struct nr_diag *d)
{
    if (err == NR_OK && out->err != NR_OK)
        err = nr_fail(d, out->err, 0, "watchlist: out of memory");
    if (err == NR_OK)
        (void)fwrite(out->p, 1, out->n, stdout); /* cli_main looks */
    nr_buf_fini(out);
    return err == NR_OK ? CLI_NOTHING : cli_fail(cli, d);
}

/* LIST of the operands; --json. NULL: said on stderr. */
static const char *
one_list(struct cli *cli, const char *usage, int argc, char **argv, bool *json)
{
    const struct cli_option table[] = {
        { "json", 0, CLI_FLAG, json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    int n;

    *json = false;
    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return NULL;
    if (n == 1)
        return argv[0];
    (void)cli_usage(cli, usage);
    return NULL;
}

int
watchlist_stat(struct cli *cli, int argc, char **argv)
{
    struct printer p = { 0 };
    const char *path = one_list(cli, "stat LIST [--json]", argc, argv, &p.json);
    struct nr_watchlist *w = NULL;
    struct tally t = { 0 };
    struct nr_diag d = { 0 };
    struct nr_buf out;
    enum nr_err err;

    if (!path)
        return CLI_ERROR;
    err = nr_watchlist_open(path, &w, &d);
    if (err != NR_OK)
        return cli_fail(cli, &d);
    t.w = w;
    nr_table_init(&t.names, nr_watchlist_version(w));
    nr_buf_init(&t.text, NR_KEY_MAX * 4);
    nr_buf_init(&out, OUT_MAX);
    err = nr_watchlist_sayings(w, on_saying, &t, &d);
    if (err == NR_OK && t.no_memory)
        err = nr_fail(&d, NR_ENOMEM, 0, "watchlist: out of memory");
    if (t.n > 0)
        qsort(t.v, t.n, sizeof(*t.v), by_count);
    p.out = &out;
    nr_json_out_init(&p.o, &out);
    if (p.json)
        nr_json_open_object(&p.o);
    put_stat(&p, w, &t);
    if (p.json) {
        nr_json_close_object(&p.o);
        if (err == NR_OK && nr_json_out_end(&p.o) != NR_OK)
            err = nr_fail(&d, NR_ENOMEM, 0, "watchlist: out of memory");
        nr_buf_put_c(&out, '\n');
    }
    nr_buf_fini(&t.text);
    nr_table_fini(&t.names);
    free(t.v);
    nr_watchlist_close(w);
    return finish(cli, &out, err, &d);
}

/* --- verify --- */

static void
on_fault(void *ctx, const struct nr_watchlist_fault *f)
{
    struct printer *p = ctx;

    if (!p->json) {
        nr_buf_put_str(p->out, NR_STR("damaged\t"));
        watchlist_put_text(p->out, nr_str_of(f->file));
        nr_buf_printf(p->out, "\t%s\t%llu\t%llu\t%s\n", f->part,
            (unsigned long long)f->at, (unsigned long long)f->n, f->what);
        return;
    }
    nr_json_open_object(&p->o);
    put_s(p, "file", f->file);
    put_s(p, "part", f->part);
    put_n(p, "at", f->at);
    put_n(p, "octets", f->n);
    put_s(p, "what", f->what);
    nr_json_close_object(&p->o);
}

int
watchlist_verify(struct cli *cli, int argc, char **argv)
{
    struct printer p = { 0 };
    const char *path = one_list(cli, "verify LIST [--json]", argc, argv,
        &p.json);
    struct nr_watchlist_checked done = { 0 };
    struct nr_diag d = { 0 };
    struct nr_buf out;
    enum nr_err err;
    int status;

    if (!path)
        return CLI_ERROR;
    nr_buf_init(&out, OUT_MAX);
    p.out = &out;
    nr_json_out_init(&p.o, &out);
    if (p.json) {
        nr_json_open_object(&p.o);
        nr_json_key(&p.o, NR_STR("faults"));
        nr_json_open_array(&p.o);
    }
    err = nr_watchlist_check(path, on_fault, &p, &done, &d);
    if (p.json)
        nr_json_close_array(&p.o);
    put_n(&p, "files", done.files);
    put_n(&p, "pages", done.pages);
    put_n(&p, "damaged", done.faults);
    if (p.json) {
        nr_json_close_object(&p.o);
        if (err == NR_OK && nr_json_out_end(&p.o) != NR_OK)
            err = nr_fail(&d, NR_ENOMEM, 0, "watchlist: out of memory");
        nr_buf_put_c(&out, '\n');
    }
    status = finish(cli, &out, err, &d);
    if (status == CLI_NOTHING && done.faults > 0) {
        (void)cli_error(cli, "%s: damaged in %zu places; compile it again",
            path, done.faults);
        status = CLI_INCOMPLETE;
    }
    return status;
}
