#include "hunt_detail.h"

#include "logline/logline.h"

static void
begin(struct nr_buf *b, const char *word, const struct nr_indicator *i)
{
    nr_buf_printf(b, "%s\t%s\t", word, nr_kind_name(i->kind));
    nr_buf_put_str(b, i->value);
    nr_buf_put_c(b, '\t');
}

static void
put_time(struct nr_buf *b, int64_t s, bool iso)
{
    char buf[NR_RFC3339_MAX];

    if (s == NR_TIME_NONE)
        nr_buf_put_c(b, '-');
    else if (iso)
        nr_buf_put_str(b, nr_str_of(nr_time_print(s, buf)));
    else
        nr_buf_printf(b, "%lld", (long long)s);
}

void
hunt_detail_tsv(struct nr_buf *b, const struct nr_indicator *i,
    const struct nr_detail_of *x, bool iso)
{
    char day[NR_RFC3339_MAX];

    for (size_t k = 0; k < x->n_hosts; k++) {
        const struct nr_host *h = &x->hosts[k];

        begin(b, "host", i);
        nr_buf_put(b, h->host);
        nr_buf_printf(b, "\t%s\t%llu\t%llu\t", nr_host_role_name(h->role),
            (unsigned long long)h->lines, (unsigned long long)h->denied);
        put_time(b, h->first_s, iso);
        nr_buf_put_c(b, '\t');
        put_time(b, h->last_s, iso);
        nr_buf_put_c(b, '\n');
    }
    if (x->more > 0) {
        begin(b, "hosts-more", i);
        nr_buf_printf(b, "%llu\n", (unsigned long long)x->more);
    }
    for (size_t k = 0; k < x->n_out; k++) {
        const struct nr_out *o = &x->out[k];

        begin(b, "octets", i);
        nr_buf_printf(b, "%s\t%s\t%llu\t%llu\n",
            o->day == NR_TIME_NONE ? "-" : nr_day_print(o->day, day),
            nr_source_name((enum nr_source)o->source),
            (unsigned long long)o->octets, (unsigned long long)o->lines);
    }
    if (x->n_out > 0) {
        begin(b, "octets-total", i);
        nr_buf_printf(b, "%llu\n", (unsigned long long)x->octets);
    }
}

static int64_t
count(uint64_t v)
{
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void
json_time(struct nr_json_out *o, struct nr_str name, int64_t s, bool iso)
{
    char buf[NR_RFC3339_MAX];

    nr_json_key(o, name);
    if (s == NR_TIME_NONE)
        nr_json_put_null(o);
    else if (iso)
        nr_json_put_str(o, nr_str_of(nr_time_print(s, buf)));
    else
        nr_json_put_i64(o, s);
}

static void
json_host(struct nr_json_out *o, const struct nr_host *h, bool iso)
{
    nr_json_open_object(o);
    nr_json_key(o, NR_STR("host"));
    nr_json_put_bytes(o, h->host);
    nr_json_member_str(o, NR_STR("role"),
        nr_str_of(nr_host_role_name(h->role)));
    nr_json_member_i64(o, NR_STR("lines"), count(h->lines));
    nr_json_member_i64(o, NR_STR("denied"), count(h->denied));
    json_time(o, NR_STR("first"), h->first_s, iso);
    json_time(o, NR_STR("last"), h->last_s, iso);
    nr_json_close_object(o);
}

static void
json_out(struct nr_json_out *o, const struct nr_out *x)
{
    char day[NR_RFC3339_MAX];

    nr_json_open_object(o);
    nr_json_key(o, NR_STR("day"));
    if (x->day == NR_TIME_NONE)
        nr_json_put_null(o);
    else
        nr_json_put_str(o, nr_str_of(nr_day_print(x->day, day)));
    nr_json_member_str(o, NR_STR("source"),
        nr_str_of(nr_source_name((enum nr_source)x->source)));
    nr_json_member_i64(o, NR_STR("octets"), count(x->octets));
    nr_json_member_i64(o, NR_STR("lines"), count(x->lines));
    nr_json_close_object(o);
}

void
hunt_detail_json(struct nr_json_out *o, const struct nr_detail_of *x, bool iso)
{
    nr_json_key(o, NR_STR("hosts"));
    nr_json_open_array(o);
    for (size_t k = 0; k < x->n_hosts; k++)
        json_host(o, &x->hosts[k], iso);
    nr_json_close_array(o);
    nr_json_member_i64(o, NR_STR("hosts_more"), count(x->more));
    nr_json_key(o, NR_STR("bytes_out"));
    nr_json_open_array(o);
    for (size_t k = 0; k < x->n_out; k++)
        json_out(o, &x->out[k]);
    nr_json_close_array(o);
    nr_json_key(o, NR_STR("bytes_out_total"));
    if (x->n_out > 0)
        nr_json_put_i64(o, count(x->octets));
    else
        nr_json_put_null(o); /* no line says */
}
